-- A thread runs a loop; the main thread posts callbacks to it, and takes the first one back at once: it is not called,
-- unless that had begun. The others are called in the loop's thread. What goes there is copied, the function too.
local neap = require "neap"

local function report(number)
  print(number, neap.current_thread().name)
end

local posted = neap.Channel()

local thread = neap.thread(function()
  while posted:qsize() == 0 do end -- is busy until all is posted, so that this prints the same each time
  neap.get_event_loop():run_forever()
  print "the loop has ended"
end)

local first = thread:call_soon_threadsafe(report, 1)
first:cancel()
print(first:cancelled())
thread:call_soon_threadsafe(report, 2)
thread:call_soon_threadsafe(report, 3)
thread:call_soon_threadsafe(function() neap.get_event_loop():stop() end)
posted:send(true)
thread:join()
print "main"

-- expect: true
-- expect: 2	Thread-1
-- expect: 3	Thread-1
-- expect: the loop has ended
-- expect: main
