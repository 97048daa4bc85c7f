-- neap.wait makes a task of each plain function, and waits for them all.
local neap = require "neap"

local loop = neap.get_event_loop()
local start = loop:time()

local function report(what) print(("%.0f s: %s"):format(loop:time() - start, what)) end

local function graze(seconds)
  return function()
    neap.sleep(seconds)
    report("sheep " .. seconds .. " is full")
  end
end

loop:run_until_complete(function()
  local done, pending = neap.wait { graze(1), graze(2), graze(3) }
  report(#done .. " done, " .. #pending .. " pending")
end)
loop:close()

-- expect: 1 s: sheep 1 is full
-- expect: 2 s: sheep 2 is full
-- expect: 3 s: sheep 3 is full
-- expect: 3 s: 3 done, 0 pending
