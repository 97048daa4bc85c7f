-- Threads of neap's that compute, wait, fail and are stopped, and channels between them.
local forever = require "spec.hosts.forever"
local neap = require "neap"

local function echo(requests, answers)
  for value in requests:messages() do answers:send(value) end
end

local requests, answers = neap.Channel(2), neap.Channel(2)
neap.thread(echo, requests, answers)
forever(function() requests:send("request") end)
forever(function() answers:receive() end)
forever(function() neap.thread(function(n) return n end, 1):join() end)
forever(function()
  local thread = neap.thread(neap.sleep, 60)
  pcall(neap.wait_for, thread.join, 0.0005, thread)
  thread:stop()
end)
forever(function()
  local thread = neap.thread(function() neap.get_event_loop():run_forever() end)
  neap.sleep(0.0005)
  thread:stop()
  thread:join()
end)
forever(function() pcall(function() neap.thread(error, "a thread that fails"):join() end) end)
neap.sleep(60)
