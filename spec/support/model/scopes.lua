-- The model of scopes: limits, shields and generators, one inside the other, around sleeps whose ends can be told
-- beforehand. See program.lua.
local neap = require "neap"
local support = require "spec.support.model.program"

local NEVER <const> = math.huge
local CLOSE_S <const> = 1e-6

-- When what runs under those scopes is cancelled. A scope has `at`, its deadline, or shields from those outside.
local function cancelled_at(me, scope)
  local at = NEVER
  while scope do
    if scope.shields then return at end
    at = math.min(at, scope.at)
    scope = scope.outer
  end
  return math.min(at, me.cancelled_at or NEVER)
end

local function is_at(a, b) return math.abs(a - b) < CLOSE_S end

local function sleep(program, me, scope)
  local seconds = program:chance(30) and 0 or program:time()
  local began = program.loop:time()
  local ok, err = pcall(program.call, program, me, "sleep", seconds, neap.sleep, seconds)
  local now, limit = program.loop:time(), cancelled_at(me, scope)
  if ok then
    program:expect(is_at(now, began + seconds) and limit > now - CLOSE_S, "t%d: sleep %g from %.1f s ended at %.1f s",
      me.id, seconds, began - program.began, now - program.began)
  else
    program:expect(is_at(now, math.max(began, limit)), "t%d: a sleep was cancelled at %.1f s", me.id,
      now - program.began)
    error(err, 0)
  end
end

local run_block

local function run_blocks(program, me, scope, depth)
  for _ = 1, program:random(2) do run_block(program, me, scope, depth + 1) end
end

-- What leaves a limit: TimeoutError if the limit was over, and nothing outside it was.
local function check_left(program, me, inner, limit, err)
  local now, kind = program.loop:time(), program.kind_of(err)
  if kind == "TimeoutError" and err ~= me.timed_out then
    me.timed_out = err
    program:expect(limit:expired() and inner.at <= now + CLOSE_S, "t%d: TimeoutError, and the limit was not over",
      me.id)
  elseif kind == "CancelledError" then
    program:expect(cancelled_at(me, inner.outer) <= now + CLOSE_S, "t%d: CancelledError came out of a limit", me.id)
  end
end

local function run_limit(program, me, outer, depth)
  local inner = { outer = outer, at = program.loop:time() + (program:chance(15) and 0 or program:time()) }
  if outer and outer.at and program:chance(20) then inner.at = outer.at end
  program:note(me, "timeout", ("%.1f s"):format(inner.at - program.began))
  local limit
  local ok, err = pcall(function()
    limit = neap.timeout_at(inner.at)
    local closes <close> = limit
    run_blocks(program, me, inner, depth)
  end)
  if ok then return end
  check_left(program, me, inner, limit, err)
  if program.kind_of(err) ~= "TimeoutError" or program:chance(50) then error(err, 0) end
end

local function run_move_on(program, me, outer, depth)
  local seconds = program:time()
  local inner = { outer = outer, at = program.loop:time() + seconds }
  local completed = neap.move_on_after(seconds, run_blocks, program, me, inner, depth)
  program:expect(completed or inner.at <= program.loop:time() + CLOSE_S, "t%d: moved on too early", me.id)
end

local function run_shield(program, me, outer, depth)
  local shield <close> = neap.shielded()
  run_blocks(program, me, { outer = outer, shields = true, at = NEVER }, depth)
end

-- A limit in the generator does not hold for its consumer, also while that sleeps longer.
local function run_generator(program, me, outer, depth)
  local inner, limit = { outer = outer, at = program.loop:time() + program:time() }, nil
  local next_block = coroutine.wrap(function()
    limit = neap.timeout_at(inner.at)
    local closes <close> = limit
    run_block(program, me, inner, depth + 1)
    coroutine.yield(true)
    run_block(program, me, inner, depth + 1)
  end)
  local ok, more
  repeat
    ok, more = pcall(next_block)
    if not ok then
      check_left(program, me, inner, limit, more)
      error(more, 0)
    end
    sleep(program, me, outer)
  until not more
end

local BLOCKS <const> = { sleep, sleep, run_limit, run_limit, run_move_on, run_shield, run_generator }

function run_block(program, me, scope, depth)
  local run = depth > 3 and sleep or program:pick(BLOCKS)
  run(program, me, scope, depth)
end

return {
  scope = {
    bare = true,
    start = function() end,
    actions = { function(program, me) run_block(program, me, nil, 0) end },
    drain = function() end,
  },
}
