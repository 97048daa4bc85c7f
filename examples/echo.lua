-- An echo server: every line comes back.
--
--   neap examples/echo.lua [PORT]        and then: nc 127.0.0.1 7000
local neap = require "neap"

local function echo(stream)
  for line in stream:lines "L" do stream:write(line) end
end

local server <close> = assert(neap.start_server(echo, "127.0.0.1", tonumber(arg[1]) or 7000))
print("listening on port " .. server.port)
io.stdout:flush()
server:serve_forever()
