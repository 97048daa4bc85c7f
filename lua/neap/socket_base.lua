--- What LuaSocket's classes have in common: states and timeouts, waiting, buffered receiving, sending. The objects are
--- sockets of src/net/raw_socket.c; their methods `raw` are called on them whatever class they have.
local core = require "neap.core"

local M = {}

local raw <const> = getmetatable(core.raw_socket()).__index
M.raw = raw

local now <const>, misuse <const> = core.time_of_day, core.misuse
local find <const>, sub <const>, concat <const> = string.find, string.sub, table.concat

-- --- messages ---

local MESSAGES <const> = {
  EADDRINUSE = "address already in use",
  EISCONN = "already connected",
  EACCES = "permission denied",
  ECONNREFUSED = "connection refused",
  ECONNABORTED = "closed",
  ECONNRESET = "closed",
  EPIPE = "closed",
  EAGAIN = "timeout",
  ETIMEDOUT = "timeout",
  EAI_AGAIN = "temporary failure in name resolution",
  EAI_FAIL = "non-recoverable failure in name resolution",
  EAI_FAMILY = "ai_family not supported",
  EAI_MEMORY = "memory allocation failure",
  EAI_NONAME = "host or service not provided, or not known",
  EAI_SERVICE = "service not supported for socket type",
}

--- What LuaSocket says for a code of the system's.
function M.message(code, text)
  return MESSAGES[code] or tostring(text or code)
end
local message <const> = M.message

-- --- states ---

--- By object: class, kind ("tcp"), timeouts, what was received and not read yet.
local states <const> = setmetatable({}, { __mode = "k" })

--- The metatable of a class of objects, of which there are several in a kind.
function M.class(name, methods, kind)
  local index <const> = { class = name }
  for method, fn in pairs(methods) do index[method] = fn end
  return {
    __index = index, __gc = raw.__gc, __name = name, [kind .. "{any}"] = true,
    __tostring = function(self) return ("%s: %p"):format(name, self) end,
  }
end

--- Gives an object one of these classes.
function M.become(self, class)
  states[self].class = class.__name
  return raw.set_class(self, class)
end

--- A new object, without a descriptor; or of a socket that has one.
function M.new(kind, class, family, self)
  self = self or core.raw_socket()
  states[self] = {
    class = class.__name, kind = kind, family = family, block = -1, total = -1,
    chunks = {}, position = 1, size = 0, received = 0, sent = 0, born = now(),
  }
  return raw.set_class(self, class)
end

local function bad_self(call, wanted)
  return misuse(("calling '%s' on bad self (%s expected)"):format(call, wanted))
end

--- The state of an object of that very class.
function M.state(self, class, call)
  local state = states[self]
  if not state or state.class ~= class then bad_self(call, class) end
  return state
end

--- The state of an object of any class of the kind.
function M.any(self, kind, call)
  local state = states[self]
  if not state or state.kind ~= kind then bad_self(call, kind .. "{any}") end
  return state
end

-- --- arguments, which are counted without the object ---

function M.bad_argument(index, call, what)
  return misuse(("bad argument #%d to '%s' (%s)"):format(index, call, what))
end
local bad_argument <const> = M.bad_argument

local function bad_type(index, call, wanted, value)
  local got = value == nil and "no value" or type(value)
  return bad_argument(index, call, ("%s expected, got %s"):format(wanted, got))
end
M.bad_type = bad_type

function M.check_string(value, index, call)
  if type(value) == "number" then return tostring(value) end
  if type(value) ~= "string" then bad_type(index, call, "string", value) end
  return value
end

function M.check_number(value, index, call, otherwise)
  if value == nil and otherwise then return otherwise end
  local number = tonumber(value)
  if not number then bad_type(index, call, "number", value) end
  return number
end

local function whole(number)
  return math.tointeger(number) or math.tointeger(number < 0 and math.ceil(number) or math.floor(number)) or 0
end
M.whole = whole

--- What waits for bytes is a name or a number of a port, as a string without a fraction.
function M.check_port(value, index, call)
  if math.type(value) == "float" and math.tointeger(value) then value = math.tointeger(value) end
  return M.check_string(value, index, call)
end

-- --- timeouts ---

local function settimeout(state, value, mode)
  value = M.check_number(value, 1, "settimeout", -1)
  mode = mode == nil and "b" or M.check_string(mode, 2, "settimeout")
  local first = mode:sub(1, 1)
  if first == "b" then
    state.block = value
  elseif first == "r" or first == "t" then
    state.total = value
  else
    bad_argument(2, "settimeout", "invalid timeout mode")
  end
  return 1
end

--- The time since which a call counts its timeouts.
function M.start(state)
  return (state.block >= 0 or state.total >= 0) and now() or 0
end

--- How long it may still wait; -1 is for ever.
local function remaining(state, start)
  local block <const>, total <const> = state.block, state.total
  if block < 0 and total < 0 then return -1 end
  if block == 0 then return 0 end
  local left = math.max((total < 0 and block or total) - (now() - start), 0)
  return block >= 0 and math.min(block, left) or left
