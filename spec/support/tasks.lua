-- What specs ask of tasks and of the errors they raise.
local assert = require "luassert"
local neap = require "neap"

local tasks = {}

-- Calls fn(...), which must raise an error of that kind; returns it.
function tasks.raises(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(neap.is(err, kind), tostring(err))
  return err
end

-- Calls fn(...), which must raise CancelledError; returns it.
function tasks.cancelled(fn, ...)
  return tasks.raises(neap.CancelledError, fn, ...)
end

-- Starts a task and lets it come to its first await.
function tasks.start(fn, ...)
  local task = neap.create_task(fn, ...)
  neap.sleep(0)
  return task
end

return tasks
