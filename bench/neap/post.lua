-- What it costs to be told something by another thread of the host's: a task that asks for a post and awaits
-- the future which that completes, again and again; and posts as fast as they come.
local neap = require "neap"
local meter = require "meter"
local calls = require "post_calls"

local function one_by_one(n)
  local posts, loop = calls.posts, neap.get_running_loop()
  local begin, cpu = loop:time(), meter.cpu_s()
  for _ = 1, n do posts(1):await() end
  return (loop:time() - begin) / n * 1e6, (meter.cpu_s() - cpu) / n * 1e6
end

local function burst(n)
  local cpu = meter.cpu_s()
  local ns = calls.posts(n):await()
  return ns, (meter.cpu_s() - cpu) / n * 1e9
end

calls.start()
one_by_one(meter.count(1000))
local us, cpu_us = one_by_one(meter.count(30000))
meter.report("post_us", us)
meter.report("post_cpu_us", cpu_us)
burst(meter.count(100000))
local ns, cpu_ns = burst(meter.count(1000000))
meter.report("post_burst_ns", ns)
meter.report("post_burst_cpu_ns", cpu_ns)
calls.stop()
