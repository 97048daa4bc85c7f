-- An echo server over TLS. Prints its port, and ends by itself after two minutes.
local neap = require "neap"

local chunk_bytes <const>, limit_s <const> = 64 * 1024, 120

local server <close> = assert(neap.start_server(function(stream)
  local chunk = stream:read_some(chunk_bytes)
  while chunk and stream:write(chunk) do chunk = stream:read_some(chunk_bytes) end
end, "127.0.0.1", 0, { tls = { cert = "build/bench/tls.pem", key = "build/bench/tls.key" } }))

print(server.port)
io.stdout:flush()
neap.sleep(limit_s)
