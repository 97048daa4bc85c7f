--- Threads: each has a Lua state and a loop of its own. What goes from one to another is copied.
local core = require "neap.core"
local check = require "neap.check"

local M = {}

--- A thread, as all states know it that have got it.
---@class neap.Thread
---@field name string
---@field daemon boolean the program does not wait for it; only the thread that started it can set it
---@field join fun(self: neap.Thread): any waits for its end: what its function returned; its error is raised
---@field stop fun(self: neap.Thread) a run_forever in its body returns, or else all its tasks are cancelled
---@field is_alive fun(self: neap.Thread): boolean
---@field call_soon_threadsafe fun(self: neap.Thread, fn: function, ...: any): neap.ThreadHandle a copy is called
---@field run_coroutine_threadsafe fun(self: neap.Thread, fn: function, ...: any): neap.Task of this loop; a copy is
--- called in a task of the thread, which is posted at once; cancelling it cancels that one, and does not wait for it

--- A queue whose messages are copied, for tasks of any number of threads. `neap.Channel(maxsize)` makes one; without a
--- limit unless it is given and above 0.
---@class neap.Channel
---@field maxsize integer
---@field send fun(self: neap.Channel, value: any, ...: any) waits while it is full; the first value must not be nil
---@field send_nowait fun(self: neap.Channel, value: any, ...: any) raises QueueFull
---@field receive fun(self: neap.Channel): any waits, and returns a message's values; nil once it is closed and empty
---@field receive_nowait fun(self: neap.Channel): any raises QueueEmpty
---@field messages fun(self: neap.Channel): fun(): any an iterator, up to the end
---@field close fun(self: neap.Channel) then send raises QueueShutDown, and what is left can be received
---@field closed fun(self: neap.Channel): boolean
---@field qsize fun(self: neap.Channel): integer

--- A callback in another thread.
---@class neap.ThreadHandle
---@field cancel fun(self: neap.ThreadHandle) it is not called, unless that has begun
---@field cancelled fun(self: neap.ThreadHandle): boolean

local function check_function(call, index, fn)
  if type(fn) ~= "function" then check.bad_argument(call, index, "function", fn) end
end

--- Starts a thread whose main task calls a copy of `fn` with copies of the arguments. When that returns, what it left
--- is cancelled and waited for. The program waits for the thread, as for a task, unless it is made a daemon.
---@param fn function
---@return neap.Thread
function M.thread(fn, ...)
  check_function("thread", 1, fn)
  return core.start_thread(2, false, fn, ...)
end

--- The threads of to_thread: those that are idle, and as many places as there may be threads at work.
local LEAST <const>, MOST <const> = 2, 64
local idle <const> = {}
local places

local function start_worker()
  local worker <const> = core.start_thread(2, true, function() require("neap").get_event_loop():run_forever() end)
  worker.name = "to_thread " .. worker.name
  return worker
end

local function give_back(worker)
  idle[#idle + 1] = worker
  places:release()
end

--- Awaits a copy of `fn(...)`, which is called in another thread, one of as many as there are processors. Cancelling
--- the await cancels the call at its next await; a computation that does not await goes on, and its values are dropped.
---@param fn function
---@return any ... what `fn` returned; its error is raised
function M.to_thread(fn, ...)
  check_function("to_thread", 1, fn)
  places = places or core.Semaphore(math.max(LEAST, math.min(MOST, core.parallelism())))
  places:acquire()
  local ok, worker = true, table.remove(idle)
  if not worker then ok, worker = pcall(start_worker) end
  if not ok then
    places:release()
    error(worker, 0)
  end
  local started, job = pcall(core.start_job, worker, "to_thread", function() give_back(worker) end, fn, ...)
  if not started then
    give_back(worker)
    error(job, 0)
  end
  return job:await()
end

--- Ends the threads of to_thread that have nothing to do.
function core.end_idle_threads()
  while #idle > 0 do table.remove(idle):stop() end
end

M.current_thread = core.current_thread
M.parent_thread = core.parent_thread

return M
