-- What a lock and a semaphore cost where nobody has to wait.
local neap = require "neap"
local meter = require "meter"

local function ns_per_pair(lock, n)
  local begin = meter.cpu_s()
  for _ = 1, n do
    lock:acquire()
    lock:release()
  end
  return (meter.cpu_s() - begin) / n * 1e9
end

local function measure(name, lock)
  ns_per_pair(lock, meter.count(100000))
  meter.report(name, ns_per_pair(lock, meter.count(1000000)))
end

measure("lock_ns", neap.Lock())
measure("semaphore_ns", neap.Semaphore(1))
