-- What LuaSocket's calls do among tasks.
local neap = require "neap"
local program = require "spec.support.program"
local socket = require "neap.socket"

local function pair()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local client = assert(socket.connect("127.0.0.1", port))
  local accepted = assert(server:accept())
  server:close()
  return client, accepted
end

local function turns(count)
  for _ = 1, count or 5 do neap.sleep(0) end
end

describe("sockets of LuaSocket", function()
  local client, accepted
  before_each(function() client, accepted = pair() end)
  after_each(function() client:close() accepted:close() end)

  it("are found by require, once", function()
    assert.equal(socket, require "socket")
    assert.equal(socket, require "socket.core")
    assert.equal(require "neap.socket_unix", require "socket.unix")
  end)

  it("suspend the task that waits, and no other", function()
    local reader = neap.create_task(function() return accepted:receive() end)
    turns()
    assert.is_false(reader:done())
    client:send "hello\n"
    assert.equal("hello", reader:await())
  end)

  it("lose nothing when a reader is cancelled between two pieces", function()
    local reader = neap.create_task(function() return accepted:receive(10) end)
    client:send "first"
    while not accepted:dirty() do neap.sleep(0) end
    reader:cancel()
    assert.is_true(neap.is(select(2, pcall(reader.await, reader)), neap.CancelledError))
    client:send "second"
    assert.equal("firstsecon", accepted:receive(10))
  end)

  it("have a reader and a writer at once", function()
    local data = ("x"):rep(5000000)
    local writer = neap.create_task(function() return client:send(data) end)
    local reader = neap.create_task(function() return client:receive() end)
    turns()
    assert.is_false(writer:done())
    accepted:send "answer\n"
    assert.equal("answer", reader:await())
    assert.equal(#data, #accepted:receive(#data))
    assert.equal(#data, writer:await())
  end)

  it("share their descriptor with others who wait for it, and wake them when they close", function()
    local reader = neap.create_task(function() return accepted:receive() end)
    local waiter = neap.create_task(neap.wait_readable, accepted:getfd())
    turns()
    assert.is_false(waiter:done())
    client:send "hello\n"
    assert.is_true(waiter:await())
    assert.equal("hello", reader:await())
    waiter = neap.create_task(neap.wait_readable, accepted:getfd())
    turns()
    accepted:close()
    assert.is_true(waiter:await())
  end)

  it("wake who waits when another task closes them", function()
    local reader = neap.create_task(function() return client:receive() end)
    turns()
    client:close()
    assert.is_nil((reader:await()))
    assert.equal("closed", select(2, reader:await()))
  end)

  it("let others run when they are always ready", function()
    local count, stop = 0, false
    local busy = neap.create_task(function()
      accepted:settimeout(0)
      while not stop do
        assert.equal("timeout", select(2, accepted:receive(1)))
        count = count + 1
      end
    end)
    turns()
    stop = true
    busy:await()
    assert.is_true(count > 0)
  end)

  it("are multiplexed by any number of tasks, with one descriptor in several calls", function()
    local function wait() return #socket.select({ accepted }, nil, 5) end
    local one, two = neap.create_task(wait), neap.create_task(wait)
    local reader = neap.create_task(function() return accepted:receive(4) end)
    turns()
    client:send "data"
    assert.equal(1, one:await() * two:await())
    assert.equal("data", reader:await())
  end)

  it("time out on the virtual clock", function()
    require("neap.testing").virtual_clock()
    local began = socket.gettime()
    accepted:settimeout(3600)
    assert.equal("timeout", select(2, accepted:receive()))
    assert.is_true(socket.gettime() - began > 3599.9)
    assert.equal("timeout", select(3, socket.select({ accepted }, nil, 3600)))
    socket.sleep(3600)
    assert.is_true(socket.gettime() - began > 3 * 3600 - 0.1)
  end)

  it("can await in what protect calls, and in a finalizer", function()
    local finalized
    local try = socket.newtry(function() neap.sleep(0) finalized = true end)
    local fn = socket.protect(function()
      neap.sleep(0)
      try(nil, "why")
    end)
    assert.same({ n = 2, nil, "why" }, table.pack(fn()))
    assert.is_true(finalized)
  end)

  it("pass a cancel through protect", function()
    local task = neap.create_task(socket.protect(function() accepted:receive() end))
    turns()
    task:cancel()
    turns()
    assert.is_true(task:cancelled())
  end)

  it("take strings with zero bytes as what they are, but not in names", function()
    client:send "a\0b\n"
    assert.equal("a\0b", accepted:receive())
    assert.has_error(function() socket.connect("local\0host", 1) end)
    assert.has_error(function() client:setoption("keep\0alive", true) end)
  end)

  it("take no number that is none of a descriptor", function()
    assert.has_error(function() client:setfd(1 << 32) end)
  end)
end)

describe("outside a task", function()
  it("a call that waits says its name", function()
    if not program.has_stock_lua then return end
    local result = program.stock_lua [[
      local neap = require "neap"
      neap.install()
      local socket = require "socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      print(pcall(server.accept, server))
      print(pcall(socket.connect, "127.0.0.1", port))
      print(pcall(socket.select, { server }, nil, 1))
      print(pcall(socket.sleep, 1))
      print(pcall(socket.dns.toip, "localhost"))
      neap.run(function()
        local waiting = neap.create_task(function() return server:accept() end)
        local client = assert(socket.connect("127.0.0.1", port))
        waiting:await():send "in a task\n"
        print(client:receive())
      end)
    ]]
    assert.equal("", result.stderr)
    local calls = {}
    for call in result.stdout:gmatch "(%w+): cannot wait outside a task" do calls[#calls + 1] = call end
    assert.same({ "accept", "connect", "select", "sleep", "getaddrinfo" }, calls)
    assert.equal("in a task\tnil\tnil", result.stdout:match "([^\n]*)\n$")
  end)

  it("without neap.install the stock module is what it was", function()
    if not program.has_stock_lua then return end
    local result = program.stock_lua [[
      require "neap"
      print(package.preload.socket, package.preload["socket.core"])
    ]]
    assert.equal("nil\tnil\n", result.stdout)
  end)

  it("in the command a preloader that is taken away gives the stock module back", function()
    local result = program.run { program.neap, "-e", [[
      print(package.preload.socket ~= nil)
      package.preload.socket, package.preload["socket.core"] = nil, nil
      local found, socket = pcall(require, "socket")
      print(not found or socket ~= require "neap.socket")
    ]] }
    assert.equal("true\ntrue\n", result.stdout)
  end)
end)
