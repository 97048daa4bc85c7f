--- LuaSocket's module `socket`, over neap's loop: a call that waits suspends its task alone.
local core = require "neap.core"
local base = require "neap.socket_base"

local M = {
  _VERSION = "LuaSocket 3.1.0", _SETSIZE = 1024, _SOCKETINVALID = -1, _DATAGRAMSIZE = 8192, BLOCKSIZE = 2048,
  gettime = core.time_of_day,
}

for _, name in ipairs { "tcp", "udp" } do
  for key, value in pairs(require("neap.socket_" .. name)) do M[key] = value end
end

function M.__unload() end

function M.sleep(seconds)
  core.sleep(math.max(base.check_number(seconds, 1, "sleep"), 0))
end

function M.skip(count, ...)
  return select(count + 1, ...)
end

-- --- select ---

--- The objects of a list, up to the first nil.
local function each(list, index)
  if list == nil then return {} end
  if type(list) ~= "table" then base.bad_type(index, "select", "table", list) end
  local objects, n = {}, 1
  while list[n] ~= nil do
    objects[n] = list[n]
    n = n + 1
  end
  return objects
end

local function descriptor(object)
  local getfd = object.getfd
  return getfd and tonumber(getfd(object)) or -1
end

local function is_dirty(object)
  local dirty = object.dirty
  return dirty and dirty(object)
end

local function with_keys(objects)
  for i = 1, #objects do objects[objects[i]] = i end
  return objects
end

--- Those with a descriptor go to the list for the system; those of them that are ready come back by `owners`.
local function add(list, owners, objects, direction, ready)
  for _, object in ipairs(objects) do
    local fd = descriptor(object)
    if fd < 0 then goto continue end
    if direction == "r" and is_dirty(object) then
      ready[#ready + 1] = object
    else
      list[#list + 1], list[#list + 2] = fd, direction
      owners[#list - 1] = object
    end
    ::continue::
  end
end

--- select(receivers, senders, seconds): two tables of those that are ready, by number and by object; and "timeout".
function M.select(receivers, senders, seconds)
  receivers, senders = each(receivers, 1), each(senders, 2)
  seconds = base.check_number(seconds, 3, "select", -1)
  local list, owners, readable, writable = {}, {}, {}, {}
  add(list, owners, receivers, "r", readable)
  add(list, owners, senders, "w", writable)
  local dirty = #readable > 0
  local ready, err = core.select_descriptors(list, dirty and 0 or seconds)
  if err then error("select failed: " .. tostring(err), 0) end
  if not ready and not dirty then return with_keys {}, with_keys {}, "timeout" end
  for place = 1, ready and #list or 0, 2 do
    local into = list[place + 1] == "r" and readable or writable
    if ready[place] then into[#into + 1] = owners[place] end
  end
  return with_keys(readable), with_keys(writable)
end

-- --- errors ---

local HIDDEN <const> = { __metatable = false }
local exceptions <const> = setmetatable({}, { __mode = "k" })

--- newtry(finalizer): a function that returns its arguments, or, if the first is false or nil, calls the finalizer and
--- raises the second for `protect`.
function M.newtry(finalizer)
  return function(...)
    if ... then return ... end
    if finalizer then pcall(finalizer) end
    local exception = setmetatable({ (select(2, ...)) }, HIDDEN)
    exceptions[exception] = true
    error(exception, 0)
  end
end
M.try = M.newtry()

local function settle(ok, ...)
  if ok then return ... end
  local err = ...
  if err ~= nil and exceptions[err] then return nil, err[1] end
  error(err, 0)
end

--- protect(fn): a function that calls it, and returns nil and what `try` raised.
function M.protect(fn)
  return function(...)
    return settle(pcall(fn, ...))
  end
end

-- --- names ---

M.dns = {}

function M.dns.gethostname()
  local name, code, text = core.host_name()
  if not name then return nil, base.message(code, text) end
  return name
end

function M.dns.getaddrinfo(host)
  local list, err = base.resolve(base.check_string(host, 1, "getaddrinfo"), nil, "unspec")
  if not list then return nil, err end
  local found = {}
  for i, address in ipairs(list) do found[i] = { family = address.family, addr = address.addr } end
  return found
end

function M.dns.getnameinfo(host, service)
  if host == nil and service == nil then
    error("you have to specify a hostname, a service, or both", 2)
  end
  local list, err = base.resolve(host, service, "unspec")
  if not list then return nil, err end
  local names, of_service = {}, nil
  for i, address in ipairs(list) do
    local name, text, code = core.getnameinfo(address.addr, address.port)
    if not name then return nil, base.message(code, text) end
    names[i], of_service = host and name or nil, service and text or nil
  end
  return names, of_service
end

local function host_of(host, call)
  local list, err = base.resolve(base.check_string(host, 1, call), nil, "inet")
  if not list then return nil, err:find "^host or service" and "host not found" or err end
  local numeric = core.address_family(host)
  local resolved = { name = numeric and core.getnameinfo(host, 0) or host, alias = {}, ip = {} }
  for i, address in ipairs(list) do resolved.ip[i] = address.addr end
  return resolved
end

function M.dns.toip(host)
  local resolved, err = host_of(host, "toip")
  if not resolved then return nil, err end
  return resolved.ip[1], resolved
end

function M.dns.tohostname(host)
  local resolved, err = host_of(host, "tohostname")
  if not resolved then return nil, err end
  if resolved.name == host and core.address_family(host) then return nil, "host not found" end
  return resolved.name, resolved
end

-- --- sources and sinks of ltn12 ---

--- A function that gives the source, or sink, of that name in the table.
function M.choose(makers)
  return function(name, first, second)
    if type(name) ~= "string" then name, first, second = "default", name, first end
    local maker = makers[name or "nil"]
    if not maker then error(("unknown key (%s)"):format(tostring(name)), 3) end
    return maker(first, second)
  end
end

local function with_descriptor(object, call)
  return setmetatable({
    getfd = function() return object:getfd() end,
    dirty = function() return object:dirty() end,
  }, { __call = call })
end

M.sourcet, M.sinkt = {}, {}

M.sinkt["close-when-done"] = function(object)
  return with_descriptor(object, function(_, chunk, err)
    if chunk then return object:send(chunk) end
    object:close()
    if err then return nil, err end
    return 1
  end)
end

M.sinkt["keep-open"] = function(object)
  return with_descriptor(object, function(_, chunk, err)
    if chunk then return object:send(chunk) end
    if err then return nil, err end
    return 1
  end)
end
M.sinkt.default = M.sinkt["keep-open"]

M.sourcet["by-length"] = function(object, length)
  return with_descriptor(object, function()
    if length <= 0 then return nil end
    local chunk, err = object:receive(math.min(M.BLOCKSIZE, length))
    if err then return nil, err end
    length = length - #chunk
    return chunk
  end)
end

M.sourcet["until-closed"] = function(object)
  local done
  return with_descriptor(object, function()
    if done then return nil end
    local chunk, err, partial = object:receive(M.BLOCKSIZE)
    if not err then return chunk end
    if err ~= "closed" then return nil, err end
    object:close()
    done = true
    return partial
  end)
end
M.sourcet.default = M.sourcet["until-closed"]

M.source, M.sink = M.choose(M.sourcet), M.choose(M.sinkt)

return M
