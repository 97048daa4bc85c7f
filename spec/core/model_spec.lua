-- Random programs over each primitive, in shuffled orders of tasks and in virtual time: their histories must hold.
local neap = require "neap"
local search = require("spec.support.model.program").search

-- NEAP_SEEDS=n runs n programs of each model; NEAP_SEED=n runs the one of that seed, and prints its history.
local only <const> = tonumber(os.getenv "NEAP_SEED")
local is_release <const> = (os.getenv "NEAP_PRESET" or "release") == "release"
local seeds <const> = tonumber(os.getenv "NEAP_SEEDS") or is_release and 850 or 80

local SLOW <const> = { group = 4 } -- times slower than others: so many fewer programs

local function show(name, program)
  return ("model %s, seed %d: %s (NEAP_SEED=%d replays it)\n%s"):format(name, program.seed,
    program.failure or "all holds", program.seed, program:history())
end

-- Errors that nobody reads, of a killed group's children, are reported when they are collected.
local function let_reports_come()
  local loop = neap.get_running_loop()
  loop:set_exception_handler(function() end)
  for _ = 1, 3 do
    collectgarbage()
    neap.sleep(0)
  end
  loop:set_exception_handler(nil)
end

local function add_model(name, model)
  it(name, function()
    local failed, last = search(model, only or 1, only or seeds // (SLOW[name] or 1))
    if only and not failed then print(show(name, last)) end
    assert.is_nil(failed and show(name, failed))
  end)
end

describe("random programs of", function()
  after_each(let_reports_come)

  for _, module in ipairs { "locks", "monitors", "queues", "futures", "tasks", "scopes" } do
    local names, models = {}, require("spec.support.model." .. module)
    for name in pairs(models) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do add_model(name, models[name]) end
  end
end)
