-- Tasks run together from the moment they are made; their results are read in any order, here that of creation.
local neap = require "neap"

local loop = neap.get_event_loop()
local start = loop:time()

local function graze(seconds)
  neap.sleep(seconds)
  return "sheep " .. seconds .. " is full"
end

local tasks = {}
for i, seconds in ipairs { 3, 1, 2 } do
  tasks[i] = loop:create_task(graze, seconds)
end
loop:run_until_complete(function() neap.wait(tasks) end)

for _, task in ipairs(tasks) do print(task:result()) end
print(("%.0f s in all"):format(loop:time() - start))
loop:close()

-- expect: sheep 3 is full
-- expect: sheep 1 is full
-- expect: sheep 2 is full
-- expect: 3 s in all
