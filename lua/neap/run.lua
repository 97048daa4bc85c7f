--- The beginning and the end of a program.
local core = require "neap.core"
local check = require "neap.check"

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

--- Runs programs one after the other on the one loop, with settings of its own.
---@class neap.Runner
local Runner = { __name = "neap.Runner" }
Runner.__index = Runner

local CLOCKS <const> = { real = false, virtual = true }

local function check_options(options)
  if type(options) ~= "table" then check.bad_argument("Runner", 1, "table", options) end
  check.options("Runner", 1, options, { debug = true, clock = true })
  if options.debug ~= nil and type(options.debug) ~= "boolean" then
    check.bad_argument("Runner", 1, "boolean as its debug", options.debug)
  elseif options.clock ~= nil and CLOCKS[options.clock] == nil then
    core.misuse(("bad argument #1 to 'Runner' (invalid clock '%s')"):format(tostring(options.clock)))
  end
end

--- A new runner, as a `<close>` variable. It changes nothing before its first run.
---@param options { debug: boolean?, clock: "real"|"virtual"? }?
---@return neap.Runner
function M.Runner(options)
  options = options or {}
  check_options(options)
  return setmetatable({ debug = options.debug, clock = options.clock, state = "new" }, Runner)
end

--- Where a run is allowed: outside the loop, or in the script's body, where it awaits.
local function check_place(call)
  if not core.is_body() and core.get_event_loop():is_running() then
    core.misuse(call .. ": the loop is running already (in a task, await instead)")
  end
end

local function open(runner, call)
  if runner.state == "closed" then core.misuse(call .. ": the runner is closed") end
  if runner.state == "open" then return end
  runner.state = "open"
  runner.before = set_of(core.all_tasks())
  runner.loop = core.get_event_loop()
  runner.was_debug = runner.loop:get_debug()
  if runner.debug ~= nil then runner.loop:set_debug(runner.debug) end
  runner.was_virtual = core.is_virtual()
  if runner.clock then core.set_virtual_clock(CLOCKS[runner.clock]) end
end

--- Runs the task to its end, whatever that is.
local function complete(main)
  local ran, err
  if core.is_body() then ran, err = pcall(main.await, main) else ran, err = pcall(core.drive, main, "run") end
  if not ran and (not main:done() or core.is_cancelled()) then error(err, 0) end
end

local function run(runner, level, fn, ...)
  if not check.is_startable(fn) then
    check.bad_argument("run", 1, "function", fn)
  end
  check_place "run"
  open(runner, "run")
  local main <const> = core.create_task_at(level + 1, fn, ...)
  complete(main)
  return main:result()
end

--- Runs `fn(...)` as the main task. What it leaves goes on in the next run.
---@param fn function|thread
---@return any ... what `fn` returned; its error is raised
function Runner:run(fn, ...)
  return run(self, 1, fn, ...) -- a tail call: this function has no level
end

--- The loop that it runs.
---@return neap.Loop
function Runner:get_loop()
  open(self, "get_loop")
  return self.loop
end

--- Cancels the tasks that were left, waits for them, and takes its settings back. May be called twice.
function Runner:close()
  if self.state == "open" then
    check_place "close"
    if core.is_body() then
      cancel_leftovers(self.before)
    else
      self.closing = self.closing or core.create_task(cancel_leftovers, self.before)
      core.drive(self.closing, "close")
    end
    core.report_failures()
    self.loop:set_debug(self.was_debug)
    core.set_virtual_clock(self.was_virtual)
  end
  self.state = "closed"
end

function Runner:__close()
  self:close()
end

function Runner:__tostring()
  return ("<Runner %s>"):format(self.state)
end

check.class(Runner)

--- Runs `fn(...)` as the main task, then cancels what it left and waits for that.
--- In the body of a script that the neap command runs it awaits; in any other task it raises.
---@param fn function|thread
---@return any ... what `fn` returned; its error is raised
function M.run(fn, ...)
  local runner <close> = M.Runner()
  return run(runner, 2, fn, ...)
end

return M
