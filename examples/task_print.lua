-- A task tells its name, its state, and where it was made or what it returned.
local neap = require "neap"

local function work()
  neap.sleep(1)
  return "wool"
end

local loop = neap.get_event_loop()
local task = loop:create_task(work)
print(task)
loop:run_until_complete(task)
print(task)
loop:close()

-- expect: <Task 'Task-...' pending, function at examples/task_print.lua:4, not started>
-- expect: <Task 'Task-...' finished, result: wool>
