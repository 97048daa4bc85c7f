-- 100,000 tasks that each sleep once, for a random time of up to a second.
local neap = require "neap"
local meter = require "meter"

local n = meter.count(100000)

local function nap(s) neap.sleep(s) end

math.randomseed(1)
local tasks = {}
local begin = meter.cpu_s()
for i = 1, n do tasks[i] = neap.create_task(nap, math.random()) end
neap.gather(tasks)
meter.report("timers_cpu_us", (meter.cpu_s() - begin) / n * 1e6)
