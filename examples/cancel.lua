-- A cancelled task gets CancelledError where it waits; its <close> variables are closed on the way out.
local neap = require "neap"

local gate = setmetatable({}, { __close = function() print "the gate is closed" end })

local function sleep_long()
  local _ <close> = gate
  local ok, err = pcall(neap.sleep, 3600)
  print(ok, neap.is(err, neap.CancelledError))
  error(err)
end

neap.run(function()
  local task = neap.create_task(sleep_long)
  neap.sleep(1)
  print(task:cancel())
  print(pcall(task.await, task) == false and task:cancelled())
end)

-- expect: true
-- expect: false	true
-- expect: the gate is closed
-- expect: true
