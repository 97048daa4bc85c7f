-- Models of queues: see program.lua.
local neap = require "neap"
local support = require "spec.support.model.program"

local closing <const>, rest <const>, driver <const> = support.closing, support.rest, support.driver

-- What goes through a queue is a number: that of the item, under a priority.
local function add_item(program)
  local item = { number = #program.items + 1, priority = program:random(3) }
  item.value = item.priority * 1000 + item.number
  program.items[item.number] = item
  return item
end

-- One who is killed when he has been given an item gives it back, and its place may have been filled.
local function check_size(program)
  local size, limit = program.subject:qsize(), program.subject.maxsize
  program:expect(limit == 0 or size <= limit + (program.killed.get or 0), "%d items of at most %d", size, limit)
end

local function put(program, me, name)
  local subject, item = program.subject, add_item(program)
  program:call(me, name, item.value, function()
    item.put = me.open
    subject[name](subject, item.value)
  end)
  check_size(program)
end

local function put_either_way(program, me)
  put(program, me, program:chance(15) and "put_nowait" or "put")
end

-- Who came before and has not returned: if they get an item later, it is theirs already.
local function get(program, me, name)
  local subject = program.subject
  local value, entry = program:call(me, name, nil, subject[name], subject)
  local item = program.items[value % 1000]
  program:expect(item and item.value == value and not item.get, "get %d-%d got %s", entry.from, entry.to, value)
  item.get = entry
  program.taken = program.taken + 1
  entry.taken, entry.ahead = program.taken, program:waiting("get", entry.from)
  check_size(program)
  return item
end

local function finish(program, me, item)
  item.done = program:note(me, "task_done", item.value).from
  program.subject:task_done()
end

local function get_and_finish(program, me)
  local item = get(program, me, program:chance(15) and "get_nowait" or "get")
  local guard <close> = closing(function() finish(program, me, item) end)
  if program:chance(25) then support.strike(program, me) end -- those whose turn it is now, before they run
  if program:chance(40) then rest(program, me) end
end

local function join(program, me)
  program:call(me, "join", nil, program.subject.join, program.subject)
end

local function take_at_once(program)
  finish(program, driver, get(program, driver, "get_nowait"))
end

local function poke(program)
  if program:chance(50) then
    if not program.subject:full() and not program.shut then put(program, driver, "put_nowait") end
  elseif not program.subject:empty() then
    take_at_once(program)
  end
end

local function count(items, fits)
  local n = 0
  for _, item in ipairs(items) do
    if fits(item) then n = n + 1 end
  end
  return n
end

local function quiet(program)
  local subject = program.subject
  local size, limit = subject:qsize(), subject.maxsize
  check_size(program)
  program:expect(subject:empty() == (size == 0) and subject:full() == (limit > 0 and size >= limit),
    "size %d, empty() %s, full() %s", size, subject:empty(), subject:full())
  local getters, putters = #program:waiting "get", #program:waiting "put"
  program:expect(getters == 0 or size == 0 and not program.shut, "%d wait to get, size %d", getters, size)
  program:expect(putters == 0 or subject:full() and not program.shut, "%d wait to put, size %d", putters, size)
  local shown = tostring(subject):match "getters %d+, putters %d+"
  program:expect(not shown or shown == ("getters %d, putters %d"):format(getters, putters), "%s, not %d and %d", shown,
    getters, putters)
  local left = count(program.items, function(item) return (item.put.how == "ok" or item.get) and not item.done end)
  program:expect(#program:waiting "join" == 0 or left > 0 or size > 0, "a task waits in join, and nothing is left")
end

local function shut_down(program)
  program.shut, program.dropped = true, program:chance(50)
  program:note(driver, program.dropped and "shutdown now" or "shutdown")
  program.subject:shutdown(program.dropped)
end

local function drain(program)
  if not program.shut and program.subject.shutdown and program:chance(20) then return shut_down(program) end
  for _ = 1, program.shut and 0 or #program:waiting "get" do
    if not program.subject:full() then put(program, driver, "put_nowait") end
  end
  while not program.subject:empty() and program:chance(90) do take_at_once(program) end
end

-- Whether `a` must come before `b`, if both are in the queue.
local before <const> = {
  Queue = function(a, b) return a.put.from < b.put.from end,
  LifoQueue = function(a, b) return b.put.to and b.put.to < a.put.from and a.put.to end,
  PriorityQueue = function(a, b) return a.value < b.value end,
}

local function overlap(a, b)
  return (a.to or math.huge) > b.from and (b.to or math.huge) > a.from
end

-- An item that was given to a getter who has not run is out of the others' reach: if he is killed it comes back late;
-- and in a shuffled order one who was served after him may run before him, and take it.
local function was_held_back(program, item)
  for _, entry in ipairs(program.gets) do
    if entry.how == "killed" and entry.to > item.put.from and entry.from < item.get.to
      or program.shuffled and entry ~= item.get and overlap(entry, item.put) then return true end
  end
end

-- Someone got `b`, and only then came someone who got `a`, which had been in the queue when the first one came.
local function check_order(program, a, b)
  local there = program.kind == "Queue" or a.put.to and a.put.to < b.get.from
  program:expect(not (there and b.get.to < a.get.from and before[program.kind](a, b)),
    "item %d came out before %d", b.value, a.value)
end

local function check_orders(program)
  local got = {}
  program.gets = program:entries "get"
  for _, item in ipairs(program.items) do
    if item.get and not was_held_back(program, item) then got[#got + 1] = item end
  end
  for _, a in ipairs(got) do
    for _, b in ipairs(got) do check_order(program, a, b) end
  end
end

local function check_item(program, item)
  local how = item.put.how
  if how == "ok" then
    program:expect(item.get or program.dropped, "item %d was lost", item.value)
  elseif how ~= "killed" then
    program:expect(not item.get, "item %d was put, and the call raised", item.value)
  end
end

local function check_turn(program, entry)
  local owed = count(entry.ahead, function(other) return other.how == "ok" end)
  local supply = count(program.items, function(item)
    return (item.get or item.put.how == "ok") and item.put.from < entry.to
  end)
  program:expect(entry.taken + owed <= supply, "get %d-%d overtook another", entry.from, entry.to)
end

-- What had been put when someone began to join has been done when he returns.
local function check_join(program, entry)
  for _, item in ipairs(program.items) do
    local mine = entry.how == "ok" and item.get and item.put.to and item.put.to < entry.from
    program:expect(not mine or item.done < entry.to, "join %d-%d did not wait for item %d", entry.from, entry.to,
      item.value)
  end
end

local function check(program)
  while not program.subject:empty() do take_at_once(program) end
  check_orders(program)
  for _, item in ipairs(program.items) do check_item(program, item) end
  for _, entry in ipairs(program.log) do
    if entry.name == "join" then check_join(program, entry) end
    if entry.taken then check_turn(program, entry) end
  end
  program:expect(not pcall(program.subject.task_done, program.subject), "the queue counts unfinished items")
end

local function queue_model(kind)
  return {
    start = function(program, subject)
      program.kind, program.items, program.taken = kind, {}, 0
      program.subject = (subject or neap[kind])(program:random(4) - 1)
    end,
    actions = { put_either_way, put_either_way, get_and_finish, get_and_finish, get_and_finish, join },
    poke = poke, quiet = quiet, drain = drain, check = check,
  }
end

return {
  queue = queue_model "Queue", lifo_queue = queue_model "LifoQueue", priority_queue = queue_model "PriorityQueue",
}
