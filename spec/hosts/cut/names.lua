-- Names being looked up, connections being opened, refused and given up.
local forever = require "spec.hosts.forever"
local neap = require "neap"

local server = assert(neap.start_server(function(stream) stream:read "a" end, "127.0.0.1", 0))
local closed = assert(neap.start_server(print, "127.0.0.1", 0))
local dead_port = closed.port
closed:close()

for _ = 1, 3 do
  forever(function() neap.open_connection("localhost", server.port) end)
  forever(function() neap.open_connection("127.0.0.1", dead_port) end)
  forever(function() neap.move_on_after(0.0001, neap.open_connection, "localhost", dead_port) end)
end
neap.sleep(60)
