-- Errors that nobody reads, and the handler that gets them.
local neap = require "neap"
local program = require "spec.support.program"

local FILE = "spec/core/report_spec.lua"
local loop = neap.get_event_loop()

local function here(lines)
  return ("%s:%d"):format(FILE, debug.getinfo(2, "l").currentline + (lines or 0))
end

local function collect()
  for _ = 1, 6 do
    collectgarbage()
    collectgarbage()
    neap.sleep(0)
  end
end

-- What is reported while fn runs and after what it dropped is collected: a list of contexts.
local function reports_of(fn)
  local contexts = {}
  loop:set_exception_handler(function(_, context) contexts[#contexts + 1] = context end)
  fn()
  collect()
  loop:set_exception_handler(nil)
  return contexts
end

local function failed_task(err)
  local task = neap.create_task(error, err, 0)
  neap.sleep(0)
  return task
end

local function failed_future(err)
  local future = neap.Future()
  future:set_exception(err)
  return future
end

describe("an error", function()
  it("A10 is not made of a pending future that is dropped", function()
    assert.same({}, reports_of(function() neap.Future() end))
  end)

  it("A11 is not made of a result that nobody reads", function()
    assert.same({}, reports_of(function()
      neap.Future():set_result "unread"
      neap.create_task(function() return "unread" end)
    end))
  end)

  it("A12 of a dropped future is reported once", function()
    local reports = reports_of(function() failed_future "wolf" end)
    assert.equal(1, #reports)
    assert.matches("nobody read its error", reports[1].message, 1, true)
  end)

  it("A13 read by exception() is not reported", function()
    assert.same({}, reports_of(function()
      failed_future("wolf"):exception()
      failed_task("wolf"):exception()
    end))
  end)

  it("A14 raised by result() or an await is not reported", function()
    assert.same({}, reports_of(function()
      local future, task, awaited = failed_future "wolf", failed_task "wolf", neap.create_task(error)
      pcall(future.result, future)
      pcall(task.result, task)
      pcall(awaited.await, awaited)
    end))
  end)

  it("A15 is reported with a message, the error and the future", function()
    local wolf = {}
    local reports = reports_of(function() failed_future(wolf) end)
    assert.equal("string", type(reports[1].message))
    assert.equal(wolf, reports[1].exception)
    assert.is_true(neap.isfuture(reports[1].future))
    assert.is_nil(reports[1].task)
  end)

  it("A16 of a task is reported with traceback and place of making", function()
    local raised, made
    local reports = reports_of(function()
      raised, made = here(2), here(1)
      neap.create_task(function()
        error "wolf" end)
    end)
    assert.equal(1, #reports)
    assert.matches(raised, reports[1].exception, 1, true)
    assert.matches(raised, reports[1].traceback, 1, true)
    assert.equal(made, reports[1].made_at)
  end)

  it("B13 raised while another is handled does not hide the first one's traceback", function()
    local first
    local reports = reports_of(function()
      neap.create_task(function()
        first = here(1)
        local inner = neap.create_task(function() error "first" end)
        inner:await()
      end)
    end)
    assert.equal(1, #reports)
    assert.matches(first, reports[1].traceback, 1, true)
  end)

  it("F2 of a task that nobody refers to is reported once, and stays reported", function()
    local reports = reports_of(function() failed_task "wolf" end)
    assert.equal(1, #reports)
    assert.equal("wolf", reports[1].exception)
    assert.equal("wolf", reports[1].task:exception())
    assert.same({}, reports_of(function() reports[1] = nil end))
  end)

  it("law 26: is not reported while its task is held", function()
    local task
    assert.same({}, reports_of(function() task = failed_task "wolf" end))
    assert.equal("wolf", task:exception())
  end)

  it("law 26: a cancellation is not reported", function()
    assert.same({}, reports_of(function()
      neap.create_task(neap.sleep, 3600):cancel()
      neap.Future():cancel()
    end))
  end)

  it("law 26: of each of many is reported", function()
    assert.equal(50, #reports_of(function()
      for i = 1, 50 do neap.create_task(error, i) end
    end))
  end)

  it("E23 in a callback is reported with message, error and handle", function()
    local wolf, handle, after = {}, nil, false
    local reports = reports_of(function()
      handle = loop:call_soon(error, wolf)
      loop:call_soon(function() after = true end)
    end)
    assert.equal(1, #reports)
    assert.equal("string", type(reports[1].message))
    assert.equal(wolf, reports[1].exception)
    assert.equal(handle, reports[1].handle)
    assert.is_true(after)
  end)

  it("E23 in a done callback or a timer is reported too", function()
    require("neap.testing").virtual_clock()
    local reports = reports_of(function()
      local future = neap.Future()
      future:add_done_callback(function() error "in done" end)
      future:set_result()
      loop:call_later(1, function() error "in timer" end)
      neap.sleep(2)
    end)
    assert.equal(2, #reports)
    assert.matches("in done", reports[1].exception, 1, true)
    assert.matches("in timer", reports[2].exception, 1, true)
    assert.matches(FILE, reports[1].traceback, 1, true)
  end)
end)

describe("the exception handler", function()
  it("F3 is a function or nil", function()
    for _, wrong in ipairs { 1, "text", {}, true } do
      local ok, message = pcall(loop.set_exception_handler, loop, wrong)
      assert.is_false(ok)
      assert.matches("function expected", message, 1, true)
    end
    assert.is_nil(loop:get_exception_handler())
  end)

  it("F4 gets the loop and the context; nil restores the default", function()
    local got
    local function handler(...) got = table.pack(...) end
    loop:set_exception_handler(handler)
    assert.equal(handler, loop:get_exception_handler())
    loop:call_soon(error, "wolf")
    neap.sleep(0)
    loop:set_exception_handler(nil)
    assert.is_nil(loop:get_exception_handler())
    assert.equal(2, got.n)
    assert.equal(neap.get_running_loop(), got[1])
    assert.equal("wolf", got[2].exception)
  end)

  it("F4 is called by call_exception_handler with the context given", function()
    local context, got = { message = "made up", exception = "wolf" }, nil
    loop:set_exception_handler(function(_, c) got = c end)
    loop:call_exception_handler(context)
    loop:set_exception_handler(nil)
    assert.equal(context, got)
  end)

  it("F1 writes errors of callbacks to stderr by default, with traceback, and the exit status is 1", function()
    local result = program.code [[
      local neap = require "neap"
      local loop = neap.get_running_loop()
      local function deep() error "the wolf" end
      loop:call_soon(function() deep() end)
      loop:call_later(1, function() error "the bear" end)
      neap.sleep(2)
      print "went on"
    ]]
    assert.equal("went on\n", result.stdout)
    assert.matches("neap: a callback failed: .-the wolf\nstack traceback:.-'deep'", result.stderr)
    assert.matches("the bear", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("F2 writes errors of tasks to stderr by default, with traceback and place", function()
    local result = program.code [[
      local neap = require "neap"
      local function deep() error "the wolf" end
      neap.create_task(function() deep() end):set_name "sheep"
    ]]
    assert.matches("nobody read its error %(sheep%): .-:2: the wolf\nstack traceback:.-'deep'", result.stderr)
    assert.matches("made at .-:3", result.stderr)
    assert.equal(1, result.status)
  end)

  it("law 26: reports at the end of the loop what is still held", function()
    local result = program.code [[
      local neap = require "neap"
      held = neap.create_task(error, "the wolf", 0)
    ]]
    assert.matches("the wolf", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("F5 that fails is reported together with the first error", function()
    local result = program.code [[
      local neap = require "neap"
      local loop = neap.get_running_loop()
      loop:set_exception_handler(function() error "broken handler" end)
      loop:call_soon(error, "the wolf")
      neap.sleep(0)
      print "went on"
    ]]
    assert.equal("went on\n", result.stdout)
    assert.matches("broken handler", result.stderr, 1, true)
    assert.matches("the wolf", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("is not able to await, and says so", function()
    local message
    loop:set_exception_handler(function() message = select(2, pcall(neap.sleep, 1)) end)
    loop:call_soon(error, "wolf")
    neap.sleep(0)
    loop:set_exception_handler(nil)
    assert.matches("sleep", message, 1, true)
  end)
end)

describe("a report of a script's own", function()
  it("may lack the exception, the message, or both", function()
    local result = program.code [[
      local loop = require "neap".get_event_loop()
      loop:call_exception_handler { message = "low tide" }
      loop:call_exception_handler { exception = "wolf" }
      loop:call_exception_handler {}
      loop:call_soon(function() error(nil) end)
      require "neap".sleep(0)
    ]]
    assert.matches("^neap: low tide\nneap: an error: wolf\nneap: an error\n"
      .. "neap: a callback failed: %(error object is a nil value%)\n", result.stderr)
  end)
end)

describe("a cancellation that nobody catches", function()
  it("C15 tells where the inner task waited, and who awaited it", function()
    local result = program.code [[
      local neap = require "neap"
      local inner = neap.create_task(function()
        neap.sleep(9)
        return 1
      end)
      local outer = neap.create_task(function()
        inner:await()
        return 2
      end)
      neap.sleep(0) neap.sleep(0)
      inner:cancel "because"
      outer:await()
    ]]
    assert.equal(1, result.status)
    assert.matches("was cancelled: because\nstack traceback:.-:7: in.-cut short in the await at .-:3\n"
      .. "awaited after it failed in Task%-3:\nstack traceback:.-:12: in main chunk", result.stderr)
    assert.equal(1, select(2, result.stderr:gsub("cut short", "")))
  end)
end)
