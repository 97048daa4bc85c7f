-- Cancelling tasks: how a cancel is delivered, taken back, caught, and handed on.
local neap = require "neap"
local testing = require "neap.testing"
local support = require "spec.support.tasks"

local cancelled <const>, start <const> = support.cancelled, support.start

local function elapsed_timer()
  local loop = neap.get_running_loop()
  local began = loop:time()
  return function() return loop:time() - began end
end

describe("cancelling", function()
  it("C1 a sleeper raises at its await", function()
    local err
    local task = start(function()
      err = cancelled(neap.sleep, 3600)
      error(err, 0)
    end)
    assert.is_true(task:cancel())
    assert.is_false(task:done())
    assert.equal(task, cancelled(task.await, task).task)
    assert.equal(task, err.task)
    assert.is_true(task:done())
    assert.is_true(task:cancelled())
    assert.is_false(task:cancel())
  end)

  it("C2 reaches a task between two bare switches", function()
    local steps = 0
    local task = start(function()
      neap.sleep(0)
      steps = steps + 1
      neap.sleep(0)
      steps = steps + 1
    end)
    neap.sleep(0)
    task:cancel()
    cancelled(task.await, task)
    assert.equal(1, steps)
    assert.is_true(task:cancelled())
  end)

  it("C3 is taken back by uncancel(); at 0 awaits work again", function()
    testing.virtual_clock()
    local elapsed = elapsed_timer()
    local task = start(function()
      local me = neap.current_task()
      cancelled(neap.sleep, 3600)
      assert.equal(2, me:cancelling())
      assert.equal(1, me:uncancel())
      cancelled(neap.sleep, 1)
      assert.equal(0, me:uncancel())
      neap.sleep(10)
      return "went on"
    end)
    assert.equal(0, task:cancelling())
    task:cancel()
    task:cancel()
    assert.equal(2, task:cancelling())
    assert.equal("went on", task:await())
    assert.near(10, elapsed(), 1e-6)
    assert.equal(0, task:uncancel())
    assert.equal("went on", task:result())
  end)

  it("C3 is not taken below 0", function()
    local me = neap.current_task()
    assert.equal(0, me:uncancel())
    assert.equal(0, me:cancelling())
    neap.sleep(0)
  end)

  it("C4 is withdrawn by uncancel() before the first step", function()
    local task = neap.create_task(function()
      neap.sleep(0)
      return "finished"
    end)
    task:cancel()
    assert.equal(0, task:uncancel())
    assert.equal("finished", task:await())
  end)

  it("C5 itself, a task gets it at its next await, and at each one after", function()
    local task = start(function()
      assert.is_true(neap.current_task():cancel())
      for _ = 1, 3 do cancelled(neap.sleep, 0) end
      neap.sleep(0)
    end)
    cancelled(task.await, task)
    assert.is_true(task:cancelled())
  end)

  it("C6 itself and returning without an await, a task ends cancelled", function()
    local task = neap.create_task(function()
      neap.current_task():cancel()
      return "nothing"
    end)
    cancelled(task.await, task)
    assert.is_true(task:cancelled())
  end)

  it("C7 a task that catches it and returns leaves the task finished, the future pending", function()
    local future = neap.Future()
    local task = start(function()
      cancelled(future.await, future)
      return 42
    end)
    task:cancel()
    assert.equal(42, task:await())
    assert.is_false(task:cancelled())
    assert.is_false(future:done())
  end)

  it("C8 a task that swallows it and waits elsewhere raises there again", function()
    testing.virtual_clock()
    local elapsed, caught = elapsed_timer(), 0
    local task = start(function()
      local future = neap.Future()
      for _ = 1, 5 do
        if not pcall(neap.await, future) then caught = caught + 1 end
      end
      neap.sleep(3600)
    end)
    task:cancel()
    cancelled(task.await, task)
    assert.equal(5, caught)
    assert.near(0, elapsed(), 1e-6)
  end)

  it("C8 a task that swallows it in a circle gives the others their turns", function()
    local stop = false
    local task = start(function()
      while not stop do pcall(neap.sleep, 3600) end
    end)
    task:cancel()
    for _ = 1, 10 do neap.sleep(0) end
    stop = true
    task:await()
    assert.is_false(task:cancelled())
  end)

  it("C9 the future a task waits for does not cancel the task", function()
    local future, err = neap.Future(), nil
    local task = start(function()
      err = cancelled(future.await, future)
      assert.equal(0, neap.current_task():cancelling())
      neap.sleep(0)
      return "went on"
    end)
    future:cancel()
    assert.equal("went on", task:await())
    assert.equal(future, err.task)
  end)

  it("C9 the future a task waits for ends the task as cancelled if the error leaves it", function()
    local future = neap.Future()
    local task = start(future.await, future)
    future:cancel()
    assert.equal(future, cancelled(task.await, task).task)
    assert.is_true(task:cancelled())
    assert.equal(0, task:cancelling())
  end)

  it("C10 both is one delivery", function()
    for _, first in ipairs { "task", "future" } do
      local future, caught = neap.Future(), 0
      local task = start(function()
        local ok, err = pcall(neap.await, future)
        assert.is_false(ok)
        caught = caught + 1
        error(err, 0)
      end)
      if first == "task" then task:cancel() end
      future:cancel()
      if first == "future" then task:cancel() end
      cancelled(task.await, task)
      assert.equal(1, caught)
      assert.is_true(future:cancelled())
      assert.is_true(task:cancelled())
    end
  end)

  it("C11 an awaiter cancels the task it awaits, and what that one awaits", function()
    local innermost, inner
    local outer = start(function()
      inner = neap.create_task(function()
        innermost = neap.create_task(neap.sleep, 3600)
        innermost:await()
      end)
      inner:await()
    end)
    neap.sleep(0)
    neap.sleep(0)
    outer:cancel()
    cancelled(outer.await, outer)
    for _, task in ipairs { outer, inner, innermost } do assert.is_true(task:cancelled()) end
  end)

  for id, read in pairs { C12 = "result", C13 = "exception" } do
    it(id .. " gives its message to " .. read .. "(), or none", function()
      local with, without = start(neap.sleep, 3600), start(neap.sleep, 3600)
      with:cancel "enough"
      without:cancel()
      neap.wait { with, without }
      assert.equal("enough", cancelled(with[read], with).message)
      assert.is_nil(cancelled(without[read], without).message)
    end)
  end

  it("C14 gives awaiters an error that names the task in which it began", function()
    local inner = start(neap.sleep, 3600)
    local outer = start(inner.await, inner)
    inner:cancel()
    assert.equal(inner, cancelled(outer.await, outer).task)
    assert.is_true(outer:cancelled())
  end)

  it("C16 by a timer ends a long sleep at that time", function()
    testing.virtual_clock()
    local elapsed = elapsed_timer()
    local task = neap.create_task(neap.sleep, 5000)
    neap.get_running_loop():call_later(0.1, task.cancel, task)
    cancelled(task.await, task)
    assert.near(0.1, elapsed(), 1e-6)
  end)

  it("C17 goes through nested calls, innermost first, and again to a frame that swallowed it", function()
    local log = {}
    local function inner()
      local ok, err = pcall(neap.sleep, 3600)
      log[#log + 1] = "inner"
      if not ok then error(err, 0) end
    end
    local function middle()
      pcall(inner)
      log[#log + 1] = "middle"
      neap.sleep(3600)
    end
    local task = start(function()
      local ok, err = pcall(middle)
      log[#log + 1] = "outer"
      if not ok then error(err, 0) end
    end)
    task:cancel()
    cancelled(task.await, task)
    assert.same({ "inner", "middle", "outer" }, log)
  end)

  it("C18 after a result came delivers the result, and raises at the next await", function()
    local future, got = neap.Future(), nil
    local inner = start(future.await, future)
    local outer = start(function()
      got = inner:await()
      neap.sleep(3600)
    end)
    future:set_result "value"
    neap.sleep(0) -- inner ends, outer is ready
    assert.is_true(inner:done())
    outer:cancel()
    cancelled(outer.await, outer)
    assert.equal("value", got)
    assert.is_true(outer:cancelled())
  end)

  it("law 15 ends as failed when the body raises another error", function()
    local task = start(function()
      pcall(neap.sleep, 3600)
      error("wolf", 0)
    end)
    task:cancel()
    neap.wait { task }
    assert.is_false(task:cancelled())
    assert.equal("wolf", task:exception())
  end)
end)

describe("a cancel scope", function()
  it("law 18 cancels the awaits inside it alone", function()
    testing.virtual_clock()
    local elapsed = elapsed_timer()
    local scope = neap.CancelScope()
    local completed = scope:run(function()
      scope:cancel()
      cancelled(neap.sleep, 1)
      neap.sleep(1)
    end)
    assert.is_false(completed)
    assert.is_true(scope:cancelled())
    neap.sleep(2)
    assert.near(2, elapsed(), 1e-6)
  end)

  it("law 18 lets the outermost convert when several are due", function()
    local outer, after_inner = neap.CancelScope(), false
    local completed = outer:run(function()
      local scope = neap.CancelScope()
      scope:run(function()
        scope:cancel()
        outer:cancel()
        neap.sleep(3600)
      end)
      after_inner = true
    end)
    assert.is_false(completed)
    assert.is_false(after_inner)
  end)

  it("law 21 shielded() holds a cancel back until the first await after it", function()
    testing.virtual_clock()
    local elapsed, cleaned = elapsed_timer(), false
    local task = start(function()
      local function clean_up()
        local _ <close> = neap.shielded()
        neap.sleep(5)
        cleaned = true
      end
      pcall(neap.sleep, 3600)
      clean_up()
      neap.sleep(3600)
    end)
    task:cancel()
    cancelled(task.await, task)
    assert.is_true(cleaned)
    assert.near(5, elapsed(), 1e-6)
  end)

  it("law 22 kill() runs <close> variables, and no pcall stops it", function()
    local closed, went_on = false, false
    local task = start(function()
      pcall(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        neap.sleep(3600)
      end)
      went_on = true
    end)
    task:kill()
    neap.sleep(0)
    assert.is_true(task:done())
    assert.is_true(closed)
    assert.is_false(went_on)
    pcall(task.result, task)
  end)
end)
