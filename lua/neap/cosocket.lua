--- The sockets of OpenResty (ngx.socket), over the same sockets of the system as LuaSocket's: see lua/neap/ngx.lua.
local core = require "neap.core"
local base = require "neap.socket_base"
require "neap.socket_tcp"

local raw <const> = base.raw
local KIND <const> = "cosocket"
local DEFAULT <const> = 60 -- seconds
local methods <const> = {}
local class

-- --- one reader, one writer ---

--- What a call does as long as it runs: a second one of the kind is refused.
local BUSY <const> = { __close = function(busy) busy.state[busy.doing] = nil end }

local function begin(state, doing, seconds)
  state[doing] = true
  state.block = seconds
  return setmetatable({ state = state, doing = doing }, BUSY)
end

--- The state of an object that can be used for this, or nil and why not.
local function usable(self, doing, call)
  local state = base.any(self, KIND, call)
  if state.connecting then return nil, "socket busy connecting" end
  if state[doing] then return nil, "socket busy " .. doing end
  if raw.fileno(self) < 0 then return nil, "closed" end
  return state
end

-- --- timeouts, in milliseconds ---

local function seconds_of(value, index, call)
  value = base.check_number(value, index, call, 0)
  if value < 0 then base.bad_argument(index, call, "bad timeout value") end
  return value > 0 and value / 1000 or DEFAULT
end

function methods:settimeout(value)
  local state = base.any(self, KIND, "settimeout")
  local seconds = seconds_of(value, 1, "settimeout")
  state.connect_timeout, state.send_timeout, state.read_timeout = seconds, seconds, seconds
end

function methods:settimeouts(connect, send, read)
  local state = base.any(self, KIND, "settimeouts")
  state.connect_timeout = seconds_of(connect, 1, "settimeouts")
  state.send_timeout = seconds_of(send, 2, "settimeouts")
  state.read_timeout = seconds_of(read, 3, "settimeouts")
end

-- --- the pool ---

--- By name: connections that nobody uses, the last one last.
local pools <const> = {}

local function leave_pool(entry)
  local pool <const> = pools[entry.name]
  for i, other in ipairs(pool) do
    if other == entry then table.remove(pool, i) end
  end
  if #pool == 0 then pools[entry.name] = nil end
  if entry.expiry then entry.expiry:cancel() end
end

local function expire(entry)
  leave_pool(entry)
  raw.close(entry.object)
end

--- Whether nothing has come: neither bytes, which nobody has asked for, nor the end.
local function is_quiet(object)
  local data, code = raw.recv(object, 1)
  return not data and code == "EAGAIN"
end

