local meter = require "meter"
local sched = require "sched"

local function produce(queue, n)
  for i = 1, n do sched.put(queue, i) end
end

local function consume(queue, n)
  for i = 1, n do assert(sched.get(queue) == i) end
end

local function ns_per_item(capacity, n)
  local queue = sched.queue(capacity)
  local begin = meter.cpu_s()
  local producer = sched.create_task(function() produce(queue, n) end)
  local consumer = sched.create_task(function() consume(queue, n) end)
  sched.await(producer)
  sched.await(consumer)
  return (meter.cpu_s() - begin) / n * 1e9
end

sched.run(function()
  for _, capacity in ipairs {1, 128} do
    ns_per_item(capacity, meter.count(100000))
    meter.report(("queue_%d_ns"):format(capacity), ns_per_item(capacity, meter.count(1000000)))
  end
end)
