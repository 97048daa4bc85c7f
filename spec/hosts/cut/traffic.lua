-- Queues, locks, conditions, semaphores, events and barriers with many takers.
local neap = require "neap"

local queue, lock, slots = neap.Queue(3), neap.Lock(), neap.Semaphore(2)
local condition, event, barrier = neap.Condition(), neap.Event(), neap.Barrier(3)

local function forever(fn)
  neap.create_task(function()
    local _ <close> = guard()
    while true do fn() end
  end)
end

for number = 1, 4 do
  forever(function() queue:put(number) end)
  forever(function()
    queue:get()
    queue:task_done()
  end)
  forever(function()
    local _ <close> = lock:acquire()
    neap.sleep(0)
  end)
  forever(function()
    local _ <close> = slots:acquire()
    neap.sleep(0.0001)
  end)
  forever(function()
    local _ <close> = condition:acquire()
    pcall(neap.wait_for, function() condition:wait() end, 0.0005)
  end)
end
for _ = 1, 3 do forever(function() barrier:wait() end) end
forever(function() event:wait() event:clear() neap.sleep(0) end)
forever(function()
  event:set()
  neap.sleep(0)
  local _ <close> = condition:acquire()
  condition:notify(2)
end)
neap.sleep(60)
