-- Datagram sockets.
local core = require "neap.core"
local neap = require "neap"
local network = require "spec.support.network"
local support = require "spec.support.stream"

local raised <const> = support.raised

local HOST <const> = "127.0.0.1"

local function port_of(socket)
  return select(2, socket:local_address())
end

local function open(options)
  return assert(neap.open_datagram_socket(HOST, 0, options))
end

-- A port that nobody listens on.
local function free_port()
  local socket <close> = open()
  return port_of(socket)
end

local function has_ipv6()
  local socket = neap.open_datagram_socket("::1")
  return socket ~= nil and socket:close()
end

-- From one socket to the other and what came of it.
local function pass(from, to, data)
  assert(from:send_to(data, HOST, port_of(to)))
  return (assert(to:receive()))
end

describe("a datagram socket", function()
  it("W29 carries datagrams both ways", function()
    local near <close> = open()
    local far <close> = open()
    assert.is_true(near:send_to("ping", HOST, port_of(far)))
    assert.same({ "ping", HOST, port_of(near) }, { far:receive() })
    assert.is_true(far:send_to("pong", HOST, port_of(near)))
    assert.same({ "pong", HOST, port_of(far) }, { near:receive() })
  end)

  it("W30 is not broken by a destination where nobody is", function()
    local socket <close> = open()
    local other <close> = open()
    assert.is_true(socket:send_to("into the void", HOST, free_port()))
    local receiver = support.start_waiting("receive", socket.receive, socket)
    neap.sleep(0.01)
    assert.is_false(receiver:done())
    assert.equal("here", pass(socket, other, "here"))
    assert(other:send_to("there", HOST, port_of(socket)))
    assert.equal("there", (receiver:await()))
  end)

  it("W30 tells of it where it is connected, and goes on", function()
    local socket <close> = open { remote_addr = { HOST, free_port() } }
    local name <const> = ("receive %s:%d: connection refused"):format(socket:peer_address())
    assert.is_true(socket:send "into the void")
    local data, err, code = socket:receive()
    assert.is_nil(data)
    assert.equal("ECONNREFUSED", code)
    assert.equal(name, tostring(err))
    local other <close> = open()
    assert.is_true(socket:connect(HOST, port_of(other)))
    assert.is_true(socket:send "here")
    assert.equal("here", (other:receive()))
    assert(other:send_to("there", socket:local_address()))
    assert.equal("there", (socket:receive()))
  end)

  it("passes whole datagrams: none, one byte, zero bytes, all that fit", function()
    local near <close> = open()
    local far <close> = open()
    for _, data in ipairs { "", "x", "\0", "\n\0\n", ("moon"):rep(10000), ("\255"):rep(65507) } do
      assert.is_true(pass(near, far, data) == data)
    end
  end)

  it("passes many large ones while there is room for them", function()
    local near <close> = open()
    local far <close> = open()
    for round = 1, 30 do
      local data = string.char(round):rep(65507)
      assert.is_true(pass(near, far, data) == data)
    end
  end)

  it("refuses what is too long", function()
    local socket <close> = open()
    for _, length in ipairs { 65508, 100000, 1 << 24 } do
      local sent, err, code = socket:send_to(("x"):rep(length), HOST, 9)
      assert.is_nil(sent)
      assert.equal("EMSGSIZE", code)
      assert.equal("send_to 127.0.0.1:9: message too long", tostring(err))
    end
  end)

  it("keeps their order, and all of those that its queue has no room for", function()
    local near <close> = open()
    local far <close> = open { limit = 3 }
    assert.equal("begin", pass(near, far, "begin")) -- from here on it receives unasked
    for i = 1, 100 do assert(near:send_to(tostring(i), HOST, port_of(far))) end
    neap.sleep(0.01)
    for i = 1, 100 do assert.equal(tostring(i), (far:receive())) end
  end)

  it("resolves names", function()
    if not support.has_localhost() then return pending "localhost is not known here" end
    local far <close> = open()
    local near <close> = assert(neap.open_datagram_socket("localhost"))
    if near:local_address() ~= HOST then return pending "localhost is not 127.0.0.1 here" end
    assert.is_true(near:send_to("by name", "localhost", port_of(far)))
    assert.equal("by name", (far:receive()))
    assert.is_true(near:connect("localhost", port_of(far)))
    assert.is_true(near:send "connected")
    assert.equal("connected", (far:receive()))
    local third <close> = assert(neap.open_datagram_socket(nil, nil, { remote_addr = { "localhost", port_of(far) } }))
    assert.same({ HOST, port_of(far) }, { third:peer_address() })
  end)

  it("tells which name is not there", function()
    local function fails(text, value, err, code)
      assert.is_nil(value)
      assert.equal("EAI_NONAME", code)
      assert.equal(text .. ": unknown node or service", tostring(err))
    end
    local socket <close> = open()
    fails("open_datagram_socket no.such.invalid:5", neap.open_datagram_socket("no.such.invalid", 5))
    fails("open_datagram_socket no.such.invalid:7",
      neap.open_datagram_socket(nil, nil, { remote_addr = { "no.such.invalid", 7 } }))
    fails("send_to no.such.invalid:9", socket:send_to("x", "no.such.invalid", 9))
    fails("connect no.such.invalid:9", socket:connect("no.such.invalid", 9))
    assert.is_nil((neap.open_datagram_socket(("x"):rep(10000), 5)))
  end)

  it("speaks IPv4 and IPv6 when it has no host of its own", function()
    if not has_ipv6() then return pending "no IPv6 here" end
    local both <close> = assert(neap.open_datagram_socket())
    local four <close> = open()
    local six <close> = assert(neap.open_datagram_socket("::1"))
    for host, other in pairs { [HOST] = four, ["::1"] = six } do
      assert(both:send_to("to " .. host, host, port_of(other)))
      assert.same({ "to " .. host, host, port_of(both) }, { other:receive() })
      assert(other:send_to("from " .. host, host, port_of(both)))
      assert.same({ "from " .. host, host, port_of(other) }, { both:receive() })
    end
  end)

  it("keeps to IPv6, if asked to", function()
    if not has_ipv6() then return pending "no IPv6 here" end
    local six <close> = assert(neap.open_datagram_socket("::", 0, { ipv6_only = true }))
    local four <close> = assert(neap.open_datagram_socket("0.0.0.0", port_of(six)))
    assert.equal(port_of(six), port_of(four))
    assert.equal("EAFNOSUPPORT", select(3, four:send_to("x", "::1", 9)))
    assert.equal("EAI_ADDRFAMILY", select(3, neap.open_datagram_socket(HOST, 0, { remote_addr = { "::1", 9 } })))
  end)

  it("shares a port, if asked to", function()
    local first <close> = open { reuse_port = true }
    local second <close> = assert(neap.open_datagram_socket(HOST, port_of(first), { reuse_port = true }))
    local third, err, code = neap.open_datagram_socket(HOST, port_of(first))
    assert.is_nil(third)
    assert.equal("EADDRINUSE", code)
    assert.matches(("open_datagram_socket %s:%d"):format(second:local_address()), tostring(err), 1, true)
    local fourth <close> = open { reuse_addr = true }
    local fifth <close> = assert(neap.open_datagram_socket(HOST, port_of(fourth), { reuse_addr = true }))
    assert.equal(port_of(fourth), port_of(fifth))
  end)

  it("joins a group, and leaves it", function()
    local group <const> = "239.255.17.41"
    local near <close> = open()
    local far <close> = assert(neap.open_datagram_socket("0.0.0.0", 0, { reuse_addr = true }))
    assert.is_true(near:set_multicast_interface(HOST))
    assert.is_true(near:set_multicast_loop(true))
    assert.is_true(near:set_multicast_ttl(0))
    assert.is_true(far:join_group(group, HOST))
    assert.is_true(near:send_to("all", group, port_of(far)))
    assert.same({ "all", HOST, port_of(near) }, { far:receive() })
    assert.is_true(far:leave_group(group, HOST))
    assert(near:send_to("nobody", group, port_of(far)))
    assert.equal("one", pass(near, far, "one"))
    assert.equal("EADDRNOTAVAIL", select(3, far:leave_group(group, HOST)))
    assert.equal("EINVAL", select(3, far:join_group(HOST)))
  end)

  it("has settings", function()
    local socket <close> = open { broadcast = true }
    assert.is_true(socket:set_broadcast(false))
    assert.equal("EACCES", select(3, socket:send_to("x", "127.255.255.255", 9)))
    assert.is_true(socket:set_broadcast(true))
    assert.is_true(socket:send_to("x", "127.255.255.255", 9))
    assert.is_true(socket:set_ttl(1))
    for _, ttl in ipairs { 0, 256, -1, 1 << 40 } do
      assert.matches("the number of hops is out of range", raised(socket.set_ttl, socket, ttl), 1, true)
    end
    assert.matches("not a numeric address", raised(socket.join_group, socket, "everybody"), 1, true)
    assert.matches("zero byte", raised(socket.join_group, socket, "239.1.1.1\0"), 1, true)
    assert.matches("not a numeric address", raised(socket.leave_group, socket, "239.1.1.1", "lo"), 1, true)
  end)

  it("says what it is", function()
    local socket = open()
    local name = ("%s:%d"):format(socket:local_address())
    assert.equal(("<DatagramSocket at %s>"):format(name), tostring(socket))
    assert.equal("ENOTCONN", select(3, socket:peer_address()))
    assert.is_true(socket:connect(HOST, 9))
    assert.same({ HOST, 9 }, { socket:peer_address() })
    assert.equal(("<DatagramSocket at %s to 127.0.0.1:9>"):format(name), tostring(socket))
    assert.is_false(socket:is_closing())
    socket:close()
    assert.is_true(socket:is_closing())
    assert.equal(("<DatagramSocket at %s, closed>"):format(name), tostring(socket))
  end)

  it("sends later what the kernel has no room for", function()
    local result = network.run({ NETWORK_FULL_SENDS = "3" }, [[
      local neap = require "neap"
      local near, far = neap.open_datagram_socket("127.0.0.1"), neap.open_datagram_socket("127.0.0.1")
      local host, port = far:local_address()
      local waiting = neap.create_task(near.send_to, near, "first", host, port)
      neap.sleep(0)
      print(waiting:done(), near:send_to("second", host, port))
      print(waiting:await(), (far:receive()), (far:receive()))
      near:connect(host, port)
      print(near:send "third", (far:receive()))
      near:close()
      far:close()]])
    if not result then return pending "needs a C compiler" end
    assert.equal("", result.stderr)
    assert.equal("false\ttrue\ntrue\tfirst\tsecond\ntrue\tthird\n", result.stdout)
  end)

  it("tells those who wait for room that it was closed", function()
    local result = network.run({ NETWORK_FULL_SENDS = "1000000" }, [[
      local neap = require "neap"
      local near = neap.open_datagram_socket("127.0.0.1")
      local sent = neap.create_task(near.send_to, near, "never", "127.0.0.1", 9)
      local cancelled = neap.create_task(near.send_to, near, "never", "127.0.0.1", 9)
      neap.sleep(0)
      cancelled:cancel()
      near:close()
      print(select(3, sent:await()), pcall(neap.await, cancelled) == false)]])
    if not result then return pending "needs a C compiler" end
    assert.equal("", result.stderr)
    assert.equal("ECANCELED\ttrue\n", result.stdout)
  end)
end)

