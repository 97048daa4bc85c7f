-- What it costs to make a task and await it, and what stays behind when it is gone.
local neap = require "neap"
local meter = require "meter"

local function nothing() end

local function ns_per_task(n)
  local begin = meter.cpu_s()
  for _ = 1, n do neap.create_task(nothing):await() end
  return (meter.cpu_s() - begin) / n * 1e9
end

ns_per_task(meter.count(200000))
meter.report("spawn_ns", ns_per_task(meter.count(1000000)))
