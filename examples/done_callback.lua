-- A done callback gets the task; callbacks come in the order in which the tasks end.
local neap = require "neap"

local loop = neap.get_event_loop()
local start = loop:time()

local function graze(seconds)
  neap.sleep(seconds)
  return "sheep " .. seconds .. " is full"
end

local function report(task)
  print(("%.0f s: %s"):format(loop:time() - start, task:result()))
end

local tasks = {}
for _, seconds in ipairs { 3, 1, 2 } do
  local task = loop:create_task(graze, seconds)
  task:add_done_callback(report)
  tasks[#tasks + 1] = task
end
loop:run_until_complete(function() neap.wait(tasks) end)
loop:close()

-- expect: 1 s: sheep 1 is full
-- expect: 2 s: sheep 2 is full
-- expect: 3 s: sheep 3 is full
