-- What it costs to await a C function of the host's: one that is done at once, and one that a worker
-- thread completes.
local neap = require "neap"
local meter = require "meter"
local calls = require "host_calls"

local function ns_at_once(n)
  local at_once = calls.at_once
  local begin = meter.cpu_s()
  for _ = 1, n do at_once() end
  return (meter.cpu_s() - begin) / n * 1e9
end

local function round_trips(n)
  local in_worker, loop = calls.in_worker, neap.get_running_loop()
  local begin, cpu = loop:time(), meter.cpu_s()
  for _ = 1, n do in_worker() end
  return (loop:time() - begin) / n * 1e6, (meter.cpu_s() - cpu) / n * 1e6
end

ns_at_once(meter.count(100000))
meter.report("host_at_once_ns", ns_at_once(meter.count(5000000)))
calls.start_worker()
round_trips(meter.count(1000))
local us, cpu_us = round_trips(meter.count(30000))
calls.stop_worker()
meter.report("host_worker_us", us)
meter.report("host_worker_cpu_us", cpu_us)
