-- What the host of the scenarios (faults.c) asks: what to run, and whether what came of it is in order. The chunk gets
-- the scenario's name, or nothing for the list of all.
local name = ...
local faults = require "faults" -- the host's
local neap = require "neap"
local scenario = require "spec.faults.scenario"
local testing = require "neap.testing"

local ROOMS <const> = {
  "tasks", "callbacks", "company", "scopes", "groups", "coroutines", "errors", "semaphores", "locks", "queues",
  "channels", "looking", "streams", "tls", "datagrams", "signals", "files", "processes", "opened", "collected",
}

local judge = { names = {} }

local found
for _, room in ipairs(ROOMS) do
  for _, each in ipairs(require("spec.faults.scenarios." .. room)) do
    judge.names[#judge.names + 1] = each.name
    if each.name == name then found = each end
  end
end

-- For the beginnings, which are the host's own, there is nothing to run.
found = found or { run = function() end }
judge.run, judge.frees = found.run, found.frees

local baseline = testing.census()
local loop = neap.get_event_loop()
local reports = {}

if not found.default_handler then
  loop:set_exception_handler(faults.handler(function(_, context)
    reports[#reports + 1] = tostring(context.message) .. ": " .. tostring(context.exception)
    scenario.note(context.exception)
  end))
end

-- What was left to the collector is closed by it.
local function settle()
  collectgarbage()
  collectgarbage()
  for _ = 1, 200 do
    if not testing.difference(baseline, testing.census()) then return end
    neap.sleep(0.001)
  end
  local left = testing.difference(baseline, testing.census())
  for _, task in ipairs(neap.all_tasks()) do left = left .. "\n" .. tostring(task) end
  error("left behind: " .. left, 0)
end

-- The state works as if nothing had happened.
local function try_out()
  local began = loop:time()
  local future = neap.Future()
  loop:call_later(0.25, function() future:set_result "later" end)
  local results = neap.gather(function()
    neap.sleep(0.5)
    return "slept"
  end, future, coroutine.create(function()
    coroutine.yield()
    neap.sleep(0)
    return "a coroutine"
  end))
  assert(table.concat(results, ",") == "slept,later,a coroutine")
  assert(not neap.move_on_after(0.25, neap.sleep, 3600))
  assert(loop:time() - began >= 0.75)
  local failed, err = pcall(neap.await, neap.create_task(error, "one error"))
  assert(not failed and err == "one error")
end

function judge.try_out()
  baseline.tasks = baseline.tasks + 1
  try_out()
  baseline.tasks = baseline.tasks - 1
end

-- What is wrong, or nothing: `result` is what the main task returned, or its error.
local function verdict(ok, result, stderr, faulty)
  if not ok then scenario.note(result) end
  local told = scenario.told
  if scenario.is_memory(stderr) then told = told or stderr end
  if told and faulty then return end
  if faulty and found.deadlocks and neap.is(result, neap.DeadlockError) then return end
  if told then return "it was told of memory: " .. tostring(told) end
  if not ok then return "it failed, and nothing was told of memory: " .. tostring(result) end
  if reports[1] and not found.reports then return "it reported: " .. table.concat(reports, "\n") end
  if stderr ~= "" and not found.default_handler then return "it wrote: " .. stderr end
end

function judge.check(ok, result, stderr, faulty)
  local wrong = verdict(ok, result, stderr, faulty)
  if wrong then return wrong end
  baseline.tasks = baseline.tasks + 1 -- this one
  reports = {}
  if found.after then found.after() end
  settle()
  try_out()
  settle()
  if reports[1] then return "afterwards it reported: " .. table.concat(reports, "\n") end
end

return judge
