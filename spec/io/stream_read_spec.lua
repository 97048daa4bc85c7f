-- Reading from streams, as from Lua's files and beyond, and the limit of a line.
local neap = require "neap"
local support = require "spec.support.stream"

local pair <const>, raised <const>, sent <const> = support.pair, support.raised, support.sent

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

  it("V5 V10 gives the same however the bytes were cut", function()
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

  it("V3 waits for a count, or the end", function()
    local ends <close> = pair()
    local reader = support.start_waiting("read", function() return ends.far:read(5, 2) end)
    support.send_pieces(ends.near, ends.far, { "ab", "cd" })
    assert.is_false(reader:done())
    ends.near:write "ef"
    ends.near:shutdown()
    assert.same({ "abcde", "f" }, { neap.await(reader) })
    assert.is_nil(ends.far:read(1))
  end)

  it("V2 asks with read(0) whether there is more", function()
    local ends <close> = pair()
    local reader = support.start_waiting("read", function() return ends.far:read(0) end)
    ends.near:write "x"
    assert.equal("", neap.await(reader))
    assert.equal("x", ends.far:read(1))
    ends.near:shutdown()
    assert.is_nil(ends.far:read(0))
  end)

  it("V3 gives with read_some what is there, at most so much", function()
    local ends <close> = pair()
    local reader = support.start_waiting("read_some", function() return ends.far:read_some(3) end)
    ends.near:write "abcdefgh"
    assert.equal("abc", neap.await(reader))
    assert.equal("de", ends.far:read_some(2))
    assert.equal("fgh", ends.far:read_some())
    ends.near:shutdown()
    assert.is_nil(ends.far:read_some(1))
  end)

  it("V1 does not take an empty write for an end", function()
    local ends <close> = pair()
    local reader = support.start_waiting("read_some", function() return ends.far:read_some() end)
    support.send_pieces(ends.near, ends.far, { "", "" })
    assert.is_true(support.waits(reader, "read_some"))
    assert.is_false(ends.far:at_eof())
    ends.near:write("", "x")
    assert.equal("x", neap.await(reader))
  end)

  it("V4 V9 gives nil at the end of what was empty, and then, too", function()
    local ends <close> = sent ""
    for _ = 1, 2 do
      assert.same({ n = 1 }, table.pack(ends.far:read(5)))
      assert.same({ n = 1 }, table.pack(ends.far:read "l"))
      assert.same({ n = 1 }, table.pack(ends.far:read "L"))
      assert.same({ n = 1 }, table.pack(ends.far:readline()))
      assert.same({ "", n = 1 }, table.pack(ends.far:read "a"))
    end
  end)

  it("V23 is at the end only when all was read", function()
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

  it("V8 returns the unfinished last line", function()
    local ends <close> = sent "one\ntwo"
    assert.equal("one\n", ends.far:readline())
    assert.equal("two", ends.far:readline())
    assert.is_nil(ends.far:readline())
  end)

  it("V26 iterates over lines, by any formats", function()
    local ends <close> = sent "one\ntwo\nthree"
    local lines = {}
    for line in ends.far:lines() do lines[#lines + 1] = line end
    assert.same({ "one", "two", "three" }, lines)
    local numbers <close> = sent "1 a\n2 b\n"
    local pairs_read = {}
    for number, rest in numbers.far:lines("n", "L") do pairs_read[#pairs_read + 1] = number .. rest end
    assert.same({ "1 a\n", "2 b\n" }, pairs_read)
  end)

  it("V7 does not suspend for what is in the buffer", function()
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

  it("V18 V19 V21 reads exactly so much, and keeps the rest", function()
    local ends <close> = sent "abcdef"
    assert.equal("", ends.far:readexactly(0))
    assert.matches("bad argument #1 to 'readexactly'", raised(function() ends.far:readexactly(-1) end))
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

  it("V19 waits for exactly so much", function()
    local ends <close> = pair()
    local reader = support.start_waiting("readexactly", function() return ends.far:readexactly(4) end)
    support.send_pieces(ends.near, ends.far, { "a", "bc" })
    assert.is_false(reader:done())
    ends.near:write "def"
    assert.equal("abcd", neap.await(reader))
    assert.equal("ef", ends.far:read(2))
  end)

  it("V12 reads up to a separator, and with it", function()
    local ends <close> = sent "key=value;;rest"
    assert.equal("key=", ends.far:readuntil "=")
    assert.equal("value;;", ends.far:readuntil ";;")
    local data, err = ends.far:readuntil ";;"
    assert.is_nil(data)
    assert.is_true(neap.is(err, neap.IncompleteReadError))
    assert.equal("rest", err.partial)
    assert.is_true(ends.far:at_eof())
  end)

  it("V15 takes of several separators the one that ends first", function()
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

  it("V13 finds a separator that came in pieces", function()
    local ends <close> = pair()
    local reader = support.start_waiting("readuntil", function() return ends.far:readuntil { "ababac", "#" } end)
    support.send_pieces(ends.near, ends.far, { "x", "aba", "ba", "bac", "rest" })
    assert.equal("xabababac", neap.await(reader))
    assert.equal("rest", ends.far:read(4))
  end)

  it("V17 finds a separator though another one is longer than all that has come", function()
    local ends <close> = pair()
    local long <const> = ("-"):rep(20) .. "end"
    local reader = support.start_waiting("readuntil", function() return ends.far:readuntil { long, "=##" } end)
    support.send_pieces(ends.near, ends.far, { "a", "=", "#", "##-" })
    assert.equal("a=##", neap.await(reader))
    reader = support.start_waiting("readuntil", function() return ends.far:readuntil { "=##", long } end)
    support.send_pieces(ends.near, ends.far, { "--", ("-"):rep(17), "e", "nd" })
    assert.equal("#" .. long, neap.await(reader))
  end)

  it("V17 finds no separator that begins in what was read already", function()
    local ends <close> = pair()
    local reader = support.start_waiting("readline", function() return ends.far:readline() end)
    support.send_pieces(ends.near, ends.far, { "ab", "cd" })
    support.cancel(reader)
    assert.equal("abc", ends.far:readexactly(3))
    reader = support.start_waiting("readuntil", function() return ends.far:readuntil { "abcde", "\n" } end)
    support.send_pieces(ends.near, ends.far, { "e", "f", "\n" })
    assert.equal("def\n", neap.await(reader))
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

  it("V14 V16 bounds readuntil, whether the separator is missing or too far off", function()
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

  it("V6 V20 bounds neither counts nor a whole stream", function()
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

describe("virtual time", function()
  it("does not jump while bytes arrive that wake nobody yet", function()
    local ends <close> = pair()
    local _ <close> = require("neap.testing").virtual_clock()
    local writer = neap.create_task(function()
      ends.near:write(("x"):rep(300000))
      ends.near:shutdown()
    end)
    do
      local limit <close> = neap.timeout(60)
      assert.equal(300000, #ends.far:read "a")
    end
    writer:await()
  end)
end)
