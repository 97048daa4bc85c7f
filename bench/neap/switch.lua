-- What it costs to give way: 1,000 tasks that do nothing but sleep(0), then one task alone.
local neap = require "neap"
local meter = require "meter"

local function give_way(turns)
  local sleep = neap.sleep
  for _ = 1, turns do sleep(0) end
end

local function ns_per_switch(tasks, turns)
  local list = {}
  local begin = meter.cpu_s()
  for i = 1, tasks do list[i] = neap.create_task(give_way, turns) end
  neap.gather(list)
  return (meter.cpu_s() - begin) / (tasks * turns) * 1e9
end

ns_per_switch(1000, meter.count(500))
meter.report("switch_ns", ns_per_switch(1000, meter.count(5000)))
meter.report("switch_alone_ns", ns_per_switch(1, meter.count(5000000)))
