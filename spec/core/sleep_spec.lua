-- sleep, and the order in which tasks and callbacks run.
local neap = require "neap"
local testing = require "neap.testing"

local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("sleep", function()
  it("E1 of 0 lets what is ready run once", function()
    local log = {}
    local task = neap.create_task(function()
      for i = 1, 3 do
        log[#log + 1] = "task " .. i
        neap.sleep(0)
      end
    end)
    for i = 1, 3 do
      log[#log + 1] = "spec " .. i
      neap.sleep(0)
    end
    assert.same({ "spec 1", "task 1", "spec 2", "task 2", "spec 3", "task 3" }, log)
    task:await()
  end)

  it("E1 of less than 0 is the same", function()
    testing.virtual_clock()
    local loop, ran = neap.get_running_loop(), false
    local start = loop:time()
    loop:call_soon(function() ran = true end)
    neap.sleep(-5)
    assert.is_true(ran)
    assert.equal(start, loop:time())
  end)

  it("E2 of what is no time is a bad argument", function()
    assert.matches("bad argument #1 to 'sleep'", message_of(function() neap.sleep(0 / 0) end), 1, true)
    assert.matches("NaN", message_of(neap.sleep, 0 / 0), 1, true)
    assert.matches("number expected", message_of(neap.sleep, "soon"), 1, true)
    assert.matches("number expected", message_of(neap.sleep), 1, true)
    neap.sleep(0)
  end)

  it("E3 takes at least its time", function()
    local loop = neap.get_running_loop()
    local start = loop:time()
    neap.sleep(0.002)
    assert.is_true(loop:time() - start >= 0.002)
  end)

  it("E3 takes exactly its time on the virtual clock", function()
    testing.virtual_clock()
    local loop = neap.get_running_loop()
    local start = loop:time()
    neap.sleep(3600)
    assert.near(3600, loop:time() - start, 1e-6)
    neap.sleep "0.5"
    assert.near(3600.5, loop:time() - start, 1e-6)
  end)

  it("returns what it is given", function()
    testing.virtual_clock()
    assert.same({ n = 3, "a", nil, nil }, table.pack(neap.sleep(1, "a", nil, nil)))
    assert.same({ n = 1, "b" }, table.pack(neap.sleep(0, "b")))
    assert.same({ n = 1, "c" }, table.pack(neap.sleep(-1, "c")))
    assert.equal(0, select("#", neap.sleep(1)))
    assert.equal(0, select("#", neap.sleep(0)))
  end)

  it("E28 wakes by due time, and equal times by the beginning", function()
    testing.virtual_clock()
    local log = {}
    for i, seconds in ipairs { 3, 1, 2, 1 } do
      neap.create_task(function()
        neap.sleep(seconds)
        log[#log + 1] = i
      end)
    end
    neap.sleep(4)
    assert.same({ 2, 4, 3, 1 }, log)
  end)

  it("of math.huge lasts until it is cancelled", function()
    testing.virtual_clock()
    local task = neap.create_task(neap.sleep, math.huge)
    neap.sleep(1e6)
    assert.is_false(task:done())
    task:cancel()
    local ok, err = pcall(task.await, task)
    assert.is_false(ok)
    assert.is_true(neap.is(err, neap.CancelledError))
  end)

  it("is ended at once by a cancel", function()
    testing.virtual_clock()
    local loop = neap.get_running_loop()
    local task, start = neap.create_task(neap.sleep, 3600), loop:time()
    neap.sleep(1)
    task:cancel()
    pcall(task.await, task)
    assert.near(1, loop:time() - start, 1e-6)
  end)

  it("is refused in a callback, by name and place", function()
    local done = neap.Future()
    neap.get_running_loop():call_soon(function() done:set_result(message_of(neap.sleep, 1)) end)
    assert.matches("sleep", done:await(), 1, true)
  end)

  it("law 9: a task that never waits long lets the others have their turns", function()
    local semaphore, turns, stop = neap.Semaphore(1), 0, false
    local other = neap.create_task(function()
      turns = turns + 1
      stop = true
    end)
    local rounds = 0
    while not stop and rounds < 1e6 do
      rounds = rounds + 1
      semaphore:acquire()
      semaphore:release()
    end
    assert.equal(1, turns)
    assert.is_true(rounds > 1)
    other:await()
  end)
end)