describe("receiving", function()
  it("loses nothing when it is cancelled", function()
    local near <close> = open()
    local far <close> = open()
    support.cancel(support.start_waiting("receive", far.receive, far))
    assert.equal("one", pass(near, far, "one"))
    local receiver = support.start_waiting("receive", far.receive, far)
    assert(near:send_to("two", HOST, port_of(far)))
    assert.is_true(receiver:kill())
    assert.equal("two", (far:receive()))
  end)

  it("is for one task at a time", function()
    local socket <close> = open()
    local receiver = support.start_waiting("receive", socket.receive, socket)
    assert.matches("receive: another task is receiving", raised(socket.receive, socket), 1, true)
    assert.matches("datagrams: another task is receiving", raised(socket:datagrams()), 1, true)
    support.cancel(receiver)
  end)

  it("ends with nil when the socket is closed", function()
    local socket = open()
    local receiver = support.start_waiting("receive", socket.receive, socket)
    assert.is_true(socket:close())
    assert.is_true(socket:close())
    assert.same({ n = 1 }, table.pack(receiver:await()))
    assert.matches("receive: the socket is closed", raised(socket.receive, socket), 1, true)
  end)

  it("gets what has come for it before the socket is closed", function()
    local near <close>, far = open(), open()
    local receiver = support.start_waiting("receive", far.receive, far)
    assert(near:send_to("last", HOST, port_of(far)))
    support.settle(function() return not support.waits(receiver, "receive") end)
    far:close()
    assert.equal("last", (receiver:await()))
  end)

  it("goes on in a loop until the socket is closed", function()
    local near <close> = open()
    local far <close> = open()
    local got = {}
    for i = 1, 3 do assert(near:send_to(i == 2 and "" or "datagram " .. i, HOST, port_of(far))) end
    for data, host, port in far:datagrams() do
      assert.same({ HOST, port_of(near) }, { host, port })
      got[#got + 1] = data
      if #got == 3 then far:close() end
    end
    assert.same({ "datagram 1", "", "datagram 3" }, got)
    local idle <close> = open()
    local task = support.start_waiting("datagrams", function()
      for _ in idle:datagrams() do error "there was none" end
      return "ended"
    end)
    idle:close()
    assert.equal("ended", task:await())
  end)

  it("raises in a loop what fails, and goes on in the next", function()
    local socket <close> = open { remote_addr = { HOST, free_port() } }
    local other <close> = open()
    assert(socket:send "into the void")
    local err = raised(function() for _ in socket:datagrams() do error "there was none" end end)
    assert.equal("ECONNREFUSED", err.code)
    assert(socket:connect(HOST, port_of(other)))
    assert(other:send_to("here", socket:local_address()))
    assert.equal("here", (socket:datagrams()()))
  end)

  it("keeps no program alive by itself", function()
    local program = require "spec.support.program"
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      local near, far = neap.open_datagram_socket("127.0.0.1"), neap.open_datagram_socket("127.0.0.1")
      near:send_to("x", far:local_address())
      print((far:receive()))
      local ok, err = pcall(neap.await, neap.Future())
      print(ok, neap.is(err, neap.DeadlockError))]] }
    assert.equal("x\nfalse\ttrue\n", result.stdout)
  end)
