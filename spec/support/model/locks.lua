-- Models of locks, semaphores and events: see program.lua.
local neap = require "neap"
local support = require "spec.support.model.program"

local closing <const>, rest <const>, driver <const> = support.closing, support.rest, support.driver

local M = {}

-- --- locks and semaphores ---

-- Those who came before and have not returned: if they acquire later, they hold a permit already.
local function check_turn(program, entry)
  entry.ahead, entry.free = program:waiting("acquire", entry.from), program.permits - program.held
end

local function release(program, me)
  program:note(me, "release")
  program.held = program.held - 1
  program.subject:release()
end

local function hold(program, me)
  local subject = program.subject
  local _, entry = program:call(me, "acquire", nil, subject.acquire, subject)
  program.held = program.held + 1
  program:expect(program.held <= program.permits, "%d hold %d permits", program.held, program.permits)
  check_turn(program, entry)
  local later = program:chance(15)
  local guard <close> = closing(function()
    if later then program.loop:call_soon(release, program, me) else release(program, me) end
  end)
  if program:chance(70) then rest(program, me) end
end

local function quiet_permits(program)
  local waiting, free = #program:waiting "acquire", program.permits - program.held
  program:expect(waiting == 0 or free == 0, "%d wait for %d free permits", waiting, free)
  program:expect(program.subject:locked() == (free == 0), "%d permits are free, locked() is %s", free,
    program.subject:locked())
end

local function check_permits(program)
  for _, entry in ipairs(program:entries "acquire") do
    local granted = 0
    for _, other in ipairs(entry.ahead or {}) do
      if other.how == "ok" then granted = granted + 1 end
    end
    program:expect(granted <= (entry.free or 0), "acquire %d-%s overtook another", entry.from, entry.to)
  end
  for _ = 1, program.permits do
    program:expect(not program.subject:locked(), "not all permits came back")
    if not program.failure then program.subject:acquire() end
  end
  program:expect(program.subject:locked(), "there are more permits than %d", program.permits)
end

local function add_permit(program, me)
  program:note(me or driver, "add")
  program.permits = program.permits + 1
  program.subject:release()
end

local function permits_model(make, poke)
  return {
    start = function(program, subject)
      program.held = 0
      program.subject, program.permits = (subject or make)(program)
    end,
    actions = { hold },
    poke = poke,
    quiet = quiet_permits,
    drain = function(program)
      if program.permits == 0 then add_permit(program) end
    end,
    check = check_permits,
  }
end

M.lock = permits_model(function() return neap.Lock(), 1 end)

M.semaphore = permits_model(function(program)
  local permits = program:random(4) - 1
  return neap.Semaphore(permits), permits
end, add_permit)

-- There is nothing to add: it must refuse.
M.bounded_semaphore = permits_model(function(program)
  local permits = program:random(3)
  return neap.BoundedSemaphore(permits), permits
end, function(program)
  if program.held == 0 and not next(program:waiting "acquire") then
    program:expect(not pcall(program.subject.release, program.subject), "it was released above its bound")
  end
end)

-- --- events ---

-- All who wait now have been woken, whatever comes after.
local function set(program, me)
  local entry = program:note(me, "set")
  for _, wait in ipairs(program:waiting "wait") do wait.set_by = wait.set_by or entry end
  program.subject:set()
end

local function clear(program, me)
  program:note(me, "clear")
  program.subject:clear()
end

local function wait_event(program, me)
  local subject = program.subject
  local was_set = subject:is_set()
  local _, entry = program:call(me, "wait", nil, subject.wait, subject)
  program:expect(was_set or entry.set_by, "wait %d-%d returned without a set", entry.from, entry.to)
end

-- Who was woken wakes at once; and if he is cancelled only then, his wait has happened.
local function check_woken(program, entry)
  program:expect(entry.how == "killed" or entry.ended == entry.set_by.began, "wait %d-%s was not woken by %d",
    entry.from, entry.to, entry.set_by.from)
  local too_late = entry.struck and entry.struck > entry.set_by.from and not entry.limited
  program:expect(not too_late or entry.how ~= "CancelledError", "wait %d-%s was woken by %d, and was cancelled",
    entry.from, entry.to, entry.set_by.from)
end

M.event = {
  start = function(program, subject) program.subject = (subject or neap.Event)() end,
  actions = { wait_event, wait_event, wait_event, set, clear, function(program, me)
    set(program, me)
    clear(program, me)
  end },
  poke = set,
  quiet = function(program)
    program:expect(not program.subject:is_set() or #program:waiting "wait" == 0, "it is set, and a task waits")
  end,
  drain = function(program) set(program, driver) end,
  check = function(program)
    for _, entry in ipairs(program:entries "wait") do
      if entry.set_by then check_woken(program, entry) end
    end
  end,
}

return M
