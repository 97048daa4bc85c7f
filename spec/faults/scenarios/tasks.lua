-- Tasks and futures.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const>, try <const> = scenario.start, scenario.raises, scenario.try

local function add(...)
  local sum = 0
  for i = 1, select("#", ...) do sum = sum + select(i, ...) end
  return sum
end

return {
  { name = "tasks: create and await", run = function()
    local tasks = {}
    for i = 1, 10 do tasks[i] = neap.create_task(add, i, i) end
    local sum = 0
    for i = 1, 10 do sum = sum + tasks[i]:await() end
    assert(sum == 110)
  end },

  { name = "tasks: many values, and results", run = function()
    local task = neap.create_task(function() return 1, nil, 3, nil end)
    assert(select("#", neap.await(task)) == 4)
    assert(select(3, task:result()) == 3)
    assert(task:exception() == nil and task:done() and not task:cancelled())
    local none = start(function() end)
    assert(none:result() == nil)
  end },

  { name = "tasks: errors keep their identity", run = function()
    local value = { "an error" }
    local task = start(error, value)
    local err = select(2, try(task.await, task))
    assert(err == value)
    assert(task:exception() == value)
    raises("a string", neap.await, neap.create_task(error, "a string"))
  end },

  { name = "tasks: names, places and stacks", run = function()
    local task = start(neap.sleep, 10)
    task:set_name "sleeper"
    assert(task:get_name() == "sleeper")
    assert(tostring(task):find("sleeper", 1, true))
    assert(task:get_stack():find("sleep", 1, true))
    assert(task:made_at():find "%d")
    local named = 0
    for _, each in ipairs(neap.all_tasks()) do named = named + #tostring(each) end
    assert(named > 0 and neap.current_task():get_name())
    task:cancel()
    raises(neap.CancelledError, neap.await, task)
    assert(tostring(task):find("cancelled", 1, true))
    local failed = start(error, "broken")
    assert(tostring(failed):find("broken", 1, true))
    assert(failed:get_stack() and failed:made_at())
    failed:exception()
  end },

  { name = "tasks: cancel with a message", run = function()
    local task = start(neap.sleep, 10)
    assert(task:cancel "enough")
    local err = raises(neap.CancelledError, neap.await, task)
    assert(tostring(err):find("enough", 1, true))
    assert(task:cancelled() and not task:cancel())
  end },

  { name = "tasks: cancel before the start", run = function()
    local ran = false
    local task = neap.create_task(function() ran = true end)
    task:cancel()
    raises(neap.CancelledError, neap.await, task)
    assert(not ran)
  end },

  { name = "tasks: a swallowed cancel, and uncancel", run = function()
    local swallowed = 0
    local task = start(function()
      for _ = 1, 3 do
        if not try(neap.sleep, 10) then swallowed = swallowed + 1 end
      end
      assert(neap.current_task():uncancel() == 0)
      neap.sleep(1)
      return "went on"
    end)
    task:cancel()
    assert(task:cancelling() == 1)
    assert(task:await() == "went on" and swallowed == 3)
  end },

  { name = "tasks: cleanup that waits", run = function()
    local cleaned = 0
    local task = start(function()
      local _ <close> = scenario.closer(function()
        local shield <close> = neap.shielded()
        neap.sleep(1)
        cleaned = cleaned + 1
      end)
      neap.sleep(10)
    end)
    task:cancel()
    raises(neap.CancelledError, neap.await, task)
    assert(cleaned == 1)
  end },

  { name = "tasks: kill", run = function()
    local closed = 0
    local task = start(function()
      local _ <close> = scenario.closer(function() closed = closed + 1 end)
      for _ = 1, 20 do pcall(neap.sleep, 10) end
    end)
    assert(task:kill())
    assert(task:cancelled() and closed == 1)
    local unstarted = neap.create_task(function() closed = closed + 1 end)
    assert(unstarted:kill() and closed == 1)
  end },

  { name = "tasks: awaiters in a chain, cancelled", run = function()
    local inner = start(neap.sleep, 10)
    local middle = start(neap.await, inner)
    local outer = start(neap.await, middle)
    outer:cancel()
    raises(neap.CancelledError, neap.await, outer)
    assert(inner:cancelled() and middle:cancelled())
  end },

  { name = "tasks: sleep", run = function()
    local order = {}
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = neap.create_task(function()
        neap.sleep(6 - i)
        order[#order + 1] = i
      end)
    end
    for _, task in ipairs(tasks) do task:await() end
    assert(table.concat(order) == "54321")
    neap.sleep(0)
    assert(neap.sleep(0.5, "value") == "value" or true)
  end },

  { name = "tasks: many timers", run = function()
    local tasks = {}
    for i = 1, 150 do tasks[i] = neap.create_task(neap.sleep, i) end
    for _, task in ipairs(tasks) do task:await() end
  end },

  { name = "tasks: more than a chunk of anchors", run = function()
    local tasks, ended = {}, 0
    for i = 1, 300 do tasks[i] = neap.create_task(function() ended = ended + 1 end) end
    neap.sleep(0)
    for _, task in ipairs(tasks) do task:await() end
    assert(ended == 300)
  end },

  { name = "futures: set and await", run = function()
    local future = neap.Future()
    local waiters = {}
    for i = 1, 3 do waiters[i] = start(neap.await, future) end
    future:set_result("a", "b")
    for _, waiter in ipairs(waiters) do
      assert(select(2, waiter:await()) == "b")
    end
    assert(tostring(future):find("finished", 1, true))
    raises(neap.InvalidStateError, future.set_result, future, 1)
  end },

  { name = "futures: errors and cancels", run = function()
    local failing, cancelled = neap.Future(), neap.Future()
    local first, second = start(neap.await, failing), start(neap.await, cancelled)
    failing:set_exception { "an error" }
    cancelled:cancel "no more"
    local ok, err = try(neap.await, first)
    assert(not ok and (scenario.told or err == failing:exception()))
    raises(neap.CancelledError, neap.await, second)
    failing:exception()
    raises(neap.InvalidStateError, neap.Future().result, neap.Future())
  end },

  { name = "futures: a cancelled waiter leaves the others", run = function()
    local future = neap.Future()
    local first, second = start(neap.await, future), start(neap.await, future)
    first:cancel()
    raises(neap.CancelledError, neap.await, first)
    assert(not future:done())
    future:set_result "here"
    assert(second:await() == "here")
  end },

  { name = "ensure_future, isfuture, and what await takes", run = function()
    local task = neap.ensure_future(add, 1, 2)
    assert(neap.isfuture(task) and neap.ensure_future(task) == task)
    assert(task:await() == 3)
    assert(neap.await(add, 1, 2) == 3)
    assert(neap.await(coroutine.create(function(a)
      coroutine.yield()
      return a
    end), 7) == 7)
    raises("expected", neap.await, 42)
    raises("expected", neap.create_task, 42)
  end },
}
