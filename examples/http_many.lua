-- Twenty requests at once by LuaSocket's own socket.http, which knows nothing of neap: it requires "socket", and gets
-- neap's. Each answer takes 0.2 s, and so do all of them.
local neap = require "neap"
local server <close> = assert(neap.start_server(function(stream)
  repeat local line = stream:read "l" until not line or line == "\r" or line == ""
  neap.sleep(0.2)
  stream:write "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntide"
end, "127.0.0.1", 0))

local found, http = pcall(require, "socket.http")
if not found then return print "LuaSocket is not installed" end

local url <const> = ("http://127.0.0.1:%d/"):format(server.port)
local requests, began = {}, neap.get_running_loop():time()
for i = 1, 20 do
  requests[i] = function() return assert(http.request(url)) end
end
local bodies = neap.gather(requests)

local took = neap.get_running_loop():time() - began
print(#bodies .. " answers", table.concat(bodies, " ", 1, 3) .. " ...", took < 1 and "at once" or "one after another")
-- expect: 20 answers	tide tide tide ...	at once
