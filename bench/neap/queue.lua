-- What it costs to hand an item from one task to another through a queue that holds one, and
-- through one that holds 128.
local neap = require "neap"
local meter = require "meter"

local function produce(queue, n)
  for i = 1, n do queue:put(i) end
end

local function consume(queue, n)
  for i = 1, n do assert(queue:get() == i) end
end

local function ns_per_item(capacity, n)
  local queue = neap.Queue(capacity)
  local begin = meter.cpu_s()
  neap.gather(neap.create_task(produce, queue, n), neap.create_task(consume, queue, n))
  return (meter.cpu_s() - begin) / n * 1e9
end

for _, capacity in ipairs {1, 128} do
  ns_per_item(capacity, meter.count(100000))
  meter.report(("queue_%d_ns"):format(capacity), ns_per_item(capacity, meter.count(1000000)))
end
