-- Channels within one state; between threads they are in thread_spec and stress_spec.
local neap = require "neap"
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"

local turns <const> = tasks.turns

local function filled(maxsize, ...)
  local channel = neap.Channel(maxsize)
  for _, value in ipairs { ... } do channel:send_nowait(value) end
  return channel
end

local function drain(channel)
  local values = {}
  while channel:qsize() > 0 do values[#values + 1] = channel:receive_nowait() end
  return values
end

-- Starts a task that receives, and lets it come to its wait.
local function receiver(channel)
  local task = neap.create_task(channel.receive, channel)
  neap.sleep(0)
  return task
end

local function sender(channel, ...)
  local task = neap.create_task(channel.send, channel, ...)
  neap.sleep(0)
  return task
end

local function raises(kind, text, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(neap.is(err, kind))
  assert.matches(text, tostring(err), 1, true)
end

describe("a channel", function()
  it("gives messages first in, first out, with all their values", function()
    local channel = filled(0, 1, 2)
    channel:send("x", nil, false)
    assert.same({ 1, 2 }, { channel:receive(), (channel:receive()) })
    assert.same({ "x", nil, false, n = 3 }, table.pack(channel:receive()))
  end)

  it("gives copies", function()
    local channel, t = neap.Channel(), { 1 }
    channel:send(t)
    t[1] = 2
    assert.same({ 1 }, (channel:receive()))
  end)

  it("makes senders wait while it is full, and serves them in turn", function()
    local channel, log = filled(2, "a", "b"), {}
    for _, value in ipairs { "c", "d" } do
      neap.create_task(function()
        channel:send(value)
        log[#log + 1] = value
      end)
    end
    turns(2)
    assert.equal("<Channel maxsize 2, messages 2, receivers 0, senders 2>", tostring(channel))
    assert.equal("a", (channel:receive()))
    turns(2)
    assert.same({ "c" }, log)
    assert.equal("b", (channel:receive()))
    turns(2)
    assert.same({ "c", "d" }, log)
    assert.same({ "c", "d" }, drain(channel))
  end)

  it("serves receivers in turn", function()
    local channel = neap.Channel()
    local first, second = receiver(channel), receiver(channel)
    channel:send_nowait(1)
    channel:send_nowait(2)
    assert.equal(1, first:await())
    assert.equal(2, second:await())
  end)

  it("does not wait where it is told not to", function()
    local channel = filled(1, 1)
    raises(neap.QueueFull, "send_nowait: the channel is full, with 1", channel.send_nowait, channel, 2)
    channel:receive_nowait()
    raises(neap.QueueEmpty, "receive_nowait: the channel is empty", channel.receive_nowait, channel)
  end)

  it("has a size that can be read", function()
    assert.equal(3, neap.Channel(3).maxsize)
    assert.equal(0, neap.Channel().maxsize)
    assert.equal(0, neap.Channel(-1).maxsize)
  end)

  it("takes no message that would look like its end", function()
    local channel = neap.Channel()
    assert.error_matches(function() channel:send(nil) end,
      "bad argument #1 to 'send' (the first value is nil, which would look like", 1, true)
    assert.error_matches(function() channel:send() end, "bad argument")
    assert.equal(0, channel:qsize())
  end)

  it("refuses what cannot be copied, with the place, and has sent nothing", function()
    local channel = neap.Channel()
    local co <const> = coroutine.create(print)
    local _, err = pcall(channel.send, channel, 1, { co })
    assert.matches("^spec/thread/channel_spec.lua:%d+: send: cannot copy a coroutine %(value 2, field '%[1%]'%)$", err)
    local full = filled(1, 1)
    local waiting = sender(full, co)
    assert.is_true(waiting:done())
    assert.matches("cannot copy a coroutine", waiting:exception(), 1, true)
    assert.same({ 1 }, drain(full))
    assert.equal(0, channel:qsize())
  end)

  it("goes through a channel, and is the same one", function()
    local channel = neap.Channel()
    channel:send(channel, { channel })
    local same, list = channel:receive()
    assert.equal(channel, same)
    assert.equal(channel, list[1])
  end)
end)

describe("closing a channel", function()
  it("leaves what is there, then nil for ever", function()
    local channel = filled(0, 1, 2)
    channel:close()
    channel:close()
    local got = {}
    for value in channel:messages() do got[#got + 1] = value end
    assert.same({ 1, 2 }, got)
    assert.is_nil((channel:receive()))
    assert.is_nil((channel:receive_nowait()))
    assert.is_true(channel:closed())
  end)

  it("ends those who wait", function()
    local empty, full = neap.Channel(), filled(1, 1)
    local receives, sends = receiver(empty), sender(full, 2)
    empty:close()
    full:close()
    assert.is_nil((receives:await()))
    raises(neap.QueueShutDown, "send: the channel is closed", sends.await, sends)
    assert.same({ 1 }, drain(full))
  end)

  it("makes senders raise", function()
    local channel = neap.Channel()
    channel:close()
    raises(neap.QueueShutDown, "send: the channel is closed", channel.send, channel, 1)
    raises(neap.QueueShutDown, "send_nowait: the channel is closed", channel.send_nowait, channel, 1)
  end)
end)

describe("a cancelled call", function()
  it("took no message", function()
    local channel = neap.Channel()
    local task = receiver(channel)
    task:cancel()
    channel:send(1)
    raises(neap.CancelledError, "cancelled", task.await, task)
    assert.same({ 1 }, drain(channel))
  end)

  it("has sent nothing", function()
    local channel = filled(1, 1)
    local task = sender(channel, 2)
    task:cancel()
    assert.equal(1, (channel:receive()))
    raises(neap.CancelledError, "cancelled", task.await, task)
    assert.equal(0, channel:qsize())
  end)

  it("returns what was handed to it before", function()
    local channel = neap.Channel()
    local task = receiver(channel)
    channel:send_nowait(1)
    task:cancel()
    turns(2)
    assert.is_true(task:done())
    assert.equal(0, channel:qsize())
  end)
end)

describe("a killed receiver", function()
  it("hands on what was handed to it, in order", function()
    local channel = neap.Channel()
    local killed = { receiver(channel), receiver(channel), receiver(channel) }
    for value = 1, 4 do channel:send_nowait(value) end
    for i = 1, 3 do killed[i]:kill() end
    assert.same({ 1, 2, 3, 4 }, drain(channel))
  end)

  it("hands it on to the next who waits", function()
    local channel = neap.Channel()
    local killed, next_one = receiver(channel), receiver(channel)
    channel:send_nowait(1)
    killed:kill()
    assert.equal(1, next_one:await())
  end)
end)

describe("waiting for nobody", function()
  it("in a channel that no other thread knows is a deadlock", function()
    local result = program.code 'local neap = require "neap" neap.Channel():receive()'
    assert.matches("deadlock.*waits in receive", result.stderr)
    assert.equal(1, result.status)
  end)

  it("is one too where the only other thread that knew it has ended", function()
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      local ch = neap.Channel()
      local early = neap.create_task(ch.receive, ch)
      local t = neap.thread(function() ch:send(1) end)
      print(early:await())
      print(pcall(t.join, t))
      print(pcall(ch.receive, ch))
      t = neap.thread(function()
        ch:send "begun"
        error "I fail"
      end)
      for _ in ch:messages() do end
    ]] }
    assert.equal(1, result.status)
    assert.matches("^1\ntrue\nfalse\tdeadlock.*waits in receive", result.stdout)
    assert.matches("deadlock.*waits in receive.*nobody read its error.*I fail", result.stderr)
  end)

  it("is none where another one still knows it", function()
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      local ch = neap.Channel()
      local first = neap.thread(function() return ch:qsize() end)
      local second = neap.thread(function()
        neap.sleep(0.1)
        ch:send "late"
      end)
      first:join()
      print(ch:receive())
    ]] }
    assert.equal("late\n", result.stdout)
    assert.equal(0, result.status)
  end)
end)
