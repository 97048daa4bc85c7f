--- busted with every `it`, and each of its hooks, as a task: `neap test`.
local core = require "neap.core"
local testing = require "neap.testing"

local LIMIT_S <const> = tonumber(os.getenv "NEAP_TEST_LIMIT") or 30
local SETTLE_S <const> = 2
local GROWTH_BYTES <const> = 2 << 20 -- busted itself keeps something of each spec

-- What busted runs around or between the specs of a file stays in the main task.
local IN_PLACE <const> = { suite = true, file = true, describe = true, insulate = true, expose = true }

local baseline

--- Waits until nothing more is held than before: closes take a turn, children a moment to be reaped.
local function settle(before)
  local wait_until = os.time() + SETTLE_S
  local left = testing.difference(before, testing.census())
  while left and os.time() <= wait_until do
    core.sleep(0.001)
    left = testing.difference(before, testing.census())
  end
  return left
end

local function describe_tasks(older)
  local lines = {}
  for _, task in ipairs(core.all_tasks()) do
    if not older[task] then lines[#lines + 1] = ("\n\t%s made at %s"):format(task, task:made_at()) end
  end
  return table.concat(lines)
end

local function end_new_tasks(older)
  for _, task in ipairs(core.all_tasks()) do
    if not older[task] and task ~= core.current_task() then task:kill() end
  end
end

--- Of errors that went to the default exception handler.
local function check_reports(reported)
  core.report_failures()
  if core.reported() > reported then error("the spec left errors that nobody read: see stderr", 0) end
end

local function check_leaks(older)
  core.set_virtual_clock(false)
  testing.shuffle(0)
  local left = settle(baseline)
  local bytes = not left and testing.growth(baseline, GROWTH_BYTES)
  if bytes then left = ("%d bytes of memory"):format(bytes) end
  if not left then return end
  left = left .. describe_tasks(older)
  end_new_tasks(older)
  error("the spec left behind: " .. left, 0)
end

--- Runs the whole of a spec: before_each, the body, after_each.
local function run_spec(run, element)
  local older = {}
  for _, task in ipairs(core.all_tasks()) do older[task] = true end
  baseline = testing.census()
  local reported <const> = core.reported()
  run(element)
  check_leaks(older)
  check_reports(reported)
end

--- What a lazy_setup starts belongs to no single spec.
local function run_unaccounted(run, element)
  local before = testing.census()
  run(element)
  local after = testing.census()
  for kind, count in pairs(after) do baseline[kind] = baseline[kind] + count - before[kind] end
end

--- Ends a task that took too long; kills it if it swallows that.
local function give_up(task, why)
  task:cancel(why)
  if not core.wait_wall(task, SETTLE_S) then task:kill() end
end

local function await_limited(task)
  local waited, done = pcall(core.wait_wall, task, LIMIT_S)
  if not waited then
    give_up(task, tostring(done))
  elseif not done then
    give_up(task, ("the spec took longer than %g s"):format(LIMIT_S))
  end
  return task:result()
end

local function in_task(safe, descriptor, run, element)
  local body = run
  if descriptor == "it" then
    body = function() run_spec(run, element) end
  end
  local task = core.create_task(safe, descriptor, body, element)
  task:set_name(descriptor .. " " .. tostring(element and element.name))
  return await_limited(task)
end

local function tell_seed(element, _, status)
  if status == "success" or not testing.seed() then return end
  io.stderr:write(("\n%s: the order of tasks was shuffled with seed %d\n"):format(element.name, testing.seed()))
end

local function wrap_core(new_core)
  return function()
    local busted = new_core()
    local safe = busted.safe
    busted.subscribe({ "test", "end" }, tell_seed)
    busted.safe = function(descriptor, run, element)
      if core.is_body() and not IN_PLACE[descriptor] then
        return in_task(safe, descriptor, run, element)
      elseif descriptor == "lazy_setup" and not core.is_body() then
        return safe(descriptor, function() run_unaccounted(run, element) end, element)
      end
      return safe(descriptor, run, element)
    end
    return busted
  end
end

return function()
  package.loaded["busted.core"] = wrap_core(require "busted.core")
  require "busted.runner" { standalone = false }
end
