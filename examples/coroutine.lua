-- A coroutine does nothing by itself: somebody steps it by hand, or awaits it.
local neap = require "neap"

local function work()
  print "working"
  return 42
end

local by_hand = coroutine.create(work)
print("made: " .. coroutine.status(by_hand))
print("stepped: ", coroutine.resume(by_hand))

neap.run(function()
  print("awaited: ", neap.await(coroutine.create(work)))
end)

-- expect: made: suspended
-- expect: working
-- expect: stepped: 	true	42
-- expect: working
-- expect: awaited: 	42
