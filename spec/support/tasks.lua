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

-- Lets all that is ready run so many times.
function tasks.turns(count)
  for _ = 1, count or 3 do neap.sleep(0) end
end

-- Tasks that acquire in this order and note their names in the list it returns.
function tasks.acquirers(lock, names)
  local log, started = {}, {}
  for _, name in ipairs(names) do
    started[name] = neap.create_task(function()
      lock:acquire()
      log[#log + 1] = name
    end)
  end
  neap.sleep(0)
  return log, started
end

return tasks
