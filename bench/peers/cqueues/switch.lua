local cqueues = require "cqueues"
local meter = require "meter"

local function give_way(turns)
  for _ = 1, turns do cqueues.sleep(0) end
end

local function ns_per_switch(tasks, turns)
  local loop = cqueues.new()
  local begin = meter.cpu_s()
  for _ = 1, tasks do loop:wrap(give_way, turns) end
  assert(loop:loop())
  return (meter.cpu_s() - begin) / (tasks * turns) * 1e9
end

ns_per_switch(1000, meter.count(100))
meter.report("switch_ns", ns_per_switch(1000, meter.count(1000)))
meter.report("switch_alone_ns", ns_per_switch(1, meter.count(1000000)))
