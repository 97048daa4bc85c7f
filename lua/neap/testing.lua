--- For specs: time that jumps, and what is left behind.
local core = require "neap.core"

local M = {}

local clock_scope <const> = setmetatable({}, { __close = function() core.set_virtual_clock(false) end })

--- From here on time is virtual: it stands still while any task can run, and jumps to the next
--- deadline when none can. Real time again at the end of the block (as a `<close>` variable) or spec.
function M.virtual_clock()
  core.set_virtual_clock(true)
  return clock_scope
end

local seed

local order_scope <const> = setmetatable({}, { __close = function() M.shuffle(0) end })

--- From here on the tasks that are ready at the same time run in an order shuffled by `seed`: the same
--- order for the same seed. 0 is first in, first out, as it is otherwise, and again at the end of the
--- block (as a `<close>` variable) or spec.
---@param number integer
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

--- What the process holds now: a table of counts `tasks`, `handles`, `fds`, `children`, `threads`,
--- `lua_bytes` and `malloc_bytes` (of the process, Lua's included).
---@return table<string, integer>
function M.census()
  if core.end_idle_threads then core.end_idle_threads() end
  local census = core.census()
  census.tasks = #core.all_tasks()
  return census
end

--- What `now` has more than `before`, bytes aside, in words; nil if it has nothing more.
---@param before table<string, integer>
---@param now table<string, integer>
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
--- collects garbage only when they look like more.
---@param before table<string, integer>
---@param limit integer
---@return integer?
function M.growth(before, limit)
  if more_bytes(before, M.census()) <= limit then return nil end
  collectgarbage()
  collectgarbage()
  local more = more_bytes(before, M.census())
  return more > limit and more or nil
end

return M
