-- A task has a result when it has ended; asking before that is an error.
local neap = require "neap"

local function work()
  neap.sleep(1)
  return "wool"
end

local loop = neap.get_event_loop()
local task = loop:create_task(work)

local ok, err = pcall(task.result, task)
print(ok, neap.is(err, neap.InvalidStateError))

loop:run_until_complete(task)
print(task:done(), task:result())
loop:close()

-- expect: false	true
-- expect: true	wool
