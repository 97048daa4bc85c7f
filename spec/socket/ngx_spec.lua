-- Cosockets: what drivers that were written for OpenResty use.
local neap = require "neap"
local ngx = require "neap.ngx"

local function serve(handler)
  return assert(neap.start_server(handler, "127.0.0.1", 0))
end

local function connect(server)
  local socket = ngx.socket.tcp()
  assert(socket:connect("127.0.0.1", server.port))
  return socket
end

local function answering(...)
  local pieces = table.pack(...)
  return serve(function(stream)
    for _, piece in ipairs(pieces) do
      stream:write(piece)
      neap.sleep(0.01)
    end
  end)
end

local function echoing()
  return serve(function(stream)
    for line in stream:lines "L" do stream:write(line) end
  end)
end

describe("a cosocket", function()
  it("reads up to a pattern", function()
    local server <close> = answering("hello, world! -agentzh\r\n--abc", "edhb blah")
    local socket = connect(server)
    local reader = socket:receiveuntil "\r\n--abcedhb"
    assert.equal("hello, world! -agentzh", reader())
    assert.same({ n = 3, nil, "closed", " blah" }, table.pack(reader()))
  end)

  it("reads up to a pattern in pieces, which ends with nil", function()
    local server <close> = answering("hello, world! -agentzh\r\n--abc", "edhb blah")
    local socket = connect(server)
    local reader, pieces = socket:receiveuntil "\r\n--abcedhb", {}
    for piece in reader, 4 do pieces[#pieces + 1] = piece end
    assert.same({ "hell", "o, w", "orld", "! -a", "gent", "zh" }, pieces)
    assert.equal(" blah", socket:receive "*a")
  end)

  it("reads up to a pattern that begins within its own beginning", function()
    local server <close> = answering("a", "a", "aa", "b.aab")
    local socket = connect(server)
    local reader = socket:receiveuntil "aab"
    assert.equal("aa", reader())
    assert.equal(".", reader())
    assert.same({ n = 3, nil, "closed", "" }, table.pack(reader()))
  end)

  it("reads up to a pattern that is far away, and looks at no byte twice", function()
    local text <const> = ("x"):rep(16 << 20)
    local server <close> = answering(text, "END")
    local socket = connect(server)
    assert.is_true(socket:receiveuntil "END"() == text)
    socket:close()
  end)

  it("reads a pattern too, if that is wanted", function()
    local server <close> = answering("one,", "two,three")
    local socket = connect(server)
    local reader = socket:receiveuntil(",", { inclusive = true })
    assert.equal("one,", reader())
    assert.equal("two,", reader())
    socket:close()
  end)

  it("reads what is there, and no more than that", function()
    local server <close> = answering "abcdef"
    local socket = connect(server)
    assert.equal("abcd", socket:receiveany(4))
    assert.equal("ef", socket:receiveany(4))
    assert.same({ n = 3, nil, "closed", "" }, table.pack(socket:receiveany(4)))
    assert.same({ n = 2, nil, "closed" }, table.pack(socket:send "x"))
  end)

  it("has timeouts in milliseconds, after which it is usable", function()
    local server <close> = serve(function(stream)
      stream:write "half"
      stream:read "l"
      stream:write " and half\n"
    end)
    local socket = connect(server)
    socket:settimeouts(1000, 1000, 20)
    assert.same({ n = 3, nil, "timeout", "half" }, table.pack(socket:receive()))
    socket:settimeout(5000)
    socket:send "go\n"
    assert.equal(" and half", socket:receive())
    assert.equal(1, socket:close())
    assert.same({ n = 2, nil, "closed" }, table.pack(socket:close()))
  end)

  it("sends nested tables", function()
    local server <close> = echoing()
    local socket = connect(server)
    assert.equal(8, socket:send { "a", { "b", 1, { "cd" } }, "ef", "\n" })
    assert.equal("ab1cdef", socket:receive())
    assert.has_error(function() socket:send(print) end)
    socket:close()
  end)

  it("has one reader and one writer", function()
    local server <close> = echoing()
    local socket = connect(server)
    local reader = neap.create_task(function() return socket:receive() end)
    neap.sleep(0)
    assert.same({ n = 2, nil, "socket busy reading" }, table.pack(socket:receive()))
    assert.same({ n = 2, nil, "socket busy reading" }, table.pack(socket:close()))
    assert.same({ n = 2, nil, "socket busy reading" }, table.pack(socket:setkeepalive()))
    reader:cancel()
    pcall(reader.await, reader)
    socket:send "x\n"
    assert.equal("x", socket:receive())
    socket:close()
  end)

  it("says why it could not connect", function()
    local server = echoing()
    local port = server.port
    server:close()
    server:wait_closed()
    assert.same({ n = 2, nil, "connection refused" }, table.pack(ngx.socket.tcp():connect("127.0.0.1", port)))
    local ok, err = ngx.socket.connect("no.such.host.invalid", 80)
    assert.is_nil(ok)
    assert.equal("no.such.host.invalid could not be resolved (3: Host not found)", err)
  end)
end)

describe("a pool of cosockets", function()
  it("hands connections on, and counts", function()
    local server <close> = echoing()
    local socket = connect(server)
    assert.equal(0, socket:getreusedtimes())
    assert.equal(1, socket:setkeepalive(10000, 5))
    assert.same({ n = 2, nil, "closed" }, table.pack(socket:receive()))
    local again = connect(server)
    assert.equal(1, again:getreusedtimes())
    again:send "x\n"
    assert.equal("x", again:receive())
    local other = connect(server)
    assert.equal(0, other:getreusedtimes())
    other:close()
    again:close()
  end)

  it("goes by name", function()
    local server <close> = echoing()
    local socket = ngx.socket.tcp()
    assert(socket:connect("127.0.0.1", server.port, { pool = "mine" }))
    socket:setkeepalive()
    local other = connect(server)
    assert.equal(0, other:getreusedtimes())
    other:close()
    assert(socket:connect("127.0.0.1", server.port, { pool = "mine" }))
    assert.equal(1, socket:getreusedtimes())
    socket:close()
  end)

  it("closes what is too old, or too much", function()
    require("neap.testing").virtual_clock()
    local ended = 0
    local server <close> = serve(function(stream)
      stream:read "a"
      ended = ended + 1
    end)
    local one, two, three = connect(server), connect(server), connect(server)
    one:setkeepalive(0, 2)
    two:setkeepalive(3600000, 2)
    three:setkeepalive(7200000, 2)
    neap.sleep(1)
    assert.equal(1, ended)
    neap.sleep(3601)
    assert.equal(2, ended)
    neap.sleep(3600)
    assert.equal(3, ended)
  end)

  it("gives no connection that has ended, and takes none with bytes that nobody has read", function()
    local served = 0
    local server <close> = serve(function(stream)
      served = served + 1
      if served == 2 then stream:write "unasked" end
      stream:read "l"
    end)
    local socket = connect(server)
    socket:setkeepalive()
    while served == 0 do neap.sleep(0) end
    server:close_clients()
    neap.sleep(0.02)
    local other = connect(server)
    assert.equal(0, other:getreusedtimes())
    other:receive(2)
    assert.same({ n = 2, nil, "unread data in buffer" }, table.pack(other:setkeepalive()))
    other:close()
  end)
end)

describe("beside them", function()
  it("are what drivers look at", function()
    assert.equal("userdata", type(ngx.null))
    assert.is_true(math.abs(ngx.now() - os.time()) < 2)
    assert.equal(4, ngx.ERR)
    local clear, new = require "table.clear", require "table.new"
    local t = new(4, 4)
    t[1] = 2
    clear(t)
    assert.is_nil(next(t))
    local thread = ngx.thread.spawn(function(x) ngx.sleep(0) return x end, "y")
    assert.same({ n = 2, true, "y" }, table.pack(ngx.thread.wait(thread)))
  end)

  it("is bit, as of LuaJIT", function()
    local bit = require "neap.bit"
    assert.equal(-1, bit.tobit(0xffffffff))
    assert.equal(0x0f, bit.band(0xff, 0x0f, -1))
    assert.equal(-1, bit.bor(0xf0f0f0f0, 0x0f0f0f0f))
    assert.equal(0, bit.bxor(5, 5))
    assert.equal(-1, bit.bnot(0))
    assert.equal(0x1234, bit.rshift(0x12345678, 16))
    assert.equal(-1, bit.arshift(0x80000000, 31))
    assert.equal(-2147483648, bit.lshift(1, 31))
    assert.equal(0x23456781, bit.rol(0x12345678, 4))
    assert.equal(-2128394905, bit.ror(0x12345678, 4))
    assert.equal(0x78563412, bit.bswap(0x12345678))
    assert.equal("ffffffff", bit.tohex(-1))
    assert.equal("FF", bit.tohex(255, -2))
  end)
end)
