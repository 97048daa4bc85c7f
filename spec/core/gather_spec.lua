-- gather: many at once, one list of results.
local neap = require "neap"
local testing = require "neap.testing"

local loop = neap.get_event_loop()

-- Calls fn(...), which must raise; returns the error.
local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

-- Runs fn in a task; returns its error, and forgets the task.
local function error_of(fn)
  local task = neap.create_task(fn)
  neap.wait { task }
  return task:exception()
end

-- The contexts that reach the exception handler while fn runs and what it left is collected.
local function reports_of(fn)
  local contexts = {}
  loop:set_exception_handler(function(_, context) contexts[#contexts + 1] = context end)
  local err = error_of(fn)
  neap.create_task(function() end):await() -- takes the coroutine that held fn's tasks
  for _ = 1, 3 do
    collectgarbage()
    neap.sleep(0)
  end
  loop:set_exception_handler(nil)
  if err then error(err, 0) end
  return contexts
end

local function after(seconds, ...)
  local values = table.pack(...)
  return function()
    neap.sleep(seconds)
    return table.unpack(values, 1, values.n)
  end
end

local function fail_after(seconds, err)
  return function()
    neap.sleep(seconds)
    error(err, 0)
  end
end

describe("gather", function()
  it("G1 gives first values in argument order, whatever the order of completion", function()
    testing.virtual_clock()
    local began = neap.get_running_loop():time()
    local results = neap.gather(after(3, "a", "more"), after(1, "b"), after(2))
    assert.same({ "a", "b", nil, n = 3 }, results)
    assert.near(3, neap.get_running_loop():time() - began, 1e-6)
  end)

  it("G1 takes tasks, futures, coroutines and one list as well", function()
    local future = neap.Future()
    future:set_result "future"
    local list = {
      neap.create_task(after(0, "task")), future,
      coroutine.create(function() return "coroutine" end),
    }
    assert.same({ "task", "future", "coroutine", n = 3 }, neap.gather(list))
  end)

  it("G2 gives the same list with return_exceptions when none fails", function()
    local results = neap.gather { after(0, 1), after(0, 2), return_exceptions = true }
    assert.same({ 1, 2, n = 2 }, results)
  end)

  it("G2 gives errors in their places with return_exceptions", function()
    local wolf = {}
    local results = neap.gather { fail_after(0, wolf), after(0, 2), return_exceptions = true }
    assert.equal(wolf, results[1])
    assert.equal(2, results[2])
    assert.equal(2, results.n)
  end)

  it("G3 raises the first error itself, after what it started was cancelled and has cleaned up", function()
    testing.virtual_clock()
    local wolf, cleaned = {}, false
    local passed = neap.create_task(after(10, "went on"))
    local function slow_to_end()
      pcall(neap.sleep, 3600)
      local _ <close> = neap.shielded()
      neap.sleep(2)
      cleaned = true
    end
    local began = neap.get_running_loop():time()
    assert.equal(wolf, raised(neap.gather, slow_to_end, fail_after(1, wolf), passed))
    assert.is_true(cleaned)
    assert.near(3, neap.get_running_loop():time() - began, 1e-6)
    assert.is_false(passed:done())
    assert.equal("went on", passed:await())
  end)

  it("G4 raises the CancelledError of a passed-in task, which does not cancel the caller", function()
    local sleeper = neap.create_task(neap.sleep, 3600)
    neap.get_running_loop():call_soon(sleeper.cancel, sleeper)
    local err = raised(neap.gather, sleeper, after(0))
    assert.is_true(neap.is(err, neap.CancelledError))
    assert.equal(sleeper, err.task)
    assert.equal(0, neap.current_task():cancelling())
    neap.sleep(0)
  end)

  it("G5 gives a CancelledError in its place with return_exceptions", function()
    local sleeper = neap.create_task(neap.sleep, 3600)
    neap.get_running_loop():call_soon(sleeper.cancel, sleeper)
    local results = neap.gather { after(0, 1), sleeper, return_exceptions = true }
    assert.equal(1, results[1])
    assert.is_true(neap.is(results[2], neap.CancelledError))
    assert.equal(sleeper, results[2].task)
  end)

  it("G6 outside a task is an error that names the call", function()
    local err
    neap.get_running_loop():call_soon(function() err = raised(neap.gather) end)
    neap.sleep(0)
    assert.matches("gather", tostring(err), 1, true)
  end)

  it("G7 of nothing is an empty list", function()
    assert.same({ n = 0 }, neap.gather())
    assert.same({ n = 0 }, neap.gather {})
  end)

  it("G8 may share tasks with another gather", function()
    local a, b = neap.create_task(after(0, "a")), neap.create_task(after(0, "b"))
    local other = neap.create_task(neap.gather, b, a)
    assert.same({ "a", "b", n = 2 }, neap.gather(a, b))
    assert.same({ "b", "a", n = 2 }, other:await())
  end)

  it("G9 gives a task's result in each of its places, and calls a function each time it is given", function()
    local runs = 0
    local function count()
      runs = runs + 1
      neap.sleep(0)
      return runs
    end
    local task = neap.create_task(after(0, "task"))
    local co = coroutine.create(function() return "once" end)
    assert.same({ 2, "task", 2, "task", "once", "once", n = 6 }, neap.gather(count, task, count, task, co, co))
    assert.equal(2, runs)
  end)

  it("G10 reports the error of a second child nobody reads", function()
    testing.virtual_clock()
    local contexts = reports_of(function()
      local second = neap.create_task(fail_after(2, "second"))
      assert.equal("first", raised(neap.gather, fail_after(1, "first"), second))
      neap.sleep(2)
    end)
    assert.equal(1, #contexts)
    assert.equal("second", contexts[1].exception)
  end)

  it("G10 reports an error raised in the cleanup of what it started", function()
    local contexts = reports_of(function()
      local function fail_in_cleanup()
        pcall(neap.sleep, 3600)
        error("second", 0)
      end
      assert.equal("first", raised(neap.gather, fail_after(0, "first"), fail_in_cleanup))
    end)
    assert.equal(1, #contexts)
    assert.equal("second", contexts[1].exception)
  end)

  it("G10 does not report it once somebody has read it", function()
    testing.virtual_clock()
    local contexts = reports_of(function()
      local second = neap.create_task(fail_after(2, "second"))
      raised(neap.gather, fail_after(1, "first"), second)
      assert.equal("second", raised(second.await, second))
    end)
    assert.same({}, contexts)
  end)

  for _, return_exceptions in ipairs { false, true } do
    it("G11 cancelled raises CancelledError with its message after all children ended, return_exceptions "
      .. tostring(return_exceptions), function()
      testing.virtual_clock()
      local passed, cleaned = neap.create_task(neap.sleep, 3600), false
      local function slow_to_end()
        pcall(neap.sleep, 3600)
        local _ <close> = neap.shielded()
        neap.sleep(2)
        cleaned = true
      end
      local gathering = neap.create_task(neap.gather,
        { passed, slow_to_end, return_exceptions = return_exceptions })
      neap.sleep(1)
      gathering:cancel "enough"
      local err = raised(gathering.await, gathering)
      assert.is_true(neap.is(err, neap.CancelledError))
      assert.equal("enough", err.message)
      assert.equal(gathering, err.task)
      assert.is_true(cleaned)
      assert.is_true(passed:cancelled())
    end)
  end

  it("G12 with a bad argument among good ones starts nothing and reports nothing", function()
    local started = false
    local contexts = reports_of(function()
      local tasks = #neap.all_tasks()
      local err = raised(neap.gather, function() started = true end, 12)
      assert.matches("bad argument #2 to 'gather'", tostring(err), 1, true)
      assert.equal(tasks, #neap.all_tasks())
    end)
    assert.is_false(started)
    assert.same({}, contexts)
  end)

  it("G13 shielded goes on to its end when the awaiter is cancelled", function()
    testing.virtual_clock()
    local gathering = neap.create_task(neap.gather, after(5, "a"), after(6, "b"))
    local awaiter = neap.create_task(function() return neap.shield(gathering)() end)
    neap.sleep(1)
    awaiter:cancel()
    raised(awaiter.await, awaiter)
    assert.is_true(awaiter:cancelled())
    assert.same({ "a", "b", n = 2 }, gathering:await())
  end)

  it("G14 of shields, cancelled, lets the shielded tasks go on", function()
    testing.virtual_clock()
    local a, b = neap.create_task(after(5, "a")), neap.create_task(after(6, "b"))
    local gathering = neap.create_task(function() neap.gather(neap.shield(a), neap.shield(b)) end)
    neap.sleep(1)
    gathering:cancel()
    raised(gathering.await, gathering)
    assert.is_true(gathering:cancelled())
    assert.is_false(a:done())
    assert.equal("a", a:await())
    assert.equal("b", b:await())
  end)
end)
