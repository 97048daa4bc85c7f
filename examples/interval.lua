-- Ticks that do not drift: work takes its time, and who is late gets the latest tick.
-- In virtual time, which passes at once.
local neap = require "neap"

require("neap.testing").virtual_clock()
local loop <const> = neap.get_running_loop()
local start <const> = loop:time()

local WORK <const> = { 0.3, 0.3, 2.2, 0.3 }

local done = 0
for tick in neap.interval(1) do
  done = done + 1
  print(("tick %d at %.1f s"):format(tick, loop:time() - start))
  if not WORK[done] then break end
  neap.sleep(WORK[done])
end

-- expect: tick 1 at 1.0 s
-- expect: tick 2 at 2.0 s
-- expect: tick 3 at 3.0 s
-- expect: tick 5 at 5.2 s
-- expect: tick 6 at 6.0 s
