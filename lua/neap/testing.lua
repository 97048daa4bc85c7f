--- For specs: time that jumps, waiting until all is still, the order of tasks, and what is left behind.
---@class neap.testing
local M = {}

local core = require "neap.core"

local clock_scope <const> = setmetatable({}, { __close = function() core.set_virtual_clock(false) end })

--- From here on time is virtual: it stands still while any task can run, and jumps to the next deadline when
--- none can. Real time again at the end of the block (as a `<close>` variable) or spec.
---@return table scope a `<close>` value
function M.virtual_clock()
  core.set_virtual_clock(true)
  return clock_scope
end

--- Waits until every other task waits for something: none is ready, and nothing that has come already wakes one.
--- Time, virtual or real, is not waited for: a task that sleeps is blocked. With a cushion all must have stayed so
--- for that many seconds of real time, in which no I/O came: for tasks that talk to each other, or to another process,
--- through the system. Who has the shortest cushion wakes first, and runs: then the others begin anew.
---@type fun(cushion: number?)
M.wait_all_blocked = core.wait_all_blocked

local seed

local order_scope <const> = setmetatable({}, { __close = function() M.shuffle(0) end })

--- From here on the tasks that are ready at the same time run in an order shuffled by `seed`: the same
--- order for the same seed. 0 is first in, first out, as it is otherwise, and again at the end of the
--- block (as a `<close>` variable) or spec.
---@param number integer
---@return table scope a `<close>` value
function M.shuffle(number)
  core.set_seed(number)
  seed = number ~= 0 and number or nil
  return order_scope
end

--- The seed that was given last, while it is in use.
---@return integer?
function M.seed()
  return seed
end

--- What the process holds at a moment.
---@class neap.Census
---@field tasks integer that have not ended
---@field handles integer of libuv: sockets, timers, processes
---@field fds integer open descriptors
---@field children integer processes that it started, and has not seen the end of
---@field threads integer beside its own, and beside libuv's pool
---@field lua_bytes integer in use by Lua, garbage included
---@field malloc_bytes integer handed out by malloc, Lua's included; 0 where the C library does not tell

--- What the process holds now.
---@return neap.Census
function M.census()
  if core.end_idle_threads then core.end_idle_threads() end
  local census = core.census()
  census.tasks = #core.all_tasks()
  return census
end

--- What `now` has more than `before`, bytes aside, in words ("1 tasks, 2 fds"); nil if it has nothing more.
---@param before neap.Census
---@param now neap.Census
---@return string?
function M.difference(before, now)
  local more = {}
  for _, kind in ipairs { "tasks", "handles", "fds", "children", "threads" } do
    local count = now[kind] - before[kind]
    if count > 0 then more[#more + 1] = ("%d %s"):format(count, kind) end
  end
  return more[1] and table.concat(more, ", ")
end

local function more_bytes(before, now)
  return math.max(now.lua_bytes - before.lua_bytes, now.malloc_bytes - before.malloc_bytes)
end

--- The bytes that there are more than `before`, garbage aside, if they are more than `limit`; or nil. It
--- collects garbage only when they look like more, and then as long as that helps: Lua gives the memory of a deep
--- stack back little by little.
---@param before neap.Census
---@param limit integer
---@return integer?
function M.growth(before, limit)
  if more_bytes(before, M.census()) <= limit then return nil end
  local more = math.huge
  collectgarbage()
  while true do
    collectgarbage()
    local last = more
    more = more_bytes(before, M.census())
    if more <= limit then return nil end
    if more > last * 0.9 then return more end
  end
end

return M
