-- Streams: reading as from Lua's files, writing with backpressure, and how they end.
local neap = require "neap"
local support = require "spec.support.stream"

local pair = support.pair

-- The far end of a connection over which `text` was sent, and then the end.
local function sent(text, options)
  local ends = pair(options)
  assert(ends.near:write(text))
  assert(ends.near:shutdown())
  return ends
end

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

describe("reading from a stream", function()
  it("gives what a Lua file with the same bytes gives", function()
    local texts = {
      "", "\n", "one\ntwo\n", "one\ntwo", "\n\n\n", "a\r\nb\0c\n", "12 0x1F -3.5e2 .5 5. 1e 0x 99x\nrest",
      "  \n 7\n", "-", "+1", "0", "00012", "1e+", "1e400", "nan", "0x.8p1 0xA.8 0xp1", "1..2", ("9"):rep(250) .. " 5",
      " " .. ("1"):rep(200) .. "2", "0x1p", "3\n4", "5",
    }
    local formats = {
      {}, { "l" }, { "L" }, { "n" }, { "a" }, { 0 }, { 3 }, { "*l", "*L" }, { "n", "n", "n" }, { "n", "l", "a" },
      { 2, "L", 0, "a" }, { "a", "a" }, { "a", "l" }, { 1000 }, { "l", 1, "n", "l" }, { 0, "n", 0 },
    }
    local path = os.tmpname()
    for _, text in ipairs(texts) do
      for _, format in ipairs(formats) do
        local file = assert(io.open(path, "w+b"))
        file:write(text)
        local ends <close> = sent(text)
        file:seek "set"
        local where = ("%q read by {%s}"):format(text, table.concat(format, ", "))
        for _ = 1, 4 do
          local expected = table.pack(file:read(table.unpack(format)))
          assert.same(expected, table.pack(ends.far:read(table.unpack(format))), where)
        end
        assert.equal(file:read "a", ends.far:read "a", where)
        file:close()
      end
    end
    os.remove(path)
  end)

  it("gives the same however the bytes were cut", function()
    local text = "12.5 0x1F\nsecond line\n--x-x--y rest"
    local cuts = { {}, {} }
    for i = 1, #text do cuts[1][i] = text:sub(i, i) end
    for i = 1, #text, 3 do table.insert(cuts[2], text:sub(i, i + 2)) end
    for _, pieces in ipairs(cuts) do
      local ends <close> = pair()
      local reader = neap.create_task(function()
        local far = ends.far
        return far:read "n", far:read("n", "L"), far:readline(), far:readuntil "--y", far:readexactly(1), far:read "a"
      end)
      support.send_pieces(ends.near, ends.far, pieces)
      ends.near:shutdown()
      assert.same({ 12.5, 31, "second line\n", "--x-x--y", " ", "rest" }, { neap.await(reader) })
    end
  end)

  it("waits for a count, or the end", function()
    local ends <close> = pair()
    local reader = support.start_waiting("read", function() return ends.far:read(5, 2) end)
    support.send_pieces(ends.near, ends.far, { "ab", "cd" })
    assert.is_false(reader:done())
    ends.near:write "ef"
    ends.near:shutdown()
    assert.same({ "abcde", "f" }, { neap.await(reader) })
    assert.is_nil(ends.far:read(1))
  end)

  it("asks with read(0) whether there is more", function()
    local ends <close> = pair()
    local reader = support.start_waiting("read", function() return ends.far:read(0) end)
    ends.near:write "x"
    assert.equal("", neap.await(reader))
    assert.equal("x", ends.far:read(1))
    ends.near:shutdown()
    assert.is_nil(ends.far:read(0))
  end)

  it("gives with read_some what is there, at most so much", function()
    local ends <close> = pair()
    local reader = support.start_waiting("read_some", function() return ends.far:read_some(3) end)
    ends.near:write "abcdefgh"
    assert.equal("abc", neap.await(reader))
    assert.equal("de", ends.far:read_some(2))
    assert.equal("fgh", ends.far:read_some())
    ends.near:shutdown()
    assert.is_nil(ends.far:read_some(1))
  end)

  it("is at the end only when all was read", function()
    local ends <close> = sent "x"
    assert.is_false(ends.far:at_eof())
    assert.equal("", ends.far:read(0))
    support.settle(function() return ends.far:read(0) end)
    assert.is_false(ends.far:at_eof())
    assert.equal("x", ends.far:read "a")
    assert.is_true(ends.far:at_eof())
    assert.same({ n = 1 }, table.pack(ends.far:read()))
    assert.same({ n = 1 }, table.pack(ends.far:readline()))
    assert.same({ "", n = 1 }, table.pack(ends.far:read "a"))
  end)

  it("returns the unfinished last line", function()
    local ends <close> = sent "one\ntwo"
    assert.equal("one\n", ends.far:readline())
    assert.equal("two", ends.far:readline())
    assert.is_nil(ends.far:readline())
  end)

  it("iterates over lines, by any formats", function()
    local ends <close> = sent "one\ntwo\nthree"
    local lines = {}
    for line in ends.far:lines() do lines[#lines + 1] = line end
    assert.same({ "one", "two", "three" }, lines)
    local numbers <close> = sent "1 a\n2 b\n"
    local pairs_read = {}
    for number, rest in numbers.far:lines("n", "L") do pairs_read[#pairs_read + 1] = number .. rest end
    assert.same({ "1 a\n", "2 b\n" }, pairs_read)
  end)

  it("does not suspend for what is in the buffer", function()
    local ends <close> = pair()
    ends.near:write "one\ntwo\nthree\n"
    assert.equal("one", ends.far:read())
    local ran = false
    neap.create_task(function() ran = true end)
    assert.equal("two", ends.far:read())
    assert.equal("thr", ends.far:readexactly(3))
    assert.equal("ee", ends.far:readuntil "e" .. ends.far:read(1))
    assert.is_false(ran)
  end)

  it("lets others run now and then when everything is in the buffer", function()
    local ends <close> = pair()
    ends.near:write(("\n"):rep(10000))
    assert.equal("", ends.far:read())
    local turns, read = 0, 0
    local other = neap.create_task(function()
      while true do
        turns = turns + 1
        neap.sleep(0)
      end
    end)
    repeat read = read + #ends.far:read "L" until read == 9999
    other:cancel()
    assert.is_true(turns > 9)
  end)

  it("reads exactly so much, and keeps the rest", function()
    local ends <close> = sent "abcdef"
    assert.equal("", ends.far:readexactly(0))
    assert.equal("abcd", ends.far:readexactly(4))
    local data, err, code = ends.far:readexactly(4)
    assert.is_nil(data)
    assert.is_nil(code)
    assert.is_true(neap.is(err, neap.IncompleteReadError))
    assert.equal("ef", err.partial)
    assert.equal(4, err.expected)
    assert.matches("^readexactly 127%.0%.0%.1:%d+: the stream ended after 2 of 4 bytes$", tostring(err))
    data, err = ends.far:readexactly(1)
    assert.is_nil(data)
    assert.equal("", err.partial)
  end)

  it("reads up to a separator, and with it", function()
    local ends <close> = sent "key=value;;rest"
    assert.equal("key=", ends.far:readuntil "=")
    assert.equal("value;;", ends.far:readuntil ";;")
    local data, err = ends.far:readuntil ";;"
    assert.is_nil(data)
    assert.is_true(neap.is(err, neap.IncompleteReadError))
    assert.equal("rest", err.partial)
    assert.is_true(ends.far:at_eof())
  end)

  it("takes of several separators the one that ends first", function()
    local cases = {
      { "one\r\ntwo", { "\n", "\r\n" }, "one\r\n" },
      { "abcd", { "abc", "b" }, "ab" },
      { "abcd", { "d", "bcd" }, "abcd" },
      { "aXbYc", { "Y", "X" }, "aX" },
    }
    for _, case in ipairs(cases) do
      local ends <close> = sent(case[1])
      assert.equal(case[2] and case[3], ends.far:readuntil(case[2]))
    end
  end)

  it("finds a separator that came in pieces", function()
    local ends <close> = pair()
    local reader = support.start_waiting("readuntil", function() return ends.far:readuntil { "ababac", "#" } end)
    support.send_pieces(ends.near, ends.far, { "x", "aba", "ba", "bac", "rest" })
    assert.equal("xabababac", neap.await(reader))
    assert.equal("rest", ends.far:read(4))
  end)

  it("keeps the bytes of many connections apart", function()
    local all, count <const> = {}, 40
    for i = 1, count do all[i] = pair() end
    for i, ends in ipairs(all) do
      neap.create_task(function()
        ends.near:write((("%02d"):format(i)):rep(50000))
        ends.near:shutdown()
      end)
    end
    for i, ends in ipairs(all) do assert.equal(i // 10 .. "", ends.far:read(1)) end
    neap.sleep(0.02)
    for i, ends in ipairs(all) do
      local text = ends.far:read "a"
      assert.equal(99999, #text)
      assert.is_true((("%02d"):format(i)):rep(50000):sub(2) == text)
      ends:__close()
    end
  end)

  it("loses no byte when a read is cancelled", function()
    local calls = {
      { "read", function(far) return far:read(6) end },
      { "read", function(far) return far:read("n", "l") end },
      { "readline", function(far) return far:readline() end },
      { "readexactly", function(far) return far:readexactly(6) end },
      { "readuntil", function(far) return far:readuntil "#" end },
      { "lines", function(far) return far:lines() () end },
      { "read", function(far) return far:read "a" end },
    }
    for _, call in ipairs(calls) do
      local ends <close> = pair()
      local reader = support.start_waiting(call[1], call[2], ends.far)
      support.send_pieces(ends.near, ends.far, { "123" })
      support.cancel(reader)
      ends.near:write "456"
      assert.equal("123456", ends.far:readexactly(6))
    end
  end)

  it("loses no byte when a reader is killed, even one that was answered", function()
    local ends <close> = pair()
    local reader = support.start_waiting("readline", function() return ends.far:readline() end)
    ends.near:write "one\n"
    support.settle(function() return not support.waits(reader, "readline") or reader:kill() end)
    assert.equal("one\n", ends.far:readline())
  end)

  it("delivers what had come before the cancel", function()
    local ends <close> = pair()
    local got, after
    local reader = support.start_waiting("read_some", function()
      got = ends.far:read_some()
      after = select(2, pcall(ends.far.read_some, ends.far))
      return "ended"
    end)
    neap.get_running_loop():call_later(0.05, function() reader:cancel() end)
    ends.near:write "x"
    assert.equal("ended", neap.await(reader))
    assert.equal("x", got)
    assert.is_true(neap.is(after, neap.CancelledError))
  end)

  it("reads again after a time limit", function()
    local ends <close> = pair()
    local completed = neap.move_on_after(0.01, function() ends.far:readline() end)
    assert.is_false(completed)
    ends.near:write "late\n"
    assert.equal("late\n", ends.far:readline())
  end)
end)

describe("a stream's limit", function()
  local function assert_overrun(data, err, call)
    assert.is_nil(data)
    assert.is_true(neap.is(err, neap.LimitOverrunError))
    assert.matches("^" .. call .. " 127%.0%.0%.1:%d+: no .* within the limit of 10 bytes$", tostring(err))
  end

  it("bounds a line, and leaves the bytes there", function()
    local ends <close> = sent(("x"):rep(11) .. "\nrest\n", { limit = 10 })
    local data, err = ends.far:readline()
    assert_overrun(data, err, "readline")
    data, err = ends.far:read "l"
    assert_overrun(data, err, "read")
    assert_overrun(nil, raised(ends.far:lines()), "lines")
    assert.equal(("x"):rep(11), ends.far:read(11))
    assert.equal("\n", ends.far:readline())
    assert.equal("rest", ends.far:read())
  end)

  it("lets a line of just that length pass", function()
    local ends <close> = sent(("x"):rep(10) .. "\n" .. ("y"):rep(10), { limit = 10 })
    assert.equal(("x"):rep(10), ends.far:read())
    assert.equal(("y"):rep(10), ends.far:read())
  end)

  it("bounds readuntil, whether the separator is missing or too far off", function()
    for _, text in ipairs { ("x"):rep(20), ("x"):rep(11) .. "##" } do
      local ends <close> = sent(text, { limit = 10 })
      local data, err = ends.far:readuntil "##"
      assert_overrun(data, err, "readuntil")
      data, err = ends.far:readuntil { "#!", "##" }
      assert_overrun(data, err, "readuntil")
      assert.equal(text, ends.far:read "a")
    end
    local ends <close> = sent(("x"):rep(10) .. "##", { limit = 10 })
    assert.equal(("x"):rep(10) .. "##", ends.far:readuntil "##")
  end)

  it("bounds neither counts nor a whole stream", function()
    local text = ("0123456789"):rep(1000)
    local ends <close> = sent(text .. text .. text, { limit = 10 })
    assert.equal(text, ends.far:read(10000))
    assert.equal(text, ends.far:readexactly(10000))
    assert.equal(text, ends.far:read "a")
  end)

  it("stops a peer that sends a line of 100 MB", function()
    local ends <close> = pair()
    local block <const>, sent_blocks = ("x"):rep(1024 * 1024), 0
    local writer = neap.create_task(function()
      for _ = 1, 100 do
        if not ends.near:write(block) then return end
        sent_blocks = sent_blocks + 1
      end
    end)
    local data, err = ends.far:readline()
    assert.is_nil(data)
    assert.is_true(neap.is(err, neap.LimitOverrunError))
    support.settle(function() return support.waits(writer, "write") end)
    neap.sleep(0.05)
    assert.is_true(support.waits(writer, "write"))
    assert.is_true(sent_blocks < 50)
    assert.equal(("x"):rep(65536), ends.far:read_some(65536))
    ends.far:abort()
    assert.is_nil(neap.await(writer))
  end)

  it("goes on reading when there is room again", function()
    local total = 3000000
    local ends <close> = pair { limit = 1000 }
    local writer = neap.create_task(function()
      ends.near:write(("0123456789"):rep(total // 10))
      ends.near:shutdown()
    end)
    assert.equal("0", ends.far:read(1))
    neap.sleep(0.02)
    local read = 1
    for part in function() return ends.far:read_some(777) end do read = read + #part end
    assert.equal(total, read)
    neap.await(writer)
  end)
end)

describe("writing to a stream", function()
  it("takes strings and numbers as io.write does, and returns the stream", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w+"))
    local values = { "text", 1, -7, 1.0, 2.5, 1e100, 2^53, math.mininteger, math.huge, "", "\0" }
    file:write(table.unpack(values))
    file:seek "set"
    local ends <close> = pair()
    assert.equal(ends.near, ends.near:write(table.unpack(values)))
    assert.equal(ends.near, ends.near:write())
    assert.equal(ends.near, ends.near:drain())
    ends.near:shutdown()
    assert.equal(file:read "a", ends.far:read "a")
    file:close()
    os.remove(path)
  end)

  it("takes many arguments", function()
    local pieces = {}
    for i = 1, 200 do pieces[i] = i % 2 == 0 and i or i .. "," end
    local ends <close> = pair()
    ends.near:write(table.unpack(pieces))
    ends.near:shutdown()
    assert.equal(table.concat(pieces), ends.far:read "a")
  end)

  it("sends everything in order, in big pieces and small ones", function()
    local ends <close> = pair()
    local expected = {}
    local writer = neap.create_task(function()
      for i = 1, 60 do
        local piece = (i .. ","):rep(i % 7 == 0 and 50000 or i)
        expected[i] = piece
        ends.near:write(piece, "|", i)
        expected[i] = piece .. "|" .. i
      end
      ends.near:shutdown()
    end)
    local got = ends.far:read "a"
    neap.await(writer)
    assert.is_true(table.concat(expected) == got)
  end)

  it("waits while the peer does not read, and goes on when it does", function()
    local ends <close> = pair()
    local writer = support.fill(ends.near)
    local drainer = support.start_waiting("drain", ends.near.drain, ends.near)
    local other = support.start_waiting("write", ends.near.write, ends.near, "last")
    neap.sleep(0.02)
    assert.is_true(support.waits(writer, "write"))
    writer:cancel()
    local reader = neap.create_task(ends.far.read, ends.far, "a")
    assert.equal(ends.near, neap.await(drainer))
    assert.equal(ends.near, neap.await(other))
    ends.near:shutdown()
    local text = neap.await(reader)
    assert.matches("^x+last$", text)
    assert.equal(0, (#text - 4) % (32 * 1024))
  end)

  it("sends nothing of a write that was cancelled before its turn, and no byte twice", function()
    local ends <close> = pair()
    local writer = support.fill(ends.near)
    local cancelled = support.start_waiting("write", ends.near.write, ends.near, "never")
    local kept = support.start_waiting("write", ends.near.write, ends.near, "sent")
    support.cancel(writer)
    support.cancel(cancelled)
    local reader = neap.create_task(ends.far.read, ends.far, "a")
    neap.await(kept)
    ends.near:shutdown()
    assert.matches("^x+sent$", neap.await(reader))
  end)

  it("keeps what is queued bounded when cancelled writes are tried again", function()
    local ends <close> = pair()
    support.cancel(support.fill(ends.near))
    local tries, block <const> = 0, ("y"):rep(1024 * 1024)
    for _ = 1, 20 do
      if not neap.move_on_after(0.001, ends.near.write, ends.near, block) then tries = tries + 1 end
    end
    assert.equal(20, tries)
    local reader = neap.create_task(ends.far.read, ends.far, "a")
    ends.near:drain()
    ends.near:shutdown()
    assert.matches("^x+$", neap.await(reader))
  end)

  it("follows the limits that are set", function()
    local ends <close> = pair()
    local writer = support.fill(ends.near)
    local drainer = support.start_waiting("drain", ends.near.drain, ends.near)
    ends.near:set_write_limits(16 * 1024 * 1024, 8 * 1024 * 1024)
    assert.equal(ends.near, neap.await(drainer))
    support.settle(function() return support.waits(writer, "write") end)
    writer:cancel()
    ends.near:set_write_limits(10)
    drainer = support.start_waiting("drain", ends.near.drain, ends.near)
    assert.is_false(drainer:done())
    drainer:cancel()
    assert.matches("the low mark is above the high one", raised(ends.near.set_write_limits, ends.near, 10, 11))
    ends.near:abort()
  end)

  it("reports a peer that has gone away", function()
    local ends <close> = pair()
    ends.far:abort()
    local result, err, code
    support.settle(function()
      result, err, code = ends.near:write "x"
      return not result
    end)
    assert.is_true(code == "ECONNRESET" or code == "EPIPE")
    assert.equal(code, err.code)
    assert.is_true(neap.is(err, neap.OSError))
    assert.matches("^write 127%.0%.0%.1:%d+: %l", tostring(err))
    assert.same({ nil, code }, { (ends.near:drain()), select(3, ends.near:drain()) })
  end)

  it("wakes writers that wait when the peer resets", function()
    local ends <close> = pair()
    local writer = neap.create_task(function()
      local result, err, code
      repeat result, err, code = ends.near:write(("x"):rep(50000)) until not result
      return err, code
    end)
    support.settle(function() return support.waits(writer, "write") end)
    ends.far:abort()
    local err, code = neap.await(writer)
    assert.is_true(code == "ECONNRESET" or code == "EPIPE")
    assert.equal(code, err.code)
  end)
end)

describe("a peer that resets", function()
  it("is told to a reader that waits, and to the next ones, behind what had arrived", function()
    local ends <close> = pair()
    ends.near:write "one\ntwo"
    assert.equal("one\n", ends.far:readline())
    local reader = support.start_waiting("readline", function() return ends.far:readline() end)
    ends.near:abort()
    local line, err, code = neap.await(reader)
    assert.is_nil(line)
    assert.equal("ECONNRESET", code)
    assert.equal("ECONNRESET", err.code)
    assert.matches("^readline 127%.0%.0%.1:%d+: connection reset by peer$", tostring(err))
    for _, call in ipairs { "readline", "read", "readexactly", "readuntil" } do
      local argument = call == "readexactly" and 10 or "#"
      assert.equal("ECONNRESET", select(3, ends.far[call](ends.far, call ~= "read" and argument or "l")))
    end
    assert.equal("ECONNRESET", raised(ends.far:lines()).code)
    assert.equal("two", ends.far:read_some())
    assert.equal("ECONNRESET", select(3, ends.far:read_some()))
    assert.equal("ECONNRESET", select(3, ends.far:read "a"))
    assert.equal("ECONNRESET", select(3, ends.far:write "x"))
    assert.equal("ECONNRESET", select(3, ends.far:shutdown()))
    assert.is_false(ends.far:at_eof())
  end)

  it("after the reader was cancelled is told to the next one", function()
    local ends <close> = pair()
    support.cancel(support.start_waiting("readline", function() return ends.far:readline() end))
    ends.near:abort()
    neap.sleep(0.01)
    assert.equal("ECONNRESET", select(3, ends.far:readline()))
  end)
end)

describe("ending a stream", function()
  it("one way leaves the other way open", function()
    local ends <close> = pair()
    ends.near:write "question"
    assert.is_true(ends.near:shutdown())
    assert.is_true(ends.near:shutdown())
    assert.equal("question", ends.far:read "a")
    ends.far:write "answer\n"
    assert.equal("answer", ends.near:read())
    assert.matches("write: the stream was shut down", raised(ends.near.write, ends.near, "x"))
    ends.far:shutdown()
    assert.is_nil(ends.near:read())
  end)

  it("one way comes behind what waits to be written", function()
    local ends <close> = pair()
    local writer = support.fill(ends.near)
    local last = support.start_waiting("write", ends.near.write, ends.near, "last")
    support.cancel(writer)
    local shutting = support.start_waiting("shutdown", ends.near.shutdown, ends.near)
    assert.is_false(shutting:done())
    assert.matches("^x+last$", ends.far:read "a")
    assert.is_true(neap.await(shutting))
    assert.equal(ends.near, neap.await(last))
  end)

  it("one way can be given up waiting for, and still happens", function()
    local ends <close> = pair()
    support.cancel(support.fill(ends.near))
    support.cancel(support.start_waiting("shutdown", ends.near.shutdown, ends.near))
    assert.matches("^x+$", ends.far:read "a")
    assert.is_true(ends.near:shutdown())
  end)

  it("by close sends what is queued first", function()
    local ends <close> = pair()
    support.cancel(support.fill(ends.near))
    local last = support.start_waiting("write", ends.near.write, ends.near, "last")
    assert.is_true(ends.near:close())
    assert.is_true(ends.near:is_closing())
    local waiter = support.start_waiting("wait_closed", ends.near.wait_closed, ends.near)
    assert.is_false(waiter:done())
    assert.matches("^x+last$", ends.far:read "a")
    assert.equal(ends.near, neap.await(last))
    assert.is_true(neap.await(waiter))
    assert.is_true(ends.near:wait_closed())
  end)

  it("by close gives up on a peer that does not read", function()
    local ends <close> = pair()
    support.cancel(support.fill(ends.near))
    ends.near:close()
    local start = neap.get_running_loop():time()
    local closed, err, code = ends.near:wait_closed()
    local waited = neap.get_running_loop():time() - start
    assert.same({ nil, "ETIMEDOUT" }, { closed, code })
    assert.matches("^wait_closed 127", tostring(err))
    assert.is_true(waited > 4 and waited < 8)
  end)

  it("by abort drops what is queued, and wakes who waits", function()
    local ends <close> = pair()
    local writer = neap.create_task(function()
      local result, err, code
      repeat result, err, code = ends.near:write(("x"):rep(50000)) until not result
      return err, code
    end)
    support.settle(function() return support.waits(writer, "write") end)
    local closer = support.start_waiting("wait_closed", ends.near.wait_closed, ends.near)
    ends.near:abort()
    assert.equal("ECANCELED", select(2, neap.await(writer)))
    assert.is_true(neap.await(closer))
    assert.equal("ECONNRESET", select(3, ends.far:read "a"))
  end)

  it("by abort also ends a close that is under way", function()
    local ends <close> = pair()
    support.cancel(support.fill(ends.near))
    ends.near:close()
    local closer = support.start_waiting("wait_closed", ends.near.wait_closed, ends.near)
    ends.near:abort()
    ends.near:abort()
    assert.is_true(neap.await(closer))
  end)

  it("wakes its own reader, who sees the end", function()
    local ends <close> = pair()
    ends.near:write "rest"
    local reader = support.start_waiting("read", function() return ends.far:read("L", "l") end)
    neap.sleep(0.01)
    ends.far:close()
    assert.same({ "rest", nil, n = 2 }, table.pack(neap.await(reader)))
    assert.is_true(ends.far:at_eof())
  end)

  it("with unread data in the buffer completes", function()
    local ends <close> = pair()
    ends.near:write "one\ntwo\n"
    assert.equal("one", ends.far:read())
    ends.far:close()
    assert.is_true(ends.far:wait_closed())
  end)

  it("may be done twice, and in any state", function()
    local ends <close> = pair()
    ends.near:shutdown()
    assert.is_true(ends.near:close())
    assert.is_true(ends.near:close())
    ends.near:abort()
    assert.is_true(ends.near:wait_closed())
  end)

  it("comes with the end of its block, also by an error", function()
    local ends = pair()
    pcall(function()
      local near <close> = ends.near
      near:write "before"
      error "x"
    end)
    assert.is_true(ends.near:is_closing())
    assert.equal("before", ends.far:read "a")
    ends.far:close()
  end)

  it("comes when it is collected", function()
    local ends = pair()
    local far = ends.far
    ends.near:write "before"
    ends = nil
    collectgarbage()
    collectgarbage()
    assert.is_nil(ends)
    assert.equal("before", far:read "a")
    far:close()
  end)

  it("does not come while a task waits for it", function()
    local ends = pair()
    local far = ends.far
    local reader = support.start_waiting("read", function(stream) return stream:read() end, ends.near)
    ends = nil
    collectgarbage()
    collectgarbage()
    far:write "still there\n"
    assert.equal("still there", neap.await(reader))
    assert.is_nil(ends)
    far:close()
    reader = nil
    collectgarbage()
    assert.is_nil(reader)
  end)
end)

describe("misuse of a stream", function()
  -- Each call with good arguments.
  local CALLS = {
    read = { "l" }, lines = {}, readline = {}, readexactly = { 1 }, readuntil = { "x" }, read_some = { 1 },
    write = { "x" }, drain = {}, shutdown = {}, set_write_limits = { 10 }, local_address = {},
  }

  it("after its end is raised, and names the call and the caller's line", function()
    local ends <close> = pair()
    ends.near:close()
    for call, arguments in pairs(CALLS) do
      local err = raised(function()
        ends.near[call](ends.near, table.unpack(arguments))
      end)
      assert.matches("^%./spec/io/stream_spec%.lua:%d+: " .. call .. ": the stream is closed$",
        err:gsub("^spec", "./spec"), call)
    end
    local lines = pair()
    local next_line = lines.near:lines()
    lines.near:close()
    assert.matches("lines: the stream is closed", raised(next_line))
    lines.far:close()
  end)

  it("by a second reader is raised, and the first one goes on", function()
    local ends <close> = pair()
    local reader = support.start_waiting("readline", function() return ends.far:readline() end)
    for _, call in ipairs { "read", "readline", "readexactly", "readuntil", "read_some" } do
      assert.matches(call .. ": another task is reading from the stream",
        raised(ends.far[call], ends.far, table.unpack(CALLS[call])))
    end
    assert.matches("lines: another task is reading", raised(ends.far:lines()))
    ends.near:write "one\n"
    assert.equal("one\n", neap.await(reader))
  end)

  it("by a bad argument is raised in Lua's words", function()
    local ends <close> = pair()
    local far = ends.far
    local cases = {
      { "bad argument #1 to 'read' %(invalid format%)", function() far:read "x" end },
      { "bad argument #2 to 'read' %(invalid format%)", function() far:read("l", "") end },
      { "bad argument #1 to 'read' %(string expected, got table%)", function() far:read {} end },
      { "bad argument #1 to 'read' %(the number of bytes is too small%)", function() far:read(-1) end },
      { "bad argument #1 to 'read' %(number has no integer representation%)", function() far:read(1.5) end },
      { "bad argument #1 to 'lines' %(invalid format%)", function() far:lines "x" end },
      { "bad argument #1 to 'readexactly' %(number expected, got no value%)", function() far:readexactly() end },
      { "bad argument #1 to 'readexactly' %(the number of bytes is too small%)", function() far:readexactly(-1) end },
      { "bad argument #1 to 'read_some' %(the number of bytes is too small%)", function() far:read_some(0) end },
      { "bad argument #1 to 'readuntil' %(a separator is a string that is not empty%)",
        function() far:readuntil "" end },
      { "bad argument #1 to 'readuntil' %(string expected, got nil%)", function() far:readuntil(nil) end },
      { "bad argument #1 to 'readuntil' %(the list of separators is empty%)", function() far:readuntil {} end },
      { "bad argument #1 to 'readuntil' %(a separator is a string", function() far:readuntil { "x", 5 } end },
      { "bad argument #1 to 'write' %(string expected, got nil%)", function() far:write(nil) end },
      { "bad argument #2 to 'write' %(string expected, got table%)", function() far:write("x", {}) end },
      { "bad argument #1 to 'read' %(neap.Stream expected, got table%)", function() far.read {} end },
      { "bad argument #1 to '[%w.?]*' %(neap.Stream expected, got no value%)", function() far.close() end },
    }
    for _, case in ipairs(cases) do
      assert.matches("^[^:]*stream_spec%.lua:%d+: " .. case[1], raised(case[2]))
    end
    ends.near:write "x"
    assert.equal("x", far:read(1))
  end)

  it("by calling its finalizer ends it, and crashes nothing", function()
    local ends <close> = pair()
    local far = ends.far
    local reader = support.start_waiting("read", function() return far:read() end)
    local waiter = support.start_waiting("wait_closed", function() return far:wait_closed() end)
    far:__gc()
    far:__gc()
    assert.is_nil(neap.await(reader))
    assert.is_true(neap.await(waiter))
    for _, call in ipairs { "read", "close", "abort", "peer_address", "wait_closed", "__tostring" } do
      assert.matches("the stream was collected", raised(far[call], far))
    end
    ends.far = ends.near
  end)

  it("outside a task is raised, and nothing is sent", function()
    local ends <close> = pair()
    ends.far:write "text"
    local errors = {}
    local called = neap.Future()
    neap.get_running_loop():call_soon(function()
      errors[1] = select(2, pcall(ends.near.read, ends.near))
      errors[2] = select(2, pcall(ends.near.write, ends.near, "x"))
      errors[3] = select(2, pcall(ends.near.shutdown, ends.near))
      called:set_result()
    end)
    neap.await(called)
    for i, call in ipairs { "read", "write", "shutdown" } do
      assert.matches(call .. ": cannot wait outside a task", errors[i])
    end
    assert.equal("text", ends.near:read(4))
    ends.near:close()
    assert.equal("", ends.far:read "a")
  end)

  it("where Lua cannot yield is raised, and leaves nothing behind", function()
    local ends <close> = pair()
    local err = raised(table.sort, { 2, 1 }, function() return ends.near:read() end)
    assert.matches("read: cannot wait here: Lua cannot yield across table.sort", err)
    ends.far:write "one\n"
    assert.equal("one", ends.near:read())
  end)

  it("in a cancelled scope raises CancelledError and sends nothing", function()
    local ends <close> = pair()
    local scope = neap.CancelScope()
    scope:cancel()
    for _, call in ipairs { "write", "read", "drain", "shutdown", "wait_closed" } do
      local err = raised(ends.near[call], ends.near, table.unpack(CALLS[call] or {}))
      assert.is_true(neap.is(err, neap.CancelledError), call)
    end
    scope:close()
    ends.near:close()
    assert.equal("", ends.far:read "a")
  end)
end)

describe("a stream", function()
  it("tells its addresses, and what it is", function()
    local ends <close> = pair()
    local host, port = ends.near:peer_address()
    assert.equal("127.0.0.1", host)
    assert.same({ host, port }, { ends.far:local_address() })
    assert.same({ ends.near:local_address() }, { ends.far:peer_address() })
    assert.equal(("<Stream to 127.0.0.1:%d>"):format(port), tostring(ends.near))
    ends.near:close()
    assert.equal(("<Stream to 127.0.0.1:%d, closed>"):format(port), tostring(ends.near))
  end)

  it("that is idle does not keep a deadlock from being seen", function()
    local program = require "spec.support.program"
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      local server = assert(neap.start_server(function(stream) stream:read "a" end, "127.0.0.1", 0))
      local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
      stream:write "x"
      server:close()
      server:wait_closed()
      pcall(neap.move_on_after, 0.01, stream.read, stream, 10)
      neap.await(neap.Future())
    ]] }
    assert.matches("deadlock", result.stderr:lower())
    assert.equal(1, result.status)
  end)

  it("sends what is queued before the program ends", function()
    local program = require "spec.support.program"
    local listener = support.listen()
    local child = program.start { "env", "PORT=" .. select(2, listener:address()), program.neap, "-e", [[
      local neap = require "neap"
      local stream = assert(neap.open_connection("127.0.0.1", tonumber(os.getenv "PORT")))
      neap.move_on_after(0.05, stream.write, stream, ("x"):rep(20000000))
    ]] }
    local stream <close> = assert(listener:accept())
    listener:close()
    neap.sleep(0.2)
    local size = 0
    for part in function() return stream:read_some(1000000) end do size = size + #part end
    assert.equal(20000000, size)
    assert.equal(0, child:finish().status)
  end)

  it("that is collected unclosed warns in debug mode, and tells where it was made", function()
    local program = require "spec.support.program"
    local result = program.run { program.neap, "-W", "-e", [[
      local neap = require "neap"
      local server <close> = assert(neap.start_server(function(stream) stream:read "a" end, "127.0.0.1", 0))
      neap.get_running_loop():set_debug(true)
      neap.open_connection("127.0.0.1", server.port)
      collectgarbage() collectgarbage()
    ]] }
    assert.matches("the stream to 127.0.0.1:%d+, made at .-:4, was collected unclosed", result.stderr)
  end)
end)
