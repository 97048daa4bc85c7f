-- A future is a result that is still to come: one task awaits it, another one sets it.
local neap = require "neap"

local function state(future)
  return future:cancelled() and "cancelled" or future:done() and "finished" or "pending"
end

neap.run(function()
  local loop = neap.get_running_loop()
  local wool = loop:create_future()
  neap.create_task(function()
    neap.sleep(1)
    wool:set_result "wool"
  end)
  print(state(wool))
  print(wool:await())
  print(state(wool))

  local silk = loop:create_future()
  silk:cancel()
  print(state(silk))
end)

-- expect: pending
-- expect: wool
-- expect: finished
-- expect: cancelled
