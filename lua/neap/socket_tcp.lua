--- LuaSocket's TCP objects.
local core = require "neap.core"
local base = require "neap.socket_base"

local raw <const> = base.raw
local methods <const> = {}
local master, client, server

base.common("tcp", methods)
base.counting("tcp", methods)

local SETTABLE <const> = {
  keepalive = "boolean", reuseaddr = "boolean", reuseport = "boolean", ["tcp-nodelay"] = "boolean",
  ["ipv6-v6only"] = "boolean", linger = "linger", ["recv-buffer-size"] = "number", ["send-buffer-size"] = "number",
  ["tcp-keepidle"] = "number", ["tcp-keepcnt"] = "number", ["tcp-keepintvl"] = "number",
  ["tcp-defer-accept"] = "number", ["tcp-fastopen"] = "number",
}
local GETTABLE <const> = {
  keepalive = true, reuseaddr = true, reuseport = true, ["tcp-nodelay"] = true, linger = true, error = true,
  ["tcp-keepidle"] = true, ["tcp-keepcnt"] = true, ["tcp-keepintvl"] = true, ["recv-buffer-size"] = true,
  ["send-buffer-size"] = true,
}
base.options("tcp", methods, SETTABLE, GETTABLE)

-- --- connecting ---

local function connect_to(self, state, start, connect, ...)
  core.check_waiting "connect"
  local ok, code, text = connect(self, ...)
  if ok then return true end
  if code ~= "EINPROGRESS" and code ~= "EAGAIN" then return base.done(nil, code, text) end
  if not base.wait(self, state, "connect", "w", start) then return nil, "timeout" end
  return base.done(raw.outcome(self))
end
base.connect_to = connect_to

local function try_connect(self, state, host, port)
  local list, err = base.resolve(host, port, state.family)
  if not list then return nil, err end
  local ok
  for _, address in ipairs(list) do
    ok, err = base.open(self, address.family, "stream")
    if ok then ok, err = connect_to(self, state, base.start(state), raw.connect, address.addr, address.port) end
    if ok or state.block == 0 or state.total == 0 then break end
  end
  if ok then return 1 end
  return nil, err
end

base.try_connect = try_connect

function methods:connect(host, port)
  local state = base.any(self, "tcp", "connect")
  host = base.check_string(host, 1, "connect")
  port = base.check_port(port, 2, "connect")
  base.become(self, client)
  return try_connect(self, state, host, port)
end
methods.setpeername = methods.connect

-- --- listening ---

local function try_bind(self, state, host, port)
  if host == "*" then host = nil end
  if port == "*" then port = nil end
  if not host and not port then port = "0" end
  if not host and state.family ~= "inet6" then host = "0.0.0.0" end
  local list, err = base.resolve(host, port or "0", state.family, true)
  if not list then return nil, err end
  local ok
  for _, address in ipairs(list) do
    ok, err = base.open(self, address.family, "stream")
    if ok then ok, err = base.done(raw.bind(self, address.addr, address.port)) end
    if ok then return 1 end
  end
  return nil, err
end

function methods:bind(host, port)
  local state = base.state(self, "tcp{master}", "bind")
  return try_bind(self, state, base.check_string(host, 1, "bind"), base.check_port(port, 2, "bind"))
end
methods.setsockname = methods.bind

function methods:listen(backlog)
  base.state(self, "tcp{master}", "listen")
  local ok, code, text = raw.listen(self, base.whole(base.check_number(backlog, 1, "listen", 32)))
  if not ok then return base.done(nil, code, text) end
  base.become(self, server)
  return 1
end

--- What comes next at a listening object becomes an object of the class, or nil and why.
function base.accept(self, state, kind, class)
  local start, accepted = base.start(state), core.raw_socket()
  while true do
    local ok, code, text = raw.accept(self, accepted)
    if ok then break end
    if code == "EBADF" then return nil, "closed" end
    if code ~= "EAGAIN" and code ~= "ECONNABORTED" then return base.done(nil, code, text) end
    if not base.wait(self, state, "accept", "r", start) then return nil, "timeout" end
  end
  return base.new(kind, class, state.family, accepted)
