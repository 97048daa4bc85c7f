-- Servers: a task for each connection, and how all of it ends.
local neap = require "neap"
local network = require "spec.support.network"
local program = require "spec.support.program"
local support = require "spec.support.stream"

local function serve(handler, options)
  return assert(neap.start_server(handler, "127.0.0.1", 0, options))
end

local function connect(server)
  return assert(neap.open_connection("127.0.0.1", server.port))
end

local function echo(stream)
  for line in stream:lines "L" do stream:write(line) end
end

-- Collects what goes to the exception handler while fn runs.
local function reports_of(fn)
  local loop, contexts = neap.get_running_loop(), {}
  loop:set_exception_handler(function(_, context) contexts[#contexts + 1] = context end)
  local ok, err = pcall(fn, contexts)
  loop:set_exception_handler(nil)
  assert(ok, err)
  return contexts
end

describe("a server", function()
  it("W3 runs its handler as a task for each connection", function()
    local tasks = {}
    local server <close> = serve(function(stream)
      tasks[#tasks + 1] = neap.current_task()
      echo(stream)
    end)
    local one <close> = connect(server)
    local two <close> = connect(server)
    one:write "first\n"
    two:write "second\n"
    assert.equal("second", two:read())
    assert.equal("first", one:read())
    assert.equal(2, #tasks)
    assert.not_equal(tasks[1], tasks[2])
  end)

  it("tells its port and address", function()
    local server <close> = serve(echo)
    assert.is_true(server.port > 0)
    assert.same({ "127.0.0.1", server.port }, { server:address() })
    assert.equal(("<Server on 127.0.0.1 port %d>"):format(server.port), tostring(server))
    assert.is_true(server:is_serving())
  end)

  it("without a host listens on every address", function()
    local server <close> = assert(neap.start_server(echo, nil, 0))
    local stream <close> = connect(server)
    stream:write "hello\n"
    assert.equal("hello", stream:read())
    local seen = {}
    local other <close> = assert(neap.start_server(function(s) seen[1] = s:peer_address() end, "", 0))
    local quiet <close> = connect(other)
    assert.is_nil(quiet:read())
    assert.equal("127.0.0.1", seen[1])
  end)

  it("listens on a name", function()
    if not support.has_localhost() then return pending "localhost is not known here" end
    local server <close> = assert(neap.start_server(echo, "localhost", 0))
    local stream <close> = connect(server)
    stream:write "hello\n"
    assert.equal("hello", stream:read())
  end)

  it("W24 on a port in use is refused, and the address is named", function()
    local server <close> = serve(echo)
    local other, err, code = neap.start_server(echo, "127.0.0.1", server.port)
    assert.is_nil(other)
    assert.equal("EADDRINUSE", code)
    assert.equal("EADDRINUSE", err.code)
    assert.equal(("start_server 127.0.0.1:%d: address already in use"):format(server.port), tostring(err))
    assert.equal("EADDRINUSE", select(3, neap.start_server(echo, nil, server.port)))
  end)

  it("on a port that was just in use starts at once", function()
    local port
    do
      local server <close> = serve(echo)
      port = server.port
      local stream <close> = connect(server)
      stream:write "x\n"
      stream:read()
    end
    local server <close> = assert(neap.start_server(echo, "127.0.0.1", port))
    assert.equal(port, server.port)
  end)

  it("on an address that is not ours is refused", function()
    local server, err, code = neap.start_server(echo, "192.0.2.1", 0)
    assert.is_nil(server)
    assert.equal("EADDRNOTAVAIL", code)
    assert.equal("start_server 192.0.2.1:0: address not available", tostring(err))
    server, err = neap.start_server(echo, "no-such-name.invalid", 80)
    assert.is_nil(server)
    assert.matches("^start_server no%-such%-name.invalid:80: ", tostring(err))
  end)

  it("may be closed by the end of a block in a handler, which does not wait for itself", function()
    local server = assert(neap.start_server(function(_, server) local _ <close> = server end, "127.0.0.1", 0))
    local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
    local limit <close> = neap.timeout(2)
    assert.equal("", stream:read "a")
    server:wait_closed()
    assert.is_false(server:is_serving())
  end)

  it("names the host that it cannot look up", function()
    local server, err, code = neap.start_server(echo, { "127.0.0.1", "::none" }, 80)
    assert.is_nil(server)
    assert.equal("EAI_NONAME", code)
    assert.matches("^start_server %[::none%]:80: ", tostring(err))
  end)

  it("refuses bad arguments in Lua's words, at the caller's line", function()
    local cases = {
      { "bad argument #1 to 'start_server' %(function expected, got no value%)",
        function() neap.start_server() end },
      { "bad argument #1 to 'start_server' %(function expected, got table%)",
        function() neap.start_server({}, nil, 0) end },
      { "bad argument #2 to 'start_server' %(string expected, got boolean%)",
        function() neap.start_server(echo, true, 0) end },
      { "bad argument #2 to 'start_server' %(the list of hosts is empty%)",
        function() neap.start_server(echo, {}, 0) end },
      { "bad argument #2 to 'start_server' %(a host of the list is not a string%)",
        function() neap.start_server(echo, { "::1", 7 }, 0) end },
      { "bad argument #2 to 'start_server' %(a host of the list is empty, or contains a zero byte%)",
        function() neap.start_server(echo, { "a\0b" }, 0) end },
      { "bad argument #2 to 'start_server' %(a socket is given by 'fd' already%)",
        function() neap.start_server(echo, "::1", nil, { fd = 3 }) end },
      { "bad argument #4 to 'start_server' %(the option 'max_connections' is not a positive integer%)",
        function() neap.start_server(echo, nil, 0, { max_connections = 0 }) end },
      { "bad argument #4 to 'start_server' %(the option 'keepalive' is not a number of seconds from 1 to 32767%)",
        function() neap.start_server(echo, nil, 0, { keepalive = 0.5 }) end },
      { "bad argument #3 to 'start_server' %(number expected, got no value%)",
        function() neap.start_server(echo) end },
      { "bad argument #3 to 'start_server' %(the port is not in the range 0 to 65535%)",
        function() neap.start_server(echo, nil, 70000) end },
      { "bad argument #4 to 'start_server' %(the option 'backlog' is not a positive integer%)",
        function() neap.start_server(echo, nil, 0, { backlog = -1 }) end },
      { "bad argument #1 to 'close' %(neap.Server expected, got no value%)",
        function() local server <close> = neap.start_server(echo, nil, 0) server.close() end },
      { "bad argument #1 to 'wait_closed' %(neap.Server expected, got table%)",
        function() local server <close> = neap.start_server(echo, nil, 0) server.wait_closed {} end },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(case[2])
      assert.is_false(ok)
      assert.matches("^[^:]*server_spec%.lua:%d+: " .. case[1] .. "$", err)
    end
    local server <close> = serve(echo)
    assert.matches("bad argument #1 to 'close'", select(2, pcall(server.close, server, "soon")))
  end)

  it("takes anything that can be called as its handler", function()
    local handler = setmetatable({}, { __call = function(_, stream) stream:write "called" end })
    local server <close> = serve(handler)
    local stream <close> = connect(server)
    assert.equal("called", stream:read "a")
  end)

  it("closes a connection when its handler ends, behind what it wrote", function()
    local server <close> = serve(function(stream) stream:write(("x"):rep(5000000)) end)
    local stream <close> = connect(server)
    assert.equal(5000000, #stream:read "a")
  end)

  it("W12 reports a handler's error, and goes on", function()
    local problem = setmetatable({}, { __tostring = function() return "my problem" end })
    local contexts = reports_of(function(contexts)
      local server <close> = serve(function(stream)
        if stream:read() == "fail" then error(problem) end
        stream:write "fine"
      end)
      local bad <close> = connect(server)
      bad:write "fail\n"
      assert.equal("", bad:read "a")
      support.settle(function() return #contexts > 0 end)
      local good <close> = connect(server)
      good:write "go on\n"
      assert.equal("fine", good:read "a")
    end)
    collectgarbage()
    collectgarbage()
    assert.equal(1, #contexts)
    assert.equal("a connection handler failed", contexts[1].message)
    assert.is_true(rawequal(problem, contexts[1].exception))
    assert.matches("server_spec.lua:%d+: in", contexts[1].traceback)
    assert.matches("^spec/.*server.*%.lua:%d+$", contexts[1].made_at)
    assert.is_true(contexts[1].task:done())
  end)

  it("is not disturbed by clients that break off", function()
    local ended = 0
    local contexts = reports_of(function()
      local server <close> = serve(function(stream)
        stream:read "l"
        ended = ended + 1
      end)
      for i = 1, 50 do
        local stream = connect(server)
        if i % 2 == 0 then stream:write "x" end
        if i % 3 == 0 then stream:abort() else stream:close() end
      end
      support.settle(function() return ended == 50 end)
    end)
    assert.equal(0, #contexts)
  end)

  it("serves many connections at once", function()
    local server <close> = serve(echo)
    local group <close> = neap.TaskGroup()
    local count = 0
    for i = 1, 200 do
      group:create_task(function()
        local stream <close> = connect(server)
        for _ = 1, 3 do
          stream:write(i, "\n")
          assert(stream:read "n" == i)
        end
        count = count + 1
      end)
    end
    group:__close()
    assert.equal(200, count)
  end)

  it("gives its connections the limit that was set", function()
    local failed
    local server <close> = serve(function(stream) failed = select(2, stream:readline()) end, { limit = 10 })
    local stream <close> = connect(server)
    stream:write(("x"):rep(30), "\n")
    stream:read "a"
    assert.is_true(neap.is(failed, neap.LimitOverrunError))
  end)

  it("W14 can be made before it accepts", function()
    local accepted = false
    local server <close> = serve(function() accepted = true end, { start_serving = false })
    assert.is_false(server:is_serving())
    local stream <close> = connect(server)
    neap.sleep(0.02)
    assert.is_false(accepted)
    server:start_serving()
    assert.is_nil(stream:read())
    assert.is_true(accepted)
    local unused <close> = serve(echo, { start_serving = false })
    unused:close()
    unused:wait_closed()
    assert.matches("start_serving: the server is closed", select(2, pcall(unused.start_serving, unused)))
  end)
end)

describe("closing a server", function()
  -- A server with one connection whose handler waits, and tells how it ended.
  local function busy(handler)
    local outcome = {}
    local server = serve(function(stream)
      outcome.started = true
      outcome.ok, outcome.err = pcall(handler or stream.read, stream)
      if not outcome.ok then error(outcome.err, 0) end
    end)
    local stream = connect(server)
    support.settle(function() return outcome.started end)
    return server, stream, outcome
  end

  it("stops accepting and cancels the handlers", function()
    local server, stream, outcome = busy()
    assert.is_true(server:close())
    assert.is_true(server:wait_closed())
    assert.is_false(outcome.ok)
    assert.is_true(neap.is(outcome.err, neap.CancelledError))
    assert.is_nil(stream:read())
    assert.equal("ECONNREFUSED", select(3, neap.open_connection("127.0.0.1", server.port)))
    assert.is_true(server:close())
    assert.is_true(server:wait_closed())
    assert.is_false(server:is_serving())
    stream:close()
  end)

  it("gives the handlers the grace that is asked for", function()
    local server, stream, outcome = busy()
    server:close(5)
    neap.sleep(0.02)
    stream:write "in time\n"
    server:wait_closed()
    assert.same({ true, "in time" }, { outcome.ok, outcome.err })
    stream:close()
  end)

  it("cancels them when the grace is over, or is taken back", function()
    local server, stream, outcome = busy()
    local start = neap.get_running_loop():time()
    server:close(0.05)
    server:wait_closed()
    assert.is_true(neap.get_running_loop():time() - start >= 0.05)
    assert.is_false(outcome.ok)
    stream:close()
    server, stream, outcome = busy()
    server:close(100)
    server:close()
    server:wait_closed()
    assert.is_false(outcome.ok)
    stream:close()
  end)

  it("waits for what handlers do in a shield", function()
    local cleaned
    local server, stream = busy(function(handled)
      local ok = pcall(handled.read, handled)
      local shield <close> = neap.shielded()
      neap.sleep(0.02)
      cleaned = handled:write "bye" and not ok
    end)
    server:close()
    server:wait_closed()
    assert.is_true(cleaned)
    assert.equal("bye", stream:read "a")
    stream:close()
  end)

  it("comes with the end of its block, which waits for it", function()
    local server, stream, outcome = busy()
    do
      local closing <close> = server
    end
    assert.is_false(outcome.ok)
    assert.is_true(server.ended:done())
    stream:close()
  end)

  it("comes with the end of its block also when the task is cancelled", function()
    local server, stream, outcome = busy()
    local task = neap.create_task(function()
      local closing <close> = server
      neap.sleep(100)
    end)
    neap.sleep(0)
    support.cancel(task)
    assert.is_false(outcome.ok)
    assert.is_true(server.ended:done())
    stream:close()
  end)

  it("W16 lets wait_closed wait for the close and for every connection", function()
    local server, stream = busy()
    local waiter = neap.create_task(server.wait_closed, server)
    neap.sleep(0.02)
    assert.is_false(waiter:done())
    server:close(5)
    neap.sleep(0.02)
    assert.is_false(waiter:done())
    stream:close()
    assert.is_true(neap.await(waiter))
  end)

  it("W14 comes when serve_forever is cancelled; it cannot serve twice", function()
    local server, stream, outcome = busy()
    local serving = neap.create_task(server.serve_forever, server)
    neap.sleep(0)
    assert.matches("serve_forever: the server is being served already",
      select(2, pcall(server.serve_forever, server)))
    support.cancel(serving)
    assert.is_false(outcome.ok)
    assert.matches("serve_forever: the server is closed", select(2, pcall(server.serve_forever, server)))
    stream:close()
  end)

  it("ends serve_forever", function()
    local server = serve(echo)
    local serving = neap.create_task(server.serve_forever, server)
    neap.sleep(0)
    server:close()
    neap.await(serving)
  end)

  it("can be done by a handler, and from a callback", function()
    local server, stream = busy(function(handled) handled:read() end)
    local closing = serve(function() server:close() end)
    connect(closing):close()
    server:wait_closed()
    neap.get_running_loop():call_soon(function() closing:close() end)
    closing:wait_closed()
    stream:close()
  end)

  it("drops connections that nobody has accepted", function()
    local server = serve(echo, { start_serving = false })
    local stream <close> = connect(server)
    server:close()
    assert.equal("ECONNRESET", select(3, stream:read()))
  end)

  -- A server whose handler has more to send than the client's side takes, and reads what comes.
  local function sending()
    local handled
    local server, stream = busy(function(inner)
      handled = inner
      neap.move_on_after(0.01, inner.write, inner, ("x"):rep(20000000))
      inner:read()
    end)
    support.settle(function() return support.waits((next(server.streams)), "read") end)
    return server, stream, handled
  end

  it("W17 can close its clients, behind what was written", function()
    local server, stream = sending()
    server:close_clients()
    local size = 0
    for part in function() return stream:read_some(1000000) end do size = size + #part end
    assert.equal(20000000, size)
    assert.is_true(server:is_serving())
    server:close()
    server:wait_closed()
    stream:close()
  end)

  it("W18 can abort its clients, and drops what was not sent", function()
    local server, stream, handled = sending()
    server:abort_clients()
    assert.is_true(neap.wait_for(handled.wait_closed, 1, handled))
    local size, err, code = 0, nil, nil
    for part in function()
      local data
      data, err, code = stream:read_some(1000000)
      return data
    end do size = size + #part end
    assert.is_true(size < 20000000)
    assert.equal("ECONNRESET", code)
    assert.equal(code, err.code)
    local other <close> = connect(server)
    assert.is_true(server:is_serving())
    other:close()
    server:close()
    server:wait_closed()
    stream:close()
  end)
end)

describe("accepting", function()
  it("loses no connection to a waiter that was cancelled or killed", function()
    local listener = support.listen()
    local port = select(2, listener:address())
    support.cancel(support.start_waiting("accept", listener.accept, listener))
    local killed = support.start_waiting("accept", listener.accept, listener)
    local near <close> = assert(neap.open_connection("127.0.0.1", port))
    local far <close> = assert(killed:kill() and listener:accept() or killed:result())
    near:write "x"
    assert.equal("x", far:read(1))
    listener:close()
  end)

  it("is for one task at a time, and ends with the listener", function()
    local listener = support.listen()
    local waiter = support.start_waiting("accept", listener.accept, listener)
    assert.matches("accept: another task is accepting", select(2, pcall(listener.accept, listener)))
    listener:close()
    assert.is_nil(neap.await(waiter))
    assert.is_nil(listener:accept())
    listener:close()
  end)

  it("W37 without descriptors is reported once, pauses, and goes on", function()
    local script = [[
      local neap = require "neap"
      local reports, held, files = {}, {}, {}
      neap.get_running_loop():set_exception_handler(function(_, context) reports[#reports + 1] = context end)
      local server <close> = assert(neap.start_server(function(stream)
        held[#held + 1] = stream
        stream:read "a"
      end, "127.0.0.1", 0))
      local first <close> = assert(neap.open_connection("127.0.0.1", server.port))
      while #held < 1 do neap.sleep(0.001) end
      local function another() return (io.open "/dev/null") end
      for file in another do files[#files + 1] = file end
      print(#reports, select(3, neap.open_connection("127.0.0.1", server.port)))
      files[#files]:close()
      local second <close> = assert(neap.open_connection("127.0.0.1", server.port))
      local start = os.clock()
      neap.sleep(1.2)
      print(#reports, reports[1].exception.code, reports[1].message, #held, os.clock() - start < 0.1)
      files[1]:close()
      while #held < 2 do neap.sleep(0.01) end
      print(#reports)
    ]]
    local result = program.run { "sh", "-c", 'ulimit -n 40; exec "$0" -e "$1"', program.neap, script }
    assert.equal("", result.stderr)
    assert.equal("0\tEMFILE\n1\tEMFILE\ta server cannot accept connections\t1\ttrue\n1\n", result.stdout)
  end)
end)

describe("accepting what is not there", function()
  it("W38 is waiting on, and nobody hears of it", function()
    local result = network.run({ NETWORK_EMPTY_ACCEPTS = 3 }, [[
      local neap = require "neap"
      local reports = 0
      neap.get_running_loop():set_exception_handler(function() reports = reports + 1 end)
      local server <close> = assert(neap.start_server(function(stream) stream:write "x" end, "127.0.0.1", 0))
      for _ = 1, 3 do
        local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
        io.write(stream:read "a")
      end
      print(reports, server:is_serving())
    ]])
    if not result then return pending "needs a C compiler" end
    assert.equal("", result.stderr)
    assert.equal("xxx0\ttrue\n", result.stdout)
  end)
end)

describe("a server in a program", function()
  it("outlives the body, and ends with a signal", function()
    local running = program.start { program.neap, "-e", [[
      local neap = require "neap"
      local server = assert(neap.start_server(function(stream)
        stream:write "hello"
      end, "127.0.0.1", 0))
      io.write(server.port, "\n")
      io.stdout:flush()
    ]] }
    local port = running.pipe:read "n"
    for _ = 1, 2 do
      local stream <close> = assert(neap.open_connection("127.0.0.1", port))
      assert.equal("hello", stream:read "a")
    end
    running:signal "INT"
    local result = running:finish()
    assert.equal(130, result.status)
    assert.equal("", result.stderr)
  end)

  it("tells a handler's error on stderr, with traceback, and exits 1", function()
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      local server <close> = assert(neap.start_server(function(stream)
        error "in the handler"
      end, "127.0.0.1", 0))
      local stream = assert(neap.open_connection("127.0.0.1", server.port))
      stream:read "a"
      stream:close()
    ]] }
    assert.equal(1, result.status)
    assert.matches("a connection handler failed", result.stderr, 1, true)
    assert.matches(":3: in the handler", result.stderr, 1, true)
    assert.matches("traceback.*\nmade at %(command line%):2\n", result.stderr)
  end)

  it("leaves nothing behind when everything ends in mid-air", function()
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      local server = assert(neap.start_server(function(stream) stream:read "a" end, "127.0.0.1", 0))
      for i = 1, 10 do
        local stream = assert(neap.open_connection("127.0.0.1", server.port))
        neap.create_task(stream.read, stream)
      end
      neap.create_task(neap.open_connection, "localhost", server.port)
      os.exit(7)
    ]] }
    assert.equal("", result.stderr)
    assert.equal(7, result.status)
  end)
end)
