local cqueues = require "cqueues"
local meter = require "meter"

local n = meter.count(100000)
local loop = cqueues.new()

local function nap(s) cqueues.sleep(s) end

math.randomseed(1)
local begin = meter.cpu_s()
for _ = 1, n do loop:wrap(nap, math.random()) end
assert(loop:loop())
meter.report("timers_cpu_us", (meter.cpu_s() - begin) / n * 1e6)
