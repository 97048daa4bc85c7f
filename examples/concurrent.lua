-- Three tasks wait at the same time: awaited one after another, they take 3 seconds in all.
local neap = require "neap"

local loop = neap.get_running_loop()
local start = loop:time()

local function report(what) print(("%.0f s: %s"):format(loop:time() - start, what)) end

local function graze(seconds)
  neap.sleep(seconds)
  report("sheep " .. seconds .. " is full")
end

local one = neap.create_task(graze, 1)
local two = neap.create_task(graze, 2)
local three = neap.create_task(graze, 3)
one:await()
two:await()
three:await()
report "all are home"

-- expect: 1 s: sheep 1 is full
-- expect: 2 s: sheep 2 is full
-- expect: 3 s: sheep 3 is full
-- expect: 3 s: all are home
