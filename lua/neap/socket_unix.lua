--- LuaSocket's module socket.unix: sockets whose addresses are paths.
local base = require "neap.socket_base"
require "neap.socket_tcp"
require "neap.socket_udp"

local raw <const> = base.raw

--- A path, or "" where there is none.
local function local_name(self)
  local path, _, text = raw.local_address(self)
  if not path then return nil, text end
  return path
end

-- --- streams ---

local KIND <const> = "unixstream"
local stream <const> = {}
local master, client, server
base.common(KIND, stream)
base.counting(KIND, stream)
base.options(KIND, stream, { keepalive = "boolean", reuseaddr = "boolean", linger = "linger" }, {})
stream.getoption, stream.gettimeout = nil, nil

function stream:connect(path)
  local state = base.state(self, "unixstream{master}", "connect")
  path = base.check_string(path, 1, "connect")
  local ok, err = base.connect_to(self, state, base.start(state), raw.connect, path)
  if not ok then return nil, err end
  base.become(self, client)
  return 1
end
stream.setpeername = stream.connect

function stream:bind(path)
  base.state(self, "unixstream{master}", "bind")
  local ok, err = base.done(raw.bind(self, base.check_string(path, 1, "bind")))
  if not ok then return nil, err end
  return 1
end
stream.setsockname = stream.bind

function stream:listen(backlog)
  base.state(self, "unixstream{master}", "listen")
  local ok, err = base.done(raw.listen(self, base.whole(base.check_number(backlog, 1, "listen", 32))))
  if not ok then return nil, err end
  base.become(self, server)
  return 1
end

function stream:accept()
  return base.accept(self, base.state(self, "unixstream{server}", "accept"), KIND, client)
end

function stream:receive(pattern, prefix)
  return base.receive(self, base.state(self, "unixstream{client}", "receive"), pattern, prefix)
end

function stream:send(data, i, j)
  return base.send(self, base.state(self, "unixstream{client}", "send"), data, i, j)
end

function stream:shutdown(how)
  return base.shutdown(self, "unixstream{client}", how)
end

function stream:getsockname()
  base.any(self, KIND, "getsockname")
  return local_name(self)
end

master = base.class("unixstream{master}", stream, KIND)
client = base.class("unixstream{client}", stream, KIND)
server = base.class("unixstream{server}", stream, KIND)

-- --- datagrams ---

local DGRAM <const> = "unixdgram"
local dgram <const> = {}
local unconnected, connected
base.common(DGRAM, dgram)
base.options(DGRAM, dgram, { reuseaddr = "boolean" }, {})
dgram.getoption = nil

function dgram:bind(path)
  base.any(self, DGRAM, "bind")
  local ok, err = base.done(raw.bind(self, base.check_string(path, 1, "bind")))
  if not ok then return nil, err end
  return 1
end
dgram.setsockname = dgram.bind

function dgram:connect(path)
  base.any(self, DGRAM, "connect")
  local ok, err = base.done(raw.connect(self, base.check_string(path, 1, "connect")))
  if not ok then return nil, err end
  base.become(self, connected)
  return 1
end
dgram.setpeername = dgram.connect

function dgram:send(data)
  local state = base.state(self, "unixdgram{connected}", "send")
  data = base.check_string(data, 1, "send")
  return base.send_datagram(self, state, raw.send, data, 1, #data)
end

function dgram:sendto(data, path)
  local state = base.state(self, "unixdgram{unconnected}", "sendto")
  data = base.check_string(data, 1, "sendto")
  return base.send_datagram(self, state, raw.sendto, data, base.check_string(path, 2, "sendto"))
end

function dgram:receive(size)
  local data, why = base.receive_datagram(self, base.any(self, DGRAM, "receive"), size, "receive")
  if not data then return nil, why end
  return data
end

function dgram:receivefrom(size)
  local state = base.state(self, "unixdgram{unconnected}", "receivefrom")
  local data, from = base.receive_datagram(self, state, size, "receivefrom")
  return data, from or (data and "" or nil)
end

function dgram:getsockname()
  base.any(self, DGRAM, "getsockname")
  return local_name(self)
end

unconnected = base.class("unixdgram{unconnected}", dgram, DGRAM)
connected = base.class("unixdgram{connected}", dgram, DGRAM)

-- --- the module ---

local function maker(kind, class, type)
  return function()
    local self = base.new(kind, class, "unix")
    local ok, err = base.open(self, "unix", type)
    if not ok then return nil, err end
    return self
  end
end

local M = { stream = maker(KIND, master, "stream"), dgram = maker(DGRAM, unconnected, "dgram") }
M.tcp, M.udp = M.stream, M.dgram

return setmetatable(M, { __call = M.stream })
