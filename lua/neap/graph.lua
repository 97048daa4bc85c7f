--- Looking inside: where tasks wait, and who waits for them.
local core = require "neap.core"
local check = require "neap.check"

local M = {}

---@class neap.Frame
---@field source string
---@field line integer
---@field name string?

---@class neap.CallGraph
---@field future any the task or future
---@field waits_in string? the call that a task waits in
---@field call_stack neap.Frame[] the innermost first; empty for a future
---@field awaited_by neap.CallGraph[]

local function capture(future, seen)
  local is_task <const> = future.cancelling ~= nil
  local graph = {
    future = future,
    waits_in = is_task and core.waits_in(future) or nil,
    call_stack = is_task and core.frames(future) or {},
    awaited_by = {},
  }
  if seen[future] then return graph end -- a circle: shown once more, and no further
  seen[future] = true
  for i, awaiter in ipairs(core.awaiters(future)) do
    graph.awaited_by[i] = capture(awaiter, seen)
  end
  seen[future] = nil
  return graph
end

--- What a task or future (the running task unless given) waits in, and all that await it, recursively.
---@param future any
---@return neap.CallGraph
function M.capture_call_graph(future)
  if future == nil then future = core.current_task() end
  if not core.isfuture(future) then
    check.bad_argument("capture_call_graph", 1, "task or future", future)
  end
  return capture(future, {})
end

local function title(graph)
  if not graph.future.get_name then return tostring(graph.future) end
  return graph.future:get_name() .. (graph.waits_in and " waits in " .. graph.waits_in or "")
end

local function add(lines, graph, indent)
  lines[#lines + 1] = indent .. "* " .. title(graph)
  for _, frame in ipairs(graph.call_stack) do
    lines[#lines + 1] = ("%s  %s:%d%s"):format(indent, frame.source, frame.line,
      frame.name and " in " .. frame.name or "")
  end
  if not graph.awaited_by[1] then return end
  lines[#lines + 1] = indent .. "  awaited by"
  for _, awaiter in ipairs(graph.awaited_by) do add(lines, awaiter, indent .. "    ") end
end

--- The same as text.
---@param future any
---@return string
function M.format_call_graph(future)
  local lines = {}
  add(lines, M.capture_call_graph(future), "")
  return table.concat(lines, "\n")
end

--- Writes that to stderr, or to `file`.
---@param future any
---@param file file*?
function M.print_call_graph(future, file)
  (file or io.stderr):write(M.format_call_graph(future), "\n")
end

--- One row for each task that has not ended and each of its awaiters, in the order of their making.
---@return { task: neap.Task, name: string, waits_in: string?, frame: neap.Frame?, awaiter: neap.Task? }[]
function M.task_table()
  local rows = {}
  for _, task in ipairs(core.all_tasks()) do
    local awaiters = core.awaiters(task)
    for i = 1, math.max(1, #awaiters) do
      rows[#rows + 1] = {
        task = task, name = task:get_name(), waits_in = core.waits_in(task),
        frame = core.frames(task)[1], awaiter = awaiters[i],
      }
    end
  end
  return rows
end

return M
