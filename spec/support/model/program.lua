-- Small random programs of tasks over one primitive. A model says which: `start(program, subject)` makes it, the
-- `actions` use it, `poke` uses it from a callback; `quiet` looks when nothing moves, `drain` gives those who
-- wait what they wait for, `check` reads the history at the end. `bare`: actions are not run under time limits and
-- the like; `reports`: errors may go to the exception handler;
-- `strikes`: how many of a hundred steps cancel or kill others.
local neap = require "neap"
local testing = require "neap.testing"
local Program = require "spec.support.model.history"

local M = {}

local LONG_S <const> = 100 -- longer than any program runs
local ROUNDS <const> = 50  -- of draining, after which a task counts as stuck
local LOOKS <const> = 12   -- between the times at which tasks do something, which are multiples of 0.1 s

M.driver = { id = 0 } -- in the history: what no task of the program did

-- --- what any task may do ---

-- Another task: often the one that has waited longest, which is the next to be woken.
local function victim_of(program, me)
  local victim = program:pick(program.tasks)
  if program:chance(60) then
    for _, other in ipairs(program.tasks) do
      if other.open and (not victim.open or other.open.from < victim.open.from) then victim = other end
    end
  end
  return victim ~= me and not victim.task:done() and victim or nil
end

local function kill(program, me)
  local victim = victim_of(program, me)
  if not victim then return end
  program:note(me, "kill", "t" .. victim.id)
  local open = victim.open
  victim.task:kill()
  if not open then return end
  open.how, open.to, victim.open = "killed", program:tick(), nil
  program.killed[open.name] = (program.killed[open.name] or 0) + 1
end

local function cancel(program, me)
  local victim = victim_of(program, me)
  if not victim then return end
  program:note(me, "cancel", "t" .. victim.id)
  victim.cancelled_at = victim.cancelled_at or program.loop:time()
  if victim.open then victim.open.struck = victim.open.struck or program.clock end
  victim.task:cancel()
end

local function uncancel(program, me)
  while me.task:cancelling() > 0 do me.task:uncancel() end
  me.cancelled_at = nil
  program:note(me, "uncancel")
end

-- Lets others run.
function M.rest(program, me)
  local seconds = program:chance(60) and 0 or program:time()
  program:call(me, "sleep", seconds, neap.sleep, seconds)
end

-- A few strikes in one turn, so that who was just woken is hit before he runs.
function M.strike(program, me)
  for _ = 1, program:random(2) do
    local blow = program:chance(40) and kill or cancel
    blow(program, me)
  end
end

local function poke(program, me, model)
  local at = program:chance(50) and 0 or program:time()
  program.loop:call_later(at, function() model.poke(program, me) end)
end

-- --- in what a step may be wrapped ---

local function generator(program, act)
  return coroutine.create(function()
    for _ = 1, 2 do
      act()
      coroutine.yield()
    end
    if program:chance(50) then act() end
  end)
end

local wrappers <const> = {
  timeout = function(program, act, me)
    local seconds = program:chance(20) and 0 or program:time()
    program:note(me, "timeout", seconds)
    local limit <close> = neap.timeout(seconds)
    act()
    if program:chance(30) then act() end
  end,
  wait_for = function(program, act) neap.wait_for(act, program:time()) end,
  move_on_after = function(program, act) neap.move_on_after(program:time(), act) end,
  shielded = function(_, act)
    local shield <close> = neap.shielded()
    act()
  end,
  generator = function(program, act)
    local co = generator(program, act)
    while coroutine.status(co) ~= "dead" do
      local ok, err = coroutine.resume(co)
      if not ok or program:chance(30) then coroutine.close(co) end -- one that failed has not closed its variables
      if not ok then error(err, 0) end
    end
  end,
}
local WRAPPERS <const> = { "timeout", "timeout", "wait_for", "move_on_after", "shielded", "generator" }

local function step(program, me, model)
  local dice = program:random(100)
  if dice <= 15 then
    M.rest(program, me)
  elseif dice <= 22 and model.poke then
    poke(program, me, model)
  elseif dice <= 22 + (model.strikes or 10) then
    M.strike(program, me)
  else
    local action = program:pick(model.actions)
    local function act() action(program, me) end
    me.limited = not model.bare and program:chance(50)
    if not me.limited then return act() end
    wrappers[program:pick(WRAPPERS)](program, act, me)
  end
end

local function run_steps(program, me, model)
  for _ = 1, 3 + program:random(5) do
    local ok, err = pcall(step, program, me, model)
    local kind = ok or Program.kind_of(err)
    program:expect(kind, "t%d: %s", me.id, err)
    if program.failure then return end
    if kind == "CancelledError" then
      if program:chance(50) then
        uncancel(program, me)
      elseif program:chance(60) then
        error(err, 0)
      end
    end
  end
end

-- --- a program's life ---

local function add_task(program, model)
  local me = { id = #program.tasks + 1 }
  program.tasks[me.id] = me
  me.task = neap.create_task(run_steps, program, me, model)
end

local function all_done(program)
  for _, me in ipairs(program.tasks) do
    if not me.task:done() then return false end
  end
  return true
end

local function end_stuck(program)
  for _, me in ipairs(program.tasks) do
    program:expect(me.task:done(), "t%d is stuck", me.id)
    me.task:kill()
    if me.task:done() and not me.task:cancelled() then me.task:exception() end
  end
end

local function handle_reports(program, model)
  program.loop:set_exception_handler(function(_, context)
    program:expect(model.reports or context.warning, "%s: %s", context.message, context.exception)
  end)
  return M.closing(function() program.loop:set_exception_handler(nil) end)
end

-- What a later event would heal is seen before it.
local function look_now_and_then(program, model)
  neap.sleep(0.05)
  for _ = 1, LOOKS do
    if program.failure or all_done(program) then return end
    model.quiet(program)
    neap.sleep(0.1)
  end
end

-- Runs the program of that seed: its tasks to where they end or wait; then what they wait for is given to them.
-- Returns the program, with `failure` if something did not hold.
function M.run(model, seed, subject)
  local program = Program.new(seed)
  local before = #neap.all_tasks()
  program.shuffled = program:chance(80)
  local _ <close> = testing.shuffle(program.shuffled and seed or 0)
  local handler <close> = handle_reports(program, model)
  model.start(program, subject)
  for _ = 1, 3 + program:random(4) do add_task(program, model) end
  if model.quiet then look_now_and_then(program, model) end
  for _ = 1, ROUNDS do
    neap.sleep(LONG_S)
    if model.quiet then model.quiet(program) end
    if program.failure or all_done(program) then break end
    model.drain(program)
  end
  end_stuck(program)
  if model.check and not program.failure then model.check(program) end
  neap.sleep(0)
  program:expect(#neap.all_tasks() == before, "tasks are left")
  return program
end

-- A <close> variable that calls fn.
function M.closing(fn)
  return setmetatable({}, { __close = fn })
end

-- The first program of the seeds `first` to `last` that fails, or nil; and the last one that ran.
function M.search(model, first, last, subject)
  local program
  local _ <close> = testing.virtual_clock()
  for seed = first, last do
    program = M.run(model, seed, subject)
    if program.failure then return program, program end
  end
  return nil, program
end

return M