end

function methods:accept()
  return base.accept(self, base.state(self, "tcp{server}", "accept"), "tcp", client)
end

-- --- bytes ---

function methods:receive(pattern, prefix)
  return base.receive(self, base.state(self, "tcp{client}", "receive"), pattern, prefix)
end

function methods:send(data, i, j)
  return base.send(self, base.state(self, "tcp{client}", "send"), data, i, j)
end

local HOW <const> = { receive = true, send = true, both = true }

--- shutdown of an object of this class.
function base.shutdown(self, class, how)
  base.state(self, class, "shutdown")
  how = how == nil and "both" or base.check_string(how, 1, "shutdown")
  if not HOW[how] then base.bad_argument(1, "shutdown", ("invalid option '%s'"):format(how)) end
  raw.shutdown(self, how)
  return 1
end

function methods:shutdown(how)
  return base.shutdown(self, "tcp{client}", how)
end

-- --- names ---

function methods:getsockname()
  base.any(self, "tcp", "getsockname")
  return base.local_name(self)
end

function methods:getpeername()
  base.any(self, "tcp", "getpeername")
  return base.name(self, raw.peer_address)
end

local FAMILIES <const> = { inet = "inet4", inet6 = "inet6", unspec = "inet4" }

function methods:getfamily()
  local state = base.any(self, "tcp", "getfamily")
  return FAMILIES[state.family]
end

master = base.class("tcp{master}", methods, "tcp")
client = base.class("tcp{client}", methods, "tcp")
server = base.class("tcp{server}", methods, "tcp")

-- --- what the module has ---

local M = {}

function M.tcp()
  return base.new("tcp", master, "unspec")
end

local function with_family(family)
  return function()
    local self = base.new("tcp", master, family)
    local ok, err = base.open(self, family, "stream")
    if not ok then return nil, err end
    return self
  end
end
M.tcp4, M.tcp6 = with_family "inet", with_family "inet6"

local KNOWN <const> = { inet = "inet", inet4 = "inet", inet6 = "inet6", unspec = "unspec" }

--- connect(host, port, local host, local port, family): a client, or nil and why.
function M.connect(host, port, local_host, local_port, family)
  host = base.check_string(host, 1, "connect")
  port = base.check_port(port, 2, "connect")
  if family ~= nil and not KNOWN[family] then
    base.bad_argument(5, "connect", ("invalid option '%s'"):format(tostring(family)))
  end
  local self = base.new("tcp", master, KNOWN[family or "unspec"])
  local state, ok, err = base.any(self, "tcp", "connect"), true, nil
  if local_host ~= nil then
    local_port = local_port == nil and "0" or base.check_port(local_port, 4, "connect")
    ok, err = try_bind(self, state, base.check_string(local_host, 3, "connect"), local_port)
  end
  if ok then ok, err = try_connect(self, state, host, port) end
  if not ok then return raw.close(self), err end
  return base.become(self, client)
end

function M.connect4(host, port, local_host, local_port)
  return M.connect(host, port, local_host, local_port, "inet")
end

function M.connect6(host, port, local_host, local_port)
  return M.connect(host, port, local_host, local_port, "inet6")
end

local function listening(address, port, backlog)
  local self, err = (address.family == "inet" and M.tcp4 or M.tcp6)()
  if not self then return nil, err end
  self:setoption("reuseaddr", true)
  local ok
  ok, err = self:bind(address.addr, port)
  if ok then ok, err = self:listen(backlog) end
  if ok then return self end
  self:close()
  return nil, err
end

--- bind(host, port, backlog): a server, on the first address of the host's that takes it.
function M.bind(host, port, backlog)
  local list, err = base.resolve(host == "*" and "0.0.0.0" or base.check_string(host, 1, "bind"), "0", "unspec")
  if not list then return nil, err end
  local self
  err = "no info on address"
  for _, address in ipairs(list) do
    self, err = listening(address, port, backlog)
    if self then return self end
  end
  return nil, err
end

return M
