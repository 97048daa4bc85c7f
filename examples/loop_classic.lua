-- The loop by hand: get it, run one function to its end, close it.
local neap = require "neap"

local loop = neap.get_event_loop()

local function work()
  local start = loop:time()
  neap.sleep(1)
  print(("worked for %.0f s"):format(loop:time() - start))
end

loop:run_until_complete(work)
loop:close()
print(loop:is_closed())
print(pcall(loop.run_until_complete, loop, work))

-- expect: worked for 1 s
-- expect: true
-- expect: false	examples/loop_classic.lua:15: run_until_complete: the loop is closed
