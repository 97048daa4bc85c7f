-- Queues. Whatever fails, what was put is got once, or is still there.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const>, try <const> = scenario.start, scenario.raises, scenario.try

-- The queue of the scenario, and how often each item was put and got.
local queue, put, got

local function use(new_queue)
  queue, put, got = new_queue, {}, {}
end

use(neap.Queue())

local function count(counts, item)
  counts[item] = (counts[item] or 0) + 1
end

-- The counts have room: nothing can fail between the call and the count.
local function put_all(first, last, call)
  for item = first, last do put[item], got[item] = 0, 0 end
  for item = first, last do
    queue[call](queue, item)
    put[item] = put[item] + 1
  end
end

local function get(call)
  local item = queue[call](queue)
  got[item] = got[item] + 1
  return item
end

local function nothing_is_lost()
  while not queue:empty() do count(got, queue:get_nowait()) end
  for item, times in pairs(put) do
    assert(got[item] == times, ("item %s was put %d times and got %d times"):format(item, times, got[item]))
  end
end

local function get_some(number, order)
  for _ = 1, number do
    local item = get "get"
    if order then order[#order + 1] = item end
  end
end

return {
  { name = "Queue: first in, first out", after = nothing_is_lost, run = function()
    use(neap.Queue())
    put_all(1, 12, "put_nowait")
    local order = {}
    get_some(12, order)
    assert(table.concat(order) == "123456789101112")
    raises(neap.QueueEmpty, queue.get_nowait, queue)
    assert(queue:qsize() == 0 and tostring(queue))
  end },

  { name = "Queue: putters and getters that wait", after = nothing_is_lost, run = function()
    use(neap.Queue(2))
    local tasks = {}
    for i = 1, 3 do tasks[i] = start(put_all, 10 * i, 10 * i + 3, "put") end
    assert(queue:full())
    for i = 4, 6 do tasks[i] = start(get_some, 4) end
    for _, task in ipairs(tasks) do task:await() end
    assert(queue:empty())
  end },

  { name = "Queue: getters that are cancelled and killed", after = nothing_is_lost, run = function()
    use(neap.Queue())
    local tasks = {}
    for i = 1, 4 do tasks[i] = start(get_some, 1) end
    tasks[1]:cancel()
    put_all(1, 2, "put_nowait")
    tasks[2]:cancel()
    tasks[3]:kill()
    for _, task in ipairs(tasks) do try(neap.await, task) end
  end },

  { name = "Queue: putters that are cancelled and killed", after = nothing_is_lost, run = function()
    use(neap.Queue(1))
    put_all(1, 1, "put_nowait")
    local tasks = {}
    for i = 1, 3 do tasks[i] = start(put_all, 10 * i, 10 * i, "put") end
    tasks[1]:cancel()
    tasks[2]:kill()
    get "get"
    tasks[3]:await()
    try(neap.await, tasks[1])
  end },

  { name = "Queue: joined", run = function()
    use(neap.Queue())
    local worker = start(function()
      while true do
        get "get"
        neap.sleep(1)
        queue:task_done()
      end
    end)
    put_all(1, 3, "put")
    neap.wait_for(function() queue:join() end, 10)
    worker:cancel()
    raises(neap.CancelledError, neap.await, worker)
    raises("task_done", queue.task_done, queue)
  end },

  { name = "Queue: shut down", run = function()
    use(neap.Queue(1))
    local getter = start(queue.get, queue)
    queue:shutdown()
    raises(neap.QueueShutDown, neap.await, getter)
    raises(neap.QueueShutDown, queue.put, queue, 1)
    use(neap.Queue(1))
    put_all(1, 1, "put_nowait")
    local putter = start(queue.put, queue, 2)
    queue:shutdown(true)
    raises(neap.QueueShutDown, neap.await, putter)
    raises(neap.QueueShutDown, queue.get, queue)
  end },

  { name = "LifoQueue", after = nothing_is_lost, run = function()
    use(neap.LifoQueue(20))
    put_all(1, 9, "put")
    local order = {}
    get_some(9, order)
    assert(table.concat(order) == "987654321")
    raises(neap.QueueFull, function()
      for item = 1, 21 do put_all(item, item, "put_nowait") end
    end)
  end },

  { name = "PriorityQueue", after = nothing_is_lost, run = function()
    use(neap.PriorityQueue())
    for _, item in ipairs { 5, 3, 9, 1, 7, 2, 8 } do put_all(item, item, "put") end
    local order = {}
    get_some(7, order)
    assert(table.concat(order) == "1235789")
    local by_name = neap.PriorityQueue(0, function(a, b) return a.name < b.name end)
    by_name:put { name = "b" }
    by_name:put { name = "a" }
    assert(by_name:get().name == "a")
  end },
}
