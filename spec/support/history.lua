-- Small random programs of tasks, and the history of what they did: each call with the logical times at which it
-- began and ended. All of it follows from one seed.
local neap = require "neap"
local testing = require "neap.testing"

local LONG_S <const> = 100 -- longer than any program runs
local ROUNDS <const> = 50  -- of draining, after which a task counts as stuck
local TIMES_S <const> = { 0.1, 0.2, 0.2, 0.3, 0.5 } -- few: deadlines must coincide

---@class Program
local Program = {}
Program.__index = Program

function Program.new(seed)
  local program = setmetatable({ seed = seed, state = seed * 0x9E3779B97F4A7C15, log = {}, clock = 0, tasks = {} }, Program)
  program.loop = neap.get_running_loop()
  program.began = program.loop:time()
  program:random(1)
  return program
end

-- 1 to n. Knuth's multiplier for linear congruences modulo 2^64.
function Program:random(n)
  self.state = self.state * 6364136223846793005 + 1442695040888963407
  return (self.state >> 33) % n + 1
end

function Program:chance(percent)
  return self:random(100) <= percent
end

function Program:pick(list)
  return list[self:random(#list)]
end

function Program:time()
  return self:pick(TIMES_S)
end

function Program:tick()
  self.clock = self.clock + 1
  return self.clock
end

-- The first failure counts.
function Program:expect(ok, message, ...)
  if not ok and not self.failure then self.failure = ("at %d: "):format(self.clock) .. message:format(...) end
end

-- --- the history ---

local KINDS <const> = {
  "CancelledError", "TimeoutError", "BrokenBarrierError", "QueueShutDown", "QueueFull", "QueueEmpty",
}

local function kind_of(err)
  for _, kind in ipairs(KINDS) do
    if neap.is(err, neap[kind]) then return kind end
  end
end

-- Notes something that happens at once.
function Program:note(me, name, arg)
  local now, entry = self:tick(), nil
  entry = { task = me.id, name = name, arg = arg, from = now, to = now, began = self.loop:time(), how = "ok" }
  self.log[#self.log + 1] = entry
  return entry
end

-- Calls fn(...) for a task, noting when it begins and how it ends. Returns its value, and the entry.
function Program:call(me, name, arg, fn, ...)
  local entry = { task = me.id, name = name, arg = arg, from = self:tick(), began = self.loop:time() }
  self.log[#self.log + 1] = entry
  me.open = entry
  local ok, value = pcall(fn, ...)
  me.open = nil
  entry.to, entry.ended = self:tick(), self.loop:time()
  entry.how = ok and "ok" or kind_of(value) or tostring(value)
  if not ok then error(value, 0) end
  entry.value = value
  return value, entry
end

-- The calls of that name that have not returned, the oldest first.
function Program:waiting(name)
  local list = {}
  for _, me in ipairs(self.tasks) do
    if me.open and me.open.name == name then list[#list + 1] = me.open end
  end
  table.sort(list, function(a, b) return a.from < b.from end)
  return list
end

function Program:entries(name)
  local list = {}
  for _, entry in ipairs(self.log) do
    if entry.name == name then list[#list + 1] = entry end
  end
  return list
end

local function describe(program, entry)
  local arg = entry.arg == nil and "" or (" %s"):format(entry.arg)
  local value = math.type(entry.value) and (" %s"):format(entry.value) or ""
  return ("%4d-%-4s %6.1f s  t%d %s%s: %s%s"):format(entry.from, entry.to or "", entry.began - program.began, entry.task,
    entry.name, arg, entry.how or "has not returned", value)
end

function Program:history()
  local lines = {}
  for i, entry in ipairs(self.log) do lines[i] = describe(self, entry) end
  return table.concat(lines, "\n")
end

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
  if open then open.how, open.to = "killed", program:tick() end
  victim.open = nil
end

local function cancel(program, me)
  local victim = victim_of(program, me)
  if not victim then return end
  program:note(me, "cancel", "t" .. victim.id)
  victim.cancelled_at = victim.cancelled_at or program.loop:time()
  victim.task:cancel()
end

local function uncancel(program, me)
  while me.task:cancelling() > 0 do me.task:uncancel() end
  me.cancelled_at = nil
  program:note(me, "uncancel")
end

function Program:rest(me)
  local seconds = self:chance(60) and 0 or self:time()
  self:call(me, "sleep", seconds, neap.sleep, seconds)
end

-- A few strikes in one turn, so that who was just woken is hit before he runs.
local function strike(program, me)
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
    program:rest(me)
  elseif dice <= 25 then
    strike(program, me)
  elseif dice <= 32 and model.poke then
    poke(program, me, model)
  else
    local action = program:pick(model.actions)
    local function act() action(program, me) end
    if model.bare or program:chance(50) then return act() end
    wrappers[program:pick(WRAPPERS)](program, act, me)
  end
end

local function run_steps(program, me, model)
  for _ = 1, 3 + program:random(5) do
    local ok, err = pcall(step, program, me, model)
    local kind = ok or kind_of(err)
    program:expect(kind, "t%d: %s", me.id, err)
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

-- Runs the program of that seed: its tasks to where they end or wait; then what they wait for is given to them.
-- Returns the program, with `failure` if something did not hold.
function Program.run(model, seed, subject)
  local program = Program.new(seed)
  local before = #neap.all_tasks()
  local _ <close> = testing.shuffle(program:chance(20) and 0 or seed)
  model.start(program, subject)
  for _ = 1, 3 + program:random(4) do add_task(program, model) end
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
function Program.closing(fn)
  return setmetatable({}, { __close = fn })
end

return Program
