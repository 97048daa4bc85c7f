-- What nobody closes is closed by the collector, which finalizes nothing while there is no memory to call that.
local neap = require "neap"
local scenario = require "spec.faults.scenario"
local support = require "spec.support.stream"

-- In want of memory each string is an emergency collection, which takes the spare call frames away.
local function collect()
  for i = 1, 5 do pcall(string.rep, "x", 100 + i) end
  collectgarbage "step"
  collectgarbage()
end

return {
  { name = "collected: a generator inside a time limit", run = function()
    do
      local generator = coroutine.wrap(function()
        local limit <close> = neap.timeout(5)
        local inner <close> = neap.timeout(10)
        coroutine.yield(1)
      end)
      assert(generator() == 1)
    end
    collect()
    neap.sleep(20)
  end },

  { name = "collected: streams and a listener", run = function()
    do
      local pair = support.pair()
      scenario.done(pair.far:write "unread")
      neap.sleep(0.1)
      local listener = support.listen()
      assert(listener:address())
    end
    collect()
    neap.sleep(0.1)
    neap.create_task(neap.sleep, 1):await()
  end },

  { name = "collected: a server's connection", run = function()
    local server <close> = scenario.done(neap.start_server(function(stream)
      local line, err = stream:read "l"
      if not line and err then scenario.note(err) end
    end, "127.0.0.1", 0))
    do
      local stream = scenario.done(neap.open_connection("127.0.0.1", server.port))
      stream:write "half a line"
    end
    collect()
    neap.sleep(1)
  end },
}
