-- Bugs of the kernel that were found by attacking it: errors, the garbage collector, and the end of a program.
local neap = require "neap"
local program = require "spec.support.program"

-- Code that makes 20 errors which nobody reads, and stops the collector in the middle: it has found their tasks,
-- and called none of the finalizers.
local COLLECTOR_HALFWAY = [[
  local neap = require "neap"
  collectgarbage() collectgarbage()
  collectgarbage "stop"
  for i = 1, 20 do neap.create_task(error, "wolf " .. i) end
  neap.sleep(0)
  collectgarbage("incremental", 0, 0, 1)
  local finalized = false
  local found = setmetatable({ setmetatable({}, { __gc = function() finalized = true end }) }, { __mode = "v" })
  while found[1] do collectgarbage("step", 0) end
  assert(not finalized)
]]

local function assert_all_reported(result)
  for i = 1, 20 do
    local _, count = result.stderr:gsub("wolf " .. i .. "%f[%D]", "")
    assert.equal(1, count, "reports of error " .. i)
  end
  assert.equal(1, result.status)
end

describe("an error", function()
  it("whose kinds are a circle has none of the others", function()
    local result = program.code [[
      local neap = require "neap"
      local kind, other = {}, {}
      kind.base, other.base = other, kind
      local wolf = setmetatable({}, kind)
      local ok, err = pcall(neap.await, neap.create_task(error, wolf))
      print(ok, err == wolf, neap.is(err, kind), neap.is(err, other), neap.is(err, neap.TimeoutError))
    ]]
    assert.equal("", result.stderr)
    assert.equal("false\ttrue\ttrue\ttrue\tfalse\n", result.stdout)
  end)

  it("that nobody reads is reported while the program runs", function()
    local result = program.code [[
      local neap = require "neap"
      local reported = 0
      neap.get_event_loop():set_exception_handler(function() reported = reported + 1 end)
      neap.create_task(error, "wolf")
      neap.sleep(0)
      collectgarbage()
      collectgarbage()
      neap.sleep(1)
      print(reported)
    ]]
    assert.equal("1\n", result.stdout)
  end)

  it("that nobody reads is not lost when they are reported while the collector is halfway", function()
    assert_all_reported(program.code(COLLECTOR_HALFWAY .. [[
      require("neap.core").report_failures()
      collectgarbage()
      collectgarbage()
      neap.sleep(0)
    ]]))
  end)

  it("that nobody reads is not lost when the program ends while the collector is halfway", function()
    assert_all_reported(program.code(COLLECTOR_HALFWAY))
  end)
end)

describe("a finalizer", function()
  it("cannot open a scope in the task that it interrupts", function()
    for _, open in ipairs { "CancelScope", "timeout", "shielded" } do
      local ok, err
      setmetatable({}, { __gc = function() ok, err = pcall(neap[open], 1) end })
      collectgarbage()
      collectgarbage()
      assert.is_false(ok, open)
      assert.is_string(err)
    end
    neap.sleep(0)
  end)

  it("gets an error from what it calls after the runtime was closed", function()
    local result = program.code [[
      local neap
      Kept = setmetatable({}, { __gc = function()
        for _, use in ipairs {
          function() neap.Future():add_done_callback(print) end,
          function() neap.Semaphore(1):acquire() end,
          function() neap.create_task(print) end,
          function() neap.get_event_loop():call_soon(print) end,
          function() neap.get_event_loop():run_forever() end,
          function() neap.run(print) end,
          function() neap.open_connection("127.0.0.1", 1) end,
          function() neap.start_server(print, "127.0.0.1", 0) end,
          function() neap.timeout(1) end,
        } do
          local ok, err = pcall(use)
          io.write(tostring(ok), tostring(err):find "closed" and " closed, " or ", ")
        end
        neap.all_tasks()
      end })
      neap = require "neap"
      for _ = 1, 300 do neap.Future():add_done_callback(print) end
    ]]
    assert.equal("", result.stderr)
    assert.equal(("false closed, "):rep(8) .. "false, ", result.stdout)
    assert.equal(0, result.status)
  end)
end)

describe("the scopes of collected generators", function()
  it("cancel nobody else", function()
    local scopes, cancelled = {}, 0
    for i = 1, 200 do
      coroutine.wrap(function()
        scopes[i] = neap.CancelScope()
        coroutine.yield()
      end)()
    end
    for _, scope in ipairs(scopes) do scope:cancel() end
    collectgarbage()
    collectgarbage()
    for _ = 1, 400 do
      if not pcall(coroutine.wrap(function() neap.sleep(0) end)) then cancelled = cancelled + 1 end
    end
    assert.equal(0, cancelled)
  end)
end)

describe("the command", function()
  it("ends with an error when a metamethod of the globals raises", function()
    for raise, words in pairs {
      __index = { "-e", "arg = nil", "spec/support/program.lua" },
      __newindex = { "-l", "lib=string" },
    } do
      local code = ("setmetatable(_G, { %s = function(_, name) error('no ' .. name) end })"):format(raise)
      local result = program.run { program.neap, "-e", code, table.unpack(words) }
      assert.matches(raise == "__index" and "no arg" or "no lib", result.stderr, 1, true)
      assert.equal(1, result.status)
    end
  end)
end)
