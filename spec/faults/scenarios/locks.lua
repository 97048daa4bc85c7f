-- Locks, events, conditions and barriers.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const>, try <const> = scenario.start, scenario.raises, scenario.try

local lock <const>, condition <const> = neap.Lock(), neap.Condition()

local function lock_is_free()
  assert(not lock:locked(), "the lock is held by nobody")
  local held <close> = lock:acquire()
  assert(lock:locked())
end

local function condition_is_free()
  assert(not condition:locked(), "the condition's lock is held by nobody")
  local held <close> = condition:acquire()
end

local function hold(seconds)
  local held <close> = lock:acquire()
  neap.sleep(seconds)
end

-- Without memory to take the lock again the release at the block's end fails, too: this error comes first.
local function noting(fn, ...)
  local ok, err = try(fn, ...)
  if not ok then error(err, 0) end
end

local function join(tasks)
  for _, task in ipairs(tasks) do try(neap.await, task) end
end

return {
  { name = "Lock: held in turn", after = lock_is_free, run = function()
    local order = {}
    local tasks = {}
    for i = 1, 4 do
      tasks[i] = neap.create_task(function()
        local held <close> = lock:acquire()
        neap.sleep(1)
        order[#order + 1] = i
      end)
    end
    for _, task in ipairs(tasks) do task:await() end
    assert(table.concat(order) == "1234" and tostring(lock))
  end },

  { name = "Lock: cancelled, killed and too late", after = lock_is_free, run = function()
    local tasks = { start(hold, 2), start(hold, 1), start(hold, 1) }
    tasks[2]:cancel()
    tasks[3]:kill()
    raises(neap.TimeoutError, neap.wait_for, hold, 1, 1)
    tasks[1]:await()
    raises("release", lock.release, lock)
  end },

  { name = "Event: set and cleared", run = function()
    local event = neap.Event()
    local tasks = { start(event.wait, event), start(event.wait, event), start(event.wait, event) }
    tasks[2]:cancel()
    event:set()
    assert(tasks[1]:await() and tasks[3]:await())
    raises(neap.CancelledError, neap.await, tasks[2])
    assert(event:wait() and event:is_set() and tostring(event))
    event:clear()
    raises(neap.TimeoutError, neap.wait_for, function() event:wait() end, 1)
  end },

  { name = "Condition: notified", after = condition_is_free, run = function()
    local ready, woken = 0, 0
    local function consume()
      local held <close> = condition:acquire()
      noting(condition.wait_for, condition, function() return ready > 0 end)
      ready, woken = ready - 1, woken + 1
    end
    local tasks = { start(consume), start(consume), start(consume) }
    do
      local held <close> = condition:acquire()
      ready = 1
      condition:notify()
    end
    neap.sleep(1)
    assert(scenario.told or woken == 1)
    do
      local held <close> = condition:acquire()
      ready = ready + 2
      condition:notify_all()
    end
    for _, task in ipairs(tasks) do task:await() end
    assert(woken == 3 and tostring(condition))
  end },

  { name = "Condition: waits that are cancelled and killed", after = condition_is_free, run = function()
    local woken = 0
    local function wait()
      local held <close> = condition:acquire()
      noting(condition.wait, condition)
      woken = woken + 1
    end
    local tasks = { start(wait), start(wait), start(wait) }
    tasks[1]:cancel()
    tasks[2]:kill()
    neap.sleep(0)
    do
      local held <close> = condition:acquire()
      condition:notify()
    end
    tasks[3]:await()
    join(tasks)
    assert(woken == 1)
  end },

  { name = "Barrier: passed twice", run = function()
    local barrier = neap.Barrier(3)
    local sum = 0
    local function pass()
      for _ = 1, 2 do
        local number = barrier:wait()
        sum = sum + number
        neap.sleep(1)
      end
    end
    neap.gather(pass, function() pass() end, function() pass() end)
    assert(sum == 12 and barrier.n_waiting == 0 and tostring(barrier))
  end },

  { name = "Barrier: cancelled, reset and broken", run = function()
    local barrier = neap.Barrier(3)
    local tasks = { start(barrier.wait, barrier), start(barrier.wait, barrier) }
    tasks[1]:cancel()
    neap.sleep(0)
    barrier:reset()
    raises(neap.CancelledError, neap.await, tasks[1])
    raises(neap.BrokenBarrierError, neap.await, tasks[2])
    local last = start(barrier.wait, barrier)
    barrier:abort()
    raises(neap.BrokenBarrierError, neap.await, last)
    raises(neap.BrokenBarrierError, barrier.wait, barrier)
  end },
}
