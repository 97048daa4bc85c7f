local meter = require "meter"
local sched = require "sched"

local n = meter.count(100000)

local function sleeper() sched.sleep(3600) end

sched.run(function()
  local tasks = {}
  local begin = meter.cpu_s()
  for i = 1, n do tasks[i] = sched.create_task(sleeper) end
  sched.sleep(0) -- they start, and sleep
  local made = meter.cpu_s()
  for i = 1, n do sched.cancel(tasks[i]) end
  for i = 1, n do sched.await(tasks[i]) end
  local ended = meter.cpu_s()
  meter.report("cancel_make_cpu_us", (made - begin) / n * 1e6)
  meter.report("cancel_cpu_us", (ended - made) / n * 1e6)
  meter.report("cancel_whole_cpu_us", (ended - begin) / n * 1e6)
end)
