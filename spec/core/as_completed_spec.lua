-- as_completed: tasks in the order in which they end.
local neap = require "neap"
local testing = require "neap.testing"

local function time() return neap.get_running_loop():time() end

local function sleeper(seconds, value)
  return neap.create_task(function()
    neap.sleep(seconds)
    return value
  end)
end

-- What all tasks of the iterator return, in its order.
local function values_of(iterator)
  local values = {}
  for task in iterator do values[#values + 1] = task:result() end
  return values
end

describe("as_completed", function()
  it("I1 gives tasks in the order of completion", function()
    testing.virtual_clock()
    local began, at = time(), {}
    local list = { sleeper(3, "c"), sleeper(1, "a"), sleeper(2, "b") }
    local values = {}
    for task in neap.as_completed(list) do
      values[#values + 1] = task:result()
      at[#at + 1] = time() - began
    end
    assert.same({ "a", "b", "c" }, values)
    for i = 1, 3 do assert.near(i, at[i], 1e-6) end
  end)

  it("I1 gives what had ended before, and what failed", function()
    local early = sleeper(0, "early")
    early:await()
    local failed = neap.create_task(error, "wolf", 0)
    local iterator = neap.as_completed { failed, early }
    local seen = { [iterator()] = true, [iterator()] = true }
    assert.is_nil(iterator())
    assert.is_true(seen[early])
    assert.is_true(seen[failed])
    assert.equal("wolf", failed:exception())
  end)

  it("I1 of an empty list gives nothing", function()
    assert.is_nil(neap.as_completed {} ())
  end)

  it("I2 gives the very tasks passed in; functions come out as new tasks", function()
    testing.virtual_clock()
    local task, future = sleeper(1), neap.Future()
    neap.get_running_loop():call_later(2, future.set_result, future)
    local iterator = neap.as_completed { future, task, function() return "new" end }
    local new = iterator()
    assert.is_true(neap.isfuture(new))
    assert.equal("new", new:result())
    assert.equal(task, iterator())
    assert.equal(future, iterator())
  end)

  it("I3 leaves nothing of an unused timeout behind", function()
    testing.virtual_clock()
    local began, handles = time(), testing.census().handles
    local values = values_of(neap.as_completed { sleeper(1, "a"), sleeper(2, "b"), timeout = 3600 })
    assert.same({ "a", "b" }, values)
    assert.equal(handles, testing.census().handles)
    neap.sleep(7200)
    assert.near(7202, time() - began, 1e-6)
  end)

  it("I3 raises TimeoutError out of the iteration when time is over, and cancels nothing", function()
    testing.virtual_clock()
    local began, values = time(), {}
    local slow = sleeper(9, "slow")
    local ok, err = pcall(function()
      for task in neap.as_completed { slow, sleeper(1, "quick"), timeout = 3 } do
        values[#values + 1] = task:result()
      end
    end)
    assert.is_false(ok)
    assert.is_true(neap.is(err, neap.TimeoutError), tostring(err))
    assert.same({ "quick" }, values)
    assert.near(3, time() - began, 1e-6)
    assert.equal("slow", slow:await())
  end)

  it("I4 goes on after a break with the same iterator", function()
    testing.virtual_clock()
    local iterator = neap.as_completed { sleeper(2, "b"), sleeper(1, "a"), sleeper(3, "c") }
    local values = {}
    for task in iterator do
      values[#values + 1] = task:result()
      if #values == 1 then break end
    end
    assert.same({ "a" }, values)
    assert.same({ "b", "c" }, values_of(iterator))
    assert.is_nil(iterator())
  end)

  it("I4 goes on after the awaiting step was cancelled, and loses no task", function()
    testing.virtual_clock()
    local iterator = neap.as_completed { sleeper(2, "b"), sleeper(1, "a") }
    local completed = neap.move_on_after(0.5, iterator)
    assert.is_false(completed)
    assert.same({ "a", "b" }, values_of(iterator))
  end)

  it("I5 lets all be taken first and awaited afterwards", function()
    testing.virtual_clock()
    local tasks = {}
    for task in neap.as_completed { sleeper(2, "b"), sleeper(1, "a") } do tasks[#tasks + 1] = task end
    assert.same({ "a", "b", n = 2 }, neap.gather(tasks))
  end)

  it("I5 may be shared by two tasks, each of which gets its own and the end", function()
    testing.virtual_clock()
    local iterator = neap.as_completed { sleeper(2, "b"), sleeper(1, "a"), sleeper(3, "c") }
    local values = {}
    local function take()
      for task in iterator do values[#values + 1] = task:result() end
    end
    local takers = { neap.create_task(take), neap.create_task(take) }
    local _, stuck = neap.wait { takers[1], takers[2], timeout = 10 }
    for _, task in ipairs(stuck) do task:cancel() end
    neap.wait(takers)
    assert.same({}, stuck)
    assert.same({ "a", "b", "c" }, values)
  end)

  it("I6 gives a task given twice once, and calls a function each time it is given", function()
    local runs, count = 0, 0
    local function run() runs = runs + 1 end
    local task = sleeper(0)
    for _ in neap.as_completed { task, run, task, run } do count = count + 1 end
    assert.equal(3, count)
    assert.equal(2, runs)
  end)

  it("I7 outside a task is an error that names the call", function()
    local ok, err
    neap.get_running_loop():call_soon(function() ok, err = pcall(neap.as_completed, {}) end)
    neap.sleep(0)
    assert.is_false(ok)
    assert.matches("as_completed", tostring(err), 1, true)
  end)
end)
