-- Signals: listeners, waits, handlers of the loop.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local raises <const>, done <const>, limited <const> = scenario.raises, scenario.done, scenario.limited

local signal <const> = neap.signal

-- Looked up when it is used: each injection is a process of its own.
local function pid()
  local file <close> = assert(io.open("/proc/self/stat", "r"))
  return file:read "n"
end

return {
  { name = "signals: a listener hears them", run = limited(function()
    local me <const> = pid()
    local listener <close> = done(signal.listen("SIGUSR1", "SIGUSR2", "SIGRTMIN+1"))
    done(signal.send(me, "SIGUSR2"))
    assert(listener:next() == "SIGUSR2")
    for _ = 1, 3 do done(signal.send(me, "SIGRTMIN+1")) end
    local count = 0
    for name in listener:signals() do
      assert(name == "SIGRTMIN+1")
      count = count + 1
      if count == 3 then break end
    end
  end) },

  { name = "signals: one is waited for", run = limited(function()
    local me <const> = pid()
    local guard <close> = done(signal.listen "SIGUSR1")
    local task = neap.create_task(function() return done(signal.wait("SIGUSR1", "SIGUSR2")) end)
    neap.sleep(0)
    done(signal.send(me, "SIGUSR1"))
    assert(task:await() == "SIGUSR1")
  end) },

  { name = "signals: a handler is called", run = limited(function()
    local me <const> = pid()
    local guard <close> = done(signal.listen "SIGUSR1")
    local loop, called = neap.get_running_loop(), neap.Event()
    done(loop:add_signal_handler("SIGUSR1", function(event) event:set() end, called))
    done(signal.send(me, "SIGUSR1"))
    called:wait()
    assert(loop:remove_signal_handler "SIGUSR1")
  end), after = function() neap.get_running_loop():remove_signal_handler "SIGUSR1" end },

  { name = "signals: what is wrong is told", run = limited(function()
    raises("cannot be caught", signal.wait, "SIGKILL")
    raises("there is no signal", signal.listen, "SIGMOON")
    local ok, err = signal.send(0x3fffffff, "SIGINT")
    assert(ok == nil and tostring(err))
  end) },
}
