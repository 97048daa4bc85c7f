-- Run by the stock lua5.4 with LuaSocket and by neap: each line that it prints is to be the same. All is played by one
-- task, or one process, with itself, on 127.0.0.1. Ports, descriptors and times are not printed.
local socket = require "socket"
local unix = require "socket.unix"

-- Numbers that LuaSocket has as floats, and neap as integers, look the same.
local function show(value)
  if type(value) == "number" then return ("%.6g"):format(value) end
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "userdata" then return (tostring(value):gsub(":.*", "")) end
  if type(value) == "table" or type(value) == "function" then return type(value) end
  return tostring(value)
end

local function line(name, ...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = show((select(i, ...))) end
  print(name .. ": " .. table.concat(words, " "))
end

-- An error without the place.
local function failing(name, fn, ...)
  local ok, err = pcall(fn, ...)
  if type(err) == "string" then err = err:gsub("^[^:]*:%d+: ", "") end
  line(name, ok, err)
end

local function pair()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local client = assert(socket.connect("127.0.0.1", port))
  local accepted = assert(server:accept())
  server:close()
  return client, accepted
end

local function sent(...)
  local client, accepted = pair()
  for _, text in ipairs { ... } do assert(client:send(text)) end
  client:close()
  return accepted
end

-- --- receiving ---

do
  local s = sent("one\r\ntwo\n\rth\rree\r\nlast")
  line("line", s:receive())
  line("line *l", s:receive("*l"))
  line("line with CRs", s:receive("*l"))
  line("line cut short", s:receive("*l"))
  line("line at the end", s:receive("*l"))
  line("all at the end", s:receive("*a"))
  line("count at the end", s:receive(1))
  line("nothing at the end", s:receive(0))
end
do
  local s = sent("abcdefghij")
  line("count", s:receive(3))
  line("count as a string", s:receive("2"))
  line("fraction", s:receive(1.9))
  line("count with a prefix", s:receive(5, "xyz"))
  line("count less than the prefix", s:receive(2, "xyz"))
  line("count that is the prefix", s:receive(3, "xyz"))
  line("count cut short", s:receive(10, "p"))
  line("after that", s:receive(10, "p"))
end
do
  local s = sent("a\n", "rest\0of\r\nit")
  line("line with a prefix", s:receive("*l", "pre"))
  line("all with a prefix", s:receive("*a", "pre"))
  line("all again", s:receive("*a", "pre"))
end
do
  local s = sent("\n\r\n\nx\n")
  line("empty line", s:receive())
  line("empty line with CR", s:receive())
  line("empty line again", s:receive("*line"))
  line("x", s:receive())
end
do
  local s = sent("data")
  line("no bytes, with data", s:receive(0))
  line("dirty", s:dirty())
  line("no bytes, prefix", s:receive(0, "abc"))
  failing("pattern", function() return s:receive("*x") end)
  failing("pattern without star", function() return s:receive("l") end)
  failing("negative count", function() return s:receive(-1) end)
  failing("pattern of a wrong type", function() return s:receive({}) end)
  failing("prefix of a wrong type", function() return s:receive("*l", {}) end)
  line("all", s:receive("*all"))
  line("not dirty", s:dirty())
end

-- --- timeouts ---

do
  local client, s = pair()
  line("settimeout", s:settimeout(0.02))
  line("gettimeout", s:gettimeout())
  line("timeout of a line", s:receive())
  client:send("half")
  socket.sleep(0.02)
  line("timeout with a part", s:receive("*l"))
  client:send(" of it\nnext")
  line("line after a timeout", s:receive("*l"))
  line("count after it, late", s:receive(10))
  line("nothing is left", s:receive(1))
  s:settimeout(0)
  line("poll", s:receive(1))
  client:send("x\ry")
  socket.sleep(0.02)
  line("poll with a part", s:receive(9))
  client:send("x\ry")
  socket.sleep(0.02)
  line("poll of a line", s:receive())
  line("poll of all", s:receive("*a"))
  line("total", s:settimeout(0.02, "t"))
  s:settimeout(nil, "b")
  line("gettimeout of both", s:gettimeout())
  line("total timeout", s:receive("*a", "pre"))
  s:settimeout(-1)
  s:settimeout(nil, "t")
  line("none", s:gettimeout())
  failing("mode", function() return s:settimeout(1, "x") end)
  failing("value", function() return s:settimeout({}) end)
  failing("false", function() return s:settimeout(false) end)
  s:settimeout(0.5)
  client:close()
  line("closed", s:receive())
end

-- --- sending ---

do
  local client, s = pair()
  line("send", client:send("hello"))
  line("send from", client:send("hello", 2))
  line("send from to", client:send("hello", 2, 4))
  line("send from the end", client:send("hello", -3))
  line("send to before the end", client:send("hello", -3, -2))
  line("send too far", client:send("hello", -99, 99))
  line("send nothing", client:send("hello", 4, 3))
  line("send empty", client:send(""))
  line("send behind the end", client:send("abc", 9))
  line("send a number", client:send(12))
  failing("send nil", function() return client:send() end)
  failing("send a table", function() return client:send({}) end)
  failing("send from a string", function() return client:send("x", "y") end)
  client:close()
  line("what came", s:receive("*a"))
  line("stats", select(1, s:getstats()), (select(2, s:getstats())))
  line("setstats", s:setstats(7, 8))
  line("stats set", select(1, s:getstats()), (select(2, s:getstats())))
  line("send to a closed one", client:send("x"))
  line("receive from a closed one", client:receive())
  line("names of a closed one", client:getsockname())
  line("peer of a closed one", client:getpeername())
  line("descriptor of a closed one", client:getfd())
  line("close twice", client:close())
end
do
  local client, s = pair()
  client:settimeout(0.05)
  local big = ("x"):rep(30000000)
  local ok, err, last = client:send(big, 11)
  line("send to one that does not read", ok, err, last > 10 and last < #big)
  s:settimeout(0)
  local _, why, part = s:receive(#big)
  line("what it has", why, #part > 0 and #part <= last - 10)
  s:close()
  socket.sleep(0.02)
  client:send("y")
  line("send to one that is gone", client:send("z"))
end

-- --- ends ---

do
  local client, s = pair()
  client:send("last words")
  line("shutdown send", client:shutdown("send"))
  line("received", s:receive("*a"))
  line("the end", s:receive())
  s:send("answer\n")
  line("the other way", client:receive())
  line("sending after it", client:send("x"))
  line("shutdown receive", client:shutdown("receive"))
  line("shutdown both", client:shutdown())
  failing("shutdown of what", function() return client:shutdown("half") end)
  s:close()
end

-- --- names and states ---

do
  local t = socket.tcp()
  line("new", t, t:getfd(), t:getfamily())
  line("no name", t:getsockname())
  line("option of none", t:setoption("keepalive", true))
  failing("send of a master", function() return t:send("x") end)
  failing("receive of a master", function() return t:receive() end)
  failing("accept of a master", function() return t:accept() end)
  failing("shutdown of a master", function() return t:shutdown() end)
  failing("bind of nothing", function() return t:bind() end)
  failing("connect without a port", function() return t:connect("127.0.0.1") end)
  line("bind", t:bind("127.0.0.1", 0))
  local ip, port, family = t:getsockname()
  line("name", ip, type(port), family)
  line("no peer", t:getpeername())
  line("listen", t:listen(5))
  line("server", t)
  failing("connect? no: send of a server", function() return t:send("x") end)
  failing("listen again", function() return t:listen() end)
  t:settimeout(0)
  line("accept polls", t:accept())
  t:settimeout(0.01)
  line("accept waits", t:accept())
  local other = socket.tcp()
  line("bind to one in use", other:bind("127.0.0.1", port))
  line("connect", other:connect("127.0.0.1", port))
  line("client", other)
  line("connect again", other:connect("127.0.0.1", port))
  local a = t:accept()
  line("accepted", a, a:getfamily())
  local host, there, kind = other:getpeername()
  line("peer", host, type(there), there == tonumber(port), kind)
  failing("bind of a client", function() return other:bind("127.0.0.1", 0) end)
  failing("accept of a client", function() return other:accept() end)
  t:close()
  line("accept of a closed one", t:accept())
  line("connect to a closed port", socket.connect("127.0.0.1", port))
  local refused = socket.tcp()
  line("the same with tcp()", refused:connect("127.0.0.1", port))
  line("it is a client", refused)
  line("a name that is none", socket.connect("no.such.host.invalid", 80))
  line("a service that is none", (socket.connect("127.0.0.1", "nosuchservice")))
  line("tcp4", socket.tcp4():getfamily(), socket.tcp4():getfd() > 2)
  line("connect from", (socket.connect("127.0.0.1", port, "127.0.0.1", 0)))
  failing("connect of nothing", function() return (socket.connect()) end)
  failing("family", function() return (socket.connect("127.0.0.1", 1, nil, nil, "inet9")) end)
  line("an address of another family", (socket.tcp4():connect("::1", port)))
end

-- --- options ---

do
  local client, s = pair()
  for _, name in ipairs { "keepalive", "tcp-nodelay", "reuseaddr" } do
    line("set " .. name, client:setoption(name, true), client:getoption(name))
  end
  line("set linger", client:setoption("linger", { on = true, timeout = 3 }))
  local linger = client:getoption("linger")
  line("linger", linger.on, linger.timeout)
  line("keepidle", client:setoption("tcp-keepidle", 33), client:getoption("tcp-keepidle"))
  line("error", client:getoption("error"))
  failing("unknown option", function() return client:setoption("color", true) end)
  failing("unknown option to get", function() return client:getoption("color") end)
  failing("option without value", function() return client:setoption("keepalive") end)
  failing("option of a wrong type", function() return client:setoption("keepalive", 1) end)
  failing("linger of a wrong type", function() return client:setoption("linger", true) end)
  failing("linger without a field", function() return client:setoption("linger", {}) end)
  client:close()
  s:close()
end

-- --- select ---

do
  local client, s = pair()
  local r, w, err = socket.select({ s }, { client }, 0)
  line("writable", #r, #w, w[1] == client, w[client], err)
  r, w, err = socket.select({ s }, nil, 0)
  line("not readable", #r, #w, err)
  r, w, err = socket.select({ s }, {}, 0.02)
  line("not readable for a while", #r, #w, err)
  client:send("one\ntwo\n")
  r, w, err = socket.select({ client, s }, nil, 1)
  line("readable", #r, r[1] == s, r[s], r[client], #w, err)
  line("first", s:receive())
  local _
  r, _, err = socket.select({ s }, nil, 5)
  line("dirty is readable", #r, r[s], err)
  line("second", s:receive())
  r, _, err = socket.select({ s }, nil, 0)
  line("no more", #r, err)
  r, w, err = socket.select(nil, nil, 0.01)
  line("nothing at all", #r, #w, err)
  local bare = { getfd = function() return s:getfd() end, dirty = function() return false end }
  r, _, err = socket.select({ bare }, nil, 0)
  line("what has a descriptor", #r, err)
  client:send("x")
  socket.sleep(0.02)
  local other = { getfd = function() return s:getfd() end, dirty = function() return false end }
  r = socket.select({ other, s }, nil, 1)
  line("two of one descriptor", #r >= 1)
  client:close()
  s:receive("*a")
  r = socket.select({ s }, nil, 1)
  line("the end is readable", #r)
  failing("select of a number", function() return (socket.select(1)) end)
  failing("select with a string", function() return (socket.select({}, {}, "x")) end)
  s:close()
end

-- --- a descriptor handed on ---

do
  local client, s = pair()
  local t = socket.tcp()
  local fd = client:getfd()
  line("setfd", t:setfd(fd))
  client:setfd(-1)
  line("moved", t:getfd() == fd, client:getfd())
  failing("it is a master still", function() return t:send("x") end)
  line("peer of what moved", (t:getpeername()))
  t:close()
  line("closed there", s:receive())
end

-- --- try and protect ---

do
  local tidy = 0
  local try = socket.newtry(function() tidy = tidy + 1 end)
  local f = socket.protect(function(...) return try(...) end)
  line("protect passes", f(1, 2, nil))
  line("protect catches", f(nil, "why", 3))
  line("protect catches false", f(false, "why"))
  line("protect catches nil", f(nil))
  line("finalizer", tidy)
  failing("protect does not catch errors", socket.protect(function() error("boo", 0) end))
  local thing = {}
  local _, err = pcall(socket.protect(function() error(thing) end))
  line("nor tables", err == thing)
  line("try", pcall(socket.try, 1, 2, 3))
  local ok, exception = pcall(socket.try, nil, "why")
  line("try raises", ok, type(exception), exception[1], getmetatable(exception))
  line("nested", socket.protect(function() return socket.protect(function() try(nil, "in") end)() end)())
end

-- --- the rest of the module ---

do
  line("skip", socket.skip(1, "a", "b", "c"))
  line("skip all", select("#", socket.skip(3, "a")))
  line("constants", socket._SETSIZE, socket._DATAGRAMSIZE, socket.BLOCKSIZE, socket._SOCKETINVALID)
  line("gettime", math.abs(socket.gettime() - os.time()) < 2)
  local before = socket.gettime()
  line("sleep", socket.sleep(0.03))
  line("slept", socket.gettime() - before >= 0.03)
  line("sleep for less than nothing", socket.sleep(-1))
  failing("sleep for what", function() return (socket.sleep()) end)
  line("core", require "socket.core" == socket)
  line("toip", (socket.dns.toip("127.0.0.1")))
  local _, resolved = socket.dns.toip("127.0.0.1")
  line("resolved", type(resolved.name), resolved.ip[1], #resolved.alias)
  line("toip of none", socket.dns.toip("no.such.host.invalid"))
  local list = socket.dns.getaddrinfo("127.0.0.1")
  line("getaddrinfo", #list, list[1].addr, list[1].family)
  line("getaddrinfo of none", socket.dns.getaddrinfo("no.such.host.invalid"))
  line("gethostname", #socket.dns.gethostname() > 0)
  local a = sent("0123456789")
  local source = socket.source("by-length", a, 4)
  line("by length", source())
  line("and its end", source())
  source = socket.source("until-closed", a)
  line("until closed", source())
  line("and then", source())
  local client, s = pair()
  local sink = socket.sink("close-when-done", client)
  line("sink", sink("abc"))
  line("sink ends", sink(nil))
  line("sunk", s:receive("*a"))
  line("sink after the end", socket.sink("keep-open", client)("x"))
  failing("no such sink", function() return (socket.sink("deep", client)) end)
end

-- --- datagrams ---

do
  local a, b = socket.udp(), socket.udp()
  line("udp", a, a:getfamily())
  line("bind udp", a:setsockname("127.0.0.1", 0))
  local _, port = a:getsockname()
  a:settimeout(0.5)
  line("sendto", b:sendto("ping", "127.0.0.1", port))
  local data, ip, from = a:receivefrom()
  line("receivefrom", data, ip, from == select(2, b:getsockname()))
  line("reply", a:sendto("pong", ip, from))
  line("receive", b:receive())
  failing("send without a peer", function() return b:send("x") end)
  failing("peer name without one", function() return b:getpeername() end)
  line("setpeername", b:setpeername("127.0.0.1", port))
  line("connected", b)
  failing("sendto with a peer", function() return b:sendto("x", "127.0.0.1", port) end)
  failing("receivefrom with a peer", function() return b:receivefrom() end)
  line("send", b:send("a longer one"))
  line("cut", a:receive(8))
  line("send empty datagram", b:send(""))
  line("receive empty datagram", a:receive())
  line("drop the peer", b:setpeername("*"))
  line("unconnected", b)
  a:settimeout(0)
  line("poll udp", a:receive())
  a:settimeout(0.01)
  line("wait udp", a:receivefrom())
  line("broadcast", a:setoption("broadcast", true), a:getoption("broadcast"))
  line("close udp", a:close())
  b:setpeername("127.0.0.1", port)
  b:settimeout(0.5)
  b:send("x")
  line("nobody there", b:receive())
end

-- --- paths ---

do
  local path = os.tmpname()
  os.remove(path)
  local server = unix.stream()
  line("unix", server)
  line("bind unix", server:bind(path))
  line("name of unix", server:getsockname() == path)
  line("listen unix", server:listen())
  local client = unix()
  line("connect unix", client:connect(path))
  local a = server:accept()
  line("accept unix", a)
  line("send unix", client:send("by path\nrest"))
  line("receive unix", a:receive())
  client:close()
  line("rest of unix", a:receive("*a"))
  line("end of unix", a:receive())
  server:close()
  line("nobody listens", unix.stream():connect(path))
  os.remove(path)
  line("no such path", unix.stream():connect(path))
  failing("send of a unix master", function() return unix.stream():send("x") end)
  local d, e = unix.dgram(), unix.dgram()
  line("unix dgram", d, d:bind(path))
  line("connect dgram", e:connect(path))
  line("send dgram", e:send("hello"))
  line("receive dgram", d:receive())
  e:send("more")
  line("receive from dgram", d:receivefrom())
  line("sendto dgram", unix.dgram():sendto("x", path))
  os.remove(path)
end
