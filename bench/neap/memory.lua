-- Whether work leaves memory behind: 10,000,000 switches, and 1,000,000 tasks made and ended.
local neap = require "neap"
local meter = require "meter"

local tasks_at_once <const> = 1000

local function give_way(turns)
  for _ = 1, turns do neap.sleep(0) end
end

-- Tasks that each give way `turns` times, until all have ended.
local function together(turns)
  local list = {}
  for i = 1, tasks_at_once do list[i] = neap.create_task(give_way, turns) end
  neap.gather(list)
end

local function held_bytes()
  collectgarbage()
  collectgarbage()
  return meter.malloc_bytes(), meter.lua_bytes()
end

together(1) -- what is kept to be used again is there from now on
local malloc_before, lua_before = held_bytes()
together(meter.count(10000000) // tasks_at_once)
for _ = 1, meter.count(1000000) // tasks_at_once do together(0) end
local malloc_after, lua_after = held_bytes()
meter.report("memory_malloc_left_kb", (malloc_after - malloc_before) / 1024)
meter.report("memory_lua_left_kb", (lua_after - lua_before) / 1024)
