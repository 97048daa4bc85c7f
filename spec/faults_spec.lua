-- Each scenario of spec/faults while its allocations fail in turn: see the README there.
local program = require "spec.support.program"

local faults = program.neap:gsub("[^/]*$", "faults")

-- What a full run makes of every scenario.
local SCENARIOS_LEAST <const>, INJECTIONS_LEAST <const> = 100, 10000

local function list()
  local names = {}
  local listed = program.run { faults, "list" }
  for name in listed.stdout:gmatch "[^\n]+" do names[#names + 1] = name end
  return names
end

describe("want of memory", function()
  local names = list()
  local ran, injections = 0, 0

  for _, name in ipairs(names) do
    it("is told, and leaves nothing broken: " .. name, function()
      local result = program.run { faults, "run", name }
      local count, bad = result.stdout:match ": %d+ allocations, %d+ collections, (%d+) injections, (%d+) bad\n$"
      assert.equal("", result.stderr)
      assert.equal("0", bad, result.stdout)
      assert.equal(0, result.status)
      ran, injections = ran + 1, injections + count
    end)
  end

  it("meets enough scenarios, and each of them often", function()
    assert.is_true(#names >= SCENARIOS_LEAST)
    if ran == #names then assert.is_true(injections >= INJECTIONS_LEAST) end
  end)
end)
