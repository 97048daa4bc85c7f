-- Deadlocks: tasks that nothing can wake. Each runs in a program of its own, on the real clock: no report may wait.
local program = require "spec.support.program"

local PRELUDE = "local neap = require 'neap' local loop = neap.get_event_loop() "

local function run(code)
  return program.run { program.neap, "-e", PRELUDE .. code }
end

-- Asserts that the program ended well and printed that.
local function prints(expected, code)
  local result = run(code)
  assert.equal("", result.stderr)
  assert.equal(expected, result.stdout)
  assert.equal(0, result.status)
end

-- Asserts that the program is still running after a while: whoever waits in it may be woken.
local function stays(code)
  local result = program.run { "timeout", "0.2", program.neap, "-e", PRELUDE .. code }
  assert.equal("", result.stderr)
  assert.equal(124, result.status)
end

describe("a deadlock", function()
  it("law 31: raises DeadlockError in the main task, which may catch it and go on", function()
    prints("true\ttrue\tafter\n", [[
      local ok, err = pcall(function() neap.Future():await() end)
      neap.sleep(0.001)
      print(not ok, neap.is(err, neap.DeadlockError), "after")
    ]])
  end)

  it("law 31: raises it again at the next such await", function()
    prints("true\ttrue\n", [[
      local function deadlocks(fn, ...)
        local ok, err = pcall(fn, ...)
        return neap.is(err, neap.DeadlockError)
      end
      local future = neap.Future()
      print(deadlocks(future.await, future), deadlocks(future.await, future))
    ]])
  end)

  it("law 31: not caught ends the program with status 1, after each task has cleaned up", function()
    local result = run [[
      neap.create_task(function()
        local _ <close> = setmetatable({}, { __close = function() print "cleaned" end })
        neap.Future():await()
      end)
      neap.Future():await()
    ]]
    assert.equal("cleaned\n", result.stdout)
    assert.matches("deadlock", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("law 31: is reported after the body's end, with status 1, and the tasks are cancelled", function()
    local result = run [[
      neap.create_task(function()
        local ok, err = pcall(neap.await, neap.Future())
        print(neap.is(err, neap.CancelledError))
      end):set_name "sheep"
    ]]
    assert.equal("true\n", result.stdout)
    assert.matches("deadlock.*sheep waits in await at %(command line%):%d+", result.stderr)
    assert.equal(1, result.status)
  end)

  it("law 31: names each waiting task, what it waits in and its line", function()
    local result = run [[

      local semaphore = neap.Semaphore(0)
      neap.create_task(function()
        semaphore:acquire() end):set_name "acquirer"
      neap.create_task(function()
        coroutine.wrap(function() neap.Future():await() end)() end):set_name "generator"
      neap.Future():await()
    ]]
    assert.matches("acquirer waits in acquire at %(command line%):4\n", result.stderr)
    assert.matches("generator waits in await at %(command line%):6\n", result.stderr)
    assert.matches("Task%-1 waits in await at %(command line%):7\n", result.stderr)
  end)

  for call, code in pairs {
    gather = "neap.gather(neap.Future())",
    wait = "neap.wait { neap.Future() }",
    as_completed = "for _ in neap.as_completed { neap.Future() } do end",
    wait_for = "neap.wait_for(neap.Future())",
    shield = "neap.shield(neap.Future())()",
    TaskGroup = "do local group <close> = neap.TaskGroup() group:create_task(neap.await, neap.Future()) end",
  } do
    it("law 31: names the program's own line, not neap's, for " .. call, function()
      local result = run("neap.current_task():set_name 'main'\n" .. code)
      assert.matches("\n\tmain waits in %w+ at %(command line%):2\n", result.stderr)
    end)
  end

  it("law 31: among many tasks names some and counts the rest", function()
    local result = run "for _ = 1, 99 do neap.create_task(neap.await, neap.Future()) end neap.Future():await()"
    local _, named = result.stderr:gsub("waits in await", "")
    assert.equal(20, named)
    assert.matches("and 80 more", result.stderr, 1, true)
  end)

  it("Z7 of tasks that await each other names them all", function()
    local result = run [[
      local a, b
      a = neap.create_task(function() b:await() end)
      b = neap.create_task(function() a:await() end)
      a:set_name "ram"
      b:set_name "ewe"
      a:await()
    ]]
    assert.matches("ram waits in await", result.stderr, 1, true)
    assert.matches("ewe waits in await", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("law 31: is one when all that is left is a cancelled timer or a limit without end", function()
    prints("true\n", [[
      loop:call_later(3600, print):cancel()
      local ok, err = pcall(function()
        local limit <close> = neap.timeout(math.huge)
        neap.Future():await()
      end)
      print(neap.is(err, neap.DeadlockError))
    ]])
  end)

  it("law 31: in neap.run is raised by it, and the program goes on", function()
    prints("true\tafter\n", [[
      local ok, err = pcall(neap.run, function() neap.Future():await() end)
      neap.sleep(0)
      print(neap.is(err, neap.DeadlockError), "after")
    ]])
  end)

  it("law 31: in a task group raises it out of the block, after its tasks were cancelled", function()
    prints("true\ttrue\n", [[
      local task
      local ok, err = pcall(function()
        local group <close> = neap.TaskGroup()
        task = group:create_task(neap.await, neap.Future())
      end)
      print(neap.is(err, neap.DeadlockError), task:cancelled())
    ]])
  end)

  it("law 31: is none while a timer is due", function()
    prints("woken\n", [[
      local future = neap.Future()
      loop:call_later(0.01, future.set_result, future, "woken")
      print(future:await())
    ]])
  end)

  it("law 31: is none while a time limit is due", function()
    prints("true\n", [[
      local ok, err = pcall(neap.wait_for, neap.Future(), 0.01)
      print(neap.is(err, neap.TimeoutError))
    ]])
  end)

  it("law 31: is none while a server listens", function()
    stays "local server = assert(neap.start_server(print, '127.0.0.1', 0)) neap.Future():await()"
  end)

  it("law 31: is none while another task sleeps", function()
    stays "neap.create_task(neap.sleep, 3600) neap.Future():await()"
  end)
end)
