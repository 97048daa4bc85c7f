--- Arguments of the functions that are written in Lua.
local core = require "neap.core"

local M = {}

local function is_callable(value)
  if type(value) == "function" then return true end
  local meta = getmetatable(value)
  return type(meta) == "table" and meta.__call ~= nil
end

--- Whether a task can be made of it.
function M.is_startable(value)
  return type(value) == "thread" or is_callable(value)
end

--- What lauxlib calls the type of a value: "neap.Lock", not "userdata".
local function type_name(value)
  local meta = getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and name or type(value)
end

--- Raises, at the line of the caller outside neap, that an argument is not what was wanted.
function M.bad_argument(call, index, wanted, got)
  core.misuse(("bad argument #%d to '%s' (%s expected, got %s)")
    :format(index, call, wanted, got == nil and "no value" or type_name(got)))
end

--- Raises for a field with a name that is not among the keys of `known`. What stands at numbers passes.
function M.options(call, index, options, known)
  for name in pairs(options) do
    if type(name) ~= "number" and not known[name] then
      core.misuse(("bad argument #%d to '%s' (there is no option '%s')"):format(index, call, tostring(name)))
    end
  end
end

--- Raises for a number that is not whole, or below the least; nil passes.
function M.count(call, index, value, least)
  if value == nil then return end
  if type(value) ~= "number" or not math.tointeger(value) then
    M.bad_argument(call, index, "whole number", value)
  elseif value < least then
    core.misuse(("bad argument #%d to '%s' (%d is less than %d)"):format(index, call, value, least))
  end
end

function M.callable(call, index, value)
  if not is_callable(value) then M.bad_argument(call, index, "function", value) end
end

--- Makes the methods of a class raise, at that line, when they are called on something else.
function M.class(class)
  local methods <const> = {}
  for name, method in pairs(class) do
    if type(method) == "function" and name:sub(1, 2) ~= "__" then methods[name] = method end
  end
  for name, method in pairs(methods) do
    class[name] = function(self, ...)
      if getmetatable(self) ~= class then M.bad_argument(name, 1, class.__name, self) end
      return method(self, ...)
    end
  end
end

function M.startable(call, index, value)
  if not M.is_startable(value) then M.bad_argument(call, index, "function or coroutine", value) end
end

--- nil is no limit.
function M.seconds(call, index, value)
  if value ~= nil and (type(value) ~= "number" or value ~= value) then
    M.bad_argument(call, index, "number of seconds", value)
  end
end

return M
