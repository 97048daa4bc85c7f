-- What a condition is for: a lock, and two reasons to wait for a change of what it guards. (neap.Queue has all this.)
local neap = require "neap"

local lock = neap.Lock()
local not_empty, not_full = neap.Condition(lock), neap.Condition(lock)
local shelf, room = {}, 2

local function put(jar)
  local _ <close> = lock:acquire()
  not_full:wait_for(function() return #shelf < room end) -- gives the lock up meanwhile
  table.insert(shelf, jar)
  print("put " .. jar, #shelf .. " on the shelf")
  not_empty:notify()
end

local function take()
  local _ <close> = lock:acquire()
  not_empty:wait_for(function() return #shelf > 0 end)
  local jar = table.remove(shelf, 1)
  print("took " .. jar, #shelf .. " on the shelf")
  not_full:notify()
  return jar
end

do
  local group <close> = neap.TaskGroup()
  group:create_task(function()
    for jar = 1, 4 do put("jar " .. jar) end
  end)
  group:create_task(function()
    for _ = 1, 4 do
      take()
      neap.sleep(1)
    end
  end)
end

-- expect: put jar 1	1 on the shelf
-- expect: put jar 2	2 on the shelf
-- expect: took jar 1	1 on the shelf
-- expect: put jar 3	2 on the shelf
-- expect: took jar 2	1 on the shelf
-- expect: put jar 4	2 on the shelf
-- expect: took jar 3	1 on the shelf
-- expect: took jar 4	0 on the shelf
