-- Writing to streams, with backpressure, and what both sides hear of a peer that resets.
local neap = require "neap"
local support = require "spec.support.stream"

local pair <const>, raised <const> = support.pair, support.raised

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

  it("W39 follows the limits that are set", function()
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

  it("W6 reports a peer that has gone away", function()
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
  it("V11 V22 V24 W2 is told to a reader that waits, and to the next ones, behind what had arrived", function()
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

  it("V25 after the reader was cancelled is told to the next one", function()
    local ends <close> = pair()
    support.cancel(support.start_waiting("readline", function() return ends.far:readline() end))
    ends.near:abort()
    neap.sleep(0.01)
    assert.equal("ECONNRESET", select(3, ends.far:readline()))
  end)
end)
