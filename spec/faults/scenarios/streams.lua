-- Connections and servers over 127.0.0.1.
local neap = require "neap"
local scenario = require "spec.faults.scenario"
local support = require "spec.support.stream"

local start <const>, raises <const>, done <const> = scenario.start, scenario.raises, scenario.done
local limited <const>, noted <const> = scenario.limited, scenario.noted

local HOST <const> = "127.0.0.1"
local path -- of a socket

local function serve(handler, options)
  return done(neap.start_server(handler, HOST, 0, options))
end

local function connect(server, options)
  return done(neap.open_connection(HOST, server.port, options))
end

local function echo(stream)
  while true do
    local bytes = noted(stream:read_some(1000))
    if not bytes then return end
    noted(stream:write(bytes))
  end
end

-- The two ends of a connection, closed at the end of a block.
local function with_pair(fn)
  return limited(function()
    local pair <close> = support.pair()
    fn(pair.near, pair.far)
  end)
end

return {
  { name = "streams: echo", run = limited(function()
    local server <close> = serve(echo)
    local stream <close> = connect(server)
    assert(stream:peer_address() == HOST and stream:local_address())
    done(stream:write "hello\n")
    assert(done(stream:read "l") == "hello")
    done(stream:write(("x"):rep(3000)))
    assert(#done(stream:readexactly(3000)) == 3000)
  end) },

  { name = "streams: a Unix socket", run = limited(function()
    path = os.tmpname()
    os.remove(path)
    local server <close> = done(neap.start_unix_server(echo, path, { max_connections = 2 }))
    local stream <close> = done(neap.open_unix_connection(path))
    assert(stream:peer_address() == path)
    done(stream:write "hello\n")
    assert(done(stream:read "l") == "hello")
  end), after = function()
    collectgarbage()
    assert(not path or not os.remove(path), "the socket's file was left")
  end },

  { name = "streams: a server on several hosts", run = limited(function()
    local server <close> = done(neap.start_server(echo, { HOST, "127.0.0.2" }, 0))
    local stream <close> = done(neap.open_connection("127.0.0.2", server.port))
    done(stream:write "hello\n")
    assert(done(stream:read "l") == "hello")
  end) },

  { name = "streams: some clients at once", run = limited(function()
    local server <close> = serve(echo)
    local results = neap.gather(table.unpack((function()
      local clients = {}
      for i = 1, 3 do
        clients[i] = function()
          local stream <close> = connect(server)
          done(stream:write(i .. "\n"))
          return done(stream:read "l")
        end
      end
      return clients
    end)()))
    assert(table.concat(results) == "123")
  end) },

  { name = "streams: half closed", run = limited(function()
    local server <close> = serve(function(stream)
      local all = noted(stream:read "a")
      if all then noted(stream:write(all:reverse())) end
    end)
    local stream <close> = connect(server)
    done(stream:write("ab", "c"))
    done(stream:shutdown())
    assert(done(stream:read "a") == "cba")
    assert(stream:at_eof() and noted(stream:read_some()) == nil)
  end) },

  { name = "streams: refused", run = limited(function()
    local listener = support.listen()
    local _, port = listener:address()
    listener:close()
    local stream, err, code = noted(neap.open_connection(HOST, port))
    assert(not stream and code == "ECONNREFUSED" and tostring(err):find("refused", 1, true))
  end) },

  { name = "streams: formats", run = with_pair(function(near, far)
    done(far:write("one\ntwo\n", "12 0x1p4 abc", "tail"))
    done(far:shutdown())
    local a, b = done(near:read("l", "L"))
    assert(a == "one" and b == "two\n")
    assert(done(near:read "n") == 12 and done(near:read "n") == 16.0)
    assert(done(near:read(4)) == " abc" and done(near:read "a") == "tail")
  end) },

  { name = "streams: lines and separators", run = with_pair(function(near, far)
    done(far:write "a\nb\nc;d--e")
    far:close()
    assert(done(near:readline()) == "a\n")
    local lines = near:lines()
    assert(lines() == "b")
    assert(done(near:readuntil ";") == "c;")
    assert(done(near:readuntil { "++", "--" }) == "d--")
    local rest, err = noted(near:readexactly(10))
    assert(rest == nil and err.partial == "e")
  end) },

  { name = "streams: a line beyond the limit", run = limited(function()
    local pair <close> = support.pair { limit = 100 }
    done(pair.far:write(("x"):rep(300)))
    local line, err = noted(pair.near:readline())
    assert(line == nil and neap.is(err, neap.LimitOverrunError))
    assert(#done(pair.near:readexactly(300)) == 300)
  end) },

  { name = "streams: a cancelled read loses nothing", run = with_pair(function(near, far)
    local reader = start(near.readexactly, near, 6)
    done(far:write "abc")
    neap.sleep(0.1)
    reader:cancel()
    raises(neap.CancelledError, neap.await, reader)
    done(far:write "def")
    assert(done(near:readexactly(6)) == "abcdef")
  end) },

  { name = "streams: a writer waits for its reader", run = with_pair(function(near, far)
    far:set_write_limits(1000)
    local sent, length = 0, 0
    local writer = start(function()
      for _ = 1, 60 do
        done(far:write(("x"):rep(100000)))
        sent = sent + 100000
      end
      far:close()
    end)
    while true do
      local bytes, err = noted(near:read_some(1000000))
      if not bytes then
        assert(not err, err)
        break
      end
      length = length + #bytes
    end
    writer:await()
    assert(sent == 6000000 and length == sent)
  end) },

  { name = "streams: cancelled and killed in a write", run = with_pair(function(near, far)
    local writer = support.fill(far)
    writer:cancel()
    scenario.try(neap.await, writer)
    writer = support.fill(far)
    writer:kill()
    far:abort()
    while noted(near:read_some()) do end
  end) },

  { name = "streams: aborted and reset", run = with_pair(function(near, far)
    local reader = start(near.read, near, "a")
    far:abort()
    noted(reader:await())
    assert(not noted(far:wait_closed()) or far:is_closing())
    raises("closed", far.write, far, "x")
  end) },

  { name = "streams: killed in a read", run = with_pair(function(near, far)
    local reader = start(near.read, near, "a")
    assert(reader:kill())
    done(far:write "still")
    assert(done(near:readexactly(5)) == "still")
  end) },

  { name = "streams: two readers", run = with_pair(function(near, far)
    local reader = start(near.read, near, "l")
    raises("read", near.read, near, "l")
    done(far:write "line\n")
    assert(done(reader:await()) == "line")
  end) },

  { name = "connect: cancelled", run = limited(function()
    local listener = support.listen()
    local task = neap.create_task(neap.open_connection, HOST, (select(2, listener:address())))
    neap.sleep(0)
    task:cancel()
    local ok, stream = scenario.try(neap.await, task)
    if ok and stream then stream:close() end
    listener:close()
  end) },

  -- No time limit: virtual time does not wait for a look-up.
  { name = "connect: by name", run = function()
    local server <close> = serve(echo)
    local stream = noted(neap.open_connection("localhost", server.port))
    if stream then stream:close() end
  end },

  { name = "listener: accept and close", run = limited(function()
    local listener = support.listen()
    local acceptor = start(listener.accept, listener)
    local stream = done(neap.open_connection(HOST, (select(2, listener:address()))))
    local accepted = done(acceptor:await())
    accepted:close()
    assert(done(stream:read "a") == "")
    stream:close()
    local waiting = start(listener.accept, listener)
    listener:close()
    noted(waiting:await())
  end) },

  { name = "servers: closed with grace", run = limited(function()
    local ended = 0
    local server = serve(function(stream)
      local _ <close> = scenario.closer(function() ended = ended + 1 end)
      noted(stream:read "a")
      neap.sleep(5)
    end)
    local first, second = connect(server), connect(server)
    neap.sleep(0.1)
    first:close()
    server:close(1)
    server:wait_closed()
    assert(ended == 2 and not server:is_serving())
    second:close()
  end) },

  { name = "servers: a handler fails", reports = true, run = limited(function()
    local server <close> = serve(function(stream)
      stream:read "l"
      error "the handler failed"
    end)
    local stream <close> = connect(server)
    done(stream:write "go\n")
    noted(stream:read "a")
  end) },

  { name = "servers: serve_forever, cancelled", run = limited(function()
    local server = serve(echo, { start_serving = false })
    local serving = start(server.serve_forever, server)
    local stream = connect(server)
    done(stream:write "x")
    assert(done(stream:readexactly(1)) == "x")
    serving:cancel()
    raises(neap.CancelledError, neap.await, serving)
    stream:close()
  end) },

  { name = "servers: clients closed and aborted", run = limited(function()
    local server <close> = serve(echo)
    local first, second = connect(server), connect(server)
    done(first:write "x")
    assert(done(first:readexactly(1)) == "x")
    server:close_clients()
    noted(first:read "a")
    server:abort_clients()
    noted(second:read_some())
    first:close()
    second:close()
    assert(tostring(server))
  end) },
}
