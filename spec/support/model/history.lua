-- The history of a random program: each call with the logical times at which it began and ended.
local neap = require "neap"

local TIMES_S <const> = { 0.1, 0.2, 0.2, 0.3, 0.5 } -- few: deadlines must coincide

---@class Program
---@field tasks table[] of each task: `id`, `task`, and `open`, the call that it is in
---@field log table[] the calls, in the order in which they began
---@field killed table<string, integer> how many tasks were killed in a call of that name
---@field failure string? the first thing that did not hold
local Program = {}
Program.__index = Program

function Program.new(seed)
  local program = setmetatable({ seed = seed, log = {}, clock = 0, tasks = {}, killed = {} }, Program)
  program.state = seed * 0x9E3779B97F4A7C15 -- small seeds must not look alike
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

local Oops = { __tostring = function(oops) return ("Oops %d"):format(oops.number) end }

-- An error that a task raises on purpose.
function Program:oops()
  return setmetatable({ number = self:tick(), at = self.loop:time() }, Oops)
end

-- nil for an error that no program should meet.
function Program.kind_of(err)
  if getmetatable(err) == Oops then return "Oops" end
  for _, kind in ipairs(KINDS) do
    if neap.is(err, neap[kind]) then return kind end
  end
end

-- Notes something that happens at once.
function Program:note(me, name, arg)
  local now = self:tick()
  local entry = { task = me.id, name = name, arg = arg, from = now, to = now, began = self.loop:time(), how = "ok" }
  self.log[#self.log + 1] = entry
  return entry
end

-- Calls fn(...) for a task, noting when it begins and how it ends. Returns its value, and the entry.
function Program:call(me, name, arg, fn, ...)
  local entry = { task = me.id, name = name, arg = arg, from = self:tick(), began = self.loop:time() }
  entry.limited = me.limited or me.cancelled_at ~= nil
  self.log[#self.log + 1] = entry
  me.open = entry
  local ok, value = pcall(fn, ...)
  me.open = nil
  entry.to, entry.ended = self:tick(), self.loop:time()
  entry.how = ok and "ok" or Program.kind_of(value) or tostring(value)
  if not ok then error(value, 0) end
  entry.value = value
  return value, entry
end

-- The calls of that name, begun before a time if it is given, that have not returned; the oldest first.
function Program:waiting(name, before)
  local list = {}
  for _, me in ipairs(self.tasks) do
    local open = me.open
    if open and open.name == name and open.from < (before or math.huge) then list[#list + 1] = open end
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
  return ("%4d-%-4s %7.2f s  t%d %s%s: %s%s"):format(entry.from, entry.to or "", entry.began - program.began,
    entry.task, entry.name, arg, entry.how or "has not returned", value)
end

function Program:history()
  local lines = {}
  for i, entry in ipairs(self.log) do lines[i] = describe(self, entry) end
  return table.concat(lines, "\n")
end

return Program
