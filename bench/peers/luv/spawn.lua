local meter = require "meter"
local sched = require "sched"

local function nothing() end

local function ns_per_task(n)
  local begin = meter.cpu_s()
  for _ = 1, n do sched.await(sched.create_task(nothing)) end
  return (meter.cpu_s() - begin) / n * 1e9
end

sched.run(function()
  ns_per_task(meter.count(50000))
  meter.report("spawn_ns", ns_per_task(meter.count(300000)))
end)
