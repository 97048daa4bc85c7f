-- Each scenario of spec/faults while its allocations fail in turn: see the README there.
local program = require "spec.support.program"

local faults = program.neap:gsub("[^/]*$", "faults")

-- Where freed memory is seen to be used, all of it runs; otherwise fewer injections of each scenario.
local is_full <const> = os.getenv "NEAP_PRESET" == "asan"
local SCENARIOS_LEAST <const>, INJECTIONS_LEAST <const> = 120, is_full and 10000 or 4000

local function list()
  local names = {}
  for name in program.run({ faults, "list" }).stdout:gmatch "[^\n]+" do names[#names + 1] = name end
  return names
end

local function run(name)
  if is_full then return program.run { faults, "run", name } end
  return program.run { "env", "FAULTS_CAP=40", faults, "run", name }
end

describe("want of memory", function()
  local names = list()
  local ran, injections = 0, 0

  for _, name in ipairs(names) do
    it("is told, and leaves nothing broken: " .. name, function()
      local result = run(name)
      local count, bad = result.stdout:match ": %d+ allocations, %d+ collections, (%d+) injections, (%d+) bad\n$"
      assert.equal("", result.stderr)
      assert.equal("0", bad, result.stdout)
      assert.equal(0, result.status)
      ran, injections = ran + 1, injections + count
    end)
  end

  it("meets enough scenarios, and each of them often", function()
    assert.is_true(#names >= SCENARIOS_LEAST)
    if ran < #names then return pending("some scenarios did not run") end
    assert.is_true(injections >= INJECTIONS_LEAST, injections)
  end)
end)
