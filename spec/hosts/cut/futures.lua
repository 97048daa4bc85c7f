-- Futures of the host's and posts of its thread, some of which raise; tasks spawned from C.
local neap = require "neap"

local function awaiter(number)
  local _ <close> = guard()
  while true do
    local future = promise(number)
    if number == 3 then future:cancel() end
    if number == 4 then
      neap.sleep(0)
    elseif number == 5 then
      pcall(neap.wait_for, future, 0.0001)
    else
      pcall(future.await, future)
    end
  end
end

for number = 1, 6 do neap.create_task(awaiter, number) end
while true do
  spawn(neap.sleep, 0.0001)
  spawn(error, "an error that is told")
  spawn(neap.sleep, 60)
  neap.sleep(0.0001)
end
