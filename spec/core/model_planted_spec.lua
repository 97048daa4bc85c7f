-- The models of random programs find what is wrong: primitives with a planted defect, each of the kind that loses a
-- wake-up, or gives one twice, in some order of events alone.
local neap = require "neap"
local locks = require "spec.support.model.locks"
local monitors = require "spec.support.model.monitors"
local queues = require "spec.support.model.queues"
local support = require "spec.support.model.program"

local closing <const>, search <const> = support.closing, support.search

local SEEDS <const> = 300

local function class(methods)
  methods.__index = methods
  return methods
end

local function remove(list, value)
  for i = #list, 1, -1 do
    if list[i] == value then table.remove(list, i) end
  end
end

-- Waits in a list of futures. A waiter that is cancelled or killed leaves it, unless it is to stay.
local function wait_in(list, stays)
  local future = neap.Future()
  list[#list + 1] = future
  local leaves <close> = closing(function()
    if not stays then remove(list, future) end
  end)
  return future:await()
end

local function wake_first(list, value)
  local future = table.remove(list, 1)
  if future then future:set_result(value) end
  return future
end

local function wake_all(list, value)
  while wake_first(list, value) do end
end

-- Gives the lock to the first who waited, also if he was cancelled meanwhile.
local LockOfTheDead = class {
  acquire = function(lock)
    if lock.held then wait_in(lock.waiters, true) end
    lock.held = true
    return lock
  end,
  release = function(lock) lock.held = wake_first(lock.waiters) ~= nil end,
  locked = function(lock) return lock.held end,
}

-- Wakes the first, and lets whoever comes before he runs take what he was woken for.
local RudeSemaphore = class {
  acquire = function(semaphore)
    while semaphore.value == 0 do wait_in(semaphore.waiters) end
    semaphore.value = semaphore.value - 1
    return semaphore
  end,
  release = function(semaphore)
    semaphore.value = semaphore.value + 1
    wake_first(semaphore.waiters)
  end,
  locked = function(semaphore) return semaphore.value == 0 end,
}

-- Its waiters look again, and wait on if it was cleared since.
local ForgetfulEvent = class {
  is_set = function(event) return event.on end,
  set = function(event)
    event.on = true
    wake_all(event.waiters)
  end,
  clear = function(event) event.on = false end,
  wait = function(event)
    while not event.on do wait_in(event.waiters) end
  end,
}

-- What is held is a token, which one who waits does not hold.
local Held = class {
  __close = function(held)
    if held.condition.held == held then held.condition:release() end
  end,
}

local function acquire_shielded(lock)
  local shield <close> = neap.shielded()
  lock:acquire()
end

-- A waiter that was notified, and then cancelled or killed, keeps the notification.
local SelfishCondition = class {
  acquire = function(condition)
    condition.lock:acquire()
    condition.held = setmetatable({ condition = condition }, Held)
    return condition.held
  end,
  release = function(condition)
    condition.held = nil
    condition.lock:release()
  end,
  locked = function(condition) return condition.lock:locked() end,
  wait = function(condition)
    local held = condition.held
    condition:release()
    local ok, err = pcall(wait_in, condition.waiters)
    acquire_shielded(condition.lock)
    condition.held = held
    neap.sleep(0)
    if not ok then error(err, 0) end
  end,
  wait_for = function(condition, predicate)
    while not predicate() do condition:wait() end
  end,
  notify = function(condition, count)
    for _ = 1, count do wake_first(condition.waiters) end
  end,
  notify_all = function(condition) wake_all(condition.waiters) end,
}

-- Counts those who came, also if they were cancelled.
local CountingBarrier = {}

function CountingBarrier.__index(barrier, key)
  return key == "n_waiting" and #barrier.waiters or CountingBarrier[key]
end

function CountingBarrier.wait(barrier)
  barrier.came = barrier.came + 1
  local number = barrier.came
  if number == barrier.parties then
    barrier.came = 0
    wake_all(barrier.waiters)
  elseif wait_in(barrier.waiters) == "broken" then
    error(neap.BrokenBarrierError "wait: the barrier is broken", 0)
  end
  return number
end

function CountingBarrier.reset(barrier)
  barrier.came = 0
  wake_all(barrier.waiters, "broken")
end

CountingBarrier.abort = CountingBarrier.reset

-- Who waits is given the item; if he is killed before he runs, it is gone.
local LossyQueue = class {
  maxsize = 0,
  qsize = function(queue) return #queue.items end,
  empty = function(queue) return #queue.items == 0 end,
  full = function() return false end,
  put = function(queue, item)
    queue.unfinished = queue.unfinished + 1
    if not wake_first(queue.waiters, item) then queue.items[#queue.items + 1] = item end
  end,
  get = function(queue)
    return table.remove(queue.items, 1) or wait_in(queue.waiters)
  end,
  task_done = function(queue)
    assert(queue.unfinished > 0)
    queue.unfinished = queue.unfinished - 1
    if queue.unfinished == 0 then wake_all(queue.joiners) end
  end,
  join = function(queue)
    if queue.unfinished > 0 then wait_in(queue.joiners) end
  end,
}
LossyQueue.put_nowait = LossyQueue.put

function LossyQueue.get_nowait(queue)
  if #queue.items == 0 then error(neap.QueueEmpty "get_nowait: the queue is empty", 0) end
  return queue:get()
end

-- What it finds it finds again, by the seed alone.
local function finds(model, subject, message)
  local failed = search(model, 1, SEEDS, subject)
  assert.is_truthy(failed, "no program failed")
  assert.matches(message, failed.failure)
  local again = search(model, failed.seed, failed.seed, subject)
  assert.equal(failed.failure, again.failure)
  assert.equal(failed:history(), again:history())
end

describe("random programs find", function()
  it("a lock that is given to one who was cancelled", function()
    finds(locks.lock, function() return setmetatable({ held = false, waiters = {} }, LockOfTheDead), 1 end,
      "1 .*free")
  end)

  it("a semaphore whose permits newcomers take", function()
    finds(locks.semaphore, function() return setmetatable({ value = 2, waiters = {} }, RudeSemaphore), 2 end,
      "overtook")
  end)

  it("an event that forgets whom it woke", function()
    finds(locks.event, function() return setmetatable({ on = false, waiters = {} }, ForgetfulEvent) end,
      "was not woken")
  end)

  it("a condition that loses notifications", function()
    finds(monitors.condition, function()
      return setmetatable({ lock = neap.Lock(), waiters = {} }, SelfishCondition)
    end, "a task waits")
  end)

  it("a barrier that counts who was cancelled", function()
    finds(monitors.barrier, function(parties)
      return setmetatable({ parties = parties, came = 0, waiters = {}, broken = false }, CountingBarrier)
    end, "a round of")
  end)

  it("a queue that loses an item", function()
    finds(queues.queue, function()
      return setmetatable({ items = {}, unfinished = 0, waiters = {}, joiners = {} }, LossyQueue)
    end, "was lost")
  end)
end)
