-- What a message from one thread to another costs through a channel: one way, in a channel of 128 and in one
-- without a limit, and to and fro.
local neap = require "neap"
local meter = require "meter"

local TEXT <const> = ("x"):rep(64)

local function send_all(channel, n, message)
  for _ = 1, n do channel:send(message) end
end

local function receive_all(channel, n, message)
  for _ = 1, n do assert(channel:receive() == message) end
end

local function answer_all(there, back, n)
  for _ = 1, n do back:send(there:receive()) end
end

-- Runs `work` while another thread runs `other`; what that costs for each of the n.
local function cost(n, work, other, ...)
  local loop = neap.get_running_loop()
  local thread <const> = neap.thread(other, ...)
  local begin, cpu = loop:time(), meter.cpu_s()
  work()
  thread:join()
  return (loop:time() - begin) / n, (meter.cpu_s() - cpu) / n
end

local function one_way(name, capacity, n, message)
  local channel = neap.Channel(capacity)
  local s, cpu_s = cost(n, function() receive_all(channel, n, message) end, send_all, channel, n, message)
  meter.report(name .. "_ns", s * 1e9)
  meter.report(name .. "_cpu_ns", cpu_s * 1e9)
end

local function ping_pong(n)
  local there, back = neap.Channel(1), neap.Channel(1)
  local s, cpu_s = cost(n, function()
    for i = 1, n do
      there:send(i)
      assert(back:receive() == i)
    end
  end, answer_all, there, back, n)
  meter.report("channel_ping_us", s * 1e6)
  meter.report("channel_ping_cpu_us", cpu_s * 1e6)
end

one_way("channel_128", 128, meter.count(1000000), 1)
one_way("channel_128_text", 128, meter.count(1000000), TEXT)
one_way("channel_0", 0, meter.count(1000000), 1)
one_way("channel_0_text", 0, meter.count(1000000), TEXT)
ping_pong(meter.count(50000))
