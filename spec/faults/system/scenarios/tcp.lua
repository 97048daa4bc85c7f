-- Clients and servers over 127.0.0.1.
local cell = require "spec.faults.system.cell"
local neap = require "neap"

local ok <const>, noted <const> = cell.ok, cell.noted

local HOST <const> = "127.0.0.1"

-- After these fail a server pauses for a second, which in real time would take too long.
local PAUSING <const> = { accept = true, setsockopt = true }

local function echo(stream)
  while true do
    local bytes = noted(stream:read_some(1000))
    if not bytes or not noted(stream:write(bytes)) then return end
  end
end

local function serve(handler, options)
  return ok(neap.start_server(handler or echo, HOST, 0, options))
end

local function ask(server, options, text)
  local stream <close> = ok(neap.open_connection(HOST, server.port, options))
  ok(stream:write(text, "\n"))
  return ok(stream:readline())
end

return {
  { name = "tcp: echo", run = function()
    local server <close> = serve()
    local stream <close> = ok(neap.open_connection(HOST, server.port))
    assert(stream:peer_address() == HOST and ok(stream:local_address()) == HOST)
    ok(stream:write "hello\n")
    assert(ok(stream:readline()) == "hello\n")
    ok(stream:shutdown())
    assert(ok(stream:read "a") == "")
  end },

  { name = "tcp: three clients at once", run = function()
    local server <close> = serve()
    local function client(i)
      return function() assert(ask(server, nil, i) == i .. "\n") end
    end
    neap.gather(client(1), client(2), client(3))
  end },

  { name = "tcp: options", run = function()
    local server <close> = serve(echo, { nodelay = false, keepalive = true, reuse_port = true, max_connections = 1 })
    local options <const> = { nodelay = false, keepalive = true, local_addr = { HOST, 0 }, limit = 100 }
    assert(ask(server, options, "one") == "one\n")
    assert(ask(server, options, "two") == "two\n")
  end },

  -- An address that this machine has not is left out.
  { name = "tcp: a server on two hosts", instead = { ECONNREFUSED = true }, run = function()
    local server <close> = ok(neap.start_server(echo, { HOST, "127.0.0.2" }, 0))
    assert(ask(server, nil, "one") == "one\n")
  end },

  { name = "tcp: by name", real = true, skip = PAUSING, run = function()
    local server <close> = ok(neap.start_server(echo, "localhost", 0))
    local stream <close> = ok(neap.open_connection("localhost", server.port))
    ok(stream:write "x")
    assert(ok(stream:readexactly(1)) == "x")
  end },

  { name = "tcp: a writer waits for its reader", real = true, skip = PAUSING, run = function()
    local server <close> = serve(function(stream)
      for _ = 1, 12 do
        if not noted(stream:write(("x"):rep(100000))) then return end
      end
      noted(stream:drain())
    end)
    local stream <close> = ok(neap.open_connection(HOST, server.port))
    neap.sleep(0.001)
    assert(#ok(stream:read "a") == 1200000)
    assert(stream:at_eof())
  end },

  { name = "tcp: aborted while it writes", run = function()
    local server <close> = serve(function() neap.sleep(1) end)
    local stream = ok(neap.open_connection(HOST, server.port))
    local writer = neap.create_task(function()
      while stream:write(("x"):rep(100000)) do end
    end)
    neap.sleep(0.01)
    stream:abort()
    pcall(neap.await, writer)
    stream:wait_closed()
  end },

  { name = "tcp: closed with what is queued", real = true, skip = PAUSING, run = function()
    local server <close> = serve(function(stream)
      assert(#ok(stream:read "a") == 100000)
      ok(stream:write "all")
    end)
    local stream <close> = ok(neap.open_connection(HOST, server.port))
    ok(stream:write(("x"):rep(100000)))
    ok(stream:shutdown())
    assert(ok(stream:read "a") == "all")
    stream:close()
    ok(stream:wait_closed())
  end },

  { name = "tcp: a server closes its clients", run = function()
    local server <close> = serve()
    local stream <close> = ok(neap.open_connection(HOST, server.port))
    ok(stream:write "x")
    ok(stream:readexactly(1))
    server:close_clients()
    assert(ok(stream:read_some()) == nil)
    server:close(1)
    server:wait_closed()
  end },
}
