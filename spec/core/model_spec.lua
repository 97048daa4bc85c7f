-- Random programs over each primitive, in shuffled orders: their histories must hold.
local run = require("spec.support.model.program").run
local testing = require "neap.testing"

-- NEAP_SEED=n runs that one seed and prints the history; NEAP_SEEDS=n so many of each model.
local only <const> = tonumber(os.getenv "NEAP_SEED")
local release <const> = (os.getenv "NEAP_PRESET" or "release") == "release"
local seeds <const> = tonumber(os.getenv "NEAP_SEEDS") or release and 1000 or 100

local models <const> = {}
for _, module in ipairs { "locks", "queues", "tasks", "scopes" } do
  for name, model in pairs(require("spec.support.model." .. module)) do models[name] = model end
end

local function show(name, program)
  return ("model %s, seed %d: %s (NEAP_SEED=%d replays it)\n%s"):format(name, program.seed,
    program.failure or "all that must hold holds", program.seed, program:history())
end

-- The first program of the seeds from 1 to count that fails.
local function find_failure(model, count, subject)
  local _ <close> = testing.virtual_clock()
  for seed = only or 1, only or count do
    local program = run(model, seed, subject)
    if program.failure or only then return program end
  end
end

describe("random programs of", function()
  local names = {}
  for name in pairs(models) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name, function()
      local program = find_failure(models[name], seeds)
      if program and not program.failure then print(show(name, program)) end
      assert.is_nil(program and program.failure and show(name, program))
    end)
  end
end)
