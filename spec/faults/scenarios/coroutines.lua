-- Coroutines of the user's own that await.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const>, try <const> = scenario.start, scenario.raises, scenario.try

local function generate()
  for i = 1, 3 do
    neap.sleep(1)
    coroutine.yield(i)
  end
end

return {
  { name = "coroutines: a generator that awaits", run = function()
    local sum = 0
    for i in coroutine.wrap(generate) do sum = sum + i end
    assert(sum == 6)
  end },

  { name = "coroutines: resume and status", run = function()
    local co = coroutine.create(generate)
    local values = {}
    while true do
      local ok, value = coroutine.resume(co)
      if not ok then scenario.note(value) end
      assert(ok, value)
      if coroutine.status(co) == "dead" then break end
      values[#values + 1] = value
    end
    assert(table.concat(values) == "123")
  end },

  { name = "coroutines: an error through a wrap", run = function()
    local closed = 0
    raises("inside", coroutine.wrap(function()
      local _ <close> = scenario.closer(function() closed = closed + 1 end)
      neap.sleep(1)
      error "inside"
    end))
    assert(closed == 1 or scenario.told)
  end },

  { name = "coroutines: cancelled while parked", run = function()
    local closed = 0
    local task = start(function()
      coroutine.wrap(function()
        local _ <close> = scenario.closer(function() closed = closed + 1 end)
        local limit <close> = neap.timeout(20)
        neap.sleep(10)
      end)()
    end)
    task:cancel()
    raises(neap.CancelledError, neap.await, task)
    assert(closed == 1 or scenario.told)
  end },

  { name = "coroutines: killed and closed while parked", run = function()
    local closed, inner = 0, nil
    local task = start(function()
      inner = coroutine.create(function()
        local _ <close> = scenario.closer(function() closed = closed + 1 end)
        neap.sleep(10)
      end)
      assert(try(assert, coroutine.resume(inner)))
    end)
    neap.sleep(0)
    -- Refused: but what waits goes unmarked where there is no memory for the mark.
    if try(coroutine.close, inner) then scenario.told = scenario.told or "a coroutine that waits was closed" end
    assert(task:kill() and closed == 1)
    assert(coroutine.status(inner) == "dead")
  end },

  { name = "coroutines: nested, with scopes of their own", run = function()
    local outer = coroutine.wrap(function()
      local limit <close> = neap.timeout(50)
      for i in coroutine.wrap(generate) do
        local inner <close> = neap.timeout(5)
        neap.sleep(1)
        coroutine.yield(i)
      end
    end)
    local sum = 0
    for i in outer do
      neap.sleep(7)
      sum = sum + i
    end
    assert(sum == 6)
  end },

  { name = "coroutines: awaited, and made into tasks", run = function()
    local function twice()
      coroutine.yield()
      neap.sleep(1)
      coroutine.yield()
      return "ended"
    end
    assert(neap.await(coroutine.create(twice)) == "ended")
    assert(neap.create_task(coroutine.create(twice)):await() == "ended")
    local task = start(coroutine.create(twice))
    task:cancel()
    raises(neap.CancelledError, neap.await, task)
  end },

  { name = "coroutines: closed between two values", run = function()
    local closed = 0
    local co = coroutine.create(function()
      local _ <close> = scenario.closer(function() closed = closed + 1 end)
      local limit <close> = neap.timeout(5)
      coroutine.yield(1)
    end)
    local ok, err = coroutine.resume(co)
    if not ok then scenario.note(err) end
    assert(ok, err)
    assert(coroutine.close(co) and closed == 1)
    neap.sleep(10)
  end },

  { name = "coroutines: awaits where Lua cannot yield", run = function()
    raises("cannot wait here", table.sort, { 3, 2, 1 }, function(a, b)
      neap.sleep(1)
      return a < b
    end)
    raises("cannot wait here", string.gsub, "abc", "%w", function() neap.sleep(1) end)
    local ok = try(setmetatable({}, { __index = function(_, key)
      neap.sleep(1)
      return key
    end }).x)
    assert(not ok)
    neap.sleep(1)
  end },

  { name = "coroutines: a task's own, got by running", run = function()
    local task = start(function()
      local own = coroutine.running()
      neap.sleep(1)
      return own
    end)
    assert(coroutine.status(task:await()) == "dead")
  end },

  { name = "iterators, metamethods and pcalls that await", run = function()
    local slow = setmetatable({}, {
      __index = function(_, key)
        neap.sleep(1)
        return key
      end,
      __call = function(_, value)
        neap.sleep(1)
        return value
      end,
    })
    local function iterate()
      return function(_, i)
        neap.sleep(1)
        if i < 3 then return i + 1 end
      end, nil, 0
    end
    local sum = 0
    for i in iterate() do sum = sum + i end
    assert(sum == 6 and slow.key == "key" and slow(5) == 5)
    local ok, value = try(pcall, slow, 7)
    if not value then scenario.note(select(3, try(pcall, slow, 7))) end
    assert(ok)
  end },
}
