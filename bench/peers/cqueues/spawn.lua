-- cqueues has no join: the new coroutine signals a condition at its end.
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local meter = require "meter"

local loop = cqueues.new()
local ended = condition.new()

local function nothing() ended:signal() end

local function ns_per_task(n)
  local begin = meter.cpu_s()
  for _ = 1, n do
    loop:wrap(nothing)
    ended:wait()
  end
  return (meter.cpu_s() - begin) / n * 1e9
end

loop:wrap(function()
  ns_per_task(meter.count(50000))
  meter.report("spawn_ns", ns_per_task(meter.count(300000)))
end)
assert(loop:loop())
