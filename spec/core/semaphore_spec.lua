-- Semaphores.
local neap = require "neap"
local support = require "spec.support.tasks"

local acquirers <const>, turns <const> = support.acquirers, support.turns

local function ended_cancelled(task)
  pcall(task.await, task)
  return task:cancelled()
end

describe("a semaphore", function()
  it("Q1 starts with 1 or with what is given, not with less than 0", function()
    for _, kind in ipairs { "Semaphore", "BoundedSemaphore" } do
      local ok, message = pcall(neap[kind], -1)
      assert.is_false(ok)
      assert.matches("bad argument #1", message, 1, true)
      assert.is_false(pcall(neap[kind], "many"))
      assert.is_false(pcall(neap[kind], 1.5))
      assert.is_false(neap[kind]():locked())
      assert.is_true(neap[kind](0):locked())
    end
  end)

  it("gives as many permits as it has, and one for each release", function()
    local semaphore = neap.Semaphore(2)
    local log = acquirers(semaphore, { "a", "b", "c" })
    assert.same({ "a", "b" }, log)
    assert.is_true(semaphore:locked())
    semaphore:release()
    turns()
    assert.same({ "a", "b", "c" }, log)
  end)

  it("is released at the end of a block, also by an error", function()
    local semaphore = neap.Semaphore()
    do
      local _ <close> = semaphore:acquire()
      assert.is_true(semaphore:locked())
    end
    assert.is_false(semaphore:locked())
    pcall(function()
      local _ <close> = semaphore:acquire()
      error "wolf"
    end)
    assert.is_false(semaphore:locked())
  end)

  it("law 9: does not suspend the one who finds a permit free", function()
    local other = neap.create_task(function() end)
    neap.Semaphore():acquire()
    assert.is_false(other:done())
    other:await()
  end)

  it("Q2 does not lose a release to waiters that were cancelled", function()
    local semaphore = neap.Semaphore(0)
    local log, tasks = acquirers(semaphore, { "a", "b", "c" })
    tasks.a:cancel()
    tasks.b:cancel()
    semaphore:release()
    turns()
    assert.same({ "c" }, log)
    assert.is_true(ended_cancelled(tasks.a))
    assert.is_true(ended_cancelled(tasks.b))
  end)

  it("Q3 wakes the second when it is released after the first was cancelled", function()
    local semaphore = neap.Semaphore(0)
    local log, tasks = acquirers(semaphore, { "a", "b" })
    tasks.a:cancel()
    turns()
    semaphore:release()
    turns()
    assert.same({ "b" }, log)
    assert.is_true(tasks.a:cancelled())
  end)

  it("Q4 gets back, or passes on, the permit of one that was cancelled when it had been granted", function()
    local semaphore = neap.Semaphore(0)
    local log, tasks = acquirers(semaphore, { "a", "b" })
    semaphore:release()
    tasks.a:cancel()
    turns()
    -- By law 16 a may keep what it was granted before the cancel; else b has it. It is not lost.
    assert.equal(1, #log)
    if log[1] == "a" then
      semaphore:release()
      turns()
    end
    assert.equal("b", log[#log])
  end)

  it("Q4 gets back the permit of one that was killed when it had been granted", function()
    local semaphore = neap.Semaphore(0)
    local log, tasks = acquirers(semaphore, { "a", "b" })
    semaphore:release()
    tasks.a:kill()
    turns()
    assert.same({ "b" }, log)
  end)

  it("Q5 that is bounded cannot be released above its start value", function()
    local semaphore = neap.BoundedSemaphore(1)
    semaphore:acquire()
    semaphore:release()
    local ok, err = pcall(function() semaphore:release() end)
    assert.is_false(ok)
    assert.matches("release", tostring(err), 1, true)
    assert.matches("spec/core/semaphore_spec.lua", tostring(err), 1, true)
    neap.Semaphore(1):release()
  end)

  it("Q5 does not count beyond what a number can hold", function()
    local semaphore = neap.Semaphore(math.maxinteger)
    assert.is_false(pcall(semaphore.release, semaphore))
    assert.equal("<Semaphore unlocked, value " .. math.maxinteger .. ">", tostring(semaphore))
  end)

  it("Q6 serves in order, over and over", function()
    local semaphore, log = neap.Semaphore(1), {}
    local tasks = {}
    for _, name in ipairs { "a", "b", "c" } do
      tasks[#tasks + 1] = neap.create_task(function()
        for _ = 1, 3 do
          semaphore:acquire()
          log[#log + 1] = name
          neap.sleep(0)
          semaphore:release()
        end
      end)
    end
    for _, task in ipairs(tasks) do task:await() end
    assert.equal("abcabcabc", table.concat(log))
  end)

  it("Q7 keeps the order when the first waiter is cancelled", function()
    local semaphore = neap.Semaphore(0)
    local log, tasks = acquirers(semaphore, { "a", "b", "c", "d" })
    tasks.a:cancel()
    for _ = 1, 3 do
      semaphore:release()
      turns()
    end
    assert.same({ "b", "c", "d" }, log)
  end)

  it("Q8 is locked while anyone waits: a newcomer does not overtake", function()
    local semaphore = neap.Semaphore(0)
    local log = acquirers(semaphore, { "a" })
    semaphore:release() -- it is a's from now on
    assert.is_true(semaphore:locked())
    local late = neap.create_task(function()
      semaphore:acquire()
      log[#log + 1] = "late"
    end)
    turns()
    assert.same({ "a" }, log)
    semaphore:release()
    late:await()
    assert.same({ "a", "late" }, log)
  end)

  it("is given up by a time limit", function()
    require("neap.testing").virtual_clock()
    local semaphore = neap.Semaphore(0)
    local ok, err = pcall(function()
      local _ <close> = neap.timeout(1)
      semaphore:acquire()
    end)
    assert.is_false(ok)
    assert.is_true(neap.is(err, neap.TimeoutError))
    semaphore:release()
    assert.is_false(semaphore:locked())
  end)

  it("tells its state as a string", function()
    local semaphore = neap.Semaphore(2)
    assert.equal("<Semaphore unlocked, value 2>", tostring(semaphore))
    semaphore:acquire()
    semaphore:acquire()
    local _, tasks = acquirers(semaphore, { "a" })
    assert.equal("<Semaphore locked, waiters 1>", tostring(semaphore))
    tasks.a:cancel()
    turns()
    assert.equal("<Semaphore locked, waiters 0>", tostring(semaphore))
  end)
end)
