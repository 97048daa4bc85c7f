-- Futures: how they complete, what awaiting them does, and their callbacks.
local neap = require "neap"
local support = require "spec.support.tasks"

local raises <const> = support.raises

-- Adds callbacks that note their number in the list it returns.
local function note_order(future, count)
  local order, callbacks = {}, {}
  for i = 1, count do
    callbacks[i] = function() order[#order + 1] = i end
    future:add_done_callback(callbacks[i])
  end
  return order, callbacks
end

describe("a future", function()
  it("A1 is neither done nor cancelled when new; cancel() makes it both at once", function()
    local future = neap.Future()
    assert.is_false(future:done())
    assert.is_false(future:cancelled())
    future:cancel()
    assert.is_true(future:done())
    assert.is_true(future:cancelled())
  end)

  it("A2 is told from other values by isfuture", function()
    local task = neap.create_task(function() end)
    assert.is_true(neap.isfuture(neap.Future()))
    assert.is_true(neap.isfuture(task))
    for _, other in ipairs { 1, "text", print, coroutine.create(print), {}, io.stdout } do
      assert.is_false(neap.isfuture(other))
    end
    assert.is_false(neap.isfuture(nil))
    task:await()
  end)

  it("A3 is cancelled once, and then cannot be read or set", function()
    local future = neap.Future()
    assert.is_true(future:cancel())
    assert.is_true(future:done())
    raises(neap.CancelledError, future.result, future)
    raises(neap.CancelledError, future.exception, future)
    raises(neap.InvalidStateError, future.set_result, future, 1)
    raises(neap.InvalidStateError, future.set_exception, future, "wolf")
    assert.is_false(future:cancel())
  end)

  it("A4 raises by result() and returns by exception() the very error that was set", function()
    local future, wolf = neap.Future(), {}
    raises(neap.InvalidStateError, future.exception, future)
    raises(neap.InvalidStateError, future.result, future)
    future:set_exception(wolf)
    local ok, err = pcall(future.result, future)
    assert.is_false(ok)
    assert.equal(wolf, err)
    assert.equal(wolf, future:exception())
    raises(neap.InvalidStateError, future.set_exception, future, "again")
    raises(neap.InvalidStateError, future.set_result, future, "again")
  end)

  it("A5 keeps an error that is nil or false, and counts as failed", function()
    for _, value in ipairs { false, "nil" } do
      local future = neap.Future()
      if value == "nil" then value = nil end
      future:set_exception(value)
      local ok, err = pcall(future.await, future)
      assert.is_false(ok)
      assert.equal(value, err)
      assert.is_true(future:failed())
      assert.is_false(future:cancelled())
      assert.equal(value, future:exception())
    end
  end)

  it("A6 suspends its awaiter while pending, and not once it is done", function()
    local future, log = neap.Future(), {}
    neap.get_running_loop():call_soon(future.set_result, future, 42)
    assert.equal(42, future:await())
    local other = neap.create_task(function() log[1] = "other" end)
    assert.equal(42, future:await())
    assert.equal(42, neap.await(future))
    assert.same({}, log)
    other:await()
  end)

  it("A6 wakes its awaiter in the turn after its completion", function()
    local future, log = neap.Future(), {}
    local waiter = neap.create_task(function()
      local value = future:await()
      log[#log + 1] = "waiter " .. value
    end)
    neap.sleep(0)
    future:set_result "done"
    log[1] = "set"
    assert.same({ "set" }, log)
    neap.sleep(0)
    assert.same({ "set", "waiter done" }, log)
    waiter:await()
  end)

  it("A6 gives its values to all who await it", function()
    local future, got = neap.Future(), {}
    local function wait()
      local value = future:await()
      got[#got + 1] = value
    end
    local a, b = neap.create_task(wait), neap.create_task(wait)
    neap.sleep(0)
    future:set_result "x"
    a:await()
    b:await()
    assert.same({ "x", "x" }, got)
  end)

  it("A7 returns a table as that table, and several values with their holes and count", function()
    local one, several, none, list = neap.Future(), neap.Future(), neap.Future(), { 1, 2, n = 2 }
    one:set_result(list)
    several:set_result(nil, 2, nil)
    none:set_result()
    assert.same({ n = 1, list }, table.pack(one:await()))
    assert.equal(list, (one:result()))
    assert.same({ n = 3, nil, 2, nil }, table.pack(several:await()))
    assert.same({ n = 3, nil, 2, nil }, table.pack(several:result()))
    assert.equal(0, select("#", none:await()))
    assert.is_nil(none:result())
    assert.is_nil(none:exception())
  end)

  it("A8 is left alone by the timer of a sleep that was cancelled meanwhile", function()
    require("neap.testing").virtual_clock()
    local task = neap.create_task(neap.sleep, 1, "late")
    neap.sleep(0.5)
    task:cancel()
    neap.sleep(1)
    assert.is_true(task:cancelled())
  end)

  it("A9 keeps the message it was cancelled with", function()
    local future = neap.Future()
    future:cancel "no more time"
    local err = raises(neap.CancelledError, future.result, future)
    assert.equal("no more time", err.message)
    assert.matches("no more time", tostring(err), 1, true)
  end)

  it("A9 raises CancelledError in its awaiter, which goes on as it likes", function()
    local future = neap.Future()
    neap.get_running_loop():call_soon(future.cancel, future, "by a callback")
    local err = raises(neap.CancelledError, future.await, future)
    assert.equal(future, err.task)
    neap.sleep(0)
  end)

  it("A18 runs its callbacks not inside set_result but in the next turn, in order", function()
    local future = neap.Future()
    local order = note_order(future, 3)
    future:set_result()
    assert.same({}, order)
    neap.sleep(0)
    assert.same({ 1, 2, 3 }, order)
  end)

  it("A18 hands itself to its callbacks, also to one added when it is done", function()
    local future, seen = neap.Future(), {}
    local function note(...) seen[#seen + 1] = table.pack(...) end
    future:add_done_callback(note)
    future:set_result()
    future:add_done_callback(note)
    assert.same({}, seen)
    neap.sleep(0)
    assert.equal(2, #seen)
    for _, arguments in ipairs(seen) do
      assert.equal(1, arguments.n)
      assert.equal(future, arguments[1])
    end
  end)

  it("A19 runs its callbacks not inside set_exception but in the next turn, in order", function()
    local future = neap.Future()
    local order = note_order(future, 3)
    future:set_exception "wolf"
    assert.same({}, order)
    neap.sleep(0)
    assert.same({ 1, 2, 3 }, order)
    assert.equal("wolf", future:exception())
  end)

  it("A19 runs its callbacks in the turn after cancel(), too", function()
    local future = neap.Future()
    local order = note_order(future, 2)
    future:cancel()
    assert.same({}, order)
    neap.sleep(0)
    assert.same({ 1, 2 }, order)
  end)

  it("A20 forgets all copies of a callback and tells how many there were", function()
    local future, calls = neap.Future(), 0
    local function count() calls = calls + 1 end
    future:add_done_callback(count)
    future:add_done_callback(count)
    assert.equal(2, future:remove_done_callback(count))
    assert.equal(0, future:remove_done_callback(count))
    assert.equal(0, future:remove_done_callback(print))
    future:set_result()
    neap.sleep(0)
    assert.equal(0, calls)
  end)

  it("A21 keeps the order of the rest when its first callback is removed, even twice", function()
    local future = neap.Future()
    local order, callbacks = note_order(future, 3)
    assert.equal(1, future:remove_done_callback(callbacks[1]))
    assert.equal(0, future:remove_done_callback(callbacks[1]))
    future:set_result()
    neap.sleep(0)
    assert.same({ 2, 3 }, order)
  end)

  it("A22 keeps the first two callbacks in order when the third is removed", function()
    local future = neap.Future()
    local order, callbacks = note_order(future, 3)
    assert.equal(1, future:remove_done_callback(callbacks[3]))
    future:set_result()
    neap.sleep(0)
    assert.same({ 1, 2 }, order)
  end)

  it("A24 lets a callback remove itself and the others", function()
    local future, ran = neap.Future(), {}
    local function last() ran[#ran + 1] = "last" end
    local function first()
      ran[#ran + 1] = "first"
      future:remove_done_callback(first)
      future:remove_done_callback(last)
    end
    future:add_done_callback(first)
    future:add_done_callback(last)
    future:set_result()
    neap.sleep(0)
    assert.equal("first", ran[1])
  end)

  it("A25 refuses a wrong self with an argument error", function()
    local future = neap.Future()
    for _, name in ipairs {
      "await", "result", "exception", "done", "cancelled", "failed", "cancel", "set_result", "set_exception",
      "add_done_callback", "remove_done_callback",
    } do
      for _, wrong in ipairs { {}, 1, io.stdout, neap.Semaphore() } do
        local ok, err = pcall(future[name], wrong)
        assert.is_false(ok)
        assert.matches("bad argument #1", err, 1, true)
        assert.matches("Future", err, 1, true)
      end
    end
  end)

  it("tells its state as a string", function()
    local pending, finished, cancelled, failed = neap.Future(), neap.Future(), neap.Future(), neap.Future()
    finished:set_result(7)
    cancelled:cancel()
    failed:set_exception "wolf"
    failed:exception()
    assert.equal("<Future pending>", tostring(pending))
    assert.equal("<Future finished result=7>", tostring(finished))
    assert.equal("<Future cancelled>", tostring(cancelled))
    assert.equal("<Future failed error=wolf>", tostring(failed))
  end)
end)

describe("a future that is dropped pending", function()
  it("is collected with its callbacks", function()
    local function drop()
      for _ = 1, 2000 do
        local future = neap.Future()
        future:add_done_callback(function() return future end)
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    drop()
    local before = drop()
    for _ = 1, 3 do drop() end
    assert.is_true(drop() - before < 100)
  end)

  it("keeps its callbacks while somebody holds it", function()
    local future, called = neap.Future(), 0
    for _ = 1, 50 do future:add_done_callback(function() called = called + 1 end) end
    collectgarbage()
    collectgarbage()
    future:set_result()
    future = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    neap.sleep(0)
    assert.equal(50, called)
  end)

  it("lets go of its callbacks once it is done", function()
    local future = neap.Future()
    local gone = setmetatable({}, { __mode = "k" })
    do
      local callback = function() end
      gone[callback] = true
      future:add_done_callback(callback)
      local removed = function() end
      gone[removed] = true
      future:add_done_callback(removed)
      assert.equal(1, future:remove_done_callback(removed))
    end
    future:set_result(1)
    neap.sleep(0)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(gone))
    assert.equal(1, future:result())
  end)
end)
