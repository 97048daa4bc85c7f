-- Copies of values, and channels. Whatever fails, a message is received once, or is still there.
local core = require "neap.core"
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, try <const>, raises <const> = scenario.start, scenario.try, scenario.raises

-- What was told to be sent, and how often each message came.
local channel, sent, got

local function use(new_channel)
  channel, sent, got = new_channel, {}, {}
end

use(neap.Channel())

local function send_all(first, last, method)
  for i = first, last do got[i] = 0 end
  for i = first, last do
    sent[i] = false
    channel[method](channel, i, { i })
    sent[i] = true
  end
end

-- A message that was taken, but could not be unpacked for want of memory, is gone, and that was told.
local function receive()
  local i, list = channel:receive()
  if i == nil then return nil end
  assert(list[1] == i)
  got[i] = got[i] + 1
  return i
end

local function nothing_is_doubled()
  while channel:qsize() > 0 do
    local i = channel:receive_nowait()
    got[i] = got[i] + 1
  end
  for i, was_sent in pairs(sent) do
    assert(got[i] <= 1, ("message %d came %d times"):format(i, got[i]))
    assert(got[i] == 1 or not was_sent or scenario.told, ("message %d did not come"):format(i))
  end
end

return {
  { name = "copy: tables, functions and long strings", run = function()
    local shared, n = { "x" }, 0
    local function count() n = n + 1 return n end
    local copy = core.copied({ shared, shared, name = ("s"):rep(5000), count = count, kind = neap.TimeoutError "late" })
    assert(copy[1] == copy[2] and copy[1] ~= shared and #copy.name == 5000)
    assert(copy.count() == 1 and n == 0)
    assert(neap.is(copy.kind, neap.TimeoutError))
  end },

  { name = "copy: what cannot be copied", run = function()
    local co = coroutine.create(print)
    raises("cannot copy a coroutine (argument 1, field 'a.b[1]', upvalue 'co')", core.copied,
      { a = { b = { function() return co end } } })
  end },

  { name = "Channel: first in, first out", after = nothing_is_doubled, run = function()
    use(neap.Channel())
    send_all(1, 3, "send")
    for _ = 1, 3 do receive() end
  end },

  { name = "Channel: senders and receivers wait", after = nothing_is_doubled, run = function()
    use(neap.Channel(1))
    local sender = start(send_all, 1, 4, "send")
    for _ = 1, 4 do receive() end
    sender:await()
    local receiver = start(receive)
    send_all(5, 5, "send_nowait")
    receiver:await()
  end },

  { name = "Channel: cancelled, killed and closed", after = nothing_is_doubled, run = function()
    use(neap.Channel(1))
    local cancelled, killed = start(receive), start(receive)
    cancelled:cancel()
    try(cancelled.await, cancelled)
    send_all(1, 1, "send")
    killed:kill()
    receive()
    channel:close()
    raises(neap.QueueShutDown, channel.send, channel, 1)
    assert(receive() == nil)
  end },

  { name = "Channel: sent through itself", run = function()
    local new = neap.Channel()
    new:send(new)
    assert(new:receive() == new)
  end },
}
