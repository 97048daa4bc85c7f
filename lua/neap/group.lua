--- Task groups: a block that ends when all the tasks made in it have ended.
local core = require "neap.core"
local check = require "neap.check"
local report = require "neap.report"

---@class neap.TaskGroup
---@field errors any[] every error of a child or of the body, in the order of time
local TaskGroup = { __name = "neap.TaskGroup" }
TaskGroup.__index = TaskGroup

--- `task` is the child that failed; nil: it was the body.
local function record(group, err, task)
  group.error_count = group.error_count + 1
  group.errors[group.error_count] = err
  group.failed[group.error_count] = task or false
end

--- In the order in which they were made.
local function list_children(group)
  local children <const> = group.children
  local tasks = {}
  for task in pairs(children) do tasks[#tasks + 1] = task end
  table.sort(tasks, function(a, b) return children[a] < children[b] end)
  tasks[#tasks + 1] = group.unlisted or nil
  return tasks
end

local function cancel_children(group)
  for _, task in ipairs(list_children(group)) do task:cancel() end
end

local function on_child_done(group, task)
  if not group.children[task] then return end
  group.children[task] = nil
  group.count = group.count - 1
  if task:failed() then
    record(group, core.peek_exception(task), task)
    if group.state == "open" then
      group.state = "failing"
      group.scope:cancel()
      cancel_children(group)
    end
  end
end

--- Opens a group, as a `<close>` variable. The first error of a child cancels the others and the
--- body; the block then waits for all, and raises that very error.
---@return neap.TaskGroup
local function new()
  local group = {
    state = "open", children = {}, count = 0, made = 0, errors = {}, error_count = 0, failed = {},
    unlisted = false,
    scope = core.CancelScope { call = "TaskGroup" },
  }
  group.on_done = function(task) on_child_done(group, task) end
  return setmetatable(group, TaskGroup)
end

--- It was made by a call that failed for want of memory.
local function wait_for_unlisted(group)
  group.unlisted:cancel()
  core.wait_many({ group.unlisted }, 0)
  group.unlisted = false
end

--- Makes a task in the group. Raises once the group is shutting down.
---@param fn function|thread
---@return neap.Task
function TaskGroup:create_task(fn, ...)
  if self.state ~= "open" then
    core.misuse(("create_task: the task group is %s")
      :format(self.state == "closed" and "finished" or "shutting down"))
  end
  check.startable("create_task", 1, fn)
  if self.unlisted then wait_for_unlisted(self) end
  local task = core.create_task_at(2, fn, ...)
  self.unlisted = task -- stays so where there is no memory to note it down
  self.made = self.made + 1
  self.children[task] = self.made
  self.unlisted = false
  self.count = self.count + 1
  task:add_done_callback(self.on_done)
  return task
end

--- Cancels the children and the body. May be called twice, and after the end.
function TaskGroup:cancel()
  if self.state == "closed" then return end
  self.state = "cancelled"
  self.scope:cancel()
  cancel_children(self)
end

--- Runs when the task is killed, too, where nothing can be waited for.
local at_kill <const> = { __close = function(guard) cancel_children(guard.group) end }

--- Children whose callback there was no memory to make, or to call. Those on their way come first, in
--- whatever order the tasks of a turn run.
local function end_forgotten(group, children)
  core.sleep(0)
  core.sleep(0)
  for _, task in ipairs(children) do on_child_done(group, task) end
end

local function wait_for_children(group)
  local _ <close> = setmetatable({ group = group }, at_kill)
  if group.unlisted then wait_for_unlisted(group) end
  while group.count > 0 do
    local children = list_children(group)
    core.wait_many(children, 0, nil, "TaskGroup")
    if group.count > 0 then end_forgotten(group, children) end
  end
end

local function wait_shielded(group)
  local shield <close> = core.shielded()
  wait_for_children(group)
end

--- Who awaited a child that failed has its very error, which is told once.
local function report_later_errors(group, failed)
  local told = {}
  for i = 1, group.error_count do
    local err <const> = group.errors[i]
    local key <const> = err == err and err or told -- neither nil nor NaN
    if i > 1 and not told[key] then report("a task group failed more than once", err, failed[i]) end
    told[key] = true
  end
end

--- By the child's own result, so that the traceback tells where it failed.
local function raise_first(group, child)
  if child then child:result() end
  error(group.errors[1], 0)
end

function TaskGroup.__close(group, err)
  local body_failed = err ~= nil and not core.is(err, core.CancelledError)
  if body_failed then record(group, err) end
  if err ~= nil or core.is_cancelled() then
    if group.state == "open" then group.state = "failing" end
    cancel_children(group)
  end
  local waited, failure = false, nil
  if not core.is_cancelled() then waited, failure = pcall(wait_for_children, group) end
  if not waited then
    cancel_children(group)
    wait_shielded(group)
  end
  group.state = "closed"
  group.scope:close()
  local failed <const> = group.failed
  group.failed = {}
  for i = 1, group.error_count do
    if failed[i] then failed[i]:exception() end -- it is read now
  end
  if group.error_count > 0 then
    core.untell_cancel()
    report_later_errors(group, failed)
    if err == nil or group.errors[1] ~= err then raise_first(group, failed[1]) end
  elseif err == nil and failure ~= nil
    and (core.is_cancelled() or not group.scope:cancelled() or not core.is(failure, core.CancelledError)) then
    error(failure, 0)
  elseif err == nil and not waited then
    core.check_awaiting "TaskGroup" -- cancelled from outside: that is still to be told
  end
end

function TaskGroup:__tostring()
  return ("<TaskGroup %s, tasks %d, errors %d>"):format(self.state, self.count, self.error_count)
end

check.class(TaskGroup)

return { TaskGroup = new }
