-- What two cores are good for: two pieces of work one after the other in this thread, and both at once in threads.
local neap = require "neap"
local meter = require "meter"

local function work(n)
  local sum, list = 0, {}
  for i = 1, n do
    list[i % 1000 + 1] = {i}
    sum = sum + #list[i % 1000 + 1] + i % 7
  end
  return sum
end

local function seconds(fn)
  local loop = neap.get_running_loop()
  local begin, cpu = loop:time(), meter.cpu_s()
  fn()
  return loop:time() - begin, meter.cpu_s() - cpu
end

local n = meter.count(4000000)
local to_thread = neap.to_thread
neap.gather(neap.create_task(to_thread, work, 1), neap.create_task(to_thread, work, 1))
local apart, apart_cpu = seconds(function()
  work(n)
  work(n)
end)
local at_once, at_once_cpu = seconds(function()
  neap.gather(neap.create_task(to_thread, work, n), neap.create_task(to_thread, work, n))
end)
meter.report("cores_times", apart / at_once)
meter.report("cores_cpu_times", at_once_cpu / apart_cpu)
