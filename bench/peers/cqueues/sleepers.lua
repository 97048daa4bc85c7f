local cqueues = require "cqueues"
local meter = require "meter"

local n = meter.count(1000000)
local loop = cqueues.new()

local function sleeper() cqueues.sleep(3600) end

collectgarbage()
local rss = meter.rss_bytes()
local begin = meter.cpu_s()
for _ = 1, n do loop:wrap(sleeper) end
assert(loop:step(0)) -- they start, and sleep
meter.report("sleepers_cpu_us", (meter.cpu_s() - begin) / n * 1e6)
meter.report("sleepers_rss_bytes", (meter.peak_rss_bytes() - rss) / n)
io.stdout:flush()
os.exit(0, false)
