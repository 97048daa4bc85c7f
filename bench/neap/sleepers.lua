-- 1,000,000 tasks that sleep for an hour: what it costs to make one, what it takes to
-- keep it, and what stays when all of them have been cancelled.
local neap = require "neap"
local meter = require "meter"

local n = meter.count(1000000)

local function sleeper() neap.sleep(3600) end

local function collect()
  collectgarbage()
  collectgarbage()
end

local function cancel_all()
  local me = neap.current_task()
  for _, task in ipairs(neap.all_tasks()) do
    if task ~= me then task:cancel() end
  end
  repeat neap.sleep(0) until #neap.all_tasks() == 1
end

collect()
local rss, heap, mallocs = meter.rss_bytes(), meter.lua_bytes(), meter.malloc_bytes()
local begin = meter.cpu_s()
for _ = 1, n do neap.create_task(sleeper) end
neap.sleep(0) -- they start, and sleep
meter.report("sleepers_cpu_us", (meter.cpu_s() - begin) / n * 1e6)
meter.report("sleepers_rss_bytes", (meter.peak_rss_bytes() - rss) / n)
meter.report("sleepers_malloc_bytes", (meter.malloc_bytes() - mallocs) / n)
meter.report("sleepers_lua_bytes", (meter.lua_bytes() - heap) / n)
cancel_all()
collect()
meter.report("sleepers_left_bytes", (meter.malloc_bytes() - mallocs) / n)