end)

describe("a socket that is not closed", function()
  local loop = neap.get_event_loop()
  local warnings

  before_each(function()
    warnings = {}
    loop:set_exception_handler(function(_, context) warnings[#warnings + 1] = context.message end)
  end)

  after_each(function()
    loop:set_exception_handler(nil)
    loop:set_debug(false)
  end)

  local function collect()
    for _ = 1, 3 do
      collectgarbage()
      neap.sleep(0)
    end
  end

  it("is closed when it is collected", function()
    local before = core.census()
    open()
    assert.equal(before.handles + 1, core.census().handles)
    collect()
    assert.equal(before.handles, core.census().handles)
    assert.same({}, warnings)
  end)

  it("is warned of in debug mode", function()
    collect() -- of what came before, nothing is left to be warned of
    loop:set_debug(true)
    local name = ("%s:%d"):format(open():local_address())
    open():close()
    collect()
    assert.equal(1, #warnings)
    assert.matches("the datagram socket at " .. name .. ", made at spec/net/datagram_spec.lua:", warnings[1], 1, true)
    assert.matches("was collected unclosed", warnings[1], 1, true)
  end)
end)

describe("open_datagram_socket", function()
  it("refuses bad arguments", function()
    local function refuses(what, ...)
      assert.matches(what, tostring(raised(neap.open_datagram_socket, ...)), 1, true)
    end
    refuses("the host contains a zero byte", "127.0.0.1\0")
    refuses("the port is not in the range 0 to 65535", HOST, 70000)
    refuses("string expected", {})
    refuses("there is no option 'reuse'", HOST, 0, { reuse = true })
    refuses("the option 'limit' is not a positive integer", HOST, 0, { limit = 0 })
    refuses("the option 'remote_addr' is not a table", HOST, 0, { remote_addr = HOST })
    for _, remote in ipairs { {}, { HOST }, { HOST, 0 }, { HOST, 70000 }, { HOST, 1.5 }, { 1, 1 }, { "a\0b", 1 } } do
      refuses("the option 'remote_addr' is not {host, port}", HOST, 0, { remote_addr = remote })
    end
  end)

  it("tells which address this machine has not", function()
    local socket, err, code = neap.open_datagram_socket("192.0.2.1", 5)
    assert.is_nil(socket)
    assert.equal("EADDRNOTAVAIL", code)
    assert.equal("open_datagram_socket 192.0.2.1:5: address not available", tostring(err))
  end)
end)

describe("the methods of a datagram socket", function()
  it("refuse bad arguments", function()
    local socket <close> = open()
    local function refuses(what, method, ...)
      assert.matches(what, tostring(raised(socket[method], socket, ...)), 1, true)
    end
    refuses("the host contains a zero byte", "send_to", "x", "127.0.0.1\0", 9)
    refuses("the port is not in the range 0 to 65535", "send_to", "x", HOST, 70000)
    refuses("string expected", "send_to", nil, HOST, 9)
    refuses("number expected", "connect", HOST)
    refuses("send: the socket is not connected: use send_to", "send", "x")
    assert(socket:connect(HOST, 9))
    refuses("send_to: the socket is connected: use send", "send_to", "x", HOST, 9)
    assert.matches("neap.DatagramSocket expected", raised(socket.receive, {}), 1, true)
  end)

  it("refuse a closed one", function()
    local socket = open()
    socket:close()
    for _, method in ipairs {
      "send", "send_to", "connect", "receive", "datagrams", "local_address", "peer_address", "join_group",
      "leave_group", "set_broadcast", "set_ttl", "set_multicast_ttl", "set_multicast_loop", "set_multicast_interface",
    } do
      assert.matches(method .. ": the socket is closed", raised(socket[method], socket), 1, true)
    end
  end)

  it("give up when the socket is closed while a name is looked up", function()
    local socket = open()
    local task = support.start_waiting("send_to", socket.send_to, socket, "x", "localhost", 9)
    socket:close()
    assert.equal("ECANCELED", support.has_localhost() and select(3, task:await()) or "ECANCELED")
    if not task:done() then support.cancel(task) end
  end)
end)
