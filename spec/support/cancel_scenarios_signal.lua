-- Calls that wait for signals, for spec.support.cancel_matrix. In real time; the signal comes after some turns.
local assert = require "luassert"
local neap = require "neap"
local process = require "spec.support.process"

local signal <const> = neap.signal
local scenarios = {}

local TURNS <const> = 4

local function send_soon(name)
  return neap.create_task(function()
    for _ = 1, TURNS do neap.sleep(0) end
    assert(signal.send(process.pid, name))
  end)
end

scenarios["signal.wait"] = {
  real = true,
  make = function()
    local witness = signal.listen "SIGUSR2" -- so that the signal finds somebody in any case
    local sender = send_soon "SIGUSR2"
    return {
      wait = function() assert.equal("SIGUSR2", signal.wait("SIGUSR1", "SIGUSR2")) end,
      intact = function()
        sender:await()
        assert.equal("SIGUSR2", witness:next())
        assert.is_false(process.catches(10))
      end,
      close = function() witness:close() end,
    }
  end,
}

-- Each signal that came is told once, to the call that was cancelled or to the next one.
local function listener_scene(next_of)
  local listener, got = signal.listen "SIGUSR1", nil
  local sender = send_soon "SIGUSR1"
  return {
    wait = function() got = next_of(listener) end,
    intact = function()
      sender:await()
      assert.equal("SIGUSR1", got or listener:next())
    end,
    close = function() listener:close() end,
  }
end

scenarios["SignalListener:next"] = {
  real = true,
  make = function() return listener_scene(function(listener) return listener:next() end) end,
}

scenarios["a signal that has come"] = {
  of = { "SignalListener:next" },
  real = true,
  make = function()
    local listener, got = signal.listen "SIGUSR1", 0
    return {
      wait = function()
        assert(signal.send(process.pid, "SIGUSR1"))
        local witness <close> = signal.listen "SIGUSR2"
        assert(signal.send(process.pid, "SIGUSR2"))
        witness:next()
        assert.equal("SIGUSR1", listener:next())
        got = got + 1
      end,
      close = function() listener:close() end,
    }
  end,
}

scenarios["for name in listener:signals()"] = {
  of = { "SignalListener:next" },
  real = true,
  make = function()
    return listener_scene(function(listener)
      local next_signal, state = listener:signals()
      return next_signal(state)
    end)
  end,
}

return scenarios
