-- Error objects, and programs.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local raises <const> = scenario.raises

return {
  { name = "errors: kinds", run = function()
    local err = neap.TimeoutError "too late"
    assert(neap.is(err, neap.TimeoutError) and neap.is(err, neap.Error))
    assert(not neap.is(err, neap.CancelledError) and tostring(err) == "too late")
    assert(raises(neap.TimeoutError, error, err) == err or scenario.told)
    raises(neap.Error, neap.await, neap.create_task(error, neap.InvalidStateError "odd"))
  end },

  { name = "errors: values of every sort", run = function()
    for _, value in ipairs { 1, true, "text", {}, print } do
      local ok, err = scenario.try(neap.await, neap.create_task(error, value))
      assert(not ok and err == value)
    end
    local ok = scenario.try(neap.await, neap.create_task(error, nil))
    assert(not ok)
    raises("an object", neap.await, neap.create_task(error, setmetatable({}, {
      __tostring = function() return "an object" end,
    })))
  end },

  { name = "errors: from a close", run = function()
    local task = neap.create_task(function()
      local _ <close> = scenario.closer(function()
        neap.sleep(1)
        error "from the close"
      end)
      error "from the body"
    end)
    raises("from the close", neap.await, task)
  end },

  { name = "free: tasks, timers and errors that are left", frees = true, run = function()
    for i = 1, 5 do
      neap.create_task(function()
        local limit <close> = neap.timeout(100)
        local _ <close> = scenario.closer(function() neap.create_task(neap.sleep, 1) end)
        neap.sleep(10 * i)
      end)
    end
    neap.get_event_loop():call_later(10, print)
    neap.create_task(error, "never read")
    neap.create_task(function()
      coroutine.wrap(function()
        local _ <close> = scenario.closer(function() error "in a close" end)
        neap.sleep(10)
      end)()
    end)
    neap.sleep(1)
  end },

  { name = "free: connections that are left", frees = true, run = function()
    local server = assert(neap.start_server(function(stream)
      stream:write "hello\n"
      stream:read "a"
    end, "127.0.0.1", 0))
    local streams = {}
    for i = 1, 3 do
      streams[i] = assert(neap.open_connection("127.0.0.1", server.port))
      assert(streams[i]:read "l" == "hello")
    end
    neap.create_task(function() streams[1]:read "a" end)
    streams[2]:write(("x"):rep(100000))
    neap.sleep(0)
  end },
}
