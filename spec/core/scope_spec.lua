-- Cancel scopes and shields: which awaits a cancel reaches, and who takes it back. Time limits are in timeout_spec.
local neap = require "neap"
local testing = require "neap.testing"
local support = require "spec.support.tasks"

local cancelled <const>, start <const> = support.cancelled, support.start

local loop = neap.get_event_loop()

local function time() return loop:time() end

describe("a cancel scope", function()
  before_each(function() testing.virtual_clock() end)

  it("lets its own CancelledError leave the block, and the task go on after it", function()
    local err = cancelled(function()
      local scope <close> = neap.CancelScope()
      scope:cancel()
      neap.sleep(3600)
    end)
    assert.equal(neap.current_task(), err.task)
    assert.equal(0, neap.current_task():cancelling())
    neap.sleep(1)
  end)

  it("raises nothing when the block swallowed its cancel, or awaited nothing", function()
    do
      local scope <close> = neap.CancelScope()
      scope:cancel()
      for _ = 1, 3 do cancelled(neap.sleep, 1) end
    end
    do
      local scope <close> = neap.CancelScope()
      scope:cancel()
    end
    neap.sleep(1)
  end)

  it("law 12: makes every await inside raise, also of what is done already", function()
    local future, task, semaphore = neap.Future(), start(function() end), neap.Semaphore(1)
    future:set_result "done"
    neap.sleep(0)
    local scope <close> = neap.CancelScope()
    scope:cancel()
    cancelled(future.await, future)
    cancelled(neap.await, task)
    cancelled(neap.await, function() error "called" end)
    cancelled(neap.sleep, 0)
    cancelled(semaphore.acquire, semaphore)
    cancelled(neap.gather)
    cancelled(neap.wait, { future })
    cancelled(neap.wait_for, future, 1)
    assert.is_false(semaphore:locked())
  end)

  it("law 13: that is swallowed in a circle lets the others have their turns", function()
    local stop, rounds = false, 0
    loop:call_later(0, function() loop:call_soon(function() stop = true end) end)
    local scope <close> = neap.CancelScope()
    scope:cancel()
    while not stop do
      pcall(neap.sleep, 3600)
      rounds = rounds + 1
      assert.is_true(rounds < 10)
    end
  end)

  it("is cancelled by a callback while its task waits", function()
    local began, scope = time(), neap.CancelScope()
    loop:call_later(2, scope.cancel, scope)
    assert.is_false(scope:run(neap.sleep, 3600))
    assert.near(2, time() - began, 1e-6)
  end)

  it("law 16: cancelled when the result has come delivers that, and raises at the next await", function()
    local future, scope, got = neap.Future(), neap.CancelScope(), nil
    loop:call_soon(function()
      future:set_result "value"
      scope:cancel()
    end)
    local completed = scope:run(function()
      got = future:await()
      neap.sleep(0)
    end)
    assert.equal("value", got)
    assert.is_false(completed)
  end)

  it("law 18: does not reach the tasks that are made in it", function()
    local scope, task = neap.CancelScope(), nil
    scope:run(function()
      task = neap.create_task(neap.sleep, 5, "went on")
      scope:cancel()
      neap.sleep(1)
    end)
    assert.equal("went on", task:await())
  end)

  it("law 17: cancels the task that is awaited in it", function()
    local task = start(neap.sleep, 3600)
    assert.is_false((neap.CancelScope { timeout = 1 }:run(neap.await, task)))
    assert.is_true(task:cancelled())
  end)

  it("law 17: leaves the future that is awaited in it pending", function()
    local future = neap.Future()
    assert.is_false((neap.CancelScope { timeout = 1 }:run(neap.await, future)))
    assert.is_false(future:done())
  end)

  it("law 18: cancelled from outside its innermost, ends all within it, innermost first", function()
    local log, outer = {}, neap.CancelScope()
    local function note(name)
      return setmetatable({}, { __close = function() log[#log + 1] = name end })
    end
    assert.is_false(outer:run(function()
      local a <close> = note "outer"
      neap.CancelScope():run(function()
        local b <close> = note "middle"
        local inner <close> = neap.CancelScope()
        local c <close> = note "inner"
        loop:call_later(1, outer.cancel, outer)
        neap.sleep(3600)
      end)
      log[#log + 1] = "not reached"
    end))
    assert.same({ "inner", "middle", "outer" }, log)
  end)

  it("law 18: leaves the one around it alone", function()
    local after
    assert.is_true(neap.CancelScope():run(function()
      assert.is_false(neap.CancelScope { timeout = 1 }:run(neap.sleep, 3600))
      neap.sleep(1)
      after = true
    end))
    assert.is_true(after)
  end)

  it("law 18: lets a cancel of the task pass, though it was cancelled itself", function()
    local after = false
    local task = start(function()
      local scope = neap.CancelScope()
      scope:run(function()
        scope:cancel()
        neap.current_task():cancel()
        neap.sleep(3600)
      end)
      after = true
    end)
    cancelled(task.await, task)
    assert.is_true(task:cancelled())
    assert.is_false(after)
  end)

  it("takes back nothing but its own cancel: another task's CancelledError passes", function()
    local other, scope = start(neap.sleep, 3600), neap.CancelScope()
    other:cancel()
    pcall(other.await, other)
    local err = cancelled(scope.run, scope, function()
      local _, caught = pcall(other.await, other)
      scope:cancel()
      error(caught, 0)
    end)
    assert.equal(other, err.task)
  end)

  it("with a timeout is cancelled at its deadline, and tells so", function()
    local began, scope = time(), neap.CancelScope { timeout = 2 }
    assert.near(began + 2, scope:when(), 1e-6)
    assert.is_false(scope:expired())
    assert.is_false(scope:run(neap.sleep, 3600))
    assert.is_true(scope:expired())
    assert.is_true(scope:cancelled())
    assert.near(2, time() - began, 1e-6)
  end)

  it("after its end is not cancelled by its deadline, nor by cancel()", function()
    local kept
    do
      local scope <close> = neap.CancelScope { timeout = 1 }
      kept = scope
    end
    neap.sleep(2)
    kept:cancel()
    neap.sleep(1)
    assert.is_false(kept:cancelled())
    assert.is_false(kept:expired())
  end)

  it("that ended before one within it leaves that one working", function()
    local outer = neap.CancelScope()
    local inner <close> = neap.CancelScope { timeout = 1 }
    outer:close()
    outer:cancel()
    neap.sleep(0.5)
    cancelled(neap.sleep, 3600)
  end)

  it("that a task leaves open ends with the task", function()
    local began, kept = time(), nil
    local task = neap.create_task(function()
      kept = neap.CancelScope { timeout = 10 }
      return "ended"
    end)
    assert.equal("ended", task:await())
    neap.sleep(20)
    kept:cancel()
    assert.is_false(pcall(kept.run, kept, print))
    assert.near(20, time() - began, 1e-6)
  end)
end)

describe("scope:run", function()
  before_each(function() testing.virtual_clock() end)

  it("returns true and the function's values, and passes arguments", function()
    local function swap(a, b, ...) return b, a, select("#", ...) end
    assert.same({ n = 4, true, nil, 1, 2 }, table.pack(neap.CancelScope():run(swap, 1, nil, nil, nil)))
    assert.same({ n = 1, true }, table.pack(neap.CancelScope():run(neap.sleep, 1)))
  end)

  it("returns false alone when the scope was cancelled", function()
    assert.same({ n = 1, false }, table.pack(neap.CancelScope { timeout = 1 }:run(neap.sleep, 3600)))
  end)

  it("returns true when the function swallowed the cancel and ended", function()
    assert.same({ n = 2, true, 7 }, table.pack(neap.CancelScope { timeout = 1 }:run(function()
      pcall(neap.sleep, 3600)
      return 7
    end)))
  end)

  it("raises the function's error, the same value, also when the scope was cancelled", function()
    local wolf = {}
    local ok, err = pcall(function() neap.CancelScope():run(error, wolf) end)
    assert.is_false(ok)
    assert.equal(wolf, err)
    ok, err = pcall(function()
      neap.CancelScope { timeout = 1 }:run(function()
        pcall(neap.sleep, 3600)
        error(wolf)
      end)
    end)
    assert.is_false(ok)
    assert.equal(wolf, err)
    neap.sleep(1)
  end)

  it("ends the scope", function()
    local scope = neap.CancelScope()
    scope:run(function() end)
    local ok, message = pcall(function() scope:run(print) end)
    assert.is_false(ok)
    assert.matches("^spec/core/scope_spec.lua:%d+: run: the scope has ended$", message)
  end)
end)

describe("shielded()", function()
  before_each(function() testing.virtual_clock() end)

  it("law 21: holds back each kind of cancel from outside until its end", function()
    for kind, cancel in pairs {
      task = function(task) task:cancel() end,
      scope = function(_, scope) scope:cancel() end,
    } do
      local began, outer, cleaned = time(), nil, nil
      local task = start(function()
        local scope <close> = neap.CancelScope()
        outer = scope
        do
          local shield <close> = neap.shielded()
          neap.sleep(2)
          neap.sleep(2)
          cleaned = true
        end
        neap.sleep(3600)
      end)
      neap.sleep(1)
      cancel(task, outer)
      cancelled(task.await, task)
      assert.is_true(cleaned, kind)
      assert.near(4, time() - began, 1e-6)
    end
  end)

  it("law 21: holds back a time limit around it, which converts after it", function()
    local began = time()
    local ok, err = pcall(function()
      local limit <close> = neap.timeout(1)
      local shield <close> = neap.shielded()
      neap.sleep(3)
      shield:close()
      neap.sleep(3600)
    end)
    assert.is_false(ok)
    assert.is_true(neap.is(err, neap.TimeoutError), tostring(err))
    assert.near(3, time() - began, 1e-6)
  end)

  it("lets scopes within it be cancelled", function()
    local began = time()
    do
      local shield <close> = neap.shielded()
      assert.is_false(neap.move_on_after(2, neap.sleep, 3600))
      neap.sleep(1)
    end
    assert.near(3, time() - began, 1e-6)
  end)

  it("opened in a cancelled task lets it await", function()
    local task = start(function()
      pcall(neap.sleep, 3600)
      local result
      do
        local shield <close> = neap.shielded()
        result = neap.create_task(neap.sleep, 5, "cleaned"):await()
      end
      cancelled(neap.sleep, 0)
      return result
    end)
    task:cancel()
    assert.equal("cleaned", task:await())
  end)

  it("nested holds back until the outermost ends", function()
    local log = {}
    local task = start(function()
      local outer = neap.shielded()
      local inner = neap.shielded()
      neap.sleep(2)
      inner:close()
      neap.sleep(2)
      log[1] = "still shielded"
      outer:close()
      neap.sleep(3600)
    end)
    task:cancel()
    cancelled(task.await, task)
    assert.same({ "still shielded" }, log)
  end)

  it("does not hold back kill()", function()
    local closed, went_on = false, false
    local task = start(function()
      local shield <close> = neap.shielded()
      local guard <close> = setmetatable({}, { __close = function() closed = true end })
      pcall(neap.sleep, 3600)
      went_on = true
    end)
    task:cancel()
    neap.sleep(1)
    assert.is_false(task:done())
    assert.is_true(task:kill())
    assert.is_true(task:cancelled())
    assert.is_true(closed)
    assert.is_false(went_on)
  end)

  it("as a field of CancelScope may be cancelled itself", function()
    local began = time()
    local scope = neap.CancelScope { shield = true, timeout = 3 }
    local task = neap.current_task()
    loop:call_later(1, task.cancel, task)
    assert.is_false(scope:run(function()
      neap.sleep(2)
      assert.equal(0, task:uncancel())
      neap.sleep(3600)
    end))
    assert.near(3, time() - began, 1e-6)
    neap.sleep(0)
  end)
end)
