--- Ticks of the loop's clock.
local core = require "neap.core"
local check = require "neap.check"

local M = {}

--- Tick n comes n periods after the interval was made, however long each takes to deal with. Who comes late gets the
--- latest tick that has gone by, and none of those before it. As an iterator it goes on for ever.
---@class neap.Interval
---@field seconds number the period
---@overload fun(): integer
local Interval = { __name = "neap.Interval" }
Interval.__index = Interval

-- Time comes in whole nanoseconds, which a period need not: a tick comes at the nearest one.
local NANOSECOND <const> = 1e-9

local function periods_gone_by(interval)
  return (core.get_running_loop():time() - interval.start + NANOSECOND) // interval.seconds
end

--- Waits for the next tick: so many periods have gone by. Who comes late gets the latest one.
---@return integer tick
function Interval:wait()
  local tick = self.tick + 1
  core.check_awaiting "interval"
  core.sleep(self.start + tick * self.seconds - core.get_running_loop():time() - NANOSECOND / 2)
  tick = math.max(tick, math.tointeger(periods_gone_by(self)) or tick)
  self.tick = math.max(tick, self.tick)
  return tick
end

function Interval:__tostring()
  return ("<Interval of %.14g s, tick %d>"):format(self.seconds, self.tick)
end

check.class(Interval)
Interval.__call = Interval.wait

--- Ticks every so many seconds, the first after one period: `for tick in neap.interval(1) do`.
---@param seconds number
---@return neap.Interval
function M.interval(seconds)
  if type(seconds) ~= "number" then check.bad_argument("interval", 1, "number of seconds", seconds) end
  if seconds <= 0 or seconds ~= seconds then core.misuse "bad argument #1 to 'interval' (not a positive period)" end
  return setmetatable({ seconds = seconds, start = core.get_event_loop():time(), tick = 0 }, Interval)
end

return M
