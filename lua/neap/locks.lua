--- Events, conditions and barriers. Locks, semaphores and queues are in C; one wait queue lies under all.
local core = require "neap.core"
local check = require "neap.check"

local M = {}

--- What tasks wait for until somebody sets it.
---@class neap.Event
local Event = { __name = "neap.Event" }
Event.__index = Event

--- A new event, which is not set.
---@return neap.Event
function M.Event()
  return setmetatable({ on = false, waiting = core.WaitQueue() }, Event)
end

---@return boolean
function Event:is_set()
  return self.on
end

--- Wakes all who wait; from now on nobody need wait, until it is cleared.
function Event:set()
  self.waiting:wake() -- refuses other threads before anything changes
  self.on = true
end

--- From now on tasks wait again.
function Event:clear()
  self.on = false
end

--- Waits until it is set. Awaits; cancelling it changes nothing.
---@return true
function Event:wait()
  if self.on then core.ready "wait" else self.waiting:wait() end
  return true
end

function Event:__tostring()
  return ("<Event %s, waiters %d>"):format(self.on and "set" or "not set", #self.waiting)
end

check.class(Event)

--- A lock together with something that those who hold it wait for and are told of.
---@class neap.Condition
local Condition = { __name = "neap.Condition" }
Condition.__index = Condition

local lock_class <const> = getmetatable(core.Lock())

--- A new condition, with a lock of its own unless one is given to share.
---@param lock neap.Lock?
---@return neap.Condition
function M.Condition(lock)
  if lock == nil then
    lock = core.Lock()
  elseif getmetatable(lock) ~= lock_class then
    check.bad_argument("Condition", 1, "lock", lock)
  end
  return setmetatable({ lock = lock, waiting = core.WaitQueue(true) }, Condition)
end

--- Awaits the lock; what it returns releases that as a `<close>` variable. Cancelled, it has not taken it.
---@return neap.Condition
function Condition:acquire()
  self.lock:acquire()
  return self
end

--- Gives the lock to the first who waits for it. Raises if nobody holds it.
function Condition:release()
  self.lock:release()
end

---@return boolean
function Condition:locked()
  return self.lock:locked()
end

function Condition:__close()
  self.lock:release()
end

local function check_held(condition, call)
  if not condition.lock:locked() then
    core.misuse(("%s: the condition's lock is not held"):format(call))
  end
end

--- What a task that waits is in need of. Without the lock, which it has when it was killed or the program is
--- stuck, the release that its block will make must do nothing; and if it was notified in vain, another is.
local Need = {
  __close = function(need)
    if not need.locked then core.forgo_release(need.lock) end
    if need.notified and not need.met then need.waiting:wake(1) end
  end,
}

local function acquire_shielded(need)
  local shield <close> = core.shielded()
  need.lock:acquire()
  need.locked = true
end

--- Releases the lock, waits to be notified, and acquires it again: also before it raises. Cancelled, it has
--- used no notification.
---@return true
function Condition:wait()
  core.check_awaiting "wait"
  check_held(self, "wait")
  local need <close> = setmetatable({ lock = self.lock, waiting = self.waiting }, Need)
  self.lock:release()
  local ok, err = pcall(self.waiting.wait, self.waiting)
  need.notified = ok
  acquire_shielded(need)
  if not ok then error(err, 0) end
  core.check_awaiting "wait"
  need.met = true
  return true
end

--- Waits until `predicate()` is true, looking each time it is notified; returns what that returned.
---@param predicate fun(): any
---@return any
function Condition:wait_for(predicate)
  check.callable("wait_for", 1, predicate)
  core.ready "wait_for"
  check_held(self, "wait_for")
  local result = predicate()
  while not result do
    self:wait()
    result = predicate()
  end
  return result
end

--- Wakes the first `count` who wait (1 unless given). They go on once they have the lock.
---@param count integer?
function Condition:notify(count)
  check.count("notify", 1, count, 0)
  check_held(self, "notify")
  self.waiting:wake(count or 1)
end

--- Wakes all who wait. They go on one by one, as they get the lock.
function Condition:notify_all()
  check_held(self, "notify_all")
  self.waiting:wake()
end

function Condition:__tostring()
  return ("<Condition %s, waiters %d>"):format(self:locked() and "locked" or "unlocked", #self.waiting)
end

check.class(Condition)

--- Where tasks wait for each other until all have come. It can be used again and again.
---@class neap.Barrier
---@field parties integer how many must come
---@field n_waiting integer how many have come
---@field broken boolean
local Barrier = { __name = "neap.Barrier" }

local BROKEN <const> = -1

local computed <const> = {
  n_waiting = function(barrier) return #barrier.waiting end,
}

function Barrier:__index(key)
  local compute = computed[key]
  if compute then return compute(self) end
  return Barrier[key]
end

--- A new barrier for so many tasks.
---@param parties integer at least 1
---@return neap.Barrier
function M.Barrier(parties)
  if parties == nil then check.bad_argument("Barrier", 1, "whole number", parties) end
  check.count("Barrier", 1, parties, 1)
  return setmetatable({ parties = math.tointeger(parties), broken = false, waiting = core.WaitQueue() }, Barrier)
end

local function raise_broken()
  core.raise(core.BrokenBarrierError, "wait: the barrier is broken")
end

--- Waits until all have come. Returns the number of this one, from 1 in the order in which they came.
--- Raises BrokenBarrierError if the barrier is broken or reset meanwhile. A wait that is cancelled does not
--- count.
---@return integer
function Barrier:wait()
  core.ready "wait"
  if self.broken then raise_broken() end
  if #self.waiting + 1 >= self.parties then
    self.waiting:wake()
    return self.parties
  end
  local number = self.waiting:wait()
  if number == BROKEN then raise_broken() end
  return number
end

--- Those who wait get BrokenBarrierError; then it is as new.
function Barrier:reset()
  self.waiting:wake(nil, BROKEN)
  self.broken = false
end

--- Those who wait, and all who come later, get BrokenBarrierError, until it is reset.
function Barrier:abort()
  self.waiting:wake(nil, BROKEN)
  self.broken = true
end

function Barrier:__tostring()
  return ("<Barrier %s, waiters %d of %d>")
    :format(self.broken and "broken" or "whole", #self.waiting, self.parties)
end

check.class(Barrier)

return M
