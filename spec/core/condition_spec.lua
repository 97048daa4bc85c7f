-- Conditions.
local neap = require "neap"
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"
local testing = require "neap.testing"

local wait_all_blocked <const> = testing.wait_all_blocked

local function turns(n)
  for _ = 1, n do neap.sleep(0) end
end

-- Tasks that wait in the condition and note their names in the list it returns.
local function waiters(condition, names)
  local log, started = {}, {}
  for _, name in ipairs(names) do
    started[name] = neap.create_task(function()
      local _ <close> = condition:acquire()
      assert(condition:wait() == true)
      log[#log + 1] = name
    end)
  end
  wait_all_blocked()
  return log, started
end

local function notify(condition, count)
  local _ <close> = condition:acquire()
  condition:notify(count)
end

describe("a condition", function()
  it("P1 cannot be waited in without the lock", function()
    local condition = neap.Condition()
    local line = debug.getinfo(1, "l").currentline + 1
    local ok, err = pcall(function() condition:wait() end)
    assert.is_false(ok)
    assert.matches("condition_spec.lua:" .. line .. ": wait: the condition's lock is not held", err, 1, true)
    ok, err = pcall(function() condition:wait_for(print) end)
    assert.is_false(ok)
    assert.matches("wait_for: the condition's lock is not held", err, 1, true)
    assert.equal("<Condition unlocked, waiters 0>", tostring(condition))
  end)

  it("P2 wakes so many as it is told, in their order; more than wait is fine", function()
    local condition = neap.Condition()
    local log = waiters(condition, { "a", "b", "c", "d", "e", "f" })
    local function wakes(expected, count)
      notify(condition, count)
      wait_all_blocked()
      assert.equal(expected, table.concat(log))
    end
    wakes("", 0)
    wakes("a")
    wakes("abc", 2)
    wakes("abcdef", 2048)
    wakes("abcdef")
    assert.equal("<Condition unlocked, waiters 0>", tostring(condition))
  end)

  it("P2 lets no one go on before the lock is free, and one at a time", function()
    local condition, inside, most = neap.Condition(), 0, 0
    local started = {}
    for i = 1, 5 do
      started[i] = neap.create_task(function()
        local _ <close> = condition:acquire()
        condition:wait()
        inside = inside + 1
        most = math.max(most, inside)
        neap.sleep(0)
        inside = inside - 1
      end)
    end
    wait_all_blocked()
    condition:acquire()
    condition:notify(5)
    wait_all_blocked()
    assert.equal(0, most)
    condition:release()
    for _, task in ipairs(started) do task:await() end
    assert.equal(1, most)
  end)

  it("P3 wakes all by notify_all, in their order", function()
    local condition = neap.Condition()
    local log = waiters(condition, { "a", "b", "c" })
    condition:acquire()
    condition:notify_all()
    condition:release()
    wait_all_blocked()
    assert.same({ "a", "b", "c" }, log)
  end)

  it("P4 cannot be notified without the lock", function()
    local condition = neap.Condition()
    for _, call in ipairs { "notify", "notify_all" } do
      local ok, err = pcall(function() condition[call](condition) end)
      assert.is_false(ok)
      assert.matches("condition_spec.lua:%d+: " .. call .. ": the condition's lock is not held", err)
    end
  end)

  it("P5 takes the lock again before a cancelled wait raises, however long others hold it", function()
    local condition, ended, locked = neap.Condition(), false
    local waiter = tasks.start(function()
      local _ <close> = condition:acquire()
      local err = tasks.cancelled(condition.wait, condition)
      locked = condition:locked()
      ended = true
      error(err, 0)
    end)
    condition:acquire()
    waiter:cancel()
    wait_all_blocked()
    assert.is_false(ended)
    condition:release()
    tasks.cancelled(waiter.await, waiter)
    assert.is_true(ended)
    assert.is_true(locked)
    assert.is_false(condition:locked())
  end)

  it("P6 ends one cancelled that is cancelled after the notify and before it has the lock, and releases it", function()
    local condition, locked = neap.Condition()
    local waiter = tasks.start(function()
      local _ <close> = condition:acquire()
      local err = tasks.cancelled(condition.wait, condition)
      locked = condition:locked()
      error(err, 0)
    end)
    condition:acquire()
    condition:notify()
    neap.sleep(0)
    waiter:cancel()
    condition:release()
    tasks.cancelled(waiter.await, waiter)
    assert.is_true(waiter:cancelled())
    assert.is_true(locked)
    assert.is_false(condition:locked())
  end)

  it("P7 may share a lock: both show the same state", function()
    local lock = neap.Lock()
    local empty, full = neap.Condition(lock), neap.Condition(lock)
    assert.equal(lock, empty.lock)
    do
      local _ <close> = empty:acquire()
      assert.is_true(lock:locked())
      assert.is_true(full:locked())
    end
    assert.is_false(lock:locked())
    local log = waiters(full, { "a" })
    do
      local _ <close> = lock:acquire()
      empty:notify_all()
      wait_all_blocked()
      assert.same({}, log)
      full:notify()
    end
    wait_all_blocked()
    assert.same({ "a" }, log)
  end)

  it("P8 carries the message of the cancel out of wait_for", function()
    local condition = neap.Condition()
    local waiter = tasks.start(function()
      local _ <close> = condition:acquire()
      condition:wait_for(function() return false end)
    end)
    waiter:cancel "enough"
    local err = tasks.cancelled(waiter.await, waiter)
    assert.matches("enough", tostring(err), 1, true)
    assert.is_false(condition:locked())
  end)

  it("P9 carries it too when the cancel comes while the lock is being taken again", function()
    local condition = neap.Condition()
    local waiter = tasks.start(function()
      local _ <close> = condition:acquire()
      condition:wait_for(function() return false end)
    end)
    condition:acquire()
    condition:notify()
    wait_all_blocked()
    waiter:cancel "enough"
    wait_all_blocked()
    assert.is_false(waiter:done())
    condition:release()
    local err = tasks.cancelled(waiter.await, waiter)
    assert.matches("enough", tostring(err), 1, true)
    assert.is_false(condition:locked())
  end)

  -- Who is told of a notification that the first waiter cannot use: cancelled or killed, when it was notified in this
  -- turn, or while it takes the lock again, or when it was granted the lock too.
  for how, stop in pairs {
    cancelled = function(task) task:cancel() end,
    killed = function(task) task:kill() end,
  } do
    it(("P10 tells another when one was %s as it was notified"):format(how), function()
      local condition = neap.Condition()
      local log, started = waiters(condition, { "a", "b", "c" })
      condition:acquire()
      condition:notify()
      stop(started.a)
      condition:release()
      wait_all_blocked()
      assert.same({ "b" }, log)
      assert.is_true(started.a:cancelled())
      assert.equal("<Condition unlocked, waiters 1>", tostring(condition))
      notify(condition)
      started.c:await()
    end)

    it(("P11 tells another when one was %s while it took the lock again"):format(how), function()
      local condition = neap.Condition()
      local log, started = waiters(condition, { "a", "b", "c" })
      condition:acquire()
      condition:notify()
      wait_all_blocked()
      assert.matches("waits in acquire", tostring(started.a), 1, true)
      stop(started.a)
      wait_all_blocked()
      condition:release()
      wait_all_blocked()
      assert.same({ "b" }, log)
      assert.is_true(started.a:cancelled())
      notify(condition)
      started.c:await()
      assert.is_false(condition:locked())
    end)

    it(("P11 tells another when one was %s as it was granted the lock again"):format(how), function()
      local condition = neap.Condition()
      local log, started = waiters(condition, { "a", "b" })
      condition:acquire()
      condition:notify()
      wait_all_blocked()
      condition:release()
      stop(started.a)
      wait_all_blocked()
      assert.same({ "b" }, log)
      assert.is_true(started.a:cancelled())
      assert.is_false(condition:locked())
    end)

    it(("is not notified in vain when one that waits was %s before"):format(how), function()
      local condition = neap.Condition()
      local log, started = waiters(condition, { "a", "b" })
      condition:acquire()
      stop(started.a)
      condition:notify()
      condition:release()
      wait_all_blocked()
      assert.same({ "b" }, log)
      assert.is_false(condition:locked())
    end)
  end

  it("does not release another's lock for one that is killed as it waits without it", function()
    local condition = neap.Condition()
    local _, started = waiters(condition, { "a" })
    condition:acquire()
    started.a:kill()
    assert.is_true(condition:locked())
    assert.is_true(started.a:cancelled())
    condition:release()
  end)

  it("does not release another's lock for one that is killed while it takes the lock again", function()
    local condition = neap.Condition()
    local _, started = waiters(condition, { "a" })
    condition:acquire()
    condition:notify()
    wait_all_blocked()
    started.a:kill()
    assert.is_true(condition:locked())
    condition:release()
    assert.is_false(condition:locked())
  end)

  it("is released by one that is killed with the lock back, and hands its notification on", function()
    local condition = neap.Condition()
    local log, started = waiters(condition, { "a", "b" })
    condition:acquire()
    condition:notify()
    wait_all_blocked()
    condition:release() -- to a
    started.a:kill()
    wait_all_blocked()
    assert.same({ "b" }, log)
    assert.is_false(condition:locked())
  end)

  it("raises nothing in the blocks of one that is killed when the lock was granted and nobody waits", function()
    local condition, seen = neap.Condition(), {}
    local waiter = tasks.start(function()
      local _ <close> = setmetatable({}, { __close = function(_, err) seen[1] = err end })
      local _ <close> = condition:acquire()
      condition:wait()
    end)
    condition:acquire()
    condition:notify()
    wait_all_blocked()
    condition:release()
    waiter:kill()
    assert.is_nil(seen[1])
    assert.is_false(condition:locked())
  end)

  it("does not release another's lock when a deadlock ends the wait before the lock is back", function()
    local result = program.code [[
      local neap = require "neap"
      local condition = neap.Condition()
      neap.create_task(function()
        neap.sleep(0)
        local _ <close> = condition:acquire()
        pcall(neap.await, neap.Future())
        print("still held", condition:locked())
      end)
      print(pcall(function()
        local _ <close> = condition:acquire()
        condition:wait()
      end))
      print("held by the other", condition:locked())
      condition:release()
    ]]
    assert.matches("^false\tdeadlock.*\nheld by the other\ttrue\n", result.stdout)
  end)

  it("gives the others their turns when a task waits in a circle for what is true already", function()
    local condition <close>, stop, rounds = neap.Condition():acquire(), false, 0
    neap.create_task(function() stop = true end)
    while not stop and rounds < 100000 do
      condition:wait_for(function() return true end)
      rounds = rounds + 1
    end
    assert.is_true(stop)
    assert.is_true(rounds < 1000)
  end)

  it("gives the lock up while it waits, and has it after", function()
    local condition = neap.Condition()
    local _, started = waiters(condition, { "a" })
    assert.is_false(condition:locked())
    assert.equal("<Condition unlocked, waiters 1>", tostring(condition))
    do
      local _ <close> = condition:acquire()
      condition:notify()
      assert.equal("<Condition locked, waiters 0>", tostring(condition))
    end
    started.a:await()
    assert.is_false(condition:locked())
  end)

  it("waits for a predicate, looking each time it is notified, and returns what it gave", function()
    local condition, level, looks = neap.Condition(), 0, 0
    local waiter = tasks.start(function()
      local _ <close> = condition:acquire()
      return condition:wait_for(function()
        looks = looks + 1
        return level >= 3 and "level " .. level
      end)
    end)
    for i = 1, 3 do
      assert.equal(i, looks)
      do
        local _ <close> = condition:acquire()
        level = i
        condition:notify()
      end
      wait_all_blocked()
    end
    assert.equal("level 3", waiter:await())
    assert.equal(4, looks)
  end)

  it("passes on what a predicate raises, with the lock held", function()
    local condition, wolf = neap.Condition(), {}
    local _ <close> = condition:acquire()
    local ok, err = pcall(condition.wait_for, condition, function() error(wolf) end)
    assert.is_false(ok)
    assert.equal(wolf, err)
    assert.is_true(condition:locked())
  end)

  it("ends a time limit only once it has the lock again", function()
    testing.virtual_clock()
    local loop, condition = neap.get_running_loop(), neap.Condition()
    local start = loop:time()
    neap.create_task(function()
      neap.sleep(1)
      local _ <close> = condition:acquire()
      neap.sleep(9)
    end)
    do
      local _ <close> = condition:acquire()
      tasks.raises(neap.TimeoutError, neap.wait_for, condition.wait, 5, condition)
      assert.is_true(condition:locked())
    end
    assert.equal(10, loop:time() - start)
    assert.is_false(condition:locked())
  end)

  it("uses a notification or leaves it, when a scope ends in the turn of the notify", function()
    for _, notify_first in ipairs { true, false } do
      local condition, scope, woken = neap.Condition()
      local first = tasks.start(function()
        local _ <close> = condition:acquire()
        scope = neap.CancelScope()
        return scope:run(function()
          condition:wait()
          woken = "first"
        end)
      end)
      local second = tasks.start(function()
        local _ <close> = condition:acquire()
        condition:wait()
        woken = "second"
      end)
      condition:acquire()
      if notify_first then condition:notify() end
      scope:cancel()
      if not notify_first then condition:notify() end
      condition:release()
      assert.is_false((first:await()))
      second:await()
      assert.equal("second", woken)
      assert.is_false(condition:locked())
    end
  end)

  it("may be notified from a callback while a task holds the lock; waiting there is an error", function()
    local condition, ok, err = neap.Condition()
    local log = waiters(condition, { "a" })
    condition:acquire()
    neap.get_running_loop():call_soon(function()
      ok, err = pcall(function() condition:wait() end)
      condition:notify()
      condition:release()
    end)
    wait_all_blocked()
    assert.is_false(ok)
    assert.matches("condition_spec.lua:%d+: wait: cannot wait outside a task", err)
    assert.same({ "a" }, log)
  end)

  it("keeps the lock when the wait is refused", function()
    local condition = neap.Condition()
    local _ <close> = condition:acquire()
    local ok, err = pcall(table.sort, { 1, 2 }, function() condition:wait() end)
    assert.is_false(ok)
    assert.matches("wait: cannot wait here", err, 1, true)
    assert.is_true(condition:locked())
  end)

  it("keeps the lock when the scope is cancelled already", function()
    local condition, scope = neap.Condition(), neap.CancelScope()
    local _ <close> = condition:acquire()
    local other = neap.create_task(condition.acquire, condition)
    assert.is_false((scope:run(function()
      scope:cancel()
      condition:wait()
    end)))
    assert.is_true(condition:locked())
    assert.is_false(other:done())
    other:cancel()
    tasks.cancelled(other.await, other)
  end)

  it("is waited in inside a generator", function()
    local condition, log = neap.Condition(), {}
    local reader = tasks.start(function()
      for i in coroutine.wrap(function()
        local _ <close> = condition:acquire()
        condition:wait()
        coroutine.yield(1)
      end) do log[#log + 1] = i end
    end)
    notify(condition)
    reader:await()
    assert.same({ 1 }, log)
    assert.is_false(condition:locked())
  end)

  it("loses no notification to a crowd that is cancelled and killed at random", function()
    math.randomseed(11)
    local condition, used, sent, crowd = neap.Condition(), 0, 0, {}
    local function wait()
      local _ <close> = condition:acquire()
      condition:wait()
      used = used + 1
    end
    for i = 1, 200 do crowd[i] = neap.create_task(wait) end
    wait_all_blocked()
    local function stop_one()
      local victim = crowd[math.random(#crowd)]
      if math.random(2) == 1 then victim:cancel() else victim:kill() end
    end
    for _ = 1, 60 do
      condition:acquire()
      condition:notify()
      sent = sent + 1
      turns(math.random(0, 2))
      stop_one()
      condition:release()
      turns(math.random(0, 2))
      stop_one()
    end
    wait_all_blocked()
    assert.equal(sent, used)
    assert.is_false(condition:locked())
    condition:acquire()
    condition:notify_all()
    condition:release()
    for _, task in ipairs(crowd) do pcall(task.await, task) end
    assert.equal("<Condition unlocked, waiters 0>", tostring(condition))
  end)
end)

it("what conditions forgo is nothing where no task runs", function()
  local result = program.code [[
    local neap, core = require "neap", require "neap.core"
    neap.get_event_loop():call_soon(function() core.forgo_release(neap.Lock()) print "called" end)
    neap.sleep(1)
  ]]
  assert.equal("", result.stderr)
  assert.equal("called\n", result.stdout)
end)
