-- A thread runs a loop; the main thread starts three tasks in it that sleep for 1, 2 and 3 seconds, and cancels the
-- first one. It goes on at once; a task here stands for each of those there, and has its result.
local neap = require "neap"

local function graze(seconds)
  neap.sleep(seconds)
  print("sheep " .. seconds .. " is full")
  return seconds
end

local thread = neap.thread(function() neap.get_event_loop():run_forever() end)

local tasks = {}
for seconds = 1, 3 do tasks[seconds] = thread:run_coroutine_threadsafe(graze, seconds) end
tasks[1]:cancel()
print "the main thread goes on"

print(tasks[2]:await() + tasks[3]:await())
print(tasks[1]:cancelled())
thread:stop()

-- expect: the main thread goes on
-- expect: sheep 2 is full
-- expect: sheep 3 is full
-- expect: 5
-- expect: true
