-- wait_for and move_on_after: one call with a time limit.
local neap = require "neap"
local testing = require "neap.testing"
local support = require "spec.support.tasks"

local raises <const> = support.raises

local function time() return neap.get_running_loop():time() end

-- A task whose cleanup takes 5 s, and the list its cleanup writes its end to.
local function slow_to_end()
  local log = {}
  local task = neap.create_task(function()
    local _ <close> = setmetatable({}, { __close = function()
      local _ <close> = neap.shielded()
      neap.sleep(5)
      log[1] = "cleaned"
    end })
    neap.sleep(3600)
  end)
  neap.sleep(0)
  return task, log
end

describe("wait_for", function()
  it("K1 on timeout cancels, lets cleanup run, and raises TimeoutError", function()
    testing.virtual_clock()
    local began, cleaned = time(), false
    raises(neap.TimeoutError, neap.wait_for, function()
      local _ <close> = setmetatable({}, { __close = function() cleaned = true end })
      neap.sleep(3600)
    end, 2)
    assert.is_true(cleaned)
    assert.near(2, time() - began, 1e-6)
    assert.equal(0, neap.current_task():cancelling())
    neap.sleep(1)
  end)

  it("K1 cancels a task on timeout", function()
    testing.virtual_clock()
    local task = neap.create_task(neap.sleep, 3600)
    raises(neap.TimeoutError, neap.wait_for, task, 2)
    assert.is_true(task:cancelled())
  end)

  it("K2 cancelled waits until the slow cleanup is over", function()
    testing.virtual_clock()
    local inner, log = slow_to_end()
    local began, waiter = time(), neap.create_task(neap.wait_for, inner, 100)
    neap.sleep(1)
    waiter:cancel()
    raises(neap.CancelledError, waiter.await, waiter)
    assert.same({ "cleaned" }, log)
    assert.is_true(inner:cancelled())
    assert.near(6, time() - began, 1e-6)
  end)

  it("K3 of 0 or less returns the result of a finished task", function()
    local task = neap.create_task(function() return 1, 2 end)
    task:await()
    for _, seconds in ipairs { 0, -1 } do
      local a, b = neap.wait_for(task, seconds)
      assert.equal(1, a)
      assert.equal(2, b)
    end
  end)

  for _, seconds in ipairs { 0, -1 } do
    it("K4 of " .. seconds .. " cancels a running task, lets its cleanup run, raises TimeoutError", function()
      local cleaned = false
      local task = neap.create_task(function()
        pcall(neap.sleep, 3600)
        cleaned = true
        neap.sleep(0)
      end)
      neap.sleep(0)
      raises(neap.TimeoutError, neap.wait_for, task, seconds)
      assert.is_true(cleaned)
      assert.is_true(task:cancelled())
    end)

    it("K4 of " .. seconds .. " does not call a function", function()
      local called = false
      raises(neap.TimeoutError, neap.wait_for, function() called = true end, seconds)
      neap.sleep(0)
      assert.is_false(called)
    end)
  end

  it("K5 of nil waits without limit", function()
    testing.virtual_clock()
    local began = time()
    local a, b = neap.wait_for(function(value)
      neap.sleep(1e6)
      return value, "done"
    end, nil, "value")
    assert.equal("value", a)
    assert.equal("done", b)
    assert.near(1e6, time() - began, 1e-6)
  end)

  it("K6 returns a result that came before the timeout", function()
    testing.virtual_clock()
    local future = neap.Future()
    neap.get_running_loop():call_later(0.1, future.set_result, future, "result")
    assert.equal("result", neap.wait_for(future, 0.2))
    neap.sleep(1)
    assert.equal(0, neap.current_task():cancelling())
  end)

  it("K6 passes arguments, values and errors through, in the same task", function()
    local me, wolf = neap.current_task(), {}
    local function check(a, b)
      assert.equal(me, neap.current_task())
      return b, a, nil
    end
    assert.same({ 2, 1, nil, n = 3 }, table.pack(neap.wait_for(check, 9, 1, 2)))
    local ok, err = pcall(neap.wait_for, error, 9, wolf, 0)
    assert.is_false(ok)
    assert.equal(wolf, err)
  end)

  it("K7 returns the value of a task that swallowed its cancellation", function()
    testing.virtual_clock()
    local task = neap.create_task(function()
      pcall(neap.sleep, 3600)
      return "value"
    end)
    assert.equal("value", neap.wait_for(task, 1))
    assert.equal(0, neap.current_task():cancelling())
    neap.sleep(0)
  end)

  it("K8 raises TimeoutError only after the cleanup", function()
    testing.virtual_clock()
    local task, log = slow_to_end()
    local began = time()
    raises(neap.TimeoutError, neap.wait_for, task, 1)
    assert.same({ "cleaned" }, log)
    assert.near(6, time() - began, 1e-6)
  end)

  it("K9 of 0 raises TimeoutError only after the cleanup", function()
    testing.virtual_clock()
    local task, log = slow_to_end()
    local began = time()
    raises(neap.TimeoutError, neap.wait_for, task, 0)
    assert.same({ "cleaned" }, log)
    assert.near(5, time() - began, 1e-6)
  end)

  for id, seconds in pairs { K10 = 100, K11 = false } do
    it(id .. " cancelled cancels the inner task, with timeout " .. tostring(seconds or nil), function()
      testing.virtual_clock()
      local inner = neap.create_task(neap.sleep, 3600)
      local waiter = neap.create_task(neap.wait_for, inner, seconds or nil)
      neap.sleep(1)
      waiter:cancel()
      local err = raises(neap.CancelledError, waiter.await, waiter)
      assert.equal(waiter, err.task)
      assert.is_true(waiter:cancelled())
      assert.is_true(inner:cancelled())
    end)
  end

  it("K10 cancelled in the turn in which the limit fires raises CancelledError", function()
    testing.virtual_clock()
    local waiter
    neap.get_running_loop():call_later(1, function() waiter:cancel() end)
    waiter = neap.create_task(neap.wait_for, neap.sleep, 1, 3600)
    raises(neap.CancelledError, waiter.await, waiter)
    assert.is_true(waiter:cancelled())
  end)

  it("K12 returns 42 from a function that catches the cancel and returns 42", function()
    testing.virtual_clock()
    local value = neap.wait_for(function()
      pcall(neap.sleep, 3600)
      return 42
    end, 1)
    assert.equal(42, value)
    assert.equal(0, neap.current_task():cancelling())
    neap.sleep(0)
  end)

  it("K13 of a shield and 0 raises TimeoutError; the shielded task goes on", function()
    testing.virtual_clock()
    local inner = neap.create_task(function()
      neap.sleep(9)
      return "went on"
    end)
    raises(neap.TimeoutError, neap.wait_for, neap.shield(inner), 0)
    assert.is_false(inner:done())
    assert.equal("went on", inner:await())
  end)

  it("K14 of a shield raises TimeoutError, and the task ends later with its result", function()
    testing.virtual_clock()
    local began = time()
    local inner = neap.create_task(function()
      neap.sleep(9)
      return "went on"
    end)
    raises(neap.TimeoutError, neap.wait_for, neap.shield(inner), 1)
    assert.near(1, time() - began, 1e-6)
    assert.is_false(inner:done())
    assert.equal("went on", inner:await())
    assert.near(9, time() - began, 1e-6)
  end)

  it("of what cannot be awaited, or of no time, is a bad argument", function()
    local function message_of(...)
      local ok, err = pcall(neap.wait_for, ...)
      assert.is_false(ok)
      return tostring(err)
    end
    assert.matches("bad argument #1 to 'wait_for'", message_of(12, 1), 1, true)
    assert.matches("bad argument #2 to 'wait_for'", message_of(print, "soon"), 1, true)
    assert.matches("bad argument #2 to 'wait_for'", message_of(print, 0 / 0), 1, true)
  end)
end)

describe("move_on_after", function()
  it("returns true and the values of a call that ends in time", function()
    local function swap(a, b) return b, a end
    assert.same({ true, 2, 1, n = 3 }, table.pack(neap.move_on_after(9, swap, 1, 2)))
    assert.same({ true, n = 1 }, table.pack(neap.move_on_after(nil, neap.sleep, 0)))
  end)

  it("returns false when time is over", function()
    testing.virtual_clock()
    local began = time()
    assert.same({ false, n = 1 }, table.pack(neap.move_on_after(2, neap.sleep, 3600)))
    assert.near(2, time() - began, 1e-6)
    neap.sleep(0)
  end)

  it("lets a cancel from outside and other errors pass", function()
    local wolf = {}
    local ok, err = pcall(neap.move_on_after, 9, error, wolf, 0)
    assert.is_false(ok)
    assert.equal(wolf, err)
    local task = neap.create_task(neap.move_on_after, 9, neap.sleep, 3600)
    neap.sleep(0)
    task:cancel()
    raises(neap.CancelledError, task.await, task)
  end)
end)
