-- open_connection: names, addresses, failures, and what a cancel leaves behind.
local neap = require "neap"
local network = require "spec.support.network"
local support = require "spec.support.stream"

local function port_of(listener)
  return select(2, listener:address())
end

-- A port on which connecting neither succeeds nor fails: its queue in the kernel is full.
local function unanswering(fn)
  local listener = support.listen { backlog = 1 }
  local filling = {}
  for i = 1, 4 do
    filling[i] = neap.create_task(neap.open_connection, "127.0.0.1", port_of(listener))
  end
  neap.sleep(0.05)
  local ok, err = pcall(fn, port_of(listener))
  for _, task in ipairs(filling) do
    if task:done() then
      task:result():close()
    else
      support.cancel(task)
    end
  end
  listener:close()
  assert(ok, err)
end

-- A port that nobody listens on.
local function free_port()
  local listener = support.listen()
  local port = port_of(listener)
  listener:close()
  return port
end

describe("open_connection", function()
  it("connects to a numeric address without help", function()
    local listener = support.listen()
    local near <close> = assert(neap.open_connection("127.0.0.1", port_of(listener)))
    local far <close> = assert(listener:accept())
    near:write "x"
    assert.equal("x", far:read(1))
    listener:close()
  end)

  it("connects to a name, off the loop", function()
    if not support.has_localhost() then return pending "localhost is not known here" end
    local listener = support.listen()
    local turns = 0
    local ticker = neap.create_task(function()
      while true do
        turns = turns + 1
        neap.sleep(0)
      end
    end)
    local near <close> = assert(neap.open_connection("localhost", port_of(listener)))
    ticker:cancel()
    assert.is_true(turns > 1)
    local far <close> = assert(listener:accept())
    assert.equal("127.0.0.1", (far:peer_address()))
    listener:close()
  end)

  it("connects over IPv6", function()
    local server = neap.start_server(function() end, "::1", 0)
    if not server then return pending "no IPv6 here" end
    local stream = assert(neap.open_connection("::1", server.port))
    assert.equal("::1", (stream:peer_address()))
    assert.equal(("<Stream to [::1]:%d>"):format(server.port), tostring(stream))
    stream:close()
    server:close()
    server:wait_closed()
  end)

  it("W25 connects from an address that is chosen", function()
    local listener = support.listen()
    local port = free_port()
    local options = { local_addr = { "127.0.0.2", port } }
    local near <close> = assert(neap.open_connection("127.0.0.1", port_of(listener), options))
    local far <close> = assert(listener:accept())
    assert.same({ "127.0.0.2", port }, { far:peer_address() })
    assert.same({ "127.0.0.2", port }, { near:local_address() })
    listener:close()
  end)

  it("X1 returns what the outside world answers, in one line", function()
    local port = free_port()
    local cases = {
      { "127.0.0.1", port, "ECONNREFUSED", "open_connection 127.0.0.1:" .. port .. ": connection refused" },
      { "::1", port, nil, "open_connection [::1]:" .. port .. ": .*" },
      { "no-such-name.invalid", 80, nil, "open_connection no-such-name.invalid:80: .*" },
      { "", 80, nil, "open_connection :80: .*" },
      { ("x"):rep(300), 80, nil, "open_connection x*:80: .*" },
      { "127.0.0.1", 0, nil, "open_connection 127.0.0.1:0: .*" },
    }
    for _, case in ipairs(cases) do
      local stream, err, code = neap.open_connection(case[1], case[2])
      assert.is_nil(stream)
      assert.is_true(neap.is(err, neap.OSError))
      assert.equal(case[3] or code, code)
      assert.equal(code, err.code)
      assert.matches("^E[%u_]+$", code)
      assert.matches("^" .. case[4]:gsub("[%[%]%-]", "%%%0") .. "$", tostring(err))
    end
  end)

  it("W34 refuses bad arguments in Lua's words, at the caller's line", function()
    local cases = {
      { "bad argument #1 to 'open_connection' %(string expected, got no value%)",
        function() neap.open_connection() end },
      { "bad argument #1 to 'open_connection' %(the host contains a zero byte%)",
        function() neap.open_connection("127.0.0.1\0", 80) end },
      { "bad argument #2 to 'open_connection' %(number expected, got no value%)",
        function() neap.open_connection "127.0.0.1" end },
      { "bad argument #2 to 'open_connection' %(the port is not in the range 0 to 65535%)",
        function() neap.open_connection("127.0.0.1", 65536) end },
      { "bad argument #2 to 'open_connection' %(the port is not in the range 0 to 65535%)",
        function() neap.open_connection("127.0.0.1", -1) end },
      { "bad argument #2 to 'open_connection' %(number has no integer representation%)",
        function() neap.open_connection("127.0.0.1", 80.5) end },
      { "bad argument #3 to 'open_connection' %(table expected, got number%)",
        function() neap.open_connection("127.0.0.1", 80, 5) end },
      { "bad argument #3 to 'open_connection' %(the option 'limit' is not a positive integer%)",
        function() neap.open_connection("127.0.0.1", 80, { limit = 0 }) end },
      { "bad argument #3 to 'open_connection' %(the option 'local_addr' is not {numeric host, port}%)",
        function() neap.open_connection("127.0.0.1", 80, { local_addr = { "localhost", 0 } }) end },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(case[2])
      assert.is_false(ok)
      assert.matches("^[^:]*tcp_spec%.lua:%d+: " .. case[1] .. "$", err)
    end
  end)

  it("outside a task is refused, at the caller's line", function()
    local err
    local called = neap.Future()
    neap.get_running_loop():call_soon(function()
      err = select(2, pcall(function() neap.open_connection("127.0.0.1", 80) end))
      called:set_result()
    end)
    neap.await(called)
    assert.matches("^[^:]*tcp_spec%.lua:%d+: open_connection: cannot wait outside a task", err)
  end)

  it("W36 that is cancelled or takes too long closes its socket", function()
    unanswering(function(port)
      local before = require("neap.testing").census()
      local connecting = support.start_waiting("open_connection", neap.open_connection, "127.0.0.1", port)
      assert.equal(before.fds + 1, require("neap.testing").census().fds)
      support.cancel(connecting)
      assert.is_false(neap.move_on_after(0.01, neap.open_connection, "127.0.0.1", port))
      local killed = support.start_waiting("open_connection", neap.open_connection, "127.0.0.1", port)
      killed:kill()
      neap.sleep(0)
      assert.is_nil(require("neap.testing").difference(before, require("neap.testing").census()))
    end)
  end)

  it("can be cancelled while the name is looked up", function()
    for turns = 0, 3 do
      local task = neap.create_task(neap.open_connection, "no-such-name.invalid", 80)
      for _ = 1, turns do neap.sleep(0) end
      if not task:done() then support.cancel(task) end
    end
  end)

  it("can be cancelled at any moment, and then the peer sees the end or nothing", function()
    local listener = support.listen()
    for turns = 0, 6 do
      local task = neap.create_task(neap.open_connection, "127.0.0.1", port_of(listener))
      for _ = 1, turns do neap.sleep(0.0001) end
      task:cancel()
      local ok, result = pcall(neap.await, task)
      if ok then result:close() end
    end
    neap.sleep(0.01)
    while true do
      local done, stream = neap.move_on_after(0.01, listener.accept, listener)
      if not done then break end
      stream:read "a"
      stream:close()
    end
    listener:close()
  end)
end)

describe("a name with several addresses", function()
  local function run(addresses, script)
    local result = network.run({ NETWORK_ADDRESSES = addresses }, [[
      local neap = require "neap"
      local HOST <const> = "several.invalid"
      local accepted = {}
      local function serve(host, port)
        return assert(neap.start_server(function(stream)
          accepted[#accepted + 1] = host
          stream:read "a"
        end, host, port or 0))
      end
    ]] .. script)
    if not result then return pending "needs a C compiler" end
    assert.equal("", result.stderr)
    return result.stdout
  end

  it("X2 is connected to at the first one that answers; later ones are not tried", function()
    assert.equal("127.0.0.3\t127.0.0.3\n", run("127.0.0.2 127.0.0.3 127.0.0.4", [[
      local third <close> = serve "127.0.0.3"
      local fourth <close> = serve("127.0.0.4", third.port)
      local stream <close> = assert(neap.open_connection(HOST, third.port))
      neap.sleep(0.05)
      print(stream:peer_address() .. "", table.concat(accepted, " "))
    ]]))
  end)

  it("W33 X3 tells each attempt when none answers, in one error of one line", function()
    local lines = run("127.0.0.2 127.0.0.3", [[
      local listener = serve "127.0.0.4"
      local port = listener.port
      local stream, err, code = neap.open_connection(HOST, port)
      listener:close()
      print(stream, code, err.code, #err.errors, neap.is(err.errors[2], neap.OSError))
      print((tostring(err):gsub(port, "PORT")))
      for _, one in ipairs(err.errors) do print(one.code, (tostring(one):gsub(port, "PORT"))) end
    ]])
    assert.equal("nil\tECONNREFUSED\tECONNREFUSED\t2\ttrue\n" ..
      "open_connection several.invalid:PORT: connection refused (127.0.0.2:PORT)," ..
      " connection refused (127.0.0.3:PORT)\n" ..
      "ECONNREFUSED\topen_connection 127.0.0.2:PORT: connection refused\n" ..
      "ECONNREFUSED\topen_connection 127.0.0.3:PORT: connection refused\n", lines)
  end)

  it("X5 leaves no socket behind when connecting is cancelled at any of them", function()
    assert.equal("true\n", run("127.0.0.2 127.0.0.3 127.0.0.4", [[
      local census = require("neap.testing").census
      pcall(neap.open_connection, HOST, 1)
      local before, left = census(), 0
      for turns = 0, 12 do
        local task = neap.create_task(neap.open_connection, HOST, 1)
        for _ = 1, turns do neap.sleep(0.0001) end
        task:cancel()
        neap.wait { task }
        neap.sleep(0)
        neap.sleep(0)
        if census().fds ~= before.fds then left = left + 1 end
      end
      print(left == 0 or left)
    ]]))
  end)
end)

describe("a race of addresses", function()
  local network_run = network.run

  -- On 127.0.0.2 nobody answers: the queue of the listener is full. `connect` has the time that a connect took.
  local function run(script)
    local result = network_run({ NETWORK_ADDRESSES = "127.0.0.2 127.0.0.3" }, [[
      local neap = require "neap"
      local HOST <const> = "several.invalid"
      local silent = assert(neap.start_server(print, "127.0.0.2", 0, { backlog = 1, start_serving = false }))
      local queue = {}
      for i = 1, 4 do
        local _
        _, queue[i] = neap.move_on_after(0.02, neap.open_connection, "127.0.0.2", silent.port)
      end
      local function connect(options)
        local start = neap.get_event_loop():time()
        local stream, err, code = neap.open_connection(HOST, silent.port, options)
        return stream, err, code, neap.get_event_loop():time() - start
      end
    ]] .. script)
    if not result then return pending "needs a C compiler" end
    assert.equal("", result.stderr)
    return result.stdout
  end

  it("goes on to the next address after its head start, and takes the one that answers", function()
    assert.equal("127.0.0.3\ttrue\ttrue\n", run [[
      local server <close> = assert(neap.start_server(function(far) far:read "a" end, "127.0.0.3", silent.port))
      local before = require("neap.testing").census().handles
      local stream, _, _, took = connect { happy_eyeballs_delay = 0.05 }
      local host = stream:peer_address()
      stream:close()
      stream:wait_closed()
      neap.sleep(0.01)
      print(host, took >= 0.05 and took < 0.25, require("neap.testing").census().handles <= before)
      os.exit(0)
    ]])
  end)

  it("waits for the first address if it is told to", function()
    assert.equal("false\n", run [[
      local server <close> = assert(neap.start_server(print, "127.0.0.3", silent.port))
      print((neap.move_on_after(0.4, connect, { happy_eyeballs_delay = math.huge })))
      os.exit(0)
    ]])
  end)

  it("X4 has one winner when two answer in one turn, and closes the other", function()
    assert.equal("1\t1\n", run [[
      silent:start_serving()
      local open = {}
      local function handler(far)
        open[#open + 1] = far
        far:read "a"
        for i, stream in ipairs(open) do if stream == far then table.remove(open, i) end end
      end
      silent.handler = handler
      local server <close> = assert(neap.start_server(handler, "127.0.0.3", silent.port))
      for _, stream in pairs(queue) do stream:close() end
      neap.sleep(0.05)
      local stream = connect { happy_eyeballs_delay = 0 }
      neap.sleep(0.05)
      print(#open, stream:write "x" and 1)
      os.exit(0)
    ]])
  end)
end)

describe("a transfer", function()
  it("W40 of many bytes both ways at once arrives whole", function()
    local ends <close> = support.pair()
    local block <const> = ("0123456789abcdef"):rep(4096)
    local function send(stream)
      for _ = 1, 100 do assert(stream:write(block)) end
      assert(stream:shutdown())
    end
    local function receive(stream)
      local text = stream:read "a"
      return #text, text == block:rep(100)
    end
    neap.create_task(send, ends.near)
    neap.create_task(send, ends.far)
    local one = neap.create_task(receive, ends.near)
    assert.same({ #block * 100, true }, { receive(ends.far) })
    assert.same({ #block * 100, true }, { neap.await(one) })
  end)

  it("W40 in many small pieces arrives whole", function()
    local ends <close> = support.pair()
    local sender = neap.create_task(function()
      for i = 1, 5000 do ends.near:write(i, "\n") end
      ends.near:shutdown()
    end)
    local expected = 0
    for number in ends.far:lines "n" do
      expected = expected + 1
      assert.equal(expected, number)
    end
    assert.equal(5000, expected)
    neap.await(sender)
  end)
end)
