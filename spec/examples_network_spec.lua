-- examples/chat.lua and examples/forward.lua as servers, among clients that do not behave.
local neap = require "neap"
local program = require "spec.support.program"

-- Runs an example that says on its first line what it listens on, and then fn(process, port).
local function serve(words, fn)
  words.stdout, words.stderr = "pipe", "stdout"
  local limit <close> = neap.timeout(20)
  local process <close> = assert(neap.subprocess.exec(words))
  return fn(process, tonumber(process.stdout:read("l"):match "^listening on.- (%d+)$"))
end

local function connect(port)
  return assert(neap.open_connection("127.0.0.1", port))
end

describe("examples/chat.lua", function()
  local function serve_chat(fn)
    return serve({ program.neap, "examples/chat.lua", "0" }, fn)
  end

  local function come(port, name)
    local stream = connect(port)
    stream:write(name, "\n")
    assert.equal("your name?", stream:read "l")
    assert.matches("^here are: .*" .. name, stream:read "l")
    return stream
  end

  it("shows the door to a member that does not read, and nobody else waits for it", function()
    serve_chat(function(_, port)
      local sloth <close> = come(port, "sloth")
      local ann <close> = come(port, "ann")
      local bob <close> = come(port, "bob")
      assert.equal("bob has come", ann:read "l")
      local line
      repeat
        ann:write(("baa"):rep(20000), "\n")
        line = bob:read "l"
      until not line:find "^ann: "
      assert.equal("sloth was too slow", line)
      assert.is_nil((sloth:read "a"))
    end)
  end)

  -- Tells it to end, which it does without a word once `ann`, the last member, has left.
  local function assert_ends(process, port, ann)
    process:terminate()
    assert.equal("the room closes in 5 s", ann:read "l")
    assert.is_nil((neap.open_connection("127.0.0.1", port)))
    ann:write "/quit\n"
    assert.is_nil((ann:read "l"))
    assert.equal("", process.stdout:read "a")
    assert.equal(0, process:wait())
  end

  it("ends when it is told to and the members have left", function()
    serve_chat(function(process, port)
      local ann <close> = come(port, "ann")
      assert_ends(process, port, ann)
    end)
  end)

  it("goes on when a member's connection is reset", function()
    serve_chat(function(process, port)
      local ann <close> = come(port, "ann")
      local bob = come(port, "bob")
      assert.equal("bob has come", ann:read "l")
      bob:abort()
      assert.equal("bob has left", ann:read "l")
      assert_ends(process, port, ann)
    end)
  end)
end)

describe("examples/forward.lua", function()
  -- A server with that handler, and the example between it and fn(port).
  local function forward(handler, fn)
    local target <close> = assert(neap.start_server(handler, "127.0.0.1", 0))
    serve({ program.neap, "examples/forward.lua", "0", "127.0.0.1", target.port }, function(_, port) fn(port) end)
  end

  it("passes on the end of one side while the other one goes on", function()
    local heard = neap.Future()
    forward(function(stream)
      stream:write "first\n"
      stream:shutdown()
      heard:set_result(stream:read "a")
    end, function(port)
      local stream <close> = connect(port)
      assert.equal("first\n", stream:read "a")
      stream:write "second\n"
      stream:shutdown()
      assert.equal("second\n", heard:await())
    end)
  end)

  it("passes on a reset, from either side", function()
    local waiting, heard = neap.Event(), neap.Future()
    forward(function(stream)
      if stream:read "l" == "reset me" then return stream:abort() end
      waiting:set()
      heard:set_result(select(3, stream:read "l"))
    end, function(port)
      local reset <close> = connect(port)
      reset:write "reset me\n"
      assert.equal("ECONNRESET", select(3, reset:read "l"))
      local resetting = connect(port)
      resetting:write "wait\n"
      waiting:wait()
      resetting:abort()
      assert.equal("ECONNRESET", heard:await())
    end)
  end)
end)
