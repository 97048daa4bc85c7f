-- Locks.
local neap = require "neap"
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"
local testing = require "neap.testing"

local acquirers <const>, turns <const> = tasks.acquirers, tasks.turns

describe("a lock", function()
  it("N1 goes from hand to hand in the order of the waiters, one for each release", function()
    local lock = neap.Lock()
    local log = acquirers(lock, { "a", "b", "c", "d" })
    assert.same({ "a" }, log)
    for _, expected in ipairs { "ab", "abc", "abcd" } do
      lock:release()
      turns()
      assert.equal(expected, table.concat(log))
    end
    assert.is_true(lock:locked())
    lock:release()
    assert.is_false(lock:locked())
  end)

  it("N2 forgets a waiter that was cancelled", function()
    local lock = neap.Lock()
    lock:acquire()
    local waiter = tasks.start(lock.acquire, lock)
    waiter:cancel()
    tasks.cancelled(waiter.await, waiter)
    assert.equal("<Lock locked, waiters 0>", tostring(lock))
    lock:release()
    assert.is_false(lock:locked())
  end)

  it("N3 is not lost when a waiter is cancelled and the lock released in one callback", function()
    local lock = neap.Lock()
    lock:acquire()
    local log, started = acquirers(lock, { "a", "b" })
    neap.get_running_loop():call_soon(function()
      started.a:cancel()
      lock:release()
    end)
    turns()
    assert.same({ "b" }, log)
    assert.is_true(started.a:cancelled())
    assert.equal("<Lock locked, waiters 0>", tostring(lock))
  end)

  it("N4 is kept by one who is cancelled once it was granted, the cancel coming at its next await", function()
    local lock, held = neap.Lock()
    lock:acquire()
    local winner = tasks.start(function()
      local _ <close> = lock:acquire()
      held = true
      neap.sleep(0)
    end)
    local log = acquirers(lock, { "next" })
    lock:release()
    winner:cancel()
    tasks.cancelled(winner.await, winner)
    turns()
    assert.is_true(held)
    assert.same({ "next" }, log)
  end)

  it("N4 goes on to the next from one who is killed once it was granted", function()
    local lock = neap.Lock()
    lock:acquire()
    local log, started = acquirers(lock, { "a", "b", "c" })
    lock:release()
    started.a:kill()
    started.b:kill()
    turns()
    assert.same({ "c" }, log)
  end)

  it("N4 is free again if the one who was granted it is killed and nobody waits", function()
    local lock = neap.Lock()
    lock:acquire()
    local waiter = tasks.start(lock.acquire, lock)
    lock:release()
    waiter:kill()
    assert.equal("<Lock unlocked>", tostring(lock))
    lock:acquire()
  end)

  it("N5 cannot be released when it is not held", function()
    local lock = neap.Lock()
    local line = debug.getinfo(1, "l").currentline + 1
    local ok, err = pcall(function() lock:release() end)
    assert.is_false(ok)
    assert.matches("lock_spec.lua:" .. line .. ": release: the lock is not held", err, 1, true)
    lock:acquire()
    lock:release()
    assert.is_false(pcall(lock.release, lock))
    assert.is_false(lock:locked())
  end)

  it("N6 is released at the end of a block, also by an error, whose value stays", function()
    local lock, wolf = neap.Lock(), {}
    do
      local _ <close> = lock:acquire()
      assert.is_true(lock:locked())
    end
    assert.is_false(lock:locked())
    local _, err = pcall(function()
      local _ <close> = lock:acquire()
      error(wolf)
    end)
    assert.equal(wolf, err)
    assert.is_false(lock:locked())
  end)

  it("N6 is released by a block that a cancel, a kill or a time limit ends", function()
    testing.virtual_clock()
    local lock = neap.Lock()
    local function hold()
      local _ <close> = lock:acquire()
      neap.sleep(3600)
    end
    local holder = tasks.start(hold)
    holder:cancel()
    tasks.cancelled(holder.await, holder)
    assert.is_false(lock:locked())
    holder = tasks.start(hold)
    assert.is_true(lock:locked())
    holder:kill()
    assert.is_false(lock:locked())
    tasks.raises(neap.TimeoutError, neap.wait_for, hold, 1)
    assert.is_false(lock:locked())
  end)

  it("N7 tells as a string whether it is locked and how many wait", function()
    local lock = neap.Lock()
    assert.equal("<Lock unlocked>", tostring(lock))
    lock:acquire()
    assert.equal("<Lock locked, waiters 0>", tostring(lock))
    local _, started = acquirers(lock, { "a", "b" })
    assert.equal("<Lock locked, waiters 2>", tostring(lock))
    assert.matches("waits in acquire at", tostring(started.a), 1, true)
    lock:release()
    assert.equal("<Lock locked, waiters 1>", tostring(lock))
    lock:release()
    turns()
  end)

  for kind, new in pairs {
    Lock = neap.Lock, Condition = neap.Condition, Semaphore = neap.Semaphore, BoundedSemaphore = neap.BoundedSemaphore,
  } do
    it("N8 is held for a block alike: " .. kind, function()
      local object = new()
      do
        local held <close> = object:acquire()
        assert.equal(object, held)
        assert.is_true(object:locked())
      end
      assert.is_false(object:locked())
      pcall(function()
        local _ <close> = object:acquire()
        error "wolf"
      end)
      assert.is_false(object:locked())
    end)

    it("that was never acquired cannot end a block: " .. kind, function()
      if kind == "Semaphore" then return end -- it has no bound
      local ok, err = pcall(function() local _ <close> = new() end)
      assert.is_false(ok)
      assert.matches("lock_spec.lua:%d+: release: ", err)
    end)
  end

  it("law 9: does not suspend the one who finds it free", function()
    local other = neap.create_task(function() end)
    neap.Lock():acquire()
    assert.is_false(other:done())
    other:await()
  end)

  it("law 28: belongs to the first waiter from the release on: no newcomer overtakes", function()
    local lock = neap.Lock()
    lock:acquire()
    local log = acquirers(lock, { "a" })
    lock:release()
    assert.is_true(lock:locked())
    local late = neap.create_task(function()
      lock:acquire()
      log[#log + 1] = "late"
    end)
    turns()
    assert.same({ "a" }, log)
    lock:release()
    late:await()
    assert.same({ "a", "late" }, log)
  end)

  it("law 28: does not come back at once to the one who releases it while others wait", function()
    local lock, log = neap.Lock(), {}
    local function worker(name)
      for _ = 1, 3 do
        lock:acquire()
        log[#log + 1] = name
        neap.sleep(0)
        lock:release()
      end
    end
    local group = { neap.create_task(worker, "a"), neap.create_task(worker, "b") }
    for _, task in ipairs(group) do task:await() end
    assert.equal("ababab", table.concat(log))
  end)

  it("is never held by two, whatever is cancelled or killed", function()
    math.randomseed(7)
    local lock, inside, most, entered, crowd = neap.Lock(), 0, 0, 0, {}
    local leave = setmetatable({}, { __close = function() inside = inside - 1 end })
    for i = 1, 60 do
      crowd[i] = neap.create_task(function()
        for _ = 1, 20 do
          local _ <close> = lock:acquire()
          inside, entered = inside + 1, entered + 1
          local _ <close> = leave
          most = math.max(most, inside)
          neap.sleep(0)
        end
      end)
    end
    for _ = 1, 200 do
      local victim = crowd[math.random(#crowd)]
      if math.random(2) == 1 then victim:cancel() else victim:kill() end
      turns(math.random(3))
      if math.random(4) == 1 then crowd[#crowd + 1] = neap.create_task(function() lock:acquire():release() end) end
    end
    for _, task in ipairs(crowd) do pcall(task.await, task) end
    assert.equal(1, most)
    assert.is_true(entered > 100)
    assert.equal("<Lock unlocked>", tostring(lock))
  end)

  it("takes nothing when a time limit ends the wait", function()
    testing.virtual_clock()
    local lock = neap.Lock()
    lock:acquire()
    tasks.raises(neap.TimeoutError, neap.wait_for, lock.acquire, 1, lock)
    assert.equal("<Lock locked, waiters 0>", tostring(lock))
    lock:release()
    assert.is_false(lock:locked())
  end)

  it("is not taken when the limit passes in the very turn of the release", function()
    testing.virtual_clock()
    local lock = neap.Lock()
    lock:acquire()
    neap.get_running_loop():call_later(1, lock.release, lock)
    tasks.raises(neap.TimeoutError, neap.wait_for, lock.acquire, 1, lock)
    turns()
    assert.equal("<Lock unlocked>", tostring(lock))
  end)

  it("is taken, or not, by what comes first in a turn: the release or the end of the scope", function()
    for _, release_first in ipairs { true, false } do
      local lock, scope, got = neap.Lock()
      lock:acquire()
      local waiter = tasks.start(function()
        scope = neap.CancelScope()
        return scope:run(function()
          local _ <close> = lock:acquire()
          got = true
        end)
      end)
      if release_first then lock:release() end
      scope:cancel()
      if not release_first then lock:release() end
      waiter:await()
      assert.equal(release_first, got == true)
      assert.equal("<Lock unlocked>", tostring(lock))
    end
  end)

  it("is acquired in a cancelled scope by nobody, also when it is free", function()
    local lock = neap.Lock()
    local scope = neap.CancelScope()
    assert.is_false((scope:run(function()
      scope:cancel()
      lock:acquire()
    end)))
    assert.is_false(lock:locked())
  end)

  it("is released from a callback, but cannot be awaited there", function()
    local lock, ok, err = neap.Lock()
    lock:acquire()
    local log = acquirers(lock, { "a" })
    neap.get_running_loop():call_soon(function()
      ok, err = pcall(lock.acquire, lock)
      lock:release()
    end)
    turns()
    assert.is_false(ok)
    assert.matches("acquire: cannot wait outside a task", err, 1, true)
    assert.same({ "a" }, log)
  end)

  it("is not taken where Lua cannot yield, free or not", function()
    local lock = neap.Lock()
    local ok, err = pcall(table.sort, { 1, 2 }, function() lock:acquire() end)
    assert.is_false(ok)
    assert.matches("acquire: cannot wait here", err, 1, true)
    assert.is_false(lock:locked())
  end)

  it("is acquired and released inside a generator, and waits in it", function()
    local lock, log = neap.Lock(), {}
    lock:acquire()
    local reader = tasks.start(function()
      local function generate()
        for i = 1, 2 do
          local _ <close> = lock:acquire()
          coroutine.yield(i)
        end
      end
      for i in coroutine.wrap(generate) do log[#log + 1] = i end
    end)
    assert.matches("waits in acquire", tostring(reader), 1, true)
    assert.same({}, log)
    lock:release()
    reader:await()
    assert.same({ 1, 2 }, log)
    assert.is_false(lock:locked())
  end)

  it("gives the others their turns when a task takes and releases it in a circle", function()
    local lock, stop, rounds = neap.Lock(), false, 0
    neap.create_task(function() stop = true end)
    while not stop and rounds < 100000 do
      lock:acquire():release()
      rounds = rounds + 1
    end
    assert.is_true(stop)
    assert.is_true(rounds < 1000)
  end)

  it("may be released by another task than the one that acquired it", function()
    local lock = neap.Lock()
    lock:acquire()
    neap.create_task(lock.release, lock):await()
    assert.is_false(lock:locked())
  end)

  it("is given back by a task that dies holding it in nested blocks, each once", function()
    local outer, inner = neap.Lock(), neap.Lock()
    local holder = tasks.start(function()
      local _ <close> = outer:acquire()
      local _ <close> = inner:acquire()
      neap.Future():await()
    end)
    holder:kill()
    assert.is_false(outer:locked())
    assert.is_false(inner:locked())
  end)

  it("names the line in the deadlock of a task that acquires it twice", function()
    local result = program.code [[
      local lock = require "neap".Lock()
      lock:acquire()
      lock:acquire()
    ]]
    assert.matches("deadlock", result.stderr, 1, true)
    assert.matches("waits in acquire at (command line):3", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)
end)
