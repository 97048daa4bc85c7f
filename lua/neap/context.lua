--- Context variables: values that tasks and callbacks inherit from where they are made.
local core = require "neap.core"
local check = require "neap.check"

local M = {}

local NIL <const> = setmetatable({}, { __name = "nil" }) -- stands for nil in a context

---@class neap.ContextVar
---@field name string
local ContextVar = { __name = "neap.ContextVar" }
ContextVar.__index = ContextVar

---@class neap.Context
local Context = { __name = "neap.Context" }
Context.__index = Context

---@class neap.Token
local Token = { __name = "neap.Token" }

--- A variable of which each task has a value of its own, at first that of the task which made it.
---@param name string
---@param default any what `get` returns where none was set
---@return neap.ContextVar
function M.ContextVar(name, default)
  if type(name) ~= "string" then check.bad_argument("ContextVar", 1, "string", name) end
  return setmetatable({ name = name, default = default }, ContextVar)
end

local function read(values, variable)
  local value = values and values[variable]
  if value == NIL then return true, nil end
  return value ~= nil, value
end

--- A context is never changed, since others share it.
local function with(values, variable, value)
  local copy = {}
  for key, kept in pairs(values or copy) do copy[key] = kept end
  copy[variable] = value
  return copy
end

local function find(values, variable, default)
  local found, value = read(values, variable)
  if found then return value end
  if default ~= nil then return default end
  return variable.default
end

--- The value here; where none was set `default`, or else the variable's own.
---@param default any
---@return any
function ContextVar:get(default)
  return find(core.context(), self, default)
end

--- Sets it for what runs here and for what is made here from now on; `reset` takes that back.
---@param value any
---@return neap.Token
function ContextVar:set(value)
  local values = core.context()
  local token = { variable = self, old = values and values[self] }
  core.set_context(with(values, self, value == nil and NIL or value))
  return setmetatable(token, Token)
end

--- Gives it the value that it had before the `set` that returned the token. A token serves once.
---@param token neap.Token
function ContextVar:reset(token)
  if getmetatable(token) ~= Token then check.bad_argument("reset", 1, "token", token) end
  if token.variable ~= self then
    core.misuse "reset: the token was made by another variable"
  elseif token.used then
    core.misuse "reset: the token was used already"
  end
  token.used = true
  core.set_context(with(core.context(), self, token.old))
end

function ContextVar:__tostring()
  return ("<ContextVar '%s'>"):format(self.name)
end

check.class(ContextVar)

--- A copy of the context of what is running.
---@return neap.Context
function M.copy_context()
  return setmetatable({ values = core.context() }, Context)
end

--- The value that a variable has in it.
---@param variable neap.ContextVar
---@param default any
---@return any
function Context:get(variable, default)
  if getmetatable(variable) ~= ContextVar then check.bad_argument("get", 1, "neap.ContextVar", variable) end
  return find(self.values, variable, default)
end

local Entered = {
  __close = function(entered)
    local context <const> = entered.context
    context.values, context.entered = core.context(), nil
    core.set_context(entered.outer)
  end,
}

--- Calls `fn(...)`, which may await, in this context; what it sets stays in it. Not inside a coroutine of
--- your own, which could be left half-way.
---@param fn function
---@return any ...
function Context:run(fn, ...)
  check.callable("run", 1, fn)
  core.enter_context()
  if self.entered then core.misuse "run: the context is in use" end
  local entered <close> = setmetatable({ context = self, outer = core.context() }, Entered)
  self.entered = true
  core.set_context(self.values)
  return fn(...)
end

check.class(Context)

return M
