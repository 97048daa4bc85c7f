--- Tasks in company: gather, wait, as_completed, wait_for, shield, move_on_after.
local core = require "neap.core"
local check = require "neap.check"

local M = {}

--- When `wait` returns: once all are done, once one is, or once one has failed.
M.ALL_COMPLETED = "ALL_COMPLETED"
M.FIRST_COMPLETED = "FIRST_COMPLETED"
M.FIRST_EXCEPTION = "FIRST_EXCEPTION"

-- As numbered in src/core/await.c.
local MODES <const> = { ALL_COMPLETED = 0, FIRST_COMPLETED = 1, FIRST_EXCEPTION = 2 }
local FIRST_FAILURE <const> = 3

local is_startable <const>, bad_argument <const> = check.is_startable, check.bad_argument

local function check_list(call, list)
  if type(list) ~= "table" or getmetatable(list) ~= nil then
    bad_argument(call, 1, "list of tasks", list)
  end
end

local function check_awaitables(call, list, count)
  if core.all_futures(list, count) then return end
  for i = 1, count do
    local value = list[i]
    if not core.isfuture(value) and not is_startable(value) then
      bad_argument(call, i, "task, future, function or coroutine", value)
    end
  end
end

--- The tasks of a list in its order, functions and coroutines started. A coroutine that was given twice is
--- one task; a function is called each time. `level` is that of the caller outside neap.
local function start_all(list, count, level)
  if core.all_futures(list, count) then return table.move(list, 1, count, 1, {}), {} end
  local tasks, started, made = {}, {}, {}
  for i = 1, count do
    local value = list[i]
    local task = made[value]
    if core.isfuture(value) then
      task = value
    elseif not task then
      task = core.create_task_at(level + 1, value)
      if type(value) == "thread" then made[value] = task end
      started[#started + 1] = task
    end
    tasks[i] = task
  end
  return tasks, started
end

local function without_doubles(tasks)
  local seen, list = {}, {}
  for _, task in ipairs(tasks) do
    if not seen[task] then
      seen[task] = true
      list[#list + 1] = task
    end
  end
  return list
end

--- A bare future is its setter's to end.
local function without_bare_futures(tasks)
  local list = {}
  for _, task in ipairs(tasks) do
    if task.cancelling then list[#list + 1] = task end
  end
  return list
end

local function cancel_all(tasks, message)
  for _, task in ipairs(tasks) do
    if not task:done() then task:cancel(message) end
  end
end

--- Runs when the task is killed, too, where nothing can be waited for.
local at_kill <const> = { __close = function(guard) cancel_all(guard.started) end }

local function wait_shielded(tasks)
  local shield <close> = core.shielded()
  core.wait_many(tasks, MODES.ALL_COMPLETED, nil, "gather")
end

local function first_value(task)
  return (task:result())
end

local function outcome(task)
  if task:failed() then return task:exception() end
  if not task:cancelled() then return first_value(task) end
  local _, err = pcall(first_value, task)
  return err
end

--- Waits for all of them, and returns one list, in order, with `n`, of each one's first value.
---
--- If one fails, its error is raised: what gather itself started is cancelled and waited for first;
--- tasks that were passed in go on. With `return_exceptions` errors stand in the list instead.
--- Cancelling the caller cancels all of them.
---@param ... any tasks, futures, functions or coroutines; or one list of them with options
---@return table
function M.gather(...)
  local list, count = ..., select("#", ...)
  if count == 1 and type(list) == "table" and getmetatable(list) == nil then
    count = #list
  else
    list = { ... }
  end
  check.options("gather", 1, list, { return_exceptions = true })
  core.check_awaiting "gather"
  check_awaitables("gather", list, count)
  local tasks, started = start_all(list, count, 2)
  local mode = list.return_exceptions and MODES.ALL_COMPLETED or FIRST_FAILURE
  local _ <close> = setmetatable({ started = started }, at_kill)
  local waited, trigger = pcall(core.wait_many, tasks, mode, nil, "gather")
  if not waited then
    local cancelled <const> = trigger
    local children = without_bare_futures(tasks)
    cancel_all(children)
    wait_shielded(children)
    error(cancelled, 0)
  end
  if trigger > 0 then
    cancel_all(started)
    wait_shielded(started)
    for _, task in ipairs(started) do
      if task ~= tasks[trigger] and task:cancelled() then pcall(task.result, task) end
    end
    return tasks[trigger]:result()
  end
  if mode == FIRST_FAILURE then return core.values(tasks, count) end
  local results = { n = count }
  for i = 1, count do
    results[i] = outcome(tasks[i])
  end
  return results
end

--- Waits for the tasks of a list, and returns two lists, done and pending, in the order given. It
--- cancels nothing and raises no TimeoutError. Functions become tasks.
---@param list { timeout: number?, return_when: string? } and the tasks
---@return table done
---@return table pending
function M.wait(list)
  check_list("wait", list)
  check.options("wait", 1, list, { timeout = true, return_when = true })
  local count = #list
  if count == 0 then core.misuse "bad argument #1 to 'wait' (the list is empty)" end
  local mode = MODES[list.return_when or M.ALL_COMPLETED]
  if not mode then
    core.misuse(("bad argument #1 to 'wait' (invalid return_when '%s')")
      :format(tostring(list.return_when)))
  end
  local timeout = list.timeout
  check.seconds("wait", 1, timeout)
  core.check_awaiting "wait"
  check_awaitables("wait", list, count)
  local tasks = without_doubles(start_all(list, count, 2))
  core.wait_many(tasks, mode, timeout)
  local done, pending = {}, {}
  for _, task in ipairs(tasks) do
    local side = task:done() and done or pending
    side[#side + 1] = task
  end
  return done, pending
end

--- Iterates over the tasks of a list in the order in which they end. `timeout` in the list limits the
--- whole: a TimeoutError comes out of the iteration.
---@param list { timeout: number? } and the tasks
---@return fun(): any
function M.as_completed(list)
  check_list("as_completed", list)
  check.options("as_completed", 1, list, { timeout = true })
  check.seconds("as_completed", 1, list.timeout)
  core.check_awaiting "as_completed"
  check_awaitables("as_completed", list, #list)
  local tasks = without_doubles(start_all(list, #list, 2))
  local ended, given, claimed = {}, 0, 0
  local arrivals = core.Semaphore(0)
  local function on_done(task)
    ended[#ended + 1] = task
    arrivals:release()
  end
  for _, task in ipairs(tasks) do task:add_done_callback(on_done) end
  local deadline = list.timeout and core.get_running_loop():time() + list.timeout
  return function()
    if claimed == #tasks then return nil end
    local got = false
    claimed = claimed + 1
    local claim <close> = setmetatable({}, { __close = function()
      if not got then claimed = claimed - 1 end
    end })
    local limit <close> = core.timeout_at(deadline)
    arrivals:acquire()
    got, given = true, given + 1
    return ended[given]
  end
end

local function raise_timeout(seconds)
  error(core.TimeoutError(("the time limit of %.14g s was exceeded"):format(seconds)), 0)
end

--- At no time left only what is done already counts; a task that is not is cancelled, and its end
--- waited for.
local function wait_for_nothing(awaitable, seconds)
  if not core.isfuture(awaitable) then raise_timeout(seconds) end
  if not awaitable:done() and awaitable.cancelling then
    awaitable:cancel()
    core.wait_many({ awaitable }, MODES.ALL_COMPLETED)
  end
  if not awaitable:done() or awaitable:cancelled() then raise_timeout(seconds) end
  return awaitable:result()
end

--- Awaits with a time limit, in the same task: TimeoutError when it is over, after the cleanup of what
--- was awaited. nil is no limit; at 0 or less a function is not called.
---@param awaitable any
---@param seconds number?
function M.wait_for(awaitable, seconds, ...)
  if not core.isfuture(awaitable) and not is_startable(awaitable) then
    bad_argument("wait_for", 1, "task, future, function or coroutine", awaitable)
  end
  if seconds == nil then return core.await(awaitable, ...) end
  check.seconds("wait_for", 2, seconds)
  core.check_awaiting "wait_for"
  if seconds <= 0 then return wait_for_nothing(awaitable, seconds) end
  local limit <close> = core.timeout(seconds)
  return core.await(awaitable, ...)
end

--- An awaitable that may be cancelled without cancelling `awaitable`, which goes on. A function is
--- started at once.
---@param awaitable any
---@return fun(): any
function M.shield(awaitable)
  core.check_awaiting "shield"
  if not core.isfuture(awaitable) then
    if not is_startable(awaitable) then
      bad_argument("shield", 1, "task, future, function or coroutine", awaitable)
    end
    awaitable = core.create_task_at(2, awaitable)
  end
  return function()
    core.wait_many({ awaitable }, MODES.ALL_COMPLETED, nil, "shield")
    return awaitable:result()
  end
end

--- Calls `fn(...)` for at most so long: true and its values, or false when time was over.
---@param seconds number?
---@param fn function
---@return boolean completed
---@return any ...
function M.move_on_after(seconds, fn, ...)
  check.seconds("move_on_after", 1, seconds)
  check.startable("move_on_after", 2, fn)
  return core.CancelScope { timeout = seconds, call = "move_on_after" }:run(fn, ...)
end

return M
