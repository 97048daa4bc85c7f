-- Errors nobody reads, of every type, warnings, callbacks that raise, <close> variables and finalizers that raise.
local neap = require "neap"
local loop = neap.get_running_loop()

local hostile = setmetatable({}, { __tostring = function() error "no text" end })
local errors = { "text", { code = 1 }, hostile, 42, false }

local function fail(number)
  local _ <close> = guard()
  local bad <close> = setmetatable({}, { __close = function() error "from __close" end })
  neap.sleep(number % 3 * 0.0001)
  error(errors[number % 6 + 1])
end

local function callback() error "from a callback" end

warn "@on"
while true do
  for number = 1, 6 do neap.create_task(fail, number) end
  loop:call_soon(callback)
  loop:call_later(0.0001, callback)
  local future = neap.Future()
  future:add_done_callback(callback)
  future:set_exception "nobody reads it"
  setmetatable({}, { __gc = function() error "from __gc" end })
  collectgarbage "step"
  neap.sleep(0.0001)
end
