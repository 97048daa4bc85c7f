-- The loop object: callbacks, timers, time. What needs a loop that is not running is in run_spec.
local neap = require "neap"
local testing = require "neap.testing"

local loop = neap.get_event_loop()

local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

-- A list and a function that adds to it.
local function noting()
  local log = {}
  return log, function(...) log[#log + 1] = ... end
end

describe("call_soon", function()
  it("E6 returns a handle and passes the arguments", function()
    local got
    local handle = loop:call_soon(function(...) got = table.pack(...) end, "a", nil, 3, nil)
    assert.is_nil(got)
    assert.is_false(handle:cancelled())
    neap.sleep(0)
    assert.same({ n = 4, "a", nil, 3, nil }, got)
    assert.is_nil(handle:when())
  end)

  it("law 2: shares one queue with tasks, first in first out", function()
    local log, note = noting()
    neap.create_task(note, "task 1")
    loop:call_soon(note, "callback")
    neap.create_task(note, "task 2")
    neap.sleep(0)
    assert.same({ "task 1", "callback", "task 2" }, log)
  end)

  it("E8 calls each callback once", function()
    local log, note = noting()
    loop:call_soon(note, "once")
    for _ = 1, 3 do neap.sleep(0) end
    assert.same({ "once" }, log)
  end)

  it("E9 in a callback means the next turn", function()
    local log, note = noting()
    loop:call_soon(function()
      note "first"
      loop:call_soon(note, "second")
    end)
    neap.sleep(0)
    assert.same({ "first" }, log)
    neap.sleep(0)
    assert.same({ "first", "second" }, log)
  end)

  it("E12 does not call what was cancelled, though it was ready", function()
    local log, note = noting()
    local second
    loop:call_soon(function() second:cancel() end)
    second = loop:call_soon(note, "cancelled")
    loop:call_soon(note, "kept")
    neap.sleep(0)
    neap.sleep(0)
    assert.same({ "kept" }, log)
    assert.is_true(second:cancelled())
    second:cancel()
  end)

  it("E12 lets a handle be cancelled after its call, in vain", function()
    local handle = loop:call_soon(function() end)
    neap.sleep(0)
    handle:cancel()
    assert.is_false(handle:cancelled())
  end)
end)

describe("call_later and call_at", function()
  before_each(function() testing.virtual_clock() end)

  it("E7 call when the time has come, not before", function()
    local called
    local start = loop:time()
    loop:call_at(start + 10, function() called = loop:time() end)
    neap.sleep(9.999999)
    assert.is_nil(called)
    neap.sleep(1)
    assert.is_true(called >= start + 10)
    assert.near(start + 10, called, 1e-6)
  end)

  it("E7 refuse what is no time or no function", function()
    local function refused(text, fn, ...)
      assert.matches(text, message_of(fn, loop, ...), 1, true)
    end
    refused("number expected", loop.call_at, nil, print)
    refused("number expected", loop.call_later, nil, print)
    refused("number expected", loop.call_later, {}, print)
    refused("NaN", loop.call_later, 0 / 0, print)
    refused("NaN", loop.call_at, 0 / 0, print)
    refused("function expected", loop.call_later, 1)
    refused("function expected", loop.call_at, 1, "print")
  end)

  it("law 3: 0 or less means the next turn", function()
    local log, note = noting()
    loop:call_later(0, note, "zero")
    loop:call_later(-1, note, "less")
    loop:call_at(loop:time() - 5, note, "past")
    assert.same({}, log)
    local start = loop:time()
    for _ = 1, 2 do neap.sleep(0) end -- they are queued behind this task, for the next turn
    table.sort(log)
    assert.same({ "less", "past", "zero" }, log)
    assert.equal(start, loop:time())
  end)

  it("law 3: 0 or less is in order of due time", function()
    local log, note = noting()
    loop:call_at(loop:time() - 1, note, "later")
    loop:call_at(loop:time() - 5, note, "earlier")
    for _ = 1, 2 do neap.sleep(0) end
    assert.same({ "earlier", "later" }, log)
  end)

  it("E10 are not kept waiting by timers that were cancelled", function()
    local log, note = noting()
    local start = loop:time()
    loop:call_later(1, note, "cancelled"):cancel()
    loop:call_later(100, note, "far"):cancel()
    loop:call_later(5, function() note(loop:time() - start) end)
    neap.sleep(6)
    assert.equal(1, #log)
    assert.near(5, log[1], 1e-6)
    assert.near(6, loop:time() - start, 1e-6)
  end)

  it("E11 keep no memory for 10,000 timers that were cancelled", function()
    local function count()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local function make()
      for i = 1, 10000 do loop:call_later(1000 + i, print):cancel() end
    end
    make()
    local before = count()
    for _ = 1, 5 do make() end
    assert.is_true(count() - before < 200)
  end)

  it("E26 return a handle that tells its due time", function()
    local time = loop:time() + 7
    local handle = loop:call_at(time, print)
    assert.near(time, handle:when(), 1e-6)
    local other = loop:call_later(7, print)
    assert.near(time, other:when(), 1e-6)
    handle:cancel()
    other:cancel()
    assert.is_true(handle:cancelled())
  end)

  it("E27 let go of function and arguments when cancelled", function()
    local weak = setmetatable({}, { __mode = "v" })
    local function make()
      local object = {}
      weak[1] = object
      return loop:call_later(10, function() return object end, object)
    end
    local handle = make()
    collectgarbage()
    collectgarbage()
    assert.is_table(weak[1])
    handle:cancel()
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("E28 call by due time, and equal times in the order they were made", function()
    local log, note = noting()
    for i, seconds in ipairs { 3, 1, 2, 1, 1, 2 } do loop:call_later(seconds, note, i) end
    neap.sleep(4)
    assert.same({ 2, 4, 5, 3, 6, 1 }, log)
  end)

  it("E7 take math.huge for never", function()
    local handle = loop:call_later(math.huge, print)
    neap.sleep(1e6)
    assert.is_false(handle:cancelled())
    handle:cancel()
  end)
end)

describe("the loop", function()
  it("tells its time, which does not go back", function()
    local before = loop:time()
    assert.equal("float", math.type(before))
    neap.sleep(0)
    assert.is_true(loop:time() >= before)
  end)

  it("law 40: stands still on the virtual clock while anything is ready", function()
    testing.virtual_clock()
    local start = loop:time()
    for _ = 1, 100 do neap.sleep(0) end
    assert.equal(start, loop:time())
  end)

  it("E13 goes on after errors in callbacks", function()
    local reports = 0
    loop:set_exception_handler(function() reports = reports + 1 end)
    loop:call_soon(error, "wolf")
    loop:call_soon(error)
    neap.sleep(0)
    loop:set_exception_handler(nil)
    assert.equal(2, reports)
  end)

  it("E14 runs nothing that cannot be called", function()
    assert.matches("bad argument #1 to 'run'", message_of(neap.run, "main"), 1, true)
  end)

  it("E18 is not closed by a task while it runs", function()
    local message = neap.create_task(function() return message_of(loop.close, loop) end):await()
    assert.matches("close: the loop is running", message, 1, true)
    assert.is_false(loop:is_closed())
  end)

  it("E19 does not run within a task of its own, and leaves nothing behind", function()
    local tasks = #neap.all_tasks()
    local message = neap.create_task(function() return message_of(neap.run, print) end):await()
    assert.matches("run: the loop is running already", message, 1, true)
    for _, name in ipairs { "run_until_complete", "run_forever" } do
      message = neap.create_task(function() return message_of(loop[name], loop, print) end):await()
      assert.matches(name .. ": the loop is running already", message, 1, true)
    end
    assert.equal(tasks, #neap.all_tasks())
  end)

  it("E21 does not run within a task by way of a second loop object", function()
    local other = neap.new_event_loop()
    local message = neap.create_task(function() return message_of(other.run_until_complete, other, print) end):await()
    assert.matches("run_until_complete: the loop is running already", message, 1, true)
  end)

  it("E29 is what get_running_loop() and get_event_loop() return in a run", function()
    assert.equal(neap.get_event_loop(), neap.get_running_loop())
    assert.is_true(neap.get_running_loop():is_running())
    assert.equal("<Loop running>", tostring(loop))
    local in_callback
    loop:call_soon(function() in_callback = neap.get_running_loop() end)
    neap.sleep(0)
    assert.equal(neap.get_running_loop(), in_callback)
  end)

  it("E30 keeps its debug flag", function()
    local before = loop:get_debug()
    loop:set_debug(true)
    assert.is_true(loop:get_debug())
    loop:set_debug(false)
    assert.is_false(loop:get_debug())
    loop:set_debug(before)
  end)

  it("makes tasks and futures", function()
    assert.equal(3, loop:create_task(function(x) return x end, 3):await())
    assert.is_true(neap.isfuture(loop:create_future()))
  end)

  it("refuses a wrong self", function()
    for _, name in ipairs { "time", "call_soon", "call_later", "create_task", "stop", "close", "is_closed" } do
      assert.matches("bad argument #1", message_of(loop[name], {}), 1, true)
    end
  end)
end)
