-- What it costs to run `true`: one after the other, and a hundred at once.
local neap = require "neap"
local meter = require "meter"
local subprocess = require "neap.subprocess"

local AT_ONCE <const> = 100
local loop <const> = neap.get_running_loop()

local function run_one()
  assert(assert(subprocess.exec { "/bin/true", stdin = "null", stdout = "null" }):wait() == 0)
end

local function us_each(count, run)
  local begin, cpu = loop:time(), meter.cpu_s()
  run(count)
  return (loop:time() - begin) / count * 1e6, (meter.cpu_s() - cpu) / count * 1e6
end

local function one_by_one(count)
  for _ = 1, count do run_one() end
end

local function many_at_once(count)
  for _ = 1, count, AT_ONCE do
    local calls = {}
    for i = 1, AT_ONCE do calls[i] = run_one end
    neap.gather(calls)
  end
end

us_each(100, one_by_one)
local us, cpu_us = us_each(meter.count(10000), one_by_one)
meter.report("processes_us", us)
meter.report("processes_cpu_us", cpu_us)
us, cpu_us = us_each(meter.count(10000), many_at_once)
meter.report("processes_at_once_us", us)
meter.report("processes_at_once_cpu_us", cpu_us)
