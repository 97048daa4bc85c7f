--- Threads: each has a Lua state and a loop of its own. What goes from one to another is copied.
local core = require "neap.core"
local check = require "neap.check"

local M = {}

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

--- Closing its channel ends a worker: what it works for may stop its loop, or the thread.
local over <const> = setmetatable({}, { __mode = "k" })

local function start_worker()
  local channel <const> = core.Channel()
  local worker <const> = core.start_thread(2, true, function()
    local loop = require("neap").get_event_loop()
    repeat loop:run_forever() until channel:closed()
  end)
  worker.name = "to_thread " .. worker.name
  over[worker] = channel
  return worker
end

--- One that is idle, or a new one; those that were cancelled as a whole have ended.
local function take_worker()
  while #idle > 0 do
    local worker <const> = table.remove(idle)
    if worker:is_alive() then return worker end
  end
  return start_worker()
end

local function give_back(worker)
  if worker:is_alive() then idle[#idle + 1] = worker end
  places:release()
end

local function after(fn, ...)
  fn()
  return ...
end

--- Awaits a copy of `fn(...)`, which is called in another thread, one of as many as there are processors. Cancelling
--- the await cancels the call at its next await; a computation that does not await goes on, and its values are dropped.
---@param fn function
---@return any ... what `fn` returned; its error is raised
function M.to_thread(fn, ...)
  check_function("to_thread", 1, fn)
  places = places or core.Semaphore(math.max(LEAST, math.min(MOST, core.parallelism())))
  places:acquire()
  local ok, worker = pcall(take_worker)
  if not ok then
    places:release()
    error(worker, 0)
  end
  local function free()
    if worker then give_back(worker) end
    worker = nil
  end
  local started, job = pcall(core.start_job, worker, "to_thread", free, fn, ...)
  if not started then
    free()
    error(job, 0)
  end
  return after(free, job:await())
end

--- Ends the threads of to_thread that have nothing to do.
function core.end_idle_threads()
  while #idle > 0 do
    local worker <const> = table.remove(idle)
    over[worker]:close()
    worker:stop()
  end
end

M.current_thread = core.current_thread
M.parent_thread = core.parent_thread

return M
