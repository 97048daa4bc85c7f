-- gather waits for all at once, and gives one list in the order of its arguments.
local neap = require "neap"

local function graze(seconds)
  neap.sleep(seconds)
  return "sheep " .. seconds
end

local function one_after_another()
  return { graze(3), graze(1), graze(2) }
end

local function at_once()
  return neap.gather(
    neap.create_task(graze, 3),
    neap.create_task(graze, 1),
    neap.create_task(graze, 2))
end

local function timed(fn)
  local loop = neap.get_running_loop()
  local start = loop:time()
  local flock = fn()
  print(("%s in %.0f s"):format(table.concat(flock, ", "), loop:time() - start))
end

neap.run(function()
  timed(one_after_another)
  timed(at_once)
end)

-- expect: sheep 3, sheep 1, sheep 2 in 6 s
-- expect: sheep 3, sheep 1, sheep 2 in 3 s
