-- A function that waits is called like any other: three calls, one after another, take 1 + 2 + 3 seconds.
local neap = require "neap"

local loop = neap.get_running_loop()
local start = loop:time()

local function report(what) print(("%.0f s: %s"):format(loop:time() - start, what)) end

local function graze(seconds)
  neap.sleep(seconds)
  report("sheep " .. seconds .. " is full")
end

graze(1)
graze(2)
graze(3)
report "all are home"

-- expect: 1 s: sheep 1 is full
-- expect: 3 s: sheep 2 is full
-- expect: 6 s: sheep 3 is full
-- expect: 6 s: all are home
