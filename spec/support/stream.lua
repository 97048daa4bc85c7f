-- Connected streams for specs, and what specs ask of tasks that wait in them.
local core = require "neap.core"
local neap = require "neap"

local stream = {}

local listen_with, listen_at = core.start_server_with(function(_, listeners) return listeners[1] end)

-- A bare container may know no names at all.
function stream.has_localhost()
  return os.execute "getent hosts localhost >/dev/null" == true
end

-- A bare listener on a free port.
function stream.listen(options)
  return assert(listen_with(print, "127.0.0.1", 0, options))
end

local Pair = {}
Pair.__index = Pair

function Pair:__close()
  self.near:close()
  self.far:close()
end

-- Two ends of one connection, as a <close> value: `near` was connected, `far` accepted.
function stream.pair(options)
  local listener = stream.listen(options)
  local near = assert(neap.open_connection("127.0.0.1", select(2, listener:address()), options))
  local far = assert(listener:accept())
  listener:close()
  return setmetatable({ near = near, far = far }, Pair)
end

-- The same over a Unix socket.
function stream.unix_pair(options)
  local path = os.tmpname()
  os.remove(path)
  local listener = assert(listen_at(print, path, options))
  local near = assert(neap.open_unix_connection(path, options))
  local far = assert(listener:accept())
  listener:close()
  return setmetatable({ near = near, far = far }, Pair)
end

-- The far end of a connection over which `text` was sent, and then the end.
function stream.sent(text, options)
  local ends = stream.pair(options)
  assert(ends.near:write(text))
  assert(ends.near:shutdown())
  return ends
end

-- Calls fn(...), which must raise; returns the error.
function stream.raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "it raised nothing")
  return err
end

-- Whether the task waits in the call.
function stream.waits(task, call)
  return tostring(task):find("waits in " .. call .. "[ >]") ~= nil
end

-- Lets the others run until the condition holds.
function stream.settle(condition)
  local limit <close> = neap.timeout(5)
  while not condition() do neap.sleep(0) end
end

-- Starts fn(...) as a task and lets it run until it waits in the call.
function stream.start_waiting(call, fn, ...)
  local task = neap.create_task(fn, ...)
  stream.settle(function() return task:done() or stream.waits(task, call) end)
  return task
end

-- Cancels the task and asserts that its call raises CancelledError.
function stream.cancel(task)
  task:cancel()
  local ok, err = pcall(neap.await, task)
  assert(not ok and neap.is(err, neap.CancelledError), tostring(err))
end

-- Sends the bytes in the pieces, each of which has arrived before the next is sent.
function stream.send_pieces(from, to, pieces)
  for _, piece in ipairs(pieces) do
    assert(from:write(piece))
    neap.sleep(0.001)
  end
  return to
end

-- Fills what lies between the two ends until a write waits. Returns the waiting task.
function stream.fill(from)
  local block <const> = ("x"):rep(32 * 1024)
  return stream.start_waiting("write", function()
    while from:write(block) do end
  end)
end

return stream
