-- What every kind of stream does, whatever carries its bytes: spec/io/conformance_spec.lua plays it for each of them.
--
-- A kind of stream is a table:
--   name
--   pair(options)        two ends of one connection as a <close> value with the fields `near` and `far`: what is
--                        written to `near` is read from `far`. Not there for files.
--   sent(text, options)  the same, where `text` and then the end were sent to `far`; made of `pair` if it is missing
--   two_way              what is written to `far` is read from `near`
--   endless              an end cannot be told: what is claimed of it is claimed both ways
--   half_close           after near:shutdown() `far` may still write
--   resets               an end that is aborted with unread bytes is an error for the other one
--   codes                what such an error may be called
local assert = require "luassert"
local neap = require "neap"
local support = require "spec.support.stream"

local TEXT <const> = "one\n\ntwo \0 three\n\xff\n4 5.5 0x10\nlast"

local function shut(stream)
  assert(stream:shutdown())
end

local function sent_by_pair(kind)
  return function(text, options)
    local ends = kind.pair(options)
    local writer = neap.create_task(function()
      if text ~= "" then assert(ends.near:write(text)) end
      shut(ends.near)
    end)
    local close = getmetatable(ends).__close
    return setmetatable({ near = ends.near, far = ends.far }, { __close = function()
      ends.far:abort()
      pcall(writer.await, writer)
      close(ends)
    end })
  end
end

local function pieces_of(stream, size)
  return function() return stream:read_some(size) end
end

-- --- reading ---

