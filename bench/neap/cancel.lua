-- What it costs to cancel a sleeping task and see it end, beside what it cost to make it.
local neap = require "neap"
local meter = require "meter"

local n = meter.count(100000)

local function sleeper() neap.sleep(3600) end

local tasks = {return_exceptions = true}
local begin = meter.cpu_s()
for i = 1, n do tasks[i] = neap.create_task(sleeper) end
neap.sleep(0) -- they start, and sleep
local made = meter.cpu_s()
for i = 1, n do tasks[i]:cancel() end
neap.gather(tasks)
local ended = meter.cpu_s()
for i = 1, n do assert(tasks[i]:cancelled()) end
meter.report("cancel_make_cpu_us", (made - begin) / n * 1e6)
meter.report("cancel_cpu_us", (ended - made) / n * 1e6)
meter.report("cancel_whole_cpu_us", (ended - begin) / n * 1e6)
