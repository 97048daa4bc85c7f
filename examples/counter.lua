-- A task is only ever interrupted where it waits: what lies between two waits needs no lock.
local neap = require "neap"

local counter = 0

local function count()
  for _ = 1, 10 do
    local before = counter
    counter = before + 1
    neap.sleep(0)
  end
end

do
  local group <close> = neap.TaskGroup()
  for _ = 1, 1000 do group:create_task(count) end
end
print(counter)

-- expect: 10000