--- A connection of that name that is alive, or nil.
local function take_pooled(name)
  while pools[name] do
    local entry <const> = pools[name][#pools[name]]
    leave_pool(entry)
    if is_quiet(entry.object) then return entry end
    raw.close(entry.object)
  end
end

function methods:setkeepalive(idle, size)
  local state = base.any(self, KIND, "setkeepalive")
  idle = base.check_number(idle, 1, "setkeepalive", DEFAULT * 1000) / 1000
  size = base.whole(base.check_number(size, 2, "setkeepalive", state.pool_size or 30))
  if size <= 0 then base.bad_argument(2, "setkeepalive", "bad \"pool_size\" option value: " .. size) end
  for _, doing in ipairs { "reading", "writing" } do
    local free, err = usable(self, doing, "setkeepalive")
    if not free then return nil, err end
  end
  if state.size > 0 then return nil, "unread data in buffer" end
  if not is_quiet(self) then
    raw.close(self)
    return nil, "connection in dubious state"
  end
  local entry <const> = { name = state.pool, object = core.raw_socket(), reused = state.reused }
  raw.move(self, entry.object)
  local pool <const> = pools[entry.name] or {}
  pools[entry.name] = pool
  pool[#pool + 1] = entry
  if idle > 0 then entry.expiry = core.get_running_loop():call_later(idle, expire, entry) end
  while #pool > (state.pool_size or size) do expire(pool[1]) end
  return 1
end

function methods:getreusedtimes()
  local state = base.any(self, KIND, "getreusedtimes")
  if raw.fileno(self) < 0 then return nil, "closed" end
  return state.reused
end

-- --- connecting ---

local function open(self, state, host, port)
  local path = host:match "^unix:(.+)$"
  if not path then return base.try_connect(self, state, host, tostring(port)) end
  local ok, err = base.open(self, "unix", "stream")
  if not ok then return nil, err end
  return base.connect_to(self, state, base.start(state), raw.connect, path)
end

local function forget(state)
  state.chunks, state.position, state.size, state.reused, state.family = {}, 1, 0, 0, "unspec"
end

function methods:connect(host, port, options)
  local state = base.any(self, KIND, "connect")
  host = base.check_string(host, 1, "connect")
  local is_path = host:find "^unix:" ~= nil
  if is_path and type(port) == "table" then port, options = nil, port end
  if not is_path then port = base.check_port(port, 2, "connect") end
  for _, doing in ipairs { "connecting", "reading", "writing" } do
    if state[doing] then return nil, "socket busy " .. doing end
  end
  raw.close(self)
  forget(state)
  state.pool = options and options.pool or (is_path and host or host .. ":" .. port)
  state.pool_size = options and options.pool_size
  local entry = take_pooled(state.pool)
  if entry then
    raw.move(entry.object, self)
    state.reused = entry.reused + 1
    return 1
  end
  local busy <close> = begin(state, "connecting", state.connect_timeout)
  local ok, err = open(self, state, host, port)
  if ok then return 1 end
  raw.close(self)
  if err == "host or service not provided, or not known" then
    err = host .. " could not be resolved (3: Host not found)"
  end
  return nil, err
end

function methods:close()
  local state = base.any(self, KIND, "close")
  if raw.fileno(self) < 0 then return nil, "closed" end
  for _, doing in ipairs { "connecting", "reading", "writing" } do
    if state[doing] then return nil, "socket busy " .. doing end
  end
  raw.close(self)
  forget(state)
  return 1
end

local OPTIONS <const> = {
  keepalive = "keepalive", reuseaddr = "reuseaddr", ["tcp-nodelay"] = "tcp-nodelay", sndbuf = "send-buffer-size",
  rcvbuf = "recv-buffer-size",
}

function methods:setoption(name, value)
  base.any(self, KIND, "setoption")
  if not OPTIONS[name] then return nil, "unsupported option " .. tostring(name) end
  if raw.fileno(self) < 0 then return nil, "closed" end
  if type(value) ~= "boolean" then value = base.whole(base.check_number(value, 2, "setoption")) end
  return base.done(raw.set_option(self, OPTIONS[name], value))
end

function methods:getoption(name)
  base.any(self, KIND, "getoption")
  if not OPTIONS[name] then return nil, "unsupported option " .. tostring(name) end
  if raw.fileno(self) < 0 then return nil, "closed" end
  return base.done(raw.get_option(self, OPTIONS[name]))
end

-- --- bytes ---

local function flatten(into, value)
  local kind <const> = type(value)
  if kind == "table" then
    for _, item in ipairs(value) do flatten(into, item) end
  elseif kind == "string" or kind == "number" or kind == "boolean" or kind == "nil" then
    into[#into + 1] = tostring(value)
  else
    base.bad_argument(1, "send", "bad data type " .. kind .. " found")
  end
end

function methods:send(data)
  local pieces = {}
  if type(data) == "string" then pieces[1] = data else flatten(pieces, data) end
  local text = #pieces == 1 and pieces[1] or table.concat(pieces)
  local state, err = usable(self, "writing", "send")
  if not state then return nil, err end
  local busy <close> = begin(state, "writing", state.send_timeout)
  local sent
  sent, err = base.send(self, state, text)
  if sent then return sent end
  if err == "closed" then raw.close(self) end
  return nil, err
end

--- Calls fn(self, state, ...) as the one reader; at the end of the connection it is closed.
local function reading(self, call, fn, ...)
  local state, err = usable(self, "reading", call)
  if not state then return nil, err end
  local busy <close> = begin(state, "reading", state.read_timeout)
  local data, why, partial = fn(self, state, ...)
  if why == "closed" then raw.close(self) end
  if data then return data end
  return nil, why, partial
end

local function receive(self, state, pattern)
  if tonumber(pattern) == 0 then return "" end
  local data, err, partial = base.receive(self, state, pattern)
  if pattern ~= "*a" or data == nil and err ~= "closed" then return data, err, partial end
  raw.close(self)
  return data or partial
end

function methods:receive(pattern)
  if pattern ~= nil and not tonumber(pattern) and pattern ~= "*a" and pattern ~= "*l" then
    base.bad_argument(1, "receive", "bad pattern argument: " .. tostring(pattern))
  end
  return reading(self, "receive", receive, pattern)
end

local function receive_any(self, state, most)
  if state.size == 0 then
    local err = base.fill(self, state, base.start(state), most)
    if err then return nil, err, "" end
  end
  return base.take(state, math.min(state.size, most))
end

function methods:receiveany(most)
  most = base.whole(base.check_number(most, 1, "receiveany"))
  if most <= 0 then base.bad_argument(1, "receiveany", "bad max argument") end
  return reading(self, "receiveany", receive_any, most)
end

--- How many bytes at the end of `text` may be the beginning of the pattern.
local function begun(text, pattern)
  for count = math.min(#text, #pattern - 1), 1, -1 do
    if text:sub(-count) == pattern:sub(1, count) then return count end
  end
  return 0
end

--- Bytes up to the pattern, at most so many at once; nil behind it. No byte is looked at twice, but for those that may
--- begin the pattern.
local function receive_until(self, state, search, most)
  local pattern <const> = search.pattern
  if search.ended then
    search.ended = nil
    return nil
  end
  local start <const>, looked = base.start(state), 0
  local text = base.joined(state):sub(state.position) -- what lies behind those that were looked at
  while true do
    local at <const> = text:find(pattern, 1, true)
    local count <const> = at and (search.inclusive and at + #pattern - 1 or at - 1) or #text - begun(text, pattern)
    local known <const> = looked + count
    if most and (known > most or known == most and not at) then return base.take(state, most) end
    if at then
      local data = base.take(state, known)
      if not search.inclusive then base.take(state, #pattern) end
      search.ended = most and (known > 0) or nil
      if most and known == 0 then return nil end
      return data
    end
    local err = base.fill(self, state, start)
    if err then return nil, err, base.take(state, err == "closed" and state.size or known) end
    looked, text = known, text:sub(count + 1) .. state.chunks[#state.chunks]
  end
end

function methods:receiveuntil(pattern, options)
  base.any(self, KIND, "receiveuntil")
  pattern = base.check_string(pattern, 1, "receiveuntil")
  if pattern == "" then return nil, "pattern is empty" end
  if options ~= nil and type(options) ~= "table" then base.bad_type(2, "receiveuntil", "table", options) end
  local search <const> = { pattern = pattern, inclusive = options and options.inclusive }
  return function(size)
    size = size and base.whole(size)
    return reading(self, "receiveuntil", receive_until, search, size)
  end
end

class = base.class("cosocket", methods, KIND)

local M = {}

--- A socket that is not connected.
function M.tcp()
  local self = base.new(KIND, class, "unspec")
  self:settimeout(0)
  return self
end

--- A connected one, or nil and why.
function M.connect(...)
  local self = M.tcp()
  local ok, err = self:connect(...)
  if not ok then return nil, err end
  return self
end

return M
