-- wait: two lists, done and pending.
local neap = require "neap"
local testing = require "neap.testing"

local function time() return neap.get_running_loop():time() end

-- Calls fn(...), which must raise; returns the error's text.
local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

local function sleeper(seconds, value)
  return neap.create_task(function()
    neap.sleep(seconds)
    return value
  end)
end

local function failing(seconds, err)
  return neap.create_task(function()
    neap.sleep(seconds)
    error(err, 0)
  end)
end

-- The lists must hold those very tasks.
local function same_tasks(expected, list)
  assert.equal(#expected, #list)
  for i, task in ipairs(expected) do assert.equal(task, list[i]) end
end

describe("wait", function()
  it("H1 returns done and pending, in the order given, once all have ended", function()
    testing.virtual_clock()
    local began, a, b = time(), sleeper(2, "a"), sleeper(1, "b")
    local done, pending = neap.wait { a, b }
    same_tasks({ a, b }, done)
    same_tasks({}, pending)
    assert.near(2, time() - began, 1e-6)
    done, pending = neap.wait { b, a }
    same_tasks({ b, a }, done)
    same_tasks({}, pending)
    assert.near(2, time() - began, 1e-6)
  end)

  it("H1 returns at a timeout, which raises nothing and cancels nothing", function()
    testing.virtual_clock()
    local began, quick, slow = time(), sleeper(1), sleeper(9, "slow")
    local done, pending = neap.wait { slow, quick, timeout = 3 }
    same_tasks({ quick }, done)
    same_tasks({ slow }, pending)
    assert.near(3, time() - began, 1e-6)
    assert.equal("slow", slow:await())
    assert.near(9, time() - began, 1e-6)
  end)

  it("H1 cancelled, cancels nothing", function()
    testing.virtual_clock()
    local slow = sleeper(9, "slow")
    local waiter = neap.create_task(neap.wait, { slow })
    neap.sleep(1)
    waiter:cancel()
    message_of(waiter.await, waiter)
    assert.is_true(waiter:cancelled())
    assert.equal("slow", slow:await())
  end)

  it("H2 gives a task given twice once, and calls a function each time it is given", function()
    local task, runs = sleeper(0), 0
    local function count() runs = runs + 1 end
    local done = neap.wait { task, count, task, count }
    assert.equal(3, #done)
    assert.equal(task, done[1])
    assert.equal(2, runs)
  end)

  it("H3 of an empty list or with a bad return_when is a bad argument", function()
    local task = sleeper(0)
    assert.matches("bad argument #1 to 'wait'", message_of(neap.wait, {}), 1, true)
    assert.matches("bad argument #1 to 'wait'", message_of(neap.wait, { task, return_when = "NEVER" }), 1, true)
    assert.matches("bad argument #1 to 'wait'", message_of(neap.wait, { task, return_when = -1 }), 1, true)
    task:await()
  end)

  it("H4 of a single task instead of a list is a bad argument", function()
    local task = sleeper(0)
    assert.matches("bad argument #1 to 'wait'", message_of(neap.wait, task), 1, true)
    assert.matches("bad argument #1 to 'wait'", message_of(neap.wait), 1, true)
    task:await()
  end)

  it("H4 of what is no task starts nothing", function()
    local started = false
    assert.matches("bad argument #2 to 'wait'",
      message_of(neap.wait, { function() started = true end, "text" }), 1, true)
    neap.sleep(0)
    assert.is_false(started)
  end)

  it("H5 FIRST_COMPLETED returns when one is done; the others still run", function()
    testing.virtual_clock()
    local began, slow, failed = time(), sleeper(9, "slow"), failing(1, "wolf")
    local done, pending = neap.wait { slow, failed, return_when = neap.FIRST_COMPLETED }
    same_tasks({ failed }, done)
    same_tasks({ slow }, pending)
    assert.near(1, time() - began, 1e-6)
    assert.equal("wolf", failed:exception())
    assert.equal("slow", slow:await())
  end)

  it("H6 gives every task as done that is when the waiter resumes", function()
    testing.virtual_clock()
    local future, other, slow = neap.Future(), neap.Future(), sleeper(9)
    neap.get_running_loop():call_soon(function()
      future:set_result()
      other:set_result()
    end)
    local done, pending = neap.wait { slow, other, future, return_when = neap.FIRST_COMPLETED }
    same_tasks({ other, future }, done)
    same_tasks({ slow }, pending)
    slow:await()
  end)

  it("H7 FIRST_EXCEPTION returns as soon as one fails", function()
    testing.virtual_clock()
    local began, slow, quick, failed = time(), sleeper(9), sleeper(1), failing(2, "wolf")
    local done, pending = neap.wait { slow, quick, failed, return_when = neap.FIRST_EXCEPTION }
    same_tasks({ quick, failed }, done)
    same_tasks({ slow }, pending)
    assert.near(2, time() - began, 1e-6)
    assert.equal("wolf", failed:exception())
    slow:await()
  end)

  it("H7 FIRST_EXCEPTION waits for all when none fails; one cancelled has not failed", function()
    testing.virtual_clock()
    local began, slow, cancelled = time(), sleeper(9), sleeper(20)
    neap.get_running_loop():call_later(1, cancelled.cancel, cancelled)
    local done, pending = neap.wait { slow, cancelled, return_when = neap.FIRST_EXCEPTION }
    same_tasks({ slow, cancelled }, done)
    same_tasks({}, pending)
    assert.near(9, time() - began, 1e-6)
  end)

  it("H8 ALL_COMPLETED does not raise, and exception() reads what failed", function()
    testing.virtual_clock()
    local wolf = {}
    local fine, failed = sleeper(2, "fine"), failing(1, wolf)
    local done, pending = neap.wait { fine, failed, return_when = neap.ALL_COMPLETED }
    same_tasks({ fine, failed }, done)
    same_tasks({}, pending)
    assert.equal(wolf, failed:exception())
    assert.is_nil(fine:exception())
  end)

  it("H9 gives what ends at the very time of the timeout as done", function()
    testing.virtual_clock()
    local finished, slow = sleeper(1, "in time"), sleeper(9)
    neap.sleep(0)
    local done, pending = neap.wait { slow, finished, timeout = 1 }
    same_tasks({ finished }, done)
    same_tasks({ slow }, pending)
    slow:await()
  end)

  it("H10 gives functions and coroutines back as the tasks made for them", function()
    local done = neap.wait {
      function() return "function" end,
      coroutine.create(function() return "coroutine" end),
    }
    assert.equal("function", done[1]:result())
    assert.equal("coroutine", done[2]:result())
  end)
end)
