-- The shepherd again: a semaphore keeps it to five, a task group waits for all, and nobody polls.
local neap = require "neap"

local loop = neap.get_running_loop()
local start = loop:time()
local meadow = neap.Semaphore(5)

local function report(what) print(("%2.0f s: %s"):format(loop:time() - start, what)) end

local function graze(sheep)
  local _ <close> = meadow:acquire()
  report("sheep " .. sheep .. " starts")
  neap.sleep(sheep)
  report("sheep " .. sheep .. " is full")
end

do
  local flock <close> = neap.TaskGroup()
  for sheep = 1, 12 do flock:create_task(graze, sheep) end
end
report "all are home"

-- expect:  0 s: sheep 1 starts
-- expect:  0 s: sheep 2 starts
-- expect:  0 s: sheep 3 starts
-- expect:  0 s: sheep 4 starts
-- expect:  0 s: sheep 5 starts
-- expect:  1 s: sheep 1 is full
-- expect:  1 s: sheep 6 starts
-- expect:  2 s: sheep 2 is full
-- expect:  2 s: sheep 7 starts
-- expect:  3 s: sheep 3 is full
-- expect:  3 s: sheep 8 starts
-- expect:  4 s: sheep 4 is full
-- expect:  4 s: sheep 9 starts
-- expect:  5 s: sheep 5 is full
-- expect:  5 s: sheep 10 starts
-- expect:  7 s: sheep 6 is full
-- expect:  7 s: sheep 11 starts
-- expect:  9 s: sheep 7 is full
-- expect:  9 s: sheep 12 starts
-- expect: 11 s: sheep 8 is full
-- expect: 13 s: sheep 9 is full
-- expect: 15 s: sheep 10 is full
-- expect: 18 s: sheep 11 is full
-- expect: 21 s: sheep 12 is full
-- expect: 21 s: all are home
