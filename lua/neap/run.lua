--- The beginning and the end of a program.
local core = require "neap.core"

local M = {}

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do set[item] = true end
  return set
end

local function leftovers(before)
  local tasks = {}
  local current = core.current_task()
  for _, task in ipairs(core.all_tasks()) do
    if not before[task] and task ~= current then tasks[#tasks + 1] = task end
  end
  return tasks
end

--- Cancels the tasks that are not in `before`, and waits for them; cleanup may make new ones.
local function cancel_leftovers(before)
  local shield <close> = core.shielded()
  local tasks = leftovers(before)
  while #tasks > 0 do
    for _, task in ipairs(tasks) do task:cancel() end
    core.wait_many(tasks, 0, nil, "run")
    tasks = leftovers(before)
  end
end

local function run_in_body(before, main)
  local awaited, err = pcall(main.await, main)
  local was_done = main:done()
  cancel_leftovers(before)
  if not awaited and not was_done then error(err, 0) end
end

local function run_from_outside(before, main)
  local driven, err = pcall(core.drive, main)
  core.drive(core.create_task(cancel_leftovers, before))
  if not driven then error(err, 0) end
end

--- Runs `fn(...)` as the main task, then cancels what it left and waits for that.
--- In the body of a script that the neap command runs it awaits; in any other task it raises.
---@param fn function|thread
---@return any ... what `fn` returned; its error is raised
function M.run(fn, ...)
  local kind = type(fn)
  if kind ~= "function" and kind ~= "thread" then
    core.misuse(("bad argument #1 to 'run' (function expected, got %s)")
      :format(select("#", ...) == 0 and fn == nil and "no value" or kind))
  end
  local in_body = core.is_body()
  if not in_body and core.get_event_loop():is_running() then
    core.misuse "run: the loop is running already (in a task, await instead)"
  end
  local before = set_of(core.all_tasks())
  local main = core.create_task_at(2, fn, ...)
  if in_body then run_in_body(before, main) else run_from_outside(before, main) end
  local result <const> = table.pack(pcall(main.result, main))
  core.report_failures()
  if not result[1] then error(result[2], 0) end
  return table.unpack(result, 2, result.n)
end

return M
