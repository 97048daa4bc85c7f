--- neap: asyncio's model on plain Lua 5.4.
---@class neap
local neap = {}

local core = require "neap.core"

local public = {
  "Future", "await", "sleep", "create_task", "current_task", "all_tasks", "ensure_future", "isfuture",
  "get_running_loop", "get_event_loop", "new_event_loop", "set_event_loop",
  "timeout", "timeout_at", "shielded", "CancelScope",
  "Lock", "Semaphore", "BoundedSemaphore", "Queue", "LifoQueue", "PriorityQueue", "Channel",
  "Error", "CancelledError", "TimeoutError", "InvalidStateError", "DeadlockError", "OSError",
  "IncompleteReadError", "LimitOverrunError", "QueueEmpty", "QueueFull", "QueueShutDown", "BrokenBarrierError",
  "LimitError", "wait_readable", "wait_writable",
  "is", "install",
}
for _, name in ipairs(public) do
  neap[name] = assert(core[name], name)
end

for _, module in ipairs {
  "run", "tasks", "group", "locks", "graph", "context", "stream", "server", "thread", "names", "datagram", "interval",
} do
  for name, value in pairs(require("neap." .. module)) do
    neap[name] = value
  end
  package.loaded["neap." .. module] = nil -- so that messages and tracebacks say "neap.gather"
end

neap._VERSION = core.version

--- Loaded when it is first used.
local lazy <const> = {
  fs = true, signal = true, subprocess = true, tls = true, stdin = true, stdout = true, stderr = true,
}
local standard <const> = { stdin = 0, stdout = 1, stderr = 2 }

return setmetatable(neap, { __index = function(_, name)
  if not lazy[name] then return nil end
  local module = standard[name] and assert(core.open_fd(standard[name])) or require("neap." .. name)
  rawset(neap, name, module)
  return module
end })
