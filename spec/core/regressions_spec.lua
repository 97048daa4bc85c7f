-- Bugs of the kernel that were found by attacking it: each `it` failed, hung or crashed before its bug was mended.
local neap = require "neap"
local program = require "spec.support.program"
local testing = require "neap.testing"
local support = require "spec.support.tasks"

local start <const> = support.start

local loop = neap.get_event_loop()

local function closer(fn)
  return setmetatable({}, { __close = fn })
end

local function assert_raises(kind_or_text, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  if type(kind_or_text) == "string" then
    assert.matches(kind_or_text, tostring(err), 1, true)
  else
    assert.is_true(neap.is(err, kind_or_text), tostring(err))
  end
end

local function ended_cancelled(task)
  assert_raises(neap.CancelledError, task.await, task)
  return task:cancelled()
end

local assert_printed <const> = program.assert_printed

describe("a kill", function()
  it("of the last ready task leaves the others", function()
    local last
    local ran = false
    local killer = neap.create_task(function() return last:kill() end)
    last = neap.create_task(function() ran = true end)
    assert.is_true(killer:await())
    assert.is_true(last:cancelled())
    assert.equal("next", neap.create_task(function() return "next" end):await())
    assert.is_false(ran)
  end)

  it("inside the same task's kill does nothing", function()
    local task, inner
    task = start(function()
      local _ <close> = closer(function() inner = task:kill() end)
      neap.sleep(3600)
    end)
    local count = #neap.all_tasks()
    assert.is_true(task:kill())
    assert.is_false(inner)
    assert.is_true(task:cancelled())
    assert.equal(count - 1, #neap.all_tasks())
    assert.equal("next", neap.create_task(function() return "next" end):await())
  end)

  it("inside another, and so on, ends with an error that says so", function()
    local tasks, errors = {}, {}
    for i = 1, 1000 do
      tasks[i] = neap.create_task(function()
        local _ <close> = closer(function()
          if i == 1 then return end
          local ok, err = pcall(tasks[i - 1].kill, tasks[i - 1])
          if not ok then errors[#errors + 1] = err end
        end)
        neap.sleep(3600)
      end)
    end
    neap.sleep(0)
    assert.is_true(tasks[1000]:kill())
    assert.equal(1, #errors)
    assert.matches("kills inside one another", errors[1], 1, true)
    for _, task in ipairs(tasks) do task:kill() end
    assert.equal(1, #errors)
  end)

  it("closes the generator that its task is parked in", function()
    local generator
    local closed = false
    local task = start(function()
      generator = coroutine.create(function()
        local _ <close> = closer(function() closed = true end)
        local _ <close> = neap.timeout(3600)
        neap.sleep(7200)
      end)
      coroutine.resume(generator)
    end)
    assert.is_true(task:kill())
    assert.is_true(closed)
    assert.equal("dead", coroutine.status(generator))
  end)

  it("closes the coroutine that its task was made of", function()
    local closed = false
    local body = coroutine.create(function()
      local _ <close> = closer(function() closed = true end)
      neap.sleep(3600)
    end)
    assert.is_true(start(body):kill())
    assert.is_true(closed)
    assert.equal("dead", coroutine.status(body))
  end)
end)

describe("a cancel", function()
  it("of a waiter before a release in the same turn does not take the permit", function()
    local semaphore = neap.Semaphore(0)
    local waiter = start(semaphore.acquire, semaphore)
    waiter:cancel()
    semaphore:release()
    assert.is_true(ended_cancelled(waiter))
    assert.is_false(semaphore:locked())
    semaphore:acquire()
    assert.is_true(semaphore:locked())
  end)

  it("with a stop of run_forever raises there, and the program goes on", function()
    assert_printed("false\ttrue\nwent on\n", program.code [[
      local neap = require "neap"
      local loop, me = neap.get_event_loop(), neap.current_task()
      neap.create_task(function() me:cancel() loop:stop() end)
      local ok, err = pcall(loop.run_forever, loop)
      print(ok, neap.is(err, neap.CancelledError))
      me:uncancel()
      neap.sleep(1)
      print "went on"
    ]])
  end)

  it("ends tasks that await each other", function()
    local ring = {}
    for i = 1, 3 do ring[i] = neap.create_task(function() return ring[i % 3 + 1]:await() end) end
    neap.sleep(0)
    ring[1]:cancel()
    for i = 1, 3 do assert.is_true(ended_cancelled(ring[i])) end
  end)
end)

describe("a task's coroutine that escaped", function()
  local co, task

  before_each(function()
    task = start(function()
      co = coroutine.running()
      neap.sleep(0)
      return select("#", neap.sleep(0, "v")), "went on"
    end)
  end)

  after_each(function()
    task:kill()
  end)

  it("cannot be closed by another", function()
    assert_raises("cannot close", coroutine.close, co)
    assert.same({ 1, "went on" }, { task:await() })
  end)

  it("cannot be resumed by another", function()
    local other = neap.create_task(function() return coroutine.resume(co, "stray") end)
    assert.same({ false, "cannot resume non-suspended coroutine" }, { other:await() })
    assert.same({ 1, "went on" }, { task:await() })
  end)

  it("cannot be awaited, not even by itself", function()
    for _, await in ipairs {
      function() return neap.await(coroutine.running()) end,
      function() return neap.create_task(coroutine.running()):await() end,
      function() return neap.await(co) end,
    } do
      assert_raises("cannot resume non-suspended coroutine", await)
    end
    assert.same({ 1, "went on" }, { task:await() })
  end)

  it("keeps its limits when it tries to resume itself", function()
    testing.virtual_clock()
    local function resume_self()
      local _ <close> = neap.timeout(1)
      assert.is_false(coroutine.resume(coroutine.running()))
      neap.sleep(10)
    end
    assert_raises(neap.TimeoutError, resume_self)
    assert_raises(neap.TimeoutError, coroutine.wrap(resume_self))
  end)
end)

describe("a limit", function()
  local function limited()
    local _ <close> = neap.timeout(1)
    neap.sleep(10)
  end

  before_each(function() testing.virtual_clock() end)

  it("inside coroutine.wrap raises TimeoutError", function()
    assert_raises(neap.TimeoutError, coroutine.wrap(limited))
  end)

  it("inside an awaited coroutine raises TimeoutError", function()
    assert_raises(neap.TimeoutError, neap.await, coroutine.create(limited))
  end)

  it("inside a task made of a coroutine raises TimeoutError", function()
    assert_raises(neap.TimeoutError, neap.await, neap.create_task(coroutine.create(limited)))
  end)
end)

describe("a coroutine that fails", function()
  local function closes(run)
    local closed = false
    assert_raises("wolf", run, coroutine.create(function()
      local _ <close> = closer(function() closed = true end)
      neap.sleep(0)
      error "wolf"
    end))
    return closed
  end

  it("closes its variables when it is awaited", function()
    assert.is_true(closes(neap.await))
  end)

  it("closes its variables when a task is made of it", function()
    assert.is_true(closes(function(co) return neap.create_task(co):await() end))
  end)
end)

describe("a callback", function()
  it("with too many arguments is refused, with many it gets them all", function()
    local many = {}
    for i = 1, 70000 do many[i] = i end
    for call, first in pairs { call_soon = table.pack(), call_later = table.pack(0), call_at = table.pack(0) } do
      first[#first + 1] = print
      table.move(many, 1, 70000, #first + 1, first)
      assert_raises("arguments", loop[call], loop, table.unpack(first))
    end
    local got
    loop:call_soon(function(...) got = { ... } end, table.unpack(many, 1, 200))
    neap.sleep(0)
    assert.same(table.move(many, 1, 200, 1, {}), got)
  end)
end)

describe("a hook", function()
  it("that a task set is not seen in the next", function()
    local lines = 0
    neap.create_task(function() debug.sethook(function() lines = lines + 1 end, "l") end):await()
    lines = 0
    assert.is_nil(neap.create_task(function() return (debug.gethook()) end):await())
    assert.equal(0, lines)
  end)
end)

describe("a task group", function()
  for _, value in ipairs { "nil", "false" } do
    it("lets an error out that is " .. value, function()
      local wanted = load("return " .. value)()
      local ok, err = pcall(function()
        local group <close> = neap.TaskGroup()
        group:create_task(error, wanted)
      end)
      assert.is_false(ok)
      assert.equal(wanted, err)
    end)
  end
end)

describe("scope:run", function()
  it("names a bad argument", function()
    local ok, err = pcall(function() neap.CancelScope():run(12) end)
    assert.is_false(ok)
    assert.matches("^spec/core/regressions_spec.lua:%d+: bad argument #1 to 'run'", err)
    assert.matches("function expected, got number", err, 1, true)
  end)

  it("refuses another task", function()
    local scope <close> = neap.CancelScope()
    local ok, err = pcall(neap.await, neap.create_task(function() scope:run(print) end))
    assert.is_false(ok)
    assert.matches("run: the scope belongs to another task", tostring(err), 1, true)
  end)
end)

describe("gather", function()
  it("leaves a bare future pending when it is cancelled", function()
    local future = neap.Future()
    local task = neap.create_task(neap.gather, future, function() neap.sleep(3600) end)
    neap.sleep(0)
    task:cancel()
    assert.is_false((pcall(task.await, task)))
    assert.is_false(future:done())
  end)
end)

describe("a deadline that passes while Lua computes", function()
  it("is seen though a socket is open", function()
    local server <close> = assert(neap.start_server(print, "127.0.0.1", 0))
    local done = neap.Future()
    neap.sleep(0.001) -- by then nothing of an earlier spec is closing, which would keep the poll short
    neap.create_task(function()
      neap.sleep(0.005)
      done:set_result "woke"
    end)
    neap.sleep(0)
    local busy_until = os.clock() + 0.02
    while os.clock() < busy_until do end
    assert.equal("woke", done:await())
  end)
end)

describe("a task group that was not closed", function()
  it("does not lose its children's errors", function()
    local reported
    loop:set_exception_handler(function(_, context) reported = context.exception end)
    neap.create_task(function()
      local group = neap.TaskGroup()
      group:create_task(error, "child failed", 0)
      pcall(neap.sleep, 3600)
    end):await()
    for _ = 1, 3 do
      collectgarbage()
      neap.sleep(0)
    end
    loop:set_exception_handler(nil)
    assert.equal("child failed", reported)
  end)
end)

describe("a generator that a time limit of its own ended", function()
  it("gives TimeoutError when it is closed, also after a plain resume", function()
    testing.virtual_clock()
    local co = coroutine.create(function()
      local _ <close> = neap.timeout(1)
      neap.sleep(2)
    end)
    assert.is_false((coroutine.resume(co)))
    local closed, err = coroutine.close(co)
    assert.is_false(closed)
    assert.is_true(neap.is(err, neap.TimeoutError), tostring(err))
  end)
end)

describe("a group that raises a child's error while its task is cancelled", function()
  local function caught_error()
    return pcall(function()
      local group <close> = neap.TaskGroup()
      group:create_task(function()
        pcall(neap.sleep, 5)
        error("the child's", 0)
      end)
    end)
  end

  it("leaves the cancel to be told, and the task ends by it", function()
    local seen
    local task = start(function() seen = { caught_error() } end)
    neap.sleep(0)
    task:cancel()
    assert.is_true(ended_cancelled(task))
    assert.same({ false, "the child's" }, seen)
  end)
end)

describe("a limit around neap.run in the body", function()
  it("is its own doing", function()
    assert_printed("true\n", program.code [[
      local neap = require "neap"
      local ok, err = pcall(function()
        local limit <close> = neap.timeout(1)
        neap.run(neap.sleep, 9)
      end)
      print(neap.is(err, neap.TimeoutError))
    ]])
  end)
end)

describe("deadlines beside long steps", function()
  it("are seen in the turn after they are due", function()
    local loop_time, done = loop:time(), false
    local function busy()
      while not done do
        local until_time = loop:time() + 0.01
        while loop:time() < until_time do end
        neap.sleep(0)
      end
    end
    local steps = 0
    local task = neap.create_task(function()
      while not done do
        steps = steps + 1
        neap.sleep(0)
      end
    end)
    local holder = neap.create_task(busy)
    neap.sleep(0.02)
    done = true
    assert.is_true(loop:time() - loop_time >= 0.02)
    assert.is_true(steps <= 6, steps .. " turns went by")
    task:await()
    holder:await()
  end)
end)

describe("a scope that is no <close> variable", function()
  it("is named as what ended the task", function()
    local result = program.code [[
      local neap = require "neap"
      local limit = neap.timeout(0.1)
      neap.sleep(1)
    ]]
    assert.equal(1, result.status)
    assert.matches(":3: the time limit that ended this task was never closed: it must be a <close> variable",
      result.stderr, 1, true)
  end)

  it("is told in debug mode when it is collected", function()
    local result = program.code [[
      local neap = require "neap"
      neap.get_running_loop():set_debug(true)
      neap.create_task(function() neap.timeout(5) neap.sleep(0) collectgarbage() collectgarbage() end):await()
      neap.sleep(0)
    ]]
    assert.matches("warning: a scope was collected open", result.stderr, 1, true)
  end)
end)

it("options that do not exist are refused by name", function()
  assert_raises("bad argument #1 to 'gather' (there is no option 'return_exception')", neap.gather,
    { return_exception = true })
  assert_raises("bad argument #1 to 'wait' (there is no option 'timout')", neap.wait, { print, timout = 1 })
  assert_raises("bad argument #1 to 'as_completed' (there is no option 'limit')", neap.as_completed, { limit = 1 })
  assert_raises("bad argument #1 to 'Runner' (there is no option 'debgu')", neap.Runner, { debgu = true })
end)

it("virtual time begins with 0, so that each run is the same", function()
  assert_printed("0.0\n", program.code 'print(require("neap").get_running_loop():time())')
end)

it("functions are named as scripts know them", function()
  for _ = 1, 5 do
    assert_printed("bad argument #1 to 'neap.sleep' (number expected, got no value)\n",
      program.code 'print(select(3, pcall(pcall, require("neap").sleep)))')
  end
end)
