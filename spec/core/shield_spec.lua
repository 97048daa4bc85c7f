-- shield: awaiting what shall not be cancelled with the awaiter.
local neap = require "neap"
local testing = require "neap.testing"
local support = require "spec.support.tasks"

local cancelled <const>, start <const> = support.cancelled, support.start

local loop = neap.get_event_loop()

-- Shields fn, cancels the awaiter and waits until fn's task has ended, with the exception handler set;
-- read: what to do with that task. Returns what was reported.
local function reports_after_cancel(fn, read)
  local reports = {}
  loop:set_exception_handler(function(_, context) reports[#reports + 1] = context.exception end)
  neap.create_task(function()
    local inner = neap.create_task(fn)
    local awaiter = start(neap.shield(inner))
    awaiter:cancel()
    cancelled(awaiter.await, awaiter)
    neap.wait { inner }
    if read then read(inner) end
  end):await()
  neap.create_task(function() end):await() -- takes the coroutine that held the tasks
  for _ = 1, 3 do
    collectgarbage()
    neap.sleep(0)
  end
  loop:set_exception_handler(nil)
  return reports
end

describe("shield", function()
  it("J1 lets results and errors through", function()
    local wolf = {}
    local a, b = neap.shield(function()
      neap.sleep(0)
      return 1, 2
    end)()
    assert.equal(1, a)
    assert.equal(2, b)
    assert.equal(3, neap.await(neap.shield(neap.create_task(function() return 3 end))))
    local ok, err = pcall(neap.shield(function() error(wolf, 0) end))
    assert.is_false(ok)
    assert.equal(wolf, err)
  end)

  it("J1 starts a function at once", function()
    local started = false
    local wait = neap.shield(function() started = true end)
    neap.sleep(0)
    assert.is_true(started)
    wait()
  end)

  it("J2 raises CancelledError naming the inner task when that is cancelled", function()
    local inner = start(neap.sleep, 3600)
    neap.get_running_loop():call_soon(inner.cancel, inner)
    assert.equal(inner, cancelled(neap.shield(inner)).task)
    assert.equal(0, neap.current_task():cancelling())
    neap.sleep(0)
  end)

  it("J3 cancels the awaiter alone", function()
    local inner = neap.Future()
    local awaiter = start(neap.shield(inner))
    awaiter:cancel()
    assert.equal(awaiter, cancelled(awaiter.await, awaiter).task)
    assert.is_true(awaiter:cancelled())
    assert.is_false(inner:done())
    inner:set_result(1)
    neap.sleep(0)
  end)

  it("J3 of a task lets it go on", function()
    testing.virtual_clock()
    local inner = start(function()
      neap.sleep(9)
      return "went on"
    end)
    local awaiter = start(neap.shield(inner))
    awaiter:cancel()
    cancelled(awaiter.await, awaiter)
    assert.is_false(inner:done())
    assert.equal("went on", inner:await())
  end)

  it("J3 of a task that goes on keeps no hold of its awaiter", function()
    local inner, weak = neap.Future(), setmetatable({}, { __mode = "v" })
    neap.create_task(function()
      weak[1] = start(neap.shield(inner))
      weak[1]:cancel()
      neap.wait { weak[1] }
    end):await()
    neap.create_task(function() neap.create_task(function() end):await() end):await() -- take their coroutines
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
    inner:set_result()
  end)

  it("J4 of a finished task returns its values without a switch", function()
    local task, switched = neap.create_task(function() return 1, 2 end), false
    task:await()
    neap.get_running_loop():call_soon(function() switched = true end)
    local a, b = neap.shield(task)()
    assert.equal(1, a)
    assert.equal(2, b)
    assert.is_false(switched)
    neap.sleep(0)
  end)

  it("J5 lets the work run to its end after its awaiter was cancelled", function()
    testing.virtual_clock()
    local done = false
    local awaiter = start(neap.shield(function()
      neap.sleep(9)
      done = true
    end))
    awaiter:cancel()
    cancelled(awaiter.await, awaiter)
    assert.is_false(done)
    neap.sleep(10)
    assert.is_true(done)
  end)

  it("J5 reports an error nobody reads", function()
    testing.virtual_clock()
    local function fail()
      neap.sleep(1)
      error("wolf", 0)
    end
    assert.same({ "wolf" }, reports_after_cancel(fail))
  end)

  it("J5 does not report an error that was read", function()
    testing.virtual_clock()
    local function fail()
      neap.sleep(1)
      error("wolf", 0)
    end
    local function read(task) assert.equal("wolf", task:exception()) end
    assert.same({}, reports_after_cancel(fail, read))
  end)

  it("J6 outside a task is an error that names the call, and starts nothing", function()
    local ok, err, started
    neap.get_running_loop():call_soon(function()
      ok, err = pcall(neap.shield, function() started = true end)
    end)
    neap.sleep(0)
    neap.sleep(0)
    assert.is_false(ok)
    assert.matches("shield", tostring(err), 1, true)
    assert.is_nil(started)
  end)

  it("of what is no task is a bad argument", function()
    local ok, err = pcall(neap.shield, 12)
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'shield'", tostring(err), 1, true)
  end)
end)
