-- Models of conditions and barriers: see program.lua.
local neap = require "neap"
local support = require "spec.support.model.program"

local closing <const>, rest <const>, driver <const> = support.closing, support.rest, support.driver

local M = {}

-- --- conditions: a monitor that counts tokens ---

local function enter(program, me)
  local subject = program.subject
  local held = program:call(me, "acquire", nil, subject.acquire, subject)
  program:expect(not program.holder, "two hold the lock")
  program.holder = me
  return held, closing(function()
    if program.holder == me then program.holder = nil end
  end)
end

-- The lock is held again when a wait ends, however it ends.
local function wait_holding(program, me, method, ...)
  program.holder = nil
  local subject = program.subject
  local ok, err = pcall(program.call, program, me, "wait", method, subject[method], subject, ...)
  program:expect(not program.holder and subject:locked(), "t%d: a wait ended without the lock", me.id)
  program.holder = me
  if not ok then error(err, 0) end
end

-- No more wake than were notified.
local function note_woken(program)
  program.woken = program.woken + 1
  program:expect(program.woken <= program.notified, "%d notifications woke %d", program.notified, program.woken)
end

local function wait_for_token(program, me)
  local looks = 0
  wait_holding(program, me, "wait_for", function()
    program:expect(not program.holder, "two hold the lock")
    looks = looks + 1
    if looks > 1 then note_woken(program) end
    return program.tokens > 0 or program.failure
  end)
end

local function consume(program, me)
  local entered, mark = enter(program, me)
  local held <close> = entered
  local guard <close> = mark
  if program:chance(30) then wait_for_token(program, me) end
  while program.tokens == 0 and not program.failure do
    wait_holding(program, me, "wait")
    note_woken(program)
  end
  program.tokens = program.tokens - 1
  if program:chance(20) then rest(program, me) end
end

local function notify(program, me, count)
  local waiting = #program:waiting "wait"
  program:note(me, "notify", count)
  program.tokens = program.tokens + (count or waiting)
  program.notified = program.notified + math.min(count or waiting, waiting)
  if count then program.subject:notify(count) else program.subject:notify_all() end
end

local function produce(program, me)
  local entered, mark = enter(program, me)
  local held <close> = entered
  local guard <close> = mark
  if program:chance(30) then rest(program, me) end
  if program:chance(85) then notify(program, me, program:random(2)) else notify(program, me) end
  if program:chance(40) then support.strike(program, me) end -- those who were notified, before they run
  if program:chance(30) then rest(program, me) end
end

M.condition = {
  start = function(program, subject)
    program.subject, program.tokens, program.notified, program.woken = (subject or neap.Condition)(), 0, 0, 0
  end,
  actions = { consume, consume, produce },
  strikes = 20,
  poke = function(program)
    if program.subject:locked() then notify(program, driver, 1) end
  end,
  quiet = function(program)
    local locked = program.subject:locked()
    program:expect(locked == (program.holder ~= nil), "locked() is %s", locked)
    program:expect(locked or program.tokens == 0 or #program:waiting "wait" == 0, "%d tokens, and a task waits",
      program.tokens)
  end,
  drain = function(program)
    local held <close> = program.subject:acquire()
    notify(program, driver, #program:waiting "wait")
  end,
  -- Who is cancelled before he has the lock again leaves by that, and his notification goes on.
  check = function(program)
    for _, entry in ipairs(program:entries "wait") do
      program:expect(not entry.struck or entry.limited or entry.how ~= "ok", "wait %d-%s was cancelled, and returned",
        entry.from, entry.to)
    end
  end,
}

-- --- barriers ---

-- The last to come makes a round of those who wait, unless they were cancelled or the barrier was reset.
local function wait_barrier(program, me)
  local subject = program.subject
  local number, entry = program:call(me, "wait", nil, subject.wait, subject)
  if number == program.parties then
    program:expect(entry.to == entry.from + 1, "the last to come had to wait")
    program.rounds[#program.rounds + 1] = { members = program:waiting "wait", last = entry }
  end
end

local function break_barrier(program, me)
  local how = program:chance(50) and "reset" or "abort"
  local now = program:note(me, how).began
  for _, entry in ipairs(program:waiting "wait") do entry.broken_at = entry.broken_at or now end
  program.subject[how](program.subject)
  if program:chance(80) then program.subject:reset() end
end

-- Numbers go up in the order of arrival. Who was killed when he had been given a number leaves a hole.
local function check_round(program, round)
  local count, killed, number = 0, 0, 0
  for _, entry in ipairs(round.members) do
    if entry.how == "ok" and not entry.in_round then
      entry.in_round, count = true, count + 1
      program:expect(entry.value > number, "wait %d-%d has number %d after %d", entry.from, entry.to, entry.value,
        number)
      program:expect(entry.ended == round.last.ended, "wait %d-%d was woken late", entry.from, entry.to)
      number = entry.value
    elseif entry.how == "killed" then
      killed = killed + 1
    end
  end
  local others = program.parties - 1
  program:expect(count <= others and count + killed >= others, "a round of %d, not %d, ended by wait %d-%d", count + 1,
    program.parties, round.last.from, round.last.to)
end

M.barrier = {
  start = function(program, subject)
    program.parties, program.rounds = program:random(4), {}
    program.subject = (subject or neap.Barrier)(program.parties)
  end,
  actions = { wait_barrier, wait_barrier, wait_barrier, wait_barrier, wait_barrier, break_barrier },
  poke = break_barrier,
  quiet = function(program)
    local waiting = #program:waiting "wait"
    program:expect(waiting < program.parties, "all %d wait", waiting)
    program:expect(waiting == program.subject.n_waiting, "n_waiting is %d, not %d", program.subject.n_waiting, waiting)
    program:expect(waiting == 0 or not program.subject.broken, "a task waits for a broken barrier")
  end,
  drain = function(program) break_barrier(program, driver) end,
  check = function(program)
    for _, round in ipairs(program.rounds) do check_round(program, round) end
    for _, entry in ipairs(program:entries "wait") do
      if entry.how == "BrokenBarrierError" and entry.to > entry.from + 1 then
        program:expect(entry.broken_at == entry.ended, "wait %d-%d was not broken when it says so", entry.from,
          entry.to)
      end
      program:expect(entry.how ~= "ok" or entry.in_round or entry.value == program.parties,
        "wait %d-%d has a number and no round", entry.from, entry.to)
    end
  end,
}

return M
