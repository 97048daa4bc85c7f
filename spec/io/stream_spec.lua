-- Streams as objects: how they end, what misuse is, and what they tell.
local neap = require "neap"
local support = require "spec.support.stream"

local pair <const>, raised <const> = support.pair, support.raised

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

  it("W7 by close sends what is queued first", function()
    local ends <close> = pair()
    support.cancel(support.fill(ends.near))
    local last = support.start_waiting("write", ends.near.write, ends.near, "last")
    assert.is_false(ends.near:is_closing())
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

  it("W10 wakes its own reader, who sees the end", function()
    local ends <close> = pair()
    ends.near:write "rest"
    local reader = support.start_waiting("read", function() return ends.far:read("L", "l") end)
    neap.sleep(0.01)
    ends.far:close()
    assert.same({ "rest", nil, n = 2 }, table.pack(neap.await(reader)))
    assert.is_true(ends.far:at_eof())
  end)

  it("W8 with unread data in the buffer completes", function()
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

  it("W11 comes when it is collected", function()
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

  it("W9 after its end is raised, and names the call and the caller's line", function()
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

  it("by calling its finalizer harms none of those who were woken and have not run yet", function()
    local ends <close> = pair()
    local far = ends.far
    far:set_write_limits(1 << 30)
    far:write(("x"):rep(20 << 20))
    local waiting = {}
    for i = 1, 3 do
      waiting[i] = support.start_waiting("shutdown", function()
        local _, _, code = far:shutdown()
        far:__gc()
        return code
      end)
    end
    far:abort()
    assert.same({ "ECANCELED", "ECANCELED", "ECANCELED", n = 3 }, neap.gather(waiting))
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

  it("W11 that is collected unclosed warns once in debug mode, and tells where it was made", function()
    local program = require "spec.support.program"
    local result = program.run { program.neap, "-W", "-e", [[
      local neap = require "neap"
      local server <close> = assert(neap.start_server(function(stream) stream:read "a" end, "127.0.0.1", 0))
      neap.get_running_loop():set_debug(true)
      neap.open_connection("127.0.0.1", server.port)
      collectgarbage() collectgarbage()
      neap.sleep(0)
      collectgarbage()
    ]] }
    local warning = "the stream to 127.0.0.1:%d+, made at .-:4, was collected unclosed"
    assert.equal(1, select(2, result.stderr:gsub(warning, "")), result.stderr)
  end)
end)
