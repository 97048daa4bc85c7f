-- Unix sockets and pipes, servers with room for few, and connections that wait for it.
local forever = require "spec.hosts.forever"
local neap = require "neap"

local path = os.tmpname()
os.remove(path)

local server = assert(neap.start_unix_server(function(stream)
  stream:write "line\n"
  stream:read "l"
end, path, { max_connections = 2 }))
os.remove(path .. ".not")

for _ = 1, 4 do
  forever(function()
    local stream = neap.open_unix_connection(path)
    if stream then stream:read "l" end
  end)
end
forever(function() neap.open_unix_connection(path .. ".not") end)
forever(function() pcall(neap.wait_for, neap.open_unix_connection, 0.0001, path) end)
forever(function() server:close_clients() neap.sleep(0.001) end)
forever(function()
  local other = neap.start_server(print, { "127.0.0.1", "localhost" }, 0, { max_connections = 1 })
  if other then other:close() other:wait_closed() end
end)
for tick in neap.interval(0.0003) do if tick > 1000000 then break end end
