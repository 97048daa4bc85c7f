-- TLS: handshakes, traffic, ends of every kind, and streams that nobody shakes hands with.
local certificate = require "spec.hosts.certificate"
local forever = require "spec.hosts.forever"
local neap = require "neap"

local serving = assert(neap.tls.context { cert_pem = certificate.cert, key_pem = certificate.key })
local trusting = assert(neap.tls.context { ca = certificate.cert })

local function echo(stream)
  local _ <close> = guard()
  for line in stream:lines "L" do stream:write(line) end
end

local secure = assert(neap.start_server(echo, "127.0.0.1", 0, { tls = serving }))
local plain = assert(neap.start_server(function(stream) stream:read "a" end, "127.0.0.1", 0))
local much = ("x"):rep(1000):rep(100)

local function connect(options)
  local tls = { context = trusting, server_hostname = "localhost" }
  for name, value in pairs(options or {}) do tls[name] = value end
  return neap.open_connection("127.0.0.1", secure.port, { tls = tls })
end

forever(function()
  local stream = assert(connect())
  for _ = 1, 3 do stream:write "line\n" stream:read "l" end
end)
forever(function()
  local stream = assert(connect())
  stream:write(much)
  stream:close()
  stream:wait_closed()
end)
forever(function() connect():shutdown() end)
forever(function() connect():abort() end)
forever(function() assert(not connect { server_hostname = "example.org" }) end)
forever(function() pcall(neap.wait_for, connect, 0.001) end)
forever(function() -- with whom nobody shakes hands
  local stream = assert(neap.open_connection("127.0.0.1", plain.port))
  pcall(neap.wait_for, stream.start_tls, 0.001, stream, { context = trusting, server_hostname = "localhost" })
end)
neap.sleep(60)