local function describe_reading(kind, it)
  local function expect(expected, text, read, options)
    local ends <close> = kind.sent(text, options)
    assert.same(table.pack(table.unpack(expected, 1, expected.n or #expected)), table.pack(read(ends.far)))
  end

  it("reads by all formats", function()
    expect({ "one", "", "two \0 three\n", "\xff", n = 4 }, TEXT, function(far) return far:read("l", "l", "L", "l") end)
    expect({ 4, 5.5, 16, "\nlast", n = 4 }, "4 5.5 0x10\nlast", function(far) return far:read("n", "n", "n", "a") end)
    expect({ "on", "e\n\ntw", n = 2 }, TEXT, function(far) return far:read(2, 5) end)
    expect({ TEXT }, TEXT, function(far) return far:read "a" end)
    expect({ "4", nil, n = 2 }, "4x", function(far) return far:read(1, "n") end)
  end)

  it("tells the end as Lua's files do", function()
    local ends <close> = kind.sent "ab"
    local far = ends.far
    assert.equal("", far:read(0))
    assert.equal("ab", far:read(5))
    assert.is_nil(far:read(0))
    assert.is_nil(far:read "l")
    assert.is_nil(far:read "L")
    assert.is_nil(far:read "n")
    assert.is_nil(far:read(1))
    assert.is_nil(far:readline())
    assert.is_nil(far:read_some())
    assert.equal("", far:read "a")
    assert.is_true(far:at_eof())
  end)

  it("reads an empty one", function()
    local ends <close> = kind.sent ""
    assert.is_nil(ends.far:read())
    assert.equal("", ends.far:read "a")
  end)

  it("gives its lines", function()
    local ends <close> = kind.sent(TEXT)
    local lines = {}
    for line in ends.far:lines "L" do lines[#lines + 1] = line end
    assert.same({ "one\n", "\n", "two \0 three\n", "\xff\n", "4 5.5 0x10\n", "last" }, lines)
  end)

  it("reads so many bytes, and says how many were missing", function()
    local ends <close> = kind.sent "0123456789"
    assert.equal("", ends.far:readexactly(0))
    assert.equal("0123", ends.far:readexactly(4))
    local none, err = ends.far:readexactly(7)
    assert.is_nil(none)
    assert.is_true(neap.is(err, neap.IncompleteReadError))
    assert.same({ "456789", 7 }, { err.partial, err.expected })
  end)

  it("reads up to a separator", function()
    local ends <close> = kind.sent "ab--ab-c--d"
    assert.equal("ab--", ends.far:readuntil "--")
    assert.equal("ab-", ends.far:readuntil { "c--", "-" })
    local none, err = ends.far:readuntil "x"
    assert.is_nil(none)
    assert.equal("c--d", err.partial)
  end)

  it("keeps to its limit, and loses nothing by it", function()
    local text <const> = ("x"):rep(50) .. "\n"
    local ends <close> = kind.sent(text, { limit = 20 })
    local none, err = ends.far:readline()
    assert.is_nil(none)
    assert.is_true(neap.is(err, neap.LimitOverrunError), tostring(err))
    assert.equal(text, ends.far:read(100))
  end)

  it("reads every byte as it is", function()
    local bytes = {}
    for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
    local all = table.concat(bytes):rep(300)
    local ends <close> = kind.sent(all)
    assert.equal(#all, #assert(ends.far:readexactly(#all), "it ended"))
    assert.is_nil(ends.far:read(1))
  end)

  it("reads one byte at a time", function()
    local ends <close> = kind.sent(TEXT)
    local bytes = {}
    for byte in ends.far:lines(1) do bytes[#bytes + 1] = byte end
    assert.equal(TEXT, table.concat(bytes))
  end)

  it("reads the same in pieces of every size", function()
    for size = 1, 40 do
      local ends <close> = kind.sent(TEXT)
      local pieces = {}
      for piece in pieces_of(ends.far, size) do
        assert.is_true(#piece <= size)
        pieces[#pieces + 1] = piece
      end
      assert.equal(TEXT, table.concat(pieces))
    end
  end)

  it("loses no byte when a read is cancelled at any turn", function()
    for turns = 0, 12 do
      local ends <close> = kind.sent(TEXT)
      local got
      local task = neap.create_task(function() got = ends.far:read "a" end)
      for _ = 1, turns do neap.sleep(0) end
      task:cancel()
      pcall(task.await, task)
      assert.equal(TEXT, (got or "") .. ends.far:read "a")
    end
  end)

  it("is for one reader at a time, who is woken when it is closed", function()
    if not kind.pair then return end
    local ends <close> = kind.pair()
    local reader = support.start_waiting("read", ends.far.read, ends.far)
    assert.matches("read: another task is reading from the stream", support.raised(ends.far.read, ends.far))
    ends.far:close()
    assert.is_nil(neap.await(reader))
    assert.matches("read: the stream is closed", support.raised(ends.far.read, ends.far))
  end)
end

-- --- writing ---

local function describe_writing(kind, it)
  it("arrives in the order in which it was written", function()
    local ends <close> = kind.pair()
    local writer = neap.create_task(function()
      for i = 1, 500 do assert(ends.near:write(i, " ", i + 0.5, "\n")) end
      shut(ends.near)
    end)
    for i = 1, 500 do assert.equal(("%d %s"):format(i, i + 0.5), ends.far:read()) end
    assert.is_nil(ends.far:read())
    neap.await(writer)
  end)

  it("can be written one byte at a time", function()
    local ends <close> = kind.pair()
    local writer = neap.create_task(function()
      for byte in TEXT:gmatch "." do assert(ends.near:write(byte)) end
      shut(ends.near)
    end)
    local got = {}
    repeat
      local byte = ends.far:read(1)
      got[#got + 1] = byte
    until not byte
    assert.equal(TEXT, table.concat(got))
    neap.await(writer)
  end)

  it("makes writers wait while nobody reads, and not for ever", function()
    local ends <close> = kind.pair()
    local block <const>, written = ("x"):rep(16 * 1024), 0
    local writer = support.start_waiting("write", function()
      for _ = 1, 2000 do
        assert(ends.near:write(block))
        written = written + #block
      end
      shut(ends.near)
    end)
    assert.is_true(written < 16 * 1024 * 1024, "so much was taken: " .. written)
    local got = 0
    for piece in pieces_of(ends.far) do got = got + #piece end
    assert.equal(2000 * #block, got)
    neap.await(writer)
  end)

  it("sends a whole write or nothing of it when that is cancelled while it waits", function()
    local ends <close> = kind.pair()
    local block <const> = ("x"):rep(16 * 1024)
    local writer = support.start_waiting("write", function()
      while true do assert(ends.near:write(block)) end
    end)
    support.cancel(writer)
    local late = support.start_waiting("write", ends.near.write, ends.near, ("y"):rep(1000))
    late:cancel()
    neap.wait { late } -- what lies between the ends may have taken it before
    local got = neap.create_task(ends.far.read, ends.far, "a")
    ends.near:close()
    local blocks, tail = neap.await(got):match "^(x*)(y*)$"
    assert.equal(0, #blocks % #block)
    assert.equal(late:cancelled() and 0 or 1000, #tail)
  end)

  it("sends what was written before it is closed", function()
    local ends <close> = kind.pair()
    local text <const> = ("0123456789abcdef"):rep(20000)
    local reader = neap.create_task(ends.far.read, ends.far, "a")
    local writer = neap.create_task(ends.near.write, ends.near, text)
    neap.sleep(0)
    ends.near:close()
    assert.is_true(ends.near:wait_closed())
    assert.equal(text, neap.await(reader))
    pcall(neap.await, writer)
  end)

  it("is misused when it is closed or shut down, and says so", function()
    local ends <close> = kind.pair()
    shut(ends.near)
    assert.matches("write: the stream was shut down", support.raised(ends.near.write, ends.near, "x"))
    shut(ends.near)
    ends.near:close()
    ends.near:close()
    assert.is_true(ends.near:is_closing())
    assert.matches("write: the stream is closed", support.raised(ends.near.write, ends.near, "x"))
    assert.matches("shutdown: the stream is closed", support.raised(ends.near.shutdown, ends.near))
    assert.is_true(ends.near:wait_closed())
  end)

  it("fails for the writer when the reader is gone", function()
    local ends <close> = kind.pair()
    ends.far:close()
    local limit <close> = neap.timeout(10)
    local stream, err, code
    repeat
      stream, err, code = ends.near:write(("x"):rep(1000))
      neap.sleep(0.001)
    until not stream
    assert.is_true(code == "EPIPE" or code == "ECONNRESET" or kind.codes and kind.codes[code], code)
    assert.equal(code, err.code)
    assert.matches("^write .-: ", tostring(err))
    assert.is_nil((ends.near:write "x"))
  end)

  it("is closed when it was forgotten", function()
    do
      local ends = kind.pair()
      ends.near:write "left"
      ends.far:close()
    end
    collectgarbage()
    collectgarbage()
    neap.sleep(0.01)
  end)

  it("is broken off at any byte, and then the reader gets no byte that was not sent", function()
    for length = 0, #TEXT do
      local ends <close> = kind.pair()
      if length > 0 then assert(ends.near:write(TEXT:sub(1, length))) end
      ends.near:abort()
      local got = {}
      local limit <close> = neap.timeout(10)
      local piece, err, code
      repeat
        piece, err, code = ends.far:read_some(1)
        got[#got + 1] = piece
      until not piece
      local text = table.concat(got)
      assert.equal(TEXT:sub(1, #text), text)
      if err then assert.is_true(code == "ECONNRESET" or kind.codes and kind.codes[code] or false, code) end
    end
  end)
end

-- --- both ways ---

local function describe_two_ways(kind, it)
  it("carries bytes both ways at once", function()
    local ends <close> = kind.pair()
    local block <const> = ("0123456789abcdef"):rep(1024)
    local function send(stream)
      for _ = 1, 40 do assert(stream:write(block)) end
      if kind.half_close then shut(stream) end
    end
    local function receive(stream)
      return assert(stream:readexactly(40 * #block)) == block:rep(40)
    end
    local results = neap.gather(
      function() send(ends.near) return true end, function() send(ends.far) return true end,
      function() return receive(ends.near) end, function() return receive(ends.far) end)
    assert.same({ true, true, true, true, n = 4 }, results)
  end)

  it("answers", function()
    local ends <close> = kind.pair()
    for i = 1, 100 do
      assert(ends.near:write(i, "\n"))
      assert.equal(tostring(i), ends.far:read())
      assert(ends.far:write(-i, "\n"))
      assert.equal(-i, ends.near:read "n")
    end
  end)
end

local function describe_pieces(kind, it)
  it("carries one byte at a time", function()
    local ends <close> = kind.pair()
    for byte in TEXT:gmatch "." do
      assert(ends.near:write(byte))
      assert.equal(byte, ends.far:read(1))
    end
  end)

  it("loses no byte when a read is cancelled at any turn", function()
    for turns = 0, 12 do
      local ends <close> = kind.pair()
      assert(ends.near:write(TEXT))
      local got
      local task = neap.create_task(function() got = ends.far:readexactly(#TEXT) end)
      for _ = 1, turns do neap.sleep(0) end
      task:cancel()
      pcall(task.await, task)
      assert.equal(TEXT, got or ends.far:readexactly(#TEXT))
    end
  end)
end

local function describe_half_closing(kind, it)
  it("may be ended in one direction alone", function()
    local ends <close> = kind.pair()
    assert(ends.near:write "question\n")
    shut(ends.near)
    assert.equal("question\n", ends.far:read "a")
    assert(ends.far:write(("answer"):rep(10000)))
    shut(ends.far)
    assert.equal(60000, #ends.near:read "a")
  end)
end

local function describe_resets(kind, it)
  it("is broken for the other end when it is aborted", function()
    local ends <close> = kind.pair()
    assert(ends.far:write "never read")
    neap.sleep(0.01)
    ends.near:abort()
    local got, err, code = ends.far:read()
    assert.is_nil(got)
    assert.is_true(code == "ECONNRESET" or kind.codes and kind.codes[code] or false, code)
    assert.matches("^read .-: ", tostring(err))
  end)
end

-- The claims about a kind, as a list of { name, function }.
return function(kind)
  local claims = {}
  local function it(name, fn) claims[#claims + 1] = { name, fn } end
  kind.sent = kind.sent or sent_by_pair(kind)
  if not kind.endless then
    describe_reading(kind, it)
    if kind.pair then describe_writing(kind, it) end
  end
  if kind.two_way then describe_two_ways(kind, it) end
  if kind.endless then describe_pieces(kind, it) end
  if kind.half_close then describe_half_closing(kind, it) end
  if kind.resets then describe_resets(kind, it) end
  return claims
end
