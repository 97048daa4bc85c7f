-- cqueues has no queue: this one is a ring with a condition for each end.
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local meter = require "meter"

local function new_queue(capacity)
  return {capacity = capacity, first = 0, count = 0, room = condition.new(), filled = condition.new()}
end

local function put(queue, item)
  while queue.count == queue.capacity do queue.room:wait() end
  queue[(queue.first + queue.count) % queue.capacity] = item
  queue.count = queue.count + 1
  if queue.count == 1 then queue.filled:signal(1) end
end

local function get(queue)
  while queue.count == 0 do queue.filled:wait() end
  local item = queue[queue.first]
  queue.first = (queue.first + 1) % queue.capacity
  queue.count = queue.count - 1
  if queue.count == queue.capacity - 1 then queue.room:signal(1) end
  return item
end

local function produce(queue, n)
  for i = 1, n do put(queue, i) end
end

local function consume(queue, n)
  for i = 1, n do assert(get(queue) == i) end
end

local function ns_per_item(capacity, n)
  local loop, queue = cqueues.new(), new_queue(capacity)
  local begin = meter.cpu_s()
  loop:wrap(produce, queue, n)
  loop:wrap(consume, queue, n)
  assert(loop:loop())
  return (meter.cpu_s() - begin) / n * 1e9
end

for _, capacity in ipairs {1, 128} do
  ns_per_item(capacity, meter.count(20000))
  meter.report(("queue_%d_ns"):format(capacity), ns_per_item(capacity, meter.count(200000)))
end
