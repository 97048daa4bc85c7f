local meter = require "meter"
local sched = require "sched"

local n = meter.count(100000)

local function nap(s) sched.sleep(s) end

math.randomseed(1)
sched.run(function()
  local tasks = {}
  local begin = meter.cpu_s()
  for i = 1, n do tasks[i] = sched.create_task(nap, math.random()) end
  for i = 1, n do sched.await(tasks[i]) end
  meter.report("timers_cpu_us", (meter.cpu_s() - begin) / n * 1e6)
end)
