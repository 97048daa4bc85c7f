-- All cells of some scenarios, in a process where sysfaults.so is preloaded:
--   run.lua FILE            prints a line for each scenario of the file, and one for each bad cell
--   run.lua FILE NAME FUNCTION ERROR K    one cell
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
    for _, code in ipairs(skipped and {} or errors.of(name)) do
      for k = 1, math.min(counts[name], K_MOST) do fn(name, code, k) end
    end
  end
end

local function play_all(scenario)
  local result = { told = 0, handled = 0, absent = 0, bad = 0 }
  each_cell(scenario, cell.count(scenario), function(name, code, k)
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

local file <const>, only <const> = ...
for _, scenario in ipairs(require("spec.faults.system.scenarios." .. file)) do
  if only == scenario.name and select(3, ...) then
    play_one(scenario, select(3, ...))
  elseif not only or only == scenario.name then
    play_all(scenario)
  end
end
