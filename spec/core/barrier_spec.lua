-- Barriers.
local neap = require "neap"
local tasks = require "spec.support.tasks"
local testing = require "neap.testing"

local turns <const> = tasks.turns

-- Starts so many tasks that wait at the barrier, and lets them come.
local function come(barrier, count)
  local started = {}
  for i = 1, count do started[i] = neap.create_task(barrier.wait, barrier) end
  neap.sleep(0)
  return started
end

local function numbers(started)
  local list = {}
  for i, task in ipairs(started) do list[i] = task:await() end
  return list
end

local function assert_broken(started)
  for _, task in ipairs(started) do tasks.raises(neap.BrokenBarrierError, task.await, task) end
end

describe("a barrier", function()
  it("R1 numbers those who come, from 1 to the last, each once in a round", function()
    local barrier = neap.Barrier(3)
    local started = come(barrier, 2)
    assert.equal(3, barrier:wait())
    assert.same({ 1, 2 }, numbers(started))
  end)

  it("R2 for one never blocks", function()
    local barrier, other = neap.Barrier(1), neap.create_task(function() end)
    assert.equal(1, barrier:wait())
    assert.is_false(other:done())
    other:await()
  end)

  it("R3 for one can be used again at once", function()
    local barrier = neap.Barrier(1)
    for _ = 1, 3 do assert.equal(1, barrier:wait()) end
    assert.is_false(barrier.broken)
  end)

  it("R3 for one gives the others their turns", function()
    local barrier, stop, rounds = neap.Barrier(1), false, 0
    neap.create_task(function() stop = true end)
    while not stop and rounds < 100000 do
      barrier:wait()
      rounds = rounds + 1
    end
    assert.is_true(stop)
    assert.is_true(rounds < 1000)
  end)

  it("R4 counts those who wait, and 0 once they were let go", function()
    local barrier, all = neap.Barrier(4), {}
    assert.equal(4, barrier.parties)
    for i = 1, 3 do
      all[i] = come(barrier, 1)[1]
      assert.equal(i, barrier.n_waiting)
      assert.is_false(all[i]:done())
    end
    barrier:wait()
    assert.equal(0, barrier.n_waiting)
    assert.same({ 1, 2, 3 }, numbers(all))
  end)

  it("R5 is used round after round, also by those who come back at once", function()
    local barrier, log, started = neap.Barrier(3), {}, {}
    for i = 1, 3 do
      started[i] = neap.create_task(function()
        for round = 1, 4 do
          barrier:wait()
          log[#log + 1] = round
        end
      end)
    end
    for _, task in ipairs(started) do task:await() end
    assert.equal("111222333444", table.concat(log))
    assert.equal(0, barrier.n_waiting)
  end)

  it("R6 gives each number once in each round, in the order in which they came", function()
    local barrier, rounds, started = neap.Barrier(4), {}, {}
    for i = 1, 4 do
      started[i] = neap.create_task(function()
        for round = 1, 5 do
          local number = barrier:wait()
          rounds[round] = rounds[round] or {}
          assert.is_nil(rounds[round][number])
          rounds[round][number] = i
        end
      end)
    end
    for _, task in ipairs(started) do task:await() end
    for round = 1, 5 do assert.equal(4, #rounds[round]) end
    assert.same({ 1, 2, 3, 4 }, rounds[1])
  end)

  it("R6 lets two rounds go when so many come in one turn", function()
    local barrier = neap.Barrier(2)
    assert.same({ 1, 2, 1, 2 }, numbers(come(barrier, 4)))
  end)

  it("R7 does not count one who was cancelled, or killed, or whose time was up", function()
    testing.virtual_clock()
    local barrier = neap.Barrier(3)
    local first = come(barrier, 2)
    first[1]:cancel()
    first[2]:kill()
    tasks.raises(neap.TimeoutError, neap.wait_for, barrier.wait, 1, barrier)
    assert.equal(0, barrier.n_waiting)
    assert.is_false(barrier.broken)
    local second = come(barrier, 2)
    assert.equal(3, barrier:wait())
    assert.same({ 1, 2 }, numbers(second))
    assert.is_true(first[1]:cancelled())
  end)

  it("R7 numbers the rest anew when one of them left", function()
    local barrier = neap.Barrier(3)
    local started = come(barrier, 2)
    started[1]:cancel()
    turns()
    local last = come(barrier, 1)[1]
    assert.equal(3, barrier:wait())
    assert.equal(1, started[2]:await())
    assert.equal(2, last:await())
  end)

  it("R7 has let one go who is cancelled once the last has come", function()
    local barrier = neap.Barrier(2)
    local first = come(barrier, 1)[1]
    assert.equal(2, barrier:wait())
    first:cancel()
    pcall(first.await, first)
    assert.equal(0, barrier.n_waiting)
    local next_round = come(barrier, 1)
    assert.equal(2, barrier:wait())
    assert.same({ 1 }, numbers(next_round))
  end)

  it("R8 raises BrokenBarrierError in those who wait when it is reset, and is used again", function()
    local barrier = neap.Barrier(3)
    local started = come(barrier, 2)
    barrier:reset()
    assert.equal(0, barrier.n_waiting)
    assert.is_false(barrier.broken)
    assert_broken(started)
    started = come(barrier, 2)
    assert.equal(3, barrier:wait())
    assert.same({ 1, 2 }, numbers(started))
  end)

  it("R8 that nobody waits at is reset without a trace", function()
    local barrier = neap.Barrier(2)
    barrier:reset()
    barrier:reset()
    assert.same({ 1, 2 }, numbers(come(barrier, 2)))
  end)

  it("R9 has let all of a round go when its last has come: a reset then breaks none of them", function()
    local barrier = neap.Barrier(3)
    local started = come(barrier, 2)
    assert.equal(3, barrier:wait())
    barrier:reset() -- the first two have not run yet
    assert.same({ 1, 2 }, numbers(started))
    assert.equal(0, barrier.n_waiting)
    assert.is_false(barrier.broken)
  end)

  it("R9 breaks those of a round who wait when one of them resets it", function()
    local barrier = neap.Barrier(4)
    local started = come(barrier, 3)
    neap.create_task(barrier.reset, barrier):await()
    assert_broken(started)
    assert.equal(0, barrier.n_waiting)
    assert.is_false(barrier.broken)
  end)

  it("R10 breaks those who came for the next round when it is reset, and none of the round that is leaving", function()
    local barrier = neap.Barrier(3)
    local leaving = come(barrier, 2)
    local early = neap.create_task(function()
      assert.equal(3, barrier:wait())
      return barrier:wait() -- the first of the next round, while the others are still leaving
    end)
    local watch = neap.create_task(function()
      assert.equal(1, barrier.n_waiting)
      barrier:reset()
    end)
    watch:await()
    assert.same({ 1, 2 }, numbers(leaving))
    assert_broken { early }
    assert.is_false(barrier.broken)
    assert.equal(0, barrier.n_waiting)
  end)

  it("R11 stays broken once it was aborted: those who wait and all who come get BrokenBarrierError", function()
    local barrier = neap.Barrier(3)
    local started = come(barrier, 2)
    barrier:abort()
    assert.is_true(barrier.broken)
    assert_broken(started)
    for _ = 1, 2 do
      local err = tasks.raises(neap.BrokenBarrierError, function() barrier:wait() end)
      assert.matches("barrier_spec.lua:%d+: wait: the barrier is broken", tostring(err))
    end
    assert.equal(0, barrier.n_waiting)
    barrier:abort()
    assert.is_true(barrier.broken)
  end)

  it("R11 lets go, all the same, a round whose last had come before", function()
    local barrier = neap.Barrier(2)
    local started = come(barrier, 1)
    barrier:wait()
    barrier:abort()
    assert.same({ 1 }, numbers(started))
    assert.is_true(barrier.broken)
  end)

  it("R12 is aborted by one whose work failed, for all the others", function()
    local barrier, wolf = neap.Barrier(3), {}
    local others = come(barrier, 2)
    local failing = neap.create_task(function()
      local ok, err = pcall(error, wolf)
      if not ok then
        barrier:abort()
        error(err)
      end
      barrier:wait()
    end)
    local _, err = pcall(failing.await, failing)
    assert.equal(wolf, err)
    assert_broken(others)
    assert.is_true(barrier.broken)
  end)

  it("R13 is whole again after a reset", function()
    local barrier = neap.Barrier(2)
    local started = come(barrier, 1)
    barrier:abort()
    barrier:reset()
    assert.is_false(barrier.broken)
    assert_broken(started)
    started = come(barrier, 1)
    assert.equal(2, barrier:wait())
    assert.same({ 1 }, numbers(started))
  end)

  it("is not completed in a cancelled scope", function()
    local barrier, scope = neap.Barrier(2), neap.CancelScope()
    local started = come(barrier, 1)
    assert.is_false((scope:run(function()
      scope:cancel()
      barrier:wait()
    end)))
    assert.equal(1, barrier.n_waiting)
    assert.is_false(started[1]:done())
    barrier:wait()
    started[1]:await()
  end)

  it("is aborted and reset from a callback; waiting there is an error and counts nobody", function()
    local barrier, ok, err = neap.Barrier(2)
    local started = come(barrier, 1)
    neap.get_running_loop():call_soon(function()
      ok, err = pcall(function() barrier:wait() end)
      barrier:abort()
    end)
    assert_broken(started)
    assert.is_false(ok)
    assert.matches("barrier_spec.lua:%d+: wait: cannot wait outside a task", err)
    neap.get_running_loop():call_soon(barrier.reset, barrier)
    turns()
    assert.is_false(barrier.broken)
  end)

  it("is waited at inside a generator", function()
    local barrier = neap.Barrier(2)
    local reader = tasks.start(function()
      return coroutine.wrap(function() coroutine.yield(barrier:wait()) end)()
    end)
    assert.equal(2, barrier:wait())
    assert.equal(1, reader:await())
  end)

  it("tells as a string its state, how many wait and for how many", function()
    local barrier = neap.Barrier(3)
    local started = come(barrier, 2)
    assert.equal("<Barrier whole, waiters 2 of 3>", tostring(barrier))
    assert.matches("waits in wait", tostring(started[1]), 1, true)
    barrier:abort()
    assert.equal("<Barrier broken, waiters 0 of 3>", tostring(barrier))
    assert_broken(started)
  end)
end)
