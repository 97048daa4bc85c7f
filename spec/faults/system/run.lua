-- Plays cells, in a process where sysfaults.so is preloaded; LIST is a file in scenarios/:
--   run.lua LIST                         prints the names of its scenarios
--   run.lua LIST NAME                    all cells of a scenario: a line for each that is bad, and the sums
--   run.lua LIST NAME FUNCTION ERROR K   one cell, and what came of it
package.path = "./?.lua;" .. package.path
local cell = require "spec.faults.system.cell"
local errors = require "spec.faults.system.errors"

local K_MOST <const> = 3

-- What is being played is in the file that FAULTS_NOW names: a crash or a hang tells where.
local now <const> = os.getenv "FAULTS_NOW" and assert(io.open(os.getenv "FAULTS_NOW", "w"))

local function announce(...)
  if not now then return end
  now:seek "set"
  now:write(("%-78s"):format(table.concat({ ... }, " ")), "\n")
  now:flush()
end

local function sorted_keys(of)
  local keys = {}
  for key in pairs(of) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- fn(function, error, k) for each cell, from how often each function is called.
local function each_cell(scenario, counts, fn)
  for _, name in ipairs(sorted_keys(counts)) do
    local skipped <const> = scenario.skip and scenario.skip[name]
    local most <const> = scenario.most and scenario.most[name] or K_MOST
    for _, code in ipairs(skipped and {} or errors.of(name)) do
      for k = 1, math.min(counts[name], most) do fn(name, code, k) end
    end
  end
end

-- How often each function is called, in children, too.
local function counts_of(scenario)
  local counts = cell.count(scenario)
  for name, count in pairs(scenario.children or {}) do counts[name] = count end
  return counts
end

local function play_all(scenario)
  local result = { told = 0, handled = 0, absent = 0, bad = 0 }
  each_cell(scenario, counts_of(scenario), function(name, code, k)
    announce(scenario.name, name, code, k)
    local outcome, bad = cell.play(scenario, name, code, k)
    if bad then print(("bad: %s, %s:%s:%d: %s"):format(scenario.name, name, code, k, bad)) end
    outcome = outcome or "bad"
    result[outcome] = result[outcome] + 1
  end)
  print(("%s: %d told, %d handled, %d absent, %d bad")
    :format(scenario.name, result.told, result.handled, result.absent, result.bad))
end

local function play_one(scenario, name, code, k)
  cell.count(scenario)
  print(cell.play(scenario, name, code, math.tointeger(k)))
end

local list <const>, wanted <const>, name <const>, code <const>, k <const> = ...
for _, scenario in ipairs(require("spec.faults.system.scenarios." .. list)) do
  if not wanted then
    print(scenario.name)
  elseif scenario.name == wanted and name then
    play_one(scenario, name, code, k)
  elseif scenario.name == wanted then
    play_all(scenario)
  end
end
