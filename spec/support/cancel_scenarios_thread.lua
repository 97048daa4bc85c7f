-- Calls of channels and threads that wait, for spec.support.cancel_matrix.
local assert = require "luassert"
local neap = require "neap"

local scenarios = {}

-- A task that calls fn(...) after so many seconds.
local function at(seconds, fn, ...)
  return neap.create_task(function(...)
    neap.sleep(seconds)
    fn(...)
  end, ...)
end

local function await_all(tasks)
  for _, task in ipairs(tasks) do task:await() end
end

-- --- channels ---

local function drain(channel, list)
  while channel:qsize() > 0 do list[#list + 1] = channel:receive_nowait() end
  return list
end

-- What the task got, and then what is left, is what was sent, in order.
scenarios["Channel:receive"] = {
  make = function()
    local channel, got, senders = neap.Channel(), {}, {}
    for i = 1, 2 do senders[i] = at(i, channel.send, channel, i) end
    return {
      wait = function() for _ = 1, 2 do got[#got + 1] = channel:receive() end end,
      intact = function()
        await_all(senders)
        assert.same({ 1, 2 }, drain(channel, got))
        assert.matches("receivers 0", tostring(channel))
      end,
    }
  end,
}

scenarios["Channel:receive, until the end"] = {
  of = { "Channel:receive" },
  make = function()
    local channel = neap.Channel()
    local closer = at(1, channel.close, channel)
    return {
      wait = function() assert.is_nil((channel:receive())) end,
      intact = function() closer:await() end,
    }
  end,
}

-- The channel is full; each second it has room for one more.
scenarios["Channel:send"] = {
  make = function()
    local channel, returned, taken, takers = neap.Channel(1), 1, {}, {}
    channel:send_nowait(1)
    for i = 1, 2 do
      takers[i] = at(i, function() if channel:qsize() > 0 then taken[#taken + 1] = channel:receive_nowait() end end)
    end
    return {
      wait = function()
        for i = 2, 3 do
          channel:send(i)
          returned = i
        end
      end,
      intact = function(cell)
        await_all(takers)
        drain(channel, taken)
        if not cell.killed then assert.equal(returned, #taken) end -- a send that was killed may have happened
        assert.is_true(#taken == returned or #taken == returned + 1)
        assert.same({ table.unpack({ 1, 2, 3 }, 1, #taken) }, taken)
        assert.matches("senders 0", tostring(channel))
      end,
    }
  end,
}

scenarios["Channel:send, until the end"] = {
  of = { "Channel:send" },
  make = function()
    local channel = neap.Channel(1)
    channel:send_nowait(1)
    local closer = at(1, channel.close, channel)
    return {
      wait = function()
        local ok, err = pcall(channel.send, channel, 2)
        if ok or not neap.is(err, neap.QueueShutDown) then error(err, 0) end
      end,
      intact = function()
        closer:await()
        assert.same({ 1 }, drain(channel, {}))
      end,
    }
  end,
}

-- --- threads: in real time ---

scenarios["Thread:join"] = {
  real = true,
  make = function()
    local go = neap.Channel()
    local thread = neap.thread(function() return go:receive() end)
    local sender = neap.create_task(function() for _ = 1, 4 do neap.sleep(0) end go:send "moon" end)
    return {
      wait = function() assert.equal("moon", thread:join()) end,
      intact = function()
        sender:await()
        assert.equal("moon", thread:join())
      end,
    }
  end,
}

local function job_scene(wait)
  local go = neap.Channel()
  local sender = neap.create_task(function() for _ = 1, 4 do neap.sleep(0) end go:send "moon" end)
  return {
    wait = function() assert.equal("moon", wait(function() return (go:receive()) end)) end,
    intact = function()
      sender:await()
      go:close()
    end,
  }
end

scenarios["neap.to_thread"] = {
  real = true,
  of = { "neap.to_thread", "Job:await" },
  make = function() return job_scene(neap.to_thread) end,
}

return scenarios
