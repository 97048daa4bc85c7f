local meter = require "meter"
local sched = require "sched"

local function give_way(turns)
  for _ = 1, turns do sched.sleep(0) end
end

local function ns_per_switch(tasks, turns)
  local list = {}
  local begin = meter.cpu_s()
  for i = 1, tasks do list[i] = sched.create_task(give_way, turns) end
  for i = 1, tasks do sched.await(list[i]) end
  return (meter.cpu_s() - begin) / (tasks * turns) * 1e9
end

sched.run(function()
  ns_per_switch(1000, meter.count(200))
  meter.report("switch_ns", ns_per_switch(1000, meter.count(2000)))
  meter.report("switch_alone_ns", ns_per_switch(1, meter.count(2000000)))
end)
