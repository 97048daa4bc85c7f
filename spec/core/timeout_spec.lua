-- timeout and timeout_at: time limits of blocks.
local neap = require "neap"
local testing = require "neap.testing"
local support = require "spec.support.tasks"

local raises <const>, start <const> = support.raises, support.start

local function time() return neap.get_running_loop():time() end

describe("a time limit", function()
  it("L1 raises TimeoutError at the end of a block that overruns", function()
    testing.virtual_clock()
    local began, kept = time(), nil
    local err = raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout(0.5)
      kept = limit
      neap.sleep(3600)
    end)
    assert.is_true(kept:expired())
    assert.near(0.5, time() - began, 1e-6)
    assert.matches("0.5 s", tostring(err), 1, true)
  end)

  it("L1 is the same with a time of the loop's clock", function()
    testing.virtual_clock()
    local began, kept = time(), nil
    raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout_at(began + 0.5)
      kept = limit
      neap.sleep(3600)
    end)
    assert.is_true(kept:expired())
    assert.near(0.5, time() - began, 1e-6)
    assert.near(began + 0.5, kept:when(), 1e-6)
  end)

  it("L1 does not fire in a block that awaits nothing", function()
    do
      local _ <close> = neap.timeout(-1)
    end
    do
      local _ <close> = neap.timeout_at(time() - 1)
    end
    neap.sleep(0)
  end)

  it("L2 with the deadline of an outer one: TimeoutError comes out of the outer, both are expired", function()
    testing.virtual_clock()
    local deadline, outer, inner, inner_error = time() + 1, nil, nil, nil
    raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout_at(deadline)
      outer = limit
      inner_error = raises(neap.CancelledError, function()
        local nested <close> = neap.timeout_at(deadline)
        inner = nested
        neap.sleep(3600)
      end)
      error(inner_error, 0)
    end)
    assert.is_true(outer:expired())
    assert.is_true(inner:expired())
  end)

  it("L3 is seen inside as CancelledError, at every await until the block ends", function()
    testing.virtual_clock()
    local caught, began = 0, time()
    raises(neap.TimeoutError, function()
      local _ <close> = neap.timeout(1)
      for _ = 1, 3 do
        raises(neap.CancelledError, neap.sleep, 3600)
        caught = caught + 1
      end
      neap.sleep(3600)
    end)
    assert.equal(3, caught)
    assert.near(1, time() - began, 1e-6)
  end)

  it("L3 raises nothing when the block overran and ends without an error", function()
    testing.virtual_clock()
    local kept
    do
      local limit <close> = neap.timeout(1)
      kept = limit
      pcall(neap.sleep, 3600)
    end
    assert.is_true(kept:expired())
    neap.sleep(1)
  end)

  it("L4 does nothing to a block that ends in time", function()
    testing.virtual_clock()
    local kept
    do
      local limit <close> = neap.timeout(10)
      kept = limit
      neap.sleep(0.01)
    end
    assert.is_false(kept:expired())
    assert.is_true(kept:when() > time())
    neap.sleep(20)
    assert.is_false(kept:expired())
  end)

  it("L5 of nil never fires", function()
    testing.virtual_clock()
    for _, open in ipairs { neap.timeout, neap.timeout_at } do
      local limit <close> = open(nil)
      neap.sleep(1e6)
      assert.is_nil(limit:when())
      assert.is_false(limit:expired())
    end
  end)

  for id, await in pairs {
    L6 = function() neap.await(neap.Future()) end,
    L7 = function() neap.sleep(0) end,
  } do
    it(id .. " of 0 fires at the first await", function()
      testing.virtual_clock()
      local began, reached, kept = time(), false, nil
      raises(neap.TimeoutError, function()
        local limit <close> = neap.timeout(0)
        kept = limit
        reached = true
        await()
      end)
      assert.is_true(reached)
      assert.is_true(kept:expired())
      assert.near(0, time() - began, 1e-6)
    end)
  end

  it("L8 lets an error raised in the block pass", function()
    local wolf, kept = {}, nil
    local ok, err = pcall(function()
      local limit <close> = neap.timeout(10)
      kept = limit
      error(wolf, 0)
    end)
    assert.is_false(ok)
    assert.equal(wolf, err)
    assert.is_false(kept:expired())
  end)

  it("L9 lets an error of the cleanup after the overrun out instead of its own", function()
    testing.virtual_clock()
    local wolf = {}
    local ok, err = pcall(function()
      local _ <close> = neap.timeout(1)
      pcall(neap.sleep, 3600)
      error(wolf, 0)
    end)
    assert.is_false(ok)
    assert.equal(wolf, err)
    neap.sleep(0)
  end)

  it("L10 leaves a cancel from outside as it is", function()
    local kept
    local task = start(function()
      local limit <close> = neap.timeout(10)
      kept = limit
      neap.sleep(3600)
    end)
    task:cancel()
    raises(neap.CancelledError, task.await, task)
    assert.is_true(task:cancelled())
    assert.is_false(kept:expired())
  end)

  it("L10 leaves a cancel as it is that comes in the turn in which it expires", function()
    testing.virtual_clock()
    local kept, task
    neap.get_running_loop():call_later(1, function() task:cancel() end)
    task = start(function()
      local limit <close> = neap.timeout(1)
      kept = limit
      neap.sleep(3600)
    end)
    raises(neap.CancelledError, task.await, task)
    assert.is_true(task:cancelled())
    assert.is_true(kept:expired())
  end)

  it("L11 leaves the task not cancelled", function()
    testing.virtual_clock()
    local task = start(function()
      raises(neap.TimeoutError, function()
        local _ <close> = neap.timeout(1)
        neap.sleep(3600)
      end)
      assert.equal(0, neap.current_task():cancelling())
      neap.sleep(1)
      return "finished"
    end)
    assert.equal("finished", task:await())
    assert.is_false(task:cancelled())
  end)

  it("L12 breaks the next await after an inner one was caught", function()
    testing.virtual_clock()
    local began, went_on, outer = time(), false, nil
    raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout(2)
      outer = limit
      raises(neap.TimeoutError, function()
        local _ <close> = neap.timeout(1)
        neap.sleep(3600)
      end)
      assert.is_false(limit:expired())
      went_on = true
      neap.sleep(3600)
    end)
    assert.is_true(went_on)
    assert.is_true(outer:expired())
    assert.near(2, time() - began, 1e-6)
  end)

  it("L13 is moved by reschedule, and taken away by nil", function()
    testing.virtual_clock()
    local began = time()
    raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout(100)
      assert.near(began + 100, limit:when(), 1e-6)
      limit:reschedule(began + 1)
      assert.near(began + 1, limit:when(), 1e-6)
      neap.sleep(3600)
    end)
    assert.near(1, time() - began, 1e-6)
    local limit <close> = neap.timeout(1)
    limit:reschedule(nil)
    assert.is_nil(limit:when())
    neap.sleep(10)
    limit:reschedule(time() + 10)
    neap.sleep(5)
    assert.is_false(limit:expired())
  end)

  it("L14 tells its state and deadline", function()
    testing.virtual_clock()
    local kept
    raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout_at(time() + 1)
      kept = limit
      assert.matches("active", tostring(limit), 1, true)
      assert.matches("deadline " .. ("%.14g"):format(limit:when()):sub(1, 6), tostring(limit), 1, true)
      pcall(neap.sleep, 3600)
      assert.matches("expiring", tostring(limit), 1, true)
      neap.sleep(0)
    end)
    assert.matches("expired", tostring(kept), 1, true)
    do
      local limit <close> = neap.timeout(nil)
      kept = limit
      assert.not_matches("deadline", tostring(limit), 1, true)
    end
    assert.matches("finished", tostring(kept), 1, true)
  end)

  it("L15 works on its own in the shielded cleanup of a block that overran", function()
    testing.virtual_clock()
    local began, cleanup_error = time(), nil
    local function clean_up()
      local _ <close> = neap.shielded()
      cleanup_error = raises(neap.TimeoutError, function()
        local _ <close> = neap.timeout(2)
        neap.sleep(3600)
      end)
    end
    local err = raises(neap.TimeoutError, function()
      local _ <close> = neap.timeout(1)
      local _ <close> = setmetatable({}, { __close = clean_up })
      neap.sleep(3600)
    end)
    assert.near(3, time() - began, 1e-6)
    assert.not_equal(cleanup_error, err)
  end)

  it("L16 converts its own overrun after a cancel that was taken back", function()
    testing.virtual_clock()
    local task = start(function()
      raises(neap.CancelledError, neap.sleep, 3600)
      neap.current_task():uncancel()
      raises(neap.TimeoutError, function()
        local _ <close> = neap.timeout(1)
        neap.sleep(3600)
      end)
      return "finished"
    end)
    task:cancel()
    assert.equal("finished", task:await())
  end)

  it("L17 leaves a fresh cancel as it is, after one that was taken back", function()
    local kept
    local task = start(function()
      raises(neap.CancelledError, neap.sleep, 3600)
      neap.current_task():uncancel()
      local limit <close> = neap.timeout(1000)
      kept = limit
      neap.sleep(3600)
    end)
    task:cancel()
    neap.sleep(0)
    neap.sleep(0)
    task:cancel()
    raises(neap.CancelledError, task.await, task)
    assert.is_true(task:cancelled())
    assert.is_false(kept:expired())
  end)

  it("L18 serves once", function()
    testing.virtual_clock()
    local kept
    do
      local limit <close> = neap.timeout(1)
      kept = limit
    end
    local reopened = true
    pcall(function()
      local limit <close> = kept
      neap.sleep(10)
      reopened = limit:expired()
    end)
    assert.is_false(reopened)
    assert.is_false(pcall(kept.run, kept, print))
  end)

  it("L19 cannot be rescheduled after its end", function()
    local kept
    do
      local limit <close> = neap.timeout(1)
      kept = limit
    end
    local ok, err = pcall(kept.reschedule, kept, time() + 1)
    assert.is_false(ok)
    assert.matches("finished", tostring(err), 1, true)
  end)

  it("L20 cannot be rescheduled when it has fired", function()
    testing.virtual_clock()
    local ok, err
    raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout(1)
      pcall(neap.sleep, 3600)
      ok, err = pcall(limit.reschedule, limit, time() + 1)
      neap.sleep(0)
    end)
    assert.is_false(ok)
    assert.matches("expiring", tostring(err), 1, true)
  end)

  it("outside a task, or of what is no time, is an error", function()
    local ok, err
    neap.get_running_loop():call_soon(function() ok, err = pcall(neap.timeout, 1) end)
    neap.sleep(0)
    assert.is_false(ok)
    assert.matches("timeout", tostring(err), 1, true)
    assert.is_false(pcall(neap.timeout, "soon"))
    assert.is_false(pcall(neap.timeout, 0 / 0))
  end)
end)
