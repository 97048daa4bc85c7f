-- Descriptors that are watched: add_reader, add_writer, wait_readable, wait_writable.
local core = require "neap.core"
local descriptor = require "spec.support.descriptor"
local neap = require "neap"
local process = require "spec.support.process"
local program = require "spec.support.program"
local support = require "spec.support.stream"

local raised <const> = support.raised

local loop = neap.get_event_loop()

local function turns(count)
  for _ = 1, count do
    neap.sleep(0)
    core.wait_all_blocked()
  end
end

local fill <const>, empty <const> = descriptor.fill, descriptor.empty

describe("a watcher", function()
  it("W26 on a writable descriptor fires; its second removal returns false", function()
    local fifo <close>, called = descriptor.fifo(), neap.Future()
    assert.is_true(loop:add_writer(fifo.fd, function(...)
      if not called:done() then called:set_result(...) end
    end, "a", nil, "c"))
    assert.same({ n = 3, "a", nil, "c" }, table.pack(called:await()))
    assert.is_true(loop:remove_writer(fifo.fd))
    assert.is_false(loop:remove_writer(fifo.fd))
    assert.is_false(loop:remove_reader(fifo.fd))
  end)

  it("W27 is not there to be removed on a closed loop; W28 none can be added", function()
    local result = program.run { program.neap, "-e", [[
      local neap, fifo = require "neap", require("spec.support.descriptor").fifo()
      local loop, called = neap.new_event_loop(), 0
      print(loop:add_writer(fifo.fd, function() called = called + 1 end), loop:add_reader(fifo.fd, print))
      loop:close()
      neap.sleep(0.01)
      print(loop:remove_writer(fifo.fd), loop:remove_reader(fifo.fd), called)
      print(pcall(loop.add_writer, loop, fifo.fd, print))
      print(pcall(loop.add_reader, loop, fifo.fd, print))
      local _ <close> = fifo]] }
    assert.equal("", result.stderr)
    assert.matches("^true\ttrue\nfalse\tfalse\t0\nfalse\t[^\n]*add_writer: the loop is closed\n"
      .. "false\t[^\n]*add_reader: the loop is closed\n$", result.stdout)
  end)

  it("is called in each turn in which it finds the descriptor ready, and no more", function()
    local fifo <close>, calls = descriptor.fifo(), 0
    loop:add_reader(fifo.fd, function() calls = calls + 1 end)
    turns(5)
    assert.equal(0, calls)
    fifo.file:write "x"
    support.settle(function() return calls >= 3 end)
    assert.equal("x", fifo.file:read(1))
    turns(2)
    local then_called = calls
    turns(5)
    assert.equal(then_called, calls)
    assert.is_true(loop:remove_reader(fifo.fd))
  end)

  it("takes the place of the one before", function()
    local fifo <close>, called = descriptor.fifo(), neap.Future()
    loop:add_writer(fifo.fd, error, "the first was called")
    loop:add_writer(fifo.fd, function() if not called:done() then called:set_result() end end)
    called:await()
    assert.is_true(loop:remove_writer(fifo.fd))
    assert.is_false(loop:remove_writer(fifo.fd))
  end)

  it("can be removed by itself, and by another before it is called", function()
    local fifo <close>, calls = descriptor.fifo(), 0
    local function once()
      calls = calls + 1
      assert(loop:remove_reader(fifo.fd) and loop:remove_writer(fifo.fd))
    end
    fifo.file:write "x"
    loop:add_reader(fifo.fd, once)
    loop:add_writer(fifo.fd, once)
    support.settle(function() return calls > 0 end)
    turns(5)
    assert.equal(1, calls)
    assert.equal("x", fifo.file:read(1))
  end)

  it("shares its descriptor with others, and with tasks that wait", function()
    local fifo <close>, reads, writes = descriptor.fifo(), 0, 0
    local before = core.census().handles
    loop:add_reader(fifo.fd, function() reads = reads + 1 end)
    loop:add_writer(fifo.fd, function() writes = writes + 1 end)
    local first = support.start_waiting("wait_readable", neap.wait_readable, fifo.fd)
    local second = support.start_waiting("wait_readable", neap.wait_readable, fifo.fd)
    assert.is_true(neap.wait_writable(fifo.fd))
    assert.equal(before, core.census().handles)
    assert.is_false(first:done())
    assert.equal(0, reads)
    fifo.file:write "x"
    assert.is_true(first:await())
    assert.is_true(second:await())
    support.settle(function() return reads > 0 and writes > 0 end)
    loop:remove_reader(fifo.fd)
    local count = writes
    support.settle(function() return writes > count end)
    loop:remove_writer(fifo.fd)
    assert.equal(before, core.census().handles)
    assert.equal("x", fifo.file:read(1))
  end)

  it("reports what its callback raises, and goes on", function()
    local fifo <close>, reports, calls = descriptor.fifo(), {}, 0
    loop:set_exception_handler(function(_, context) reports[#reports + 1] = context end)
    loop:add_writer(fifo.fd, function()
      calls = calls + 1
      error("call " .. calls, 0)
    end)
    support.settle(function() return calls >= 2 end)
    loop:remove_writer(fifo.fd)
    loop:set_exception_handler(nil)
    assert.equal("call 1", reports[1].exception)
    assert.equal("call 2", reports[2].exception)
    assert.equal(reports[1].handle, reports[2].handle)
    assert.matches("<Handle cancelled", tostring(reports[1].handle), 1, true)
  end)

  it("is quiet once its handle was cancelled", function()
    local fifo <close>, calls = descriptor.fifo(), 0
    loop:set_exception_handler(function(_, context) context.handle:cancel() end)
    loop:add_writer(fifo.fd, function()
      calls = calls + 1
      error "once"
    end)
    support.settle(function() return calls > 0 end)
    turns(5)
    collectgarbage()
    turns(5)
    loop:set_exception_handler(nil)
    assert.equal(1, calls)
    assert.is_true(loop:remove_writer(fifo.fd))
  end)

  it("keeps its callback's context", function()
    local fifo <close>, variable, seen = descriptor.fifo(), neap.ContextVar "tide", neap.Future()
    variable:set "neap"
    loop:add_writer(fifo.fd, function() if not seen:done() then seen:set_result(variable:get()) end end)
    variable:set "spring"
    assert.equal("neap", seen:await())
    loop:remove_writer(fifo.fd)
  end)

  it("refuses bad arguments", function()
    local function refuses(what, ...)
      for _, method in ipairs { "add_reader", "add_writer" } do
        assert.matches(what, raised(loop[method], loop, ...), 1, true)
      end
    end
    refuses("there is no such descriptor", -1, print)
    refuses("there is no such descriptor", 1 << 40, print)
    refuses("number expected, got string", "stdin", print)
    refuses("function expected, got no value", 0)
    refuses("function expected, got table", 0, {})
    assert.matches("neap.Loop expected", raised(loop.add_reader, {}, 0, print), 1, true)
    assert.matches("neap.Loop expected", raised(loop.remove_reader, {}, 0), 1, true)
    assert.matches("there is no such descriptor", raised(loop.remove_reader, loop, -1), 1, true)
    assert.is_false(loop:remove_reader(1 << 29))
  end)

  it("tells what cannot be watched", function()
    local path = os.tmpname()
    local file, fd = descriptor.open(path, "r")
    os.remove(path)
    local done, err, code = loop:add_reader(fd, print)
    assert.is_nil(done)
    assert.equal("EPERM", code)
    assert.equal(("add_reader %d: operation not permitted"):format(fd), tostring(err))
    assert.equal("EPERM", select(3, neap.wait_writable(fd)))
    file:close()
    assert.equal("EBADF", select(3, loop:add_writer(fd, print)))
    assert.equal("EBADF", select(3, neap.wait_readable(1 << 29)))
    assert.is_false(loop:remove_reader(fd))
  end)
end)

describe("a descriptor that is watched", function()
  local function is_blocking(fd)
    for line in io.lines(("/proc/%d/fdinfo/%d"):format(process.pid, fd)) do
      local flags = line:match "^flags:%s*(%d+)"
      if flags then return tonumber(flags, 8) & 0x800 == 0 end
    end
  end

  it("is as blocking as it was, for all who share it", function()
    local fifo <close> = descriptor.fifo()
    loop:add_reader(fifo.fd, print)
    assert.is_true(neap.wait_writable(fifo.fd))
    loop:remove_reader(fifo.fd)
    assert.is_true(is_blocking(fifo.fd))
  end)

  it("may be one of many that are ready at once", function()
    local fifos, called = {}, {}
    for i = 1, 100 do
      fifos[i] = descriptor.fifo()
      loop:add_writer(fifos[i].fd, function() called[i] = true end)
    end
    support.settle(function() return #called == #fifos end)
    for _, fifo in ipairs(fifos) do
      assert.is_true(loop:remove_writer(fifo.fd))
      local _ <close> = fifo
    end
  end)
end)

describe("a descriptor that is closed while it is watched", function()
  it("is forgotten before libuv looks", function()
    local fifo <close> = descriptor.fifo()
    assert.is_true(loop:add_reader(fifo.fd, error, "it was called"))
    fifo.file:close()
    turns(2)
    assert.is_true(loop:remove_reader(fifo.fd))
  end)

  it("is forgotten when another interest in it goes", function()
    local fifo <close> = descriptor.fifo()
    loop:add_reader(fifo.fd, error, "it was called")
    local waiter = support.start_waiting("wait_readable", neap.wait_readable, fifo.fd)
    turns(2)
    fifo.file:close()
    support.cancel(waiter)
    turns(2)
    assert.is_true(loop:remove_reader(fifo.fd))
  end)

  it("ends the wait of tasks that have just begun", function()
    local fifo <close> = descriptor.fifo()
    local waiter = neap.create_task(neap.wait_readable, fifo.fd)
    neap.create_task(fifo.file.close, fifo.file)
    assert.equal("EBADF", select(3, waiter:await()))
  end)

  it("is another one when its number is used again", function()
    local first <close> = descriptor.fifo()
    local calls = 0
    loop:add_writer(first.fd, function() calls = calls + 1 end)
    support.settle(function() return calls > 0 end)
    first.file:close()
    local second <close> = descriptor.fifo()
    assert.equal(first.fd, second.fd)
    local called = neap.Future()
    loop:add_writer(second.fd, function() if not called:done() then called:set_result() end end)
    called:await()
    assert.is_true(loop:remove_writer(second.fd))
  end)
end)

describe("wait_writable", function()
  it("waits until there is room", function()
    local fifo <close> = descriptor.fifo()
    assert.is_true(neap.wait_writable(fifo.fd))
    fill(fifo)
    local waiter = support.start_waiting("wait_writable", neap.wait_writable, fifo.fd)
    turns(5)
    assert.is_false(waiter:done())
    assert.is_true(neap.wait_readable(fifo.fd))
    empty(fifo)
    assert.is_true(waiter:await())
  end)

  it("returns when nobody reads any more: who writes learns of it", function()
    local fifo <close> = descriptor.fifo()
    local file, fd = descriptor.open(fifo.path, "w")
    assert.is_true(neap.wait_writable(fd))
    fifo.file:close()
    assert.is_true(neap.wait_writable(fd))
    local calls = 0
    loop:add_writer(fd, function() calls = calls + 1 end)
    support.settle(function() return calls >= 2 end)
    loop:remove_writer(fd)
    file:close()
  end)

  it("can be cancelled, and killed", function()
    local fifo <close> = descriptor.fifo()
    assert.is_true(neap.wait_writable(fifo.fd))
    fill(fifo)
    support.cancel(support.start_waiting("wait_writable", neap.wait_writable, fifo.fd))
    local killed = support.start_waiting("wait_writable", neap.wait_writable, fifo.fd)
    assert.is_true(killed:kill())
    empty(fifo)
    assert.is_true(neap.wait_writable(fifo.fd))
  end)
end)