end
M.remaining = remaining

--- Returns true, or false when the time is over.
function M.wait(self, state, call, directions, start)
  local seconds = remaining(state, start)
  if seconds == 0 then return false end
  local ready, err = raw.wait(self, call, directions, seconds)
  if ready == nil then error(err, 0) end
  return ready
end
local wait <const> = M.wait

-- --- receiving: nothing leaves the state before it is returned, so a cancelled call loses nothing ---

local function append(state, data)
  state.chunks[#state.chunks + 1] = data
  state.size = state.size + #data
end

--- All that is there, as one string that begins at state.position.
local function joined(state)
  local chunks <const> = state.chunks
  if #chunks > 1 then
    chunks[1] = sub(chunks[1], state.position)
    state.chunks, state.position = { concat(chunks) }, 1
  end
  return state.chunks[1] or ""
end

local function take(state, count)
  if count == 0 then return "" end
  local all <const>, first <const> = joined(state), state.position
  state.size = state.size - count
  state.received = state.received + count
  if state.size == 0 then
    state.chunks, state.position = {}, 1
    return first == 1 and all or sub(all, first)
  end
  state.position = first + count
  if state.position > 16384 then
    state.chunks, state.position = { sub(all, state.position) }, 1
  end
  return sub(all, first, first + count - 1)
end

M.joined, M.take = joined, take

--- Waits for more. Returns nil, or why there is none.
local function fill_raw(self, state, start, most)
  while true do
    local data, code, text = raw.recv(self, most)
    if data == "" then return "closed" end
    if data then return append(state, data) end
    if code == "EBADF" then return "closed" end
    if code ~= "EAGAIN" then return message(code, text) end
    if not wait(self, state, "receive", "r", start) then return "timeout" end
  end
end

local STEP <const>, STEP_MAX <const> = 8192, 65536

local function fill(self, state, start, wanted)
  local most = math.max(STEP, math.min(wanted or 0, STEP_MAX))
  return (state.fill or fill_raw)(self, state, start, most)
end

M.fill = fill

local function receive_line(self, state, start)
  local chunk, scanned, taken = 1, 0, state.received
  while true do
    if taken ~= state.received or chunk > #state.chunks + 1 then chunk, scanned, taken = 1, 0, state.received end
    for i = chunk, #state.chunks do
      local text <const>, from <const> = state.chunks[i], i == 1 and state.position or 1
      local at <const> = find(text, "\n", from, true)
      if at then
        local line = take(state, scanned + at - from + 1)
        return (line:gsub("[\r\n]", ""))
      end
      scanned = scanned + #text - from + 1
    end
    chunk = #state.chunks + 1
    local err = fill(self, state, start)
    if err then return nil, err, (take(state, state.size):gsub("\r", "")) end
  end
end

local function receive_all(self, state, start)
  while true do
    local err = fill(self, state, start, STEP_MAX)
    if err == "closed" and state.size > 0 then return take(state, state.size) end
    if err then return nil, err, take(state, state.size) end
  end
end

local function receive_count(self, state, start, count)
  local err
  if state.size == 0 then err = fill(self, state, start, count) end
  while not err and state.size < count do
    err = fill(self, state, start, count - state.size)
  end
  if err then return nil, err, take(state, math.min(state.size, count)) end
  return take(state, count)
end

--- object:receive(pattern, prefix): the value, or nil, why, what had come.
function M.receive(self, state, pattern, prefix)
  prefix = prefix == nil and "" or M.check_string(prefix, 2, "receive")
  local start <const> = M.start(state)
  local value, err, partial
  local count = tonumber(pattern)
  if count then
    if count < 0 then bad_argument(1, "receive", "invalid receive pattern") end
    count = whole(count)
    if #prefix > 0 and count <= #prefix then return prefix, nil, nil end
    value, err, partial = receive_count(self, state, start, count - #prefix)
  else
    pattern = pattern == nil and "*l" or M.check_string(pattern, 1, "receive")
    local letter = pattern:match "^%*([la])"
    if not letter then bad_argument(1, "receive", "invalid receive pattern") end
    value, err, partial = (letter == "l" and receive_line or receive_all)(self, state, start)
  end
  if value then return prefix .. value, nil, nil end
  return nil, err, prefix .. partial
end

function M.dirty(state)
  return state.size > 0
end

-- --- sending ---

local function send_raw(self, state, data, first, last, start)
  while first <= last do
    local count, code, text = raw.send(self, data, first, last)
    if count then
      first = first + count
      state.sent = state.sent + count
    elseif code ~= "EAGAIN" then
      return first - 1, code == "EBADF" and "closed" or message(code, text)
    elseif not wait(self, state, "send", "w", start) then
      return first - 1, "timeout"
    end
  end
  return first - 1
end

--- object:send(data, i, j): the index of the last byte, or nil, why, the index of the last byte that was sent.
function M.send(self, state, data, i, j)
  data = M.check_string(data, 1, "send")
  local first, last = whole(M.check_number(i, 2, "send", 1)), whole(M.check_number(j, 3, "send", -1))
  local size <const> = #data
  if first < 0 then first = math.max(size + first + 1, 1) end
  if last < 0 then last = size + last + 1 end
  if first < 1 then first = 1 end
  if last > size then last = size end
  if first > last then return first - 1, nil, nil end
  local sent, err = (state.send or send_raw)(self, state, data, first, last, M.start(state))
  if err then return nil, err, sent end
  return sent, nil, nil
end

-- --- names ---

--- A list of {family =, addr =, port =}, or nil and why. Numeric addresses are not looked up.
function M.resolve(host, port, family, passive)
  local numeric <const>, number <const> = host and core.address_family(host), math.tointeger(tonumber(port))
  if numeric and number and number >= 0 and number <= 65535 and (family == "unspec" or family == numeric) then
    return { { family = numeric, addr = host, port = number } }
  end
  local options <const> = { family = family ~= "unspec" and family or nil, passive = passive }
  local found, err, code = core.getaddrinfo(host, port, options)
  if not found then return nil, message(code, err) end
  local list <const> = {}
  for i, address in ipairs(found) do
    list[i] = { family = address.family, addr = address.address, port = address.port }
  end
  return list
end

--- Gives an object a descriptor of this family, unless it has one.
function M.open(self, family, type)
  if raw.fileno(self) >= 0 and raw.family(self) == family then return true end
  local ok, code, text = raw.open(self, family, type)
  if not ok then return nil, message(code, text) end
  states[self].family = family
  return true
end

--- true, or nil and LuaSocket's message.
function M.done(ok, code, text)
  if ok then return ok end
  return nil, message(code, text)
end

-- --- methods that all classes have ---

--- Adds them to the methods of a kind.
function M.common(kind, methods)
  local any <const> = M.any

  function methods:close()
    any(self, kind, "close")
    raw.close(self)
    return 1
  end

  function methods:dirty()
    return M.dirty(any(self, kind, "dirty"))
  end

  function methods:getfd()
    any(self, kind, "getfd")
    return raw.fileno(self)
  end

  function methods:setfd(fd)
    any(self, kind, "setfd")
    M.done(raw.adopt(self, whole(M.check_number(fd, 1, "setfd"))))
  end

  function methods:settimeout(value, mode)
    return settimeout(any(self, kind, "settimeout"), value, mode)
  end

  function methods:gettimeout()
    local state = any(self, kind, "gettimeout")
    return state.block, state.total
  end
end

--- Adds what counts bytes.
function M.counting(kind, methods)
  function methods:getstats()
    local state = M.any(self, kind, "getstats")
    return state.received, state.sent, now() - state.born
  end

  function methods:setstats(received, sent, age)
    local state = M.any(self, kind, "setstats")
    state.received = whole(M.check_number(received, 1, "setstats", state.received))
    state.sent = whole(M.check_number(sent, 2, "setstats", state.sent))
    if age then state.born = now() - M.check_number(age, 3, "setstats") end
    return 1
  end
end

-- --- options ---

local function linger(value)
  if type(value) ~= "table" then bad_type(2, "setoption", "table", value) end
  if type(value.on) ~= "boolean" then bad_argument(2, "setoption", "boolean 'on' field expected") end
  if type(value.timeout) ~= "number" then bad_argument(2, "setoption", "number 'timeout' field expected") end
  return value.on, whole(value.timeout)
end

local function check_value(kind, value)
  if kind == "linger" then return linger(value) end
  if type(value) == kind then return kind == "number" and whole(value) or value end
  return bad_type(2, "setoption", kind, value)
end

--- Adds setoption and getoption, for what the tables have: names, and "boolean", "number" or "linger".
function M.options(kind, methods, settable, gettable)
  local function check(self, name, call, known)
    M.any(self, kind, call)
    name = M.check_string(name, 1, call)
    if not known[name] then bad_argument(1, call, ("unsupported option `%s'"):format(name)) end
    return name
  end

  function methods:setoption(name, value)
    name = check(self, name, "setoption", settable)
    if not raw.set_option(self, name, check_value(settable[name], value)) then return nil, "setsockopt failed" end
    return 1
  end

  function methods:getoption(name)
    name = check(self, name, "getoption", gettable)
    if name == "error" then return (select(2, M.done(raw.outcome(self)))) end
    local value = raw.get_option(self, name)
    if value == nil then return nil, "getsockopt failed" end
    return value
  end
end

--- getpeername: host, port, family; or nil and why.
function M.name(self, method)
  local host, port, text = method(self)
  if not host then return nil, text end
  return host, port, raw.family(self)
end

--- getsockname: as LuaSocket has it, with the port as a string.
function M.local_name(self)
  local host, port, family = M.name(self, raw.local_address)
  if not host then return nil, port end
  return host, tostring(port), family
end

return M
