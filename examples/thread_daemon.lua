-- The program waits for a thread whose loop runs for ever, until that is stopped; but not for a daemon, which is
-- cancelled when the program ends.
local neap = require "neap"

local ready = neap.Channel()

local function tend(name)
  local farewell <close> = setmetatable({}, { __close = function() print(name .. " has ended") end })
  ready:send(name)
  neap.get_event_loop():run_forever()
end

local keeper = neap.thread(tend, "the keeper")
print(ready:receive() .. " runs")

local daemon = neap.thread(tend, "the daemon")
daemon.daemon = true
print(ready:receive() .. " runs")

neap.create_task(function()
  neap.sleep(0.5)
  print "stopping the keeper"
  keeper:stop()
end)
print "the main thread is through"

-- expect: the keeper runs
-- expect: the daemon runs
-- expect: the main thread is through
-- expect: stopping the keeper
-- expect: the keeper has ended
-- expect: the daemon has ended
