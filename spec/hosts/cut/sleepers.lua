-- Tasks that sleep, time limits that expire, callbacks that come later.
local neap = require "neap"
local loop = neap.get_running_loop()

local function sleeper(number)
  local _ <close> = guard()
  while true do neap.sleep(number % 4 * 0.0001) end
end

local function impatient()
  local _ <close> = guard()
  while true do
    neap.move_on_after(0.0002, neap.sleep, 60)
    pcall(neap.wait_for, neap.sleep, 0.0001, 60)
    pcall(neap.wait_for, neap.Future(), 0.0001)
  end
end

local function again() loop:call_later(0.0001, again) end

for number = 1, 20 do neap.create_task(sleeper, number) end
for _ = 1, 5 do
  neap.create_task(impatient)
  loop:call_soon(again)
end
neap.sleep(60)
