-- The moments of a run: the loop tells of each step that it has made, whosever that was, and there the steps of one
-- task are counted, and something is done to it. A task that has not ended is suspended after each of its steps; so
-- moment `later` of suspension `k` is the one after its k-th step and so many steps of others. The last moment of a
-- suspension is the one right before the task goes on: what it waits for has come, and it has not run.
--
-- Debug mode is what tells: at a limit of 0 s every step is one that "held the loop" for longer.
local neap = require "neap"

local points = {}

local loop = neap.get_event_loop()

local STEP <const> = "^a step held the loop"
local BEAT_S <const>, BEATS <const> = 1, 6

local Watch = {}
Watch.__index = Watch

local function nothing() end

-- So that there is a moment between the poll that brings a result and the step that takes it, a step of ours comes
-- before it: on the virtual clock a timer of each whole second, made before the others, and otherwise one each turn.
local function beat_timers(watch)
  for i = 1, BEATS do watch.beats[i] = loop:call_later(i * BEAT_S, nothing) end
end

local function beat_each_turn(watch)
  local function beat()
    if not watch.closed then watch.beats[1] = loop:call_soon(beat) end
  end
  beat()
end

local function on_own_step(watch)
  watch.k = watch.k + 1
  watch.later = 0
end

local function is_time(watch)
  return watch.act and (watch.k == watch.at_k and watch.later >= watch.at_later or watch.k > watch.at_k)
end

local function on_step(watch, task)
  if not watch.task or watch.task:done() then return end
  if task == watch.task then
    on_own_step(watch)
  elseif watch.k > 0 then
    watch.later = watch.later + 1
  end
  if watch.counting and watch.k > 0 then watch.counts[watch.k] = watch.later end
  if is_time(watch) then
    local act = watch.act
    watch.act = nil
    act()
  end
end

-- Begins to watch; what it returns ends that as a <close> value. `reports` gets all else that is reported.
function points.watch(real)
  local watch = setmetatable({ k = 0, later = 0, counts = {}, beats = {}, reports = {} }, Watch)
  watch.was_debug, watch.was_slow = loop:get_debug(), loop.slow_callback_duration
  watch.was_handler = loop:get_exception_handler()
  loop:set_exception_handler(function(_, context)
    if context.message:find(STEP) then return on_step(watch, context.task) end
    watch.reports[#watch.reports + 1] = context.message .. ": " .. tostring(context.exception)
  end)
  loop.slow_callback_duration = 0
  loop:set_debug(true)
  if real then beat_each_turn(watch) else beat_timers(watch) end
  return watch
end

-- From now on the moments of this task are counted.
function Watch:count(task)
  self.task, self.counting = task, true
end

-- Ends the counting; returns for each suspension of the task the number of its last moment.
function Watch:stop_counting()
  self.counting = false
  return self.counts
end

-- Calls act() at the moment of the task, or at the next one if that is over.
function Watch:at(task, k, later, act)
  self.task, self.at_k, self.at_later, self.act = task, k, later, act
end

function Watch:__close()
  self.closed = true
  for _, handle in pairs(self.beats) do handle:cancel() end
  loop:set_exception_handler(self.was_handler)
  loop.slow_callback_duration = self.was_slow
  loop:set_debug(self.was_debug)
end

return points
