-- TLS over TCP.
local cell = require "spec.faults.system.cell"
local certificates = require "spec.support.certificates"
local neap = require "neap"

local ok <const>, noted <const> = cell.ok, cell.noted

local HOST <const> = "127.0.0.1"

local function echo(stream)
  while true do
    local bytes = noted(stream:read_some(1000))
    if not bytes or not noted(stream:write(bytes)) then return end
  end
end

local contexts

-- Of a server and a client, made once: they read files.
local function context(side)
  contexts = contexts or {
    server = assert(neap.tls.context(certificates.server())),
    client = assert(neap.tls.context { ca_file = certificates.file "root.pem" }),
  }
  return contexts[side]
end

local function serve(handler)
  return ok(neap.start_server(handler or echo, HOST, 0, {
    tls = { context = context "server", on_handshake_error = function(err) noted(nil, err) end },
  }))
end

local function connect(server)
  local options <const> = { context = context "client", server_hostname = "localhost" }
  return ok(neap.open_connection(HOST, server.port, { tls = options }))
end

-- After accept or setsockopt fail a server pauses for a second.
local function scenario(name, run)
  return { name = "tls: " .. name, real = true, skip = { accept = true, setsockopt = true }, run = run }
end

return {
  scenario("echo", function()
    local server <close> = serve()
    local stream <close> = connect(server)
    ok(stream:write "hello\n")
    assert(ok(stream:readline()) == "hello\n")
    ok(stream:shutdown())
    assert(ok(stream:read "a") == "")
  end),

  scenario("more than the kernel takes at once", function()
    local server <close> = serve(function(stream)
      ok(stream:write(("x"):rep(1000000)))
      ok(stream:shutdown())
    end)
    local stream <close> = connect(server)
    assert(#ok(stream:read "a") == 1000000)
  end),

  scenario("on a live stream", function()
    local server <close> = ok(neap.start_server(function(stream)
      ok(stream:write "begin\n")
      ok(stream:start_tls { context = context "server", server = true })
      echo(stream)
    end, HOST, 0))
    local stream <close> = ok(neap.open_connection(HOST, server.port))
    assert(ok(stream:readline()) == "begin\n")
    ok(stream:start_tls { context = context "client", server_hostname = "localhost" })
    ok(stream:write "hello\n")
    assert(ok(stream:readline()) == "hello\n")
  end),
}
