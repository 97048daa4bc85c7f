-- Semaphores.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const> = scenario.start, scenario.raises

local semaphore

-- Whatever happened, no permit is lost and none is gained.
local function both_are_back()
  local first <close> = semaphore:acquire()
  do
    local second <close> = semaphore:acquire()
    assert(semaphore:locked(), "a permit too many")
  end
  assert(not semaphore:locked(), "a permit is lost")
end

local function use()
  local permit <close> = semaphore:acquire()
  neap.sleep(1)
end

local function prepare()
  semaphore = semaphore or neap.BoundedSemaphore(2)
end
prepare()

return {
  { name = "semaphores: taken in turn", after = both_are_back, run = function()
    local tasks = {}
    for i = 1, 6 do tasks[i] = neap.create_task(use) end
    for _, task in ipairs(tasks) do task:await() end
  end },

  { name = "semaphores: cancelled waiters", after = both_are_back, run = function()
    local tasks = {}
    for i = 1, 6 do tasks[i] = start(use) end
    tasks[4]:cancel()
    tasks[1]:cancel()
    tasks[3]:cancel()
    for i, task in ipairs(tasks) do
      local ok = scenario.try(neap.await, task)
      assert(scenario.told or ok == not (i == 1 or i == 3 or i == 4))
    end
  end },

  { name = "semaphores: waiters with time limits, and a kill", after = both_are_back, run = function()
    local holders = { start(use), start(use) }
    raises(neap.TimeoutError, neap.wait_for, use, 0.5)
    local waiter = start(use)
    waiter:kill()
    for _, task in ipairs(holders) do task:await() end
    raises("permits", semaphore.release, semaphore)
    assert(tostring(semaphore))
    neap.wait_for(use, 2)
  end },
}
