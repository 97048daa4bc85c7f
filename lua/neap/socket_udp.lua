--- LuaSocket's UDP objects.
local base = require "neap.socket_base"

local raw <const> = base.raw
local DATAGRAM <const> = 8192
local methods <const> = {}
local unconnected, connected

base.common("udp", methods)

local SETTABLE <const> = {
  broadcast = "boolean", dontroute = "boolean", reuseaddr = "boolean", reuseport = "boolean",
  ["ipv6-v6only"] = "boolean", ["ip-multicast-loop"] = "boolean", ["ip-multicast-ttl"] = "number",
  ["ipv6-multicast-loop"] = "boolean", ["ipv6-multicast-hops"] = "number", ["ipv6-unicast-hops"] = "number",
  ["recv-buffer-size"] = "number", ["send-buffer-size"] = "number",
}
local GETTABLE <const> = {
  dontroute = true, broadcast = true, reuseaddr = true, reuseport = true, ["ip-multicast-loop"] = true, error = true,
  ["ipv6-v6only"] = true, ["ipv6-multicast-loop"] = true, ["ipv6-multicast-hops"] = true,
  ["ipv6-unicast-hops"] = true, ["recv-buffer-size"] = true, ["send-buffer-size"] = true,
}
base.options("udp", methods, SETTABLE, GETTABLE)

--- Sends in one piece. Returns 1, or nil and why.
local function send(self, state, method, data, ...)
  local start = base.start(state)
  while true do
    local count, code, text = method(self, data, ...)
    if count then return count end
    if code == "EBADF" then return nil, "closed" end
    if code ~= "EAGAIN" then return nil, base.message(code, text) end
    if not base.wait(self, state, "send", "w", start) then return nil, "timeout" end
  end
end
base.send_datagram = send

--- Returns a datagram and where it comes from, or nil and why.
local function receive(self, state, size)
  local start = base.start(state)
  while true do
    local data, from, port = raw.recv(self, size)
    if data then return data, from, port end
    if from == "EBADF" then return nil, "closed" end
    if from ~= "EAGAIN" then return nil, base.message(from, port) end
    if not base.wait(self, state, "receive", "r", start) then return nil, "timeout" end
  end
end

--- The same for a call with an optional size.
function base.receive_datagram(self, state, size, call)
  size = base.whole(base.check_number(size, 1, call, DATAGRAM))
  return receive(self, state, math.max(size, 1))
end

local function open(self, state)
  if raw.fileno(self) < 0 and state.family == "unspec" then return base.open(self, "inet", "dgram") end
  return true
end

function methods:send(data)
  local state = base.state(self, "udp{connected}", "send")
  data = base.check_string(data, 1, "send")
  return send(self, state, raw.send, data, 1, #data)
end

function methods:sendto(data, host, port)
  local state = base.state(self, "udp{unconnected}", "sendto")
  data = base.check_string(data, 1, "sendto")
  host = base.check_string(host, 2, "sendto")
  port = base.check_port(port, 3, "sendto")
  local list, err = base.resolve(host, port, state.family)
  if not list then return nil, err end
  local ok
  ok, err = base.open(self, list[1].family, "dgram")
  if not ok then return nil, err end
  return send(self, state, raw.sendto, data, list[1].addr, list[1].port)
end

function methods:receive(size)
  local data, why = base.receive_datagram(self, base.any(self, "udp", "receive"), size, "receive")
  if not data then return nil, why end
  return data
end

function methods:receivefrom(size)
  return base.receive_datagram(self, base.state(self, "udp{unconnected}", "receivefrom"), size, "receivefrom")
end

function methods:setsockname(host, port)
  local state = base.state(self, "udp{unconnected}", "setsockname")
  host = base.check_string(host, 1, "setsockname")
  port = base.check_port(port, 2, "setsockname")
  if host == "*" then host = state.family == "inet6" and "::" or "0.0.0.0" end
  local list, err = base.resolve(host, port == "*" and "0" or port, state.family, true)
  if not list then return nil, err end
  local ok
  for _, address in ipairs(list) do
    ok, err = base.open(self, address.family, "dgram")
    if ok then ok, err = base.done(raw.bind(self, address.addr, address.port)) end
    if ok then return 1 end
  end
  return nil, err
end

local function forget_peer(self)
  local ok, err = base.done(raw.disconnect(self))
  if not ok then return nil, err end
  base.become(self, unconnected)
  return 1
end

function methods:setpeername(host, port)
  local state = base.any(self, "udp", "setpeername")
  host = base.check_string(host, 1, "setpeername")
  if host == "*" then
    if state.class == "udp{connected}" then return forget_peer(self) end
    return 1
  end
  port = base.check_port(port, 2, "setpeername")
  local list, err = base.resolve(host, port, state.family)
  if not list then return nil, err end
  local ok
  ok, err = base.open(self, list[1].family, "dgram")
  if ok then ok, err = base.done(raw.connect(self, list[1].addr, list[1].port)) end
  if not ok then return nil, err end
  base.become(self, connected)
  return 1
end

function methods:getsockname()
  open(self, base.any(self, "udp", "getsockname"))
  return base.local_name(self)
end

function methods:getpeername()
  base.state(self, "udp{connected}", "getpeername")
  return base.name(self, raw.peer_address)
end

local FAMILIES <const> = { inet = "inet4", inet6 = "inet6", unspec = "inet4" }

function methods:getfamily()
  return FAMILIES[base.any(self, "udp", "getfamily").family]
end

unconnected = base.class("udp{unconnected}", methods, "udp")
connected = base.class("udp{connected}", methods, "udp")

local M = {}

local function maker(family)
  return function()
    local self = base.new("udp", unconnected, family)
    if family == "unspec" then return self end
    local ok, err = base.open(self, family, "dgram")
    if not ok then return nil, err end
    return self
  end
end
M.udp, M.udp4, M.udp6 = maker "unspec", maker "inet", maker "inet6"

return M
