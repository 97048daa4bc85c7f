-- Time limits and cancel scopes.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const>, try <const> = scenario.start, scenario.raises, scenario.try

return {
  { name = "timeout: exceeded and kept", run = function()
    raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout(1)
      neap.sleep(10)
    end)
    local kept = neap.timeout(5)
    do
      local limit <close> = kept
      neap.sleep(1)
      assert(tostring(kept) and kept:when())
    end
    assert(not kept:expired())
  end },

  { name = "timeout: nested", run = function()
    local err = raises(neap.TimeoutError, function()
      local outer <close> = neap.timeout(1)
      local inner <close> = neap.timeout(2)
      neap.sleep(10)
    end)
    assert(scenario.told or tostring(err):find("1", 1, true))
    local outer <close> = neap.timeout(10)
    raises(neap.TimeoutError, function()
      local inner <close> = neap.timeout(1)
      neap.sleep(20)
    end)
    neap.sleep(1)
  end },

  { name = "timeout: moved", run = function()
    local loop = neap.get_running_loop()
    local began = loop:time()
    raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout(1)
      limit:reschedule(began + 5)
      neap.sleep(2)
      neap.sleep(10)
    end)
    local limit <close> = neap.timeout_at(loop:time() + 1)
    limit:reschedule(nil)
    neap.sleep(5)
  end },

  { name = "timeout: swallowed", run = function()
    local limit <close> = neap.timeout(1)
    try(neap.sleep, 10)
    if scenario.told then return end
    assert(limit:expired())
    raises(neap.CancelledError, neap.sleep, 1)
  end },

  { name = "shielded: holds cancels back", run = function()
    local slept
    local task = start(function()
      do
        local shield <close> = neap.shielded()
        neap.sleep(2)
        slept = true
      end
      neap.sleep(2)
    end)
    task:cancel()
    raises(neap.CancelledError, neap.await, task)
    assert(scenario.told or slept)
  end },

  { name = "CancelScope: run and cancel", run = function()
    local scope = neap.CancelScope()
    local ok = scope:run(function()
      neap.create_task(function() scope:cancel() end)
      neap.sleep(10)
    end)
    assert(not ok and scope:cancelled())
    local fine, value = neap.CancelScope { timeout = 5 }:run(function(a)
      neap.sleep(1)
      return a
    end, "value")
    assert(fine and value == "value")
    raises("an error", neap.CancelScope().run, neap.CancelScope(), error, "an error")
  end },

  { name = "CancelScope: a block", run = function()
    raises(neap.CancelledError, function()
      local scope <close> = neap.CancelScope()
      scope:cancel()
      neap.sleep(1)
    end)
    neap.sleep(1)
  end },

  { name = "move_on_after", run = function()
    assert(not neap.move_on_after(1, neap.sleep, 10))
    local done, a, b = neap.move_on_after(10, function(...)
      neap.sleep(1)
      return ...
    end, 1, 2)
    assert(done and a == 1 and b == 2)
  end },

  { name = "scopes: of a task that is killed", run = function()
    local task = start(function()
      local limit <close> = neap.timeout(10)
      local shield <close> = neap.shielded()
      local scope <close> = neap.CancelScope { timeout = 5 }
      neap.sleep(20)
    end)
    assert(task:kill())
    neap.sleep(15)
  end },
}
