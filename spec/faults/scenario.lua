-- What scenarios use to tell a failure for want of memory from one of neap's.
local faults = require "faults"
local neap = require "neap"

local scenario = {
  told = nil, -- the first error for want of memory that was seen
}

-- The second is what libuv says when it got no buffer to read into.
function scenario.is_memory(text)
  return text:find("not enough memory", 1, true) ~= nil or text:find("no buffer space", 1, true) ~= nil
end

local function note(err)
  local text <const> = tostring(err)
  local is_memory <const> = scenario.is_memory(text)
  if is_memory then scenario.told = scenario.told or text end
  return is_memory
end

-- Whether the error comes from want of memory, which has been told then.
function scenario.note(err)
  return faults.paused(note, err)
end

-- An error that was raised, or one that was returned.
local function noting(ok, value, err, ...)
  if not ok then
    scenario.note(value)
  elseif value == nil and err ~= nil then
    scenario.note(err)
  end
  return ok, value, err, ...
end

-- pcall, noting the error, also one that fn returns.
function scenario.try(fn, ...)
  return noting(pcall(fn, ...))
end

-- As it came: a result, the end, or an error that is noted.
function scenario.noted(value, err, ...)
  if value == nil and err ~= nil then scenario.note(err) end
  return value, err, ...
end

-- What fails the Lua way is noted: assert with that.
function scenario.done(...)
  return assert(scenario.noted(...))
end

-- fn(...) must raise an error of that kind, or with that text; after want of memory it may raise any.
function scenario.raises(kind, fn, ...)
  local ok, err = scenario.try(fn, ...)
  if scenario.told then return err end
  assert(not ok, "it raised nothing")
  if type(kind) == "string" then
    assert(tostring(err):find(kind, 1, true), err)
  else
    assert(neap.is(err, kind), err)
  end
  return err
end

-- A <close> value, which notes the error that it may replace.
function scenario.closer(fn)
  return setmetatable({}, { __close = function(_, err)
    if err ~= nil then scenario.note(err) end
    fn()
  end })
end

-- Starts a task and lets it come to its first await.
function scenario.start(fn, ...)
  local task = neap.create_task(fn, ...)
  neap.sleep(0)
  return task
end

-- Memory may be wanting where nobody is told but the exception handler: then the other side waits for as long.
function scenario.limited(fn)
  return function()
    local limit <close> = neap.timeout(60)
    fn()
  end
end

return scenario
