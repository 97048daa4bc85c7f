-- Events.
local neap = require "neap"
local tasks = require "spec.support.tasks"
local testing = require "neap.testing"

local turns <const> = tasks.turns

-- Tasks that wait for the event and note their names in the list it returns.
local function waiters(event, names)
  local log, started = {}, {}
  for _, name in ipairs(names) do
    started[name] = neap.create_task(function()
      assert(event:wait() == true)
      log[#log + 1] = name
    end)
  end
  neap.sleep(0)
  return log, started
end

describe("an event", function()
  it("O1 wakes all who wait, in their order, and no one waits after that", function()
    local event = neap.Event()
    local log = waiters(event, { "a", "b", "c" })
    assert.same({}, log)
    event:set()
    turns()
    assert.same({ "a", "b", "c" }, log)
    waiters(event, { "d" })
    assert.is_true(event:wait())
  end)

  it("O1 wakes those too who come in the turn in which it is set", function()
    local event = neap.Event()
    local log = waiters(event, { "a" })
    event:set()
    local late = neap.create_task(function()
      event:wait()
      log[#log + 1] = "late"
    end)
    late:await()
    assert.same({ "a", "late" }, log)
  end)

  it("O2 that is set lets wait return at once", function()
    local event, other = neap.Event(), neap.create_task(function() end)
    event:set()
    assert.is_true(event:wait())
    assert.is_false(other:done())
    other:await()
  end)

  it("O2 that is set gives the others their turns when a task waits for it in a circle", function()
    local event, stop, rounds = neap.Event(), false, 0
    event:set()
    neap.create_task(function() stop = true end)
    while not stop and rounds < 100000 do
      event:wait()
      rounds = rounds + 1
    end
    assert.is_true(stop)
    assert.is_true(rounds < 1000)
  end)

  it("O3 forgets a waiter that was cancelled, or killed", function()
    local event = neap.Event()
    local log, started = waiters(event, { "a", "b", "c" })
    started.a:cancel()
    started.b:kill()
    tasks.cancelled(started.a.await, started.a)
    assert.equal("<Event not set, waiters 1>", tostring(event))
    event:set()
    turns()
    assert.same({ "c" }, log)
  end)

  it("O3 cannot take back from a waiter that it was set", function()
    local event = neap.Event()
    local log, started = waiters(event, { "a", "b" })
    event:set()
    started.a:cancel()
    turns()
    assert.same({ "a", "b" }, log)
  end)

  it("O4 is switched by set and clear", function()
    local event = neap.Event()
    assert.is_false(event:is_set())
    event:set()
    event:set()
    assert.is_true(event:is_set())
    event:clear()
    event:clear()
    assert.is_false(event:is_set())
    local log = waiters(event, { "a" })
    turns()
    assert.same({}, log)
    event:set()
    turns()
    assert.same({ "a" }, log)
  end)

  it("wakes those who waited, though it is cleared at once, and not those who come then", function()
    local event = neap.Event()
    local log = waiters(event, { "a", "b" })
    event:set()
    event:clear()
    local late = select(2, waiters(event, { "late" }))
    turns()
    assert.same({ "a", "b" }, log)
    assert.is_false(late.late:done())
    event:set()
    late.late:await()
  end)

  it("may be set from a callback; waiting there is an error", function()
    local event, ok, err = neap.Event()
    local log = waiters(event, { "a" })
    neap.get_running_loop():call_soon(function()
      ok, err = pcall(function() event:wait() end)
      event:set()
    end)
    turns()
    assert.is_false(ok)
    assert.matches("event_spec.lua:%d+: wait: cannot wait outside a task", err)
    assert.same({ "a" }, log)
  end)

  it("is waited for within a time limit", function()
    testing.virtual_clock()
    local event = neap.Event()
    tasks.raises(neap.TimeoutError, neap.wait_for, event.wait, 1, event)
    assert.equal("<Event not set, waiters 0>", tostring(event))
    neap.get_running_loop():call_later(2, event.set, event)
    assert.is_true(neap.wait_for(event.wait, 5, event))
  end)

  it("that is set still raises in a cancelled scope", function()
    local event, scope = neap.Event(), neap.CancelScope()
    event:set()
    assert.is_false((scope:run(function()
      scope:cancel()
      event:wait()
    end)))
  end)

  it("is waited for inside a generator", function()
    local event, log = neap.Event(), {}
    local reader = tasks.start(function()
      for i in coroutine.wrap(function()
        event:wait()
        coroutine.yield(1)
      end) do log[#log + 1] = i end
    end)
    assert.same({}, log)
    event:set()
    reader:await()
    assert.same({ 1 }, log)
  end)

  it("tells as a string whether it is set and how many wait", function()
    local event = neap.Event()
    local _, started = waiters(event, { "a", "b" })
    assert.equal("<Event not set, waiters 2>", tostring(event))
    assert.matches("waits in wait at spec/core/event_spec.lua", tostring(started.a), 1, true)
    event:set()
    assert.equal("<Event set, waiters 0>", tostring(event))
    turns()
  end)
end)
