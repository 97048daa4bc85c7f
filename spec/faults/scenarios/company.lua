-- gather, wait, as_completed, wait_for, shield.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const>, try <const> = scenario.start, scenario.raises, scenario.try

local function later(seconds, ...)
  local values <const> = { ... }
  return function()
    neap.sleep(seconds)
    return table.unpack(values)
  end
end

local function failing(seconds, err)
  return function()
    neap.sleep(seconds)
    error(err, 0)
  end
end

return {
  { name = "gather: all end well", run = function()
    local results = neap.gather(later(2, "a"), later(1, "b", "c"), neap.create_task(later(3, "d")))
    assert(results.n == 3 and table.concat(results) == "abd")
    assert(neap.gather().n == 0)
  end },

  { name = "gather: one fails", run = function()
    local cleaned = 0
    local passed = neap.create_task(later(5, "goes on"))
    raises("one failed", neap.gather, failing(1, "one failed"), passed, function()
      local _ <close> = scenario.closer(function() cleaned = cleaned + 1 end)
      neap.sleep(10)
    end)
    assert(cleaned == 1)
    assert(passed:await() == "goes on")
  end },

  { name = "gather: two fail", reports = true, run = function()
    raises("first", neap.gather, failing(1, "first"), function()
      local _ <close> = scenario.closer(function() error("second", 0) end)
      neap.sleep(10)
    end)
  end },

  { name = "gather: return_exceptions", run = function()
    local results = neap.gather { later(1, "a"), failing(2, "b"), return_exceptions = true }
    scenario.note(results[1])
    scenario.note(results[2])
    assert(results[1] == "a" and results[2] == "b")
  end },

  { name = "gather: cancelled", run = function()
    local children = {}
    for i = 1, 2 do children[i] = neap.create_task(neap.sleep, 10) end
    local task = start(neap.gather, children[1], children[2], later(10))
    task:cancel()
    raises(neap.CancelledError, neap.await, task)
    for _, each in ipairs(children) do assert(each:cancelled()) end
  end },

  { name = "gather: nested", run = function()
    local results = neap.gather(function()
      return neap.gather(later(1, 1), later(2, 2))
    end, function()
      return neap.gather(later(2, 3), later(1, 4))
    end)
    assert(results[1][1] + results[1][2] + results[2][1] + results[2][2] == 10)
  end },

  { name = "wait: for all", run = function()
    local done, pending = neap.wait { later(1), later(2), later(3) }
    assert(#done == 3 and #pending == 0)
    for _, task in ipairs(done) do task:result() end
  end },

  { name = "wait: for the first", run = function()
    local done, pending = neap.wait { later(3), later(1), return_when = neap.FIRST_COMPLETED }
    assert(#done == 1 and #pending == 1)
    done[1]:result()
    assert(neap.wait(pending)[1]:done())
  end },

  { name = "wait: for the first error", run = function()
    local done, pending = neap.wait { later(1), failing(2, "here"), later(3), return_when = neap.FIRST_EXCEPTION }
    for _, task in ipairs(done) do scenario.note(task:exception()) end
    assert(#done == 2 and #pending == 1)
    pending[1]:await()
  end },

  { name = "wait: with a time limit", run = function()
    local done, pending = neap.wait { later(1), later(10), timeout = 5 }
    assert(#done == 1 and #pending == 1)
    pending[1]:cancel()
    raises(neap.CancelledError, neap.await, pending[1])
  end },

  { name = "wait: cancelled", run = function()
    local child = start(neap.sleep, 2)
    local task = start(neap.wait, { child })
    task:cancel()
    raises(neap.CancelledError, neap.await, task)
    assert(not child:cancelled())
    child:await()
  end },

  { name = "as_completed: in order", run = function()
    local order = {}
    for task in neap.as_completed { later(3, "c"), later(1, "a"), later(2, "b") } do
      order[#order + 1] = task:result()
    end
    assert(table.concat(order) == "abc")
  end },

  { name = "as_completed: with a time limit", run = function()
    local tasks, seen = { neap.create_task(later(1)), neap.create_task(later(10)) }, 0
    raises(neap.TimeoutError, function()
      for task in neap.as_completed { tasks[1], tasks[2], timeout = 5 } do
        seen = seen + 1
        task:result()
      end
    end)
    assert(scenario.told or seen == 1)
    tasks[2]:cancel()
    raises(neap.CancelledError, neap.await, tasks[2])
  end },

  { name = "wait_for: in time and too late", run = function()
    assert(neap.wait_for(later(1, "in time"), 2) == "in time")
    local late = neap.create_task(later(10))
    raises(neap.TimeoutError, neap.wait_for, late, 1)
    assert(late:cancelled())
    raises(neap.TimeoutError, neap.wait_for, neap.sleep, 1, 10)
    raises(neap.TimeoutError, neap.wait_for, neap.sleep, 0, 10)
    assert(neap.wait_for(function(a) return a end, nil, 4) == 4)
  end },

  { name = "shield: the awaiter is cancelled", run = function()
    local inner = neap.create_task(later(2, "went on"))
    local outer = start(neap.shield(inner))
    outer:cancel()
    raises(neap.CancelledError, neap.await, outer)
    assert(inner:await() == "went on")
    assert(neap.shield(later(1, "value"))() == "value")
  end },
}
