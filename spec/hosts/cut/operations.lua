-- Operations of the host's, which its threads complete; of each way to be cancelled.
local neap = require "neap"

local function worker(cancelled)
  local _ <close> = guard()
  for number = 1, math.huge do
    if number % 3 == 0 then
      neap.move_on_after(0.0001, operation, cancelled, number)
    elseif number % 7 == 0 then
      pcall(operation, cancelled, -1) -- its push raises
    else
      operation(cancelled, number)
    end
  end
end

local function again(cancelled)
  local _ <close> = guard()
  while true do
    local task = neap.create_task(operation, cancelled, 0)
    neap.sleep(0)
    if math.random(2) == 1 then task:cancel() else task:kill() end
    neap.sleep(0)
  end
end

for _, cancelled in ipairs { "gone", "coming", "abandoned" } do
  for _ = 1, 3 do
    neap.create_task(worker, cancelled)
    neap.create_task(again, cancelled)
  end
end
neap.sleep(60)
