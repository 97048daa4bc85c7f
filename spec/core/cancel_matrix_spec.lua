-- Each call that waits, cancelled at each of its suspensions, in each way: see spec/support/cancel_matrix.lua. What
-- calls there are is read from the modules: one that has no scenario, and is not known to wait never, fails.
local api = require "spec.support.api"
local calls_at_once = require "spec.support.calls_at_once"
local matrix = require "spec.support.cancel_matrix"
local neap = require "neap"
local program = require "spec.support.program"

local LEAST_CELLS <const> = 300

-- What waits in a script's body alone, which is the main task of a program of its own.
local IN_BODY <const> = {
  "neap.run", "Runner:run", "Runner:close", "Runner:__close", "Loop:run_until_complete", "Loop:run_forever",
}

local scenarios = {}
for _, name in ipairs {
  "cancel_scenarios", "cancel_scenarios_io", "cancel_scenarios_thread", "cancel_scenarios_datagram",
  "cancel_scenarios_signal", "cancel_scenarios_fs", "cancel_scenarios_process", "cancel_scenarios_tls",
  "cancel_scenarios_socket", "cancel_scenarios_file",
} do
  for key, scenario in pairs(require("spec.support." .. name)) do
    assert(not scenarios[key], key)
    scenarios[key] = scenario
  end
end

for _, name in ipairs(api.names(scenarios)) do
  describe(name, function()
    for _, way in ipairs(matrix.ways()) do
      it(way, function() matrix.play(scenarios[name], way) end)
    end
  end)
end

describe("the script's body", function()
  it("is cancelled in each way in what waits there alone", function()
    local result = program.run { program.neap, "--clock=virtual", "spec/support/cancel_body.lua" }
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    matrix.cells = matrix.cells + assert(tonumber(result.stdout))
  end)
end)

-- Calls it in a task, cancelled or not, which must come to its end in its first step: all that waits raises in a
-- cancelled task, also when what it waits for is there.
local function probe(call, cancelled)
  local deferred, ended = {}, false
  local words = table.pack(call(function(fn) deferred[#deferred + 1] = fn end))
  assert.is_function(words[1])
  local task = neap.create_task(function()
    if cancelled then neap.current_task():cancel() end
    words[1](table.unpack(words, 2, words.n))
    if cancelled then neap.current_task():uncancel() end
    ended = true
  end)
  neap.sleep(0)
  local done = task:done()
  if not done then task:kill() end
  for i = #deferred, 1, -1 do deferred[i]() end
  assert.is_true(done, "it has waited")
  task:await()
  assert.is_true(ended)
end

for _, name in ipairs(api.names(calls_at_once)) do
  local call = calls_at_once[name]
  if type(call) == "function" then
    it(name .. " never waits", function()
      probe(call, false)
      probe(call, true)
    end)
  end
end

describe("the functions of neap", function()
  local known

  setup(function()
    known = {}
    for name, scenario in pairs(scenarios) do
      for _, covered in ipairs(scenario.of or { name }) do known[covered] = "a scenario" end
    end
    for _, name in ipairs(IN_BODY) do known[name] = "a scenario" end
  end)

  it("wait and have a scenario, or never wait", function()
    local strangers = {}
    for name in pairs(api.functions()) do
      if not known[name] and not calls_at_once[name] then strangers[#strangers + 1] = name end
    end
    table.sort(strangers)
    assert.same({}, strangers)
  end)

  it("are there, if they are listed", function()
    local functions, stale = api.functions(), {}
    for _, list in ipairs { known, calls_at_once } do
      for name in pairs(list) do
        if not functions[name] then stale[#stale + 1] = name end
      end
    end
    assert.same({}, stale)
  end)

  it("are in one of the lists alone", function()
    for name in pairs(known) do assert.is_nil(calls_at_once[name], name) end
  end)
end)

it("all cells were played", function()
  assert.is_true(matrix.cells >= LEAST_CELLS, matrix.cells)
end)
