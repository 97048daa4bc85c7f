-- Groups, scopes and gathers that are cancelled while others begin; tasks that resist, and tasks that fail.
local neap = require "neap"

local function leaf(number)
  local _ <close> = guard()
  if number % 5 == 0 then pcall(neap.sleep, 60) end
  if number % 7 == 0 then error("leaf " .. number) end
  neap.sleep(number % 3 * 0.0001)
end

local function cleaner()
  local _ <close> = guard()
  local last <close> = setmetatable({}, { __close = function()
    local _ <close> = neap.shielded()
    neap.sleep(0.0001)
  end })
  neap.sleep(60)
end

local function family()
  local _ <close> = guard()
  local limit <close> = neap.timeout(0.0003)
  local group <close> = neap.TaskGroup()
  for number = 1, 8 do group:create_task(leaf, number) end
  group:create_task(cleaner)
end

local function gathering()
  local _ <close> = guard()
  neap.gather(cleaner, neap.shield(neap.create_task(leaf, 1)), function() leaf(7) end)
end

local function again(fn)
  local _ <close> = guard()
  while true do
    local task = neap.create_task(fn)
    neap.sleep(0)
    if math.random(2) == 1 then task:cancel() end
    if math.random(9) == 1 then task:kill() end
    pcall(task.await, task)
    neap.sleep(0)
  end
end

for _ = 1, 4 do
  neap.create_task(again, family)
  neap.create_task(again, gathering)
end
neap.sleep(60)
