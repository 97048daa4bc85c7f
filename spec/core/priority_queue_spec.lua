-- Priority queues: their order, and comparisons that fail or misbehave.
local neap = require "neap"
local tasks = require "spec.support.tasks"

local turns <const> = tasks.turns

local function filled(maxsize, before, ...)
  local queue = neap.PriorityQueue(maxsize, before)
  for _, item in ipairs { ... } do queue:put_nowait(item) end
  return queue
end

local function drain(queue)
  local items = {}
  while not queue:empty() do items[#items + 1] = queue:get_nowait() end
  return items
end

local function greater(a, b) return a > b end

describe("a priority queue", function()
  it("S4 gives the lowest item first", function()
    assert.same({ 1, 2, 3 }, drain(filled(nil, nil, 1, 3, 2)))
    assert.same({ "ape", "bee", "cat" }, drain(filled(nil, nil, "cat", "ape", "bee")))
  end)

  it("S4 gives equal items in the order in which they came", function()
    math.randomseed(5)
    local queue, count, number = neap.PriorityQueue(), 0, 0
    local left = {}
    local function take()
      local priority, n = table.unpack(queue:get())
      for i, item in ipairs(left) do
        assert(item[1] > priority or (item[1] == priority and item[2] >= n), "out of order")
        if item[2] == n then number = i end
      end
      table.remove(left, number)
    end
    for _ = 1, 400 do
      if math.random(3) > 1 then
        count = count + 1
        local item = { math.random(5), count }
        left[#left + 1] = item
        queue:put(item)
      elseif #left > 0 then
        take()
      end
    end
    while #left > 0 do take() end
    assert.is_true(queue:empty())
  end)

  it("S4 compares tables by their first element, or by their own __lt", function()
    local queue = filled(nil, nil, { 2, "b" }, { 1, "a" }, { 2, "c" }, { 1.5 })
    assert.equal("a", queue:get()[2])
    assert.equal(1.5, queue:get()[1])
    assert.equal("b", queue:get()[2])
    assert.equal("c", queue:get()[2])
    local job = { __lt = function(a, b) return a.rank < b.rank end }
    queue = filled(nil, nil, setmetatable({ rank = 2 }, job), setmetatable({ rank = 1 }, job))
    assert.equal(1, queue:get().rank)
    assert.equal(2, queue:get().rank)
  end)

  it("S4 takes a function that says what comes first", function()
    assert.same({ 3, 2, 1 }, drain(filled(nil, greater, 1, 3, 2)))
    assert.same({ 1, 3, 2 }, drain(filled(nil, function() return false end, 1, 3, 2))) -- all are equal
    local by_length = function(a, b) return #a < #b end
    assert.same({ "a", "bb", "ccc" }, drain(filled(0, by_length, "ccc", "a", "bb")))
  end)

  it("does not lose an item to a comparison that makes no sense", function()
    for seed = 1, 5 do
      math.randomseed(seed)
      local queue, seen = neap.PriorityQueue(0, function() return math.random(2) == 1 end), {}
      for i = 1, 100 do queue:put(i) end
      for _, item in ipairs(drain(queue)) do seen[item] = true end
      assert.equal(100, #seen)
    end
    local nan = 0 / 0
    assert.equal(4, #drain(filled(nil, nil, 1, nan, 2, nan)))
  end)

  it("takes nil and false where the function can compare them", function()
    local function rank(item) return item == nil and 0 or item == false and 1 or 2 end
    local queue = neap.PriorityQueue(0, function(a, b) return rank(a) < rank(b) end)
    queue:put(true)
    queue:put(false)
    queue:put(nil)
    assert.equal(3, queue:qsize())
    assert.is_nil(queue:get())
    assert.is_false(queue:get())
    assert.is_true(queue:get())
  end)

  it("S5 admits those who wait to put in their order; their items take their own places", function()
    local queue = filled(2, nil, 5, 6)
    local started = {}
    for i, item in ipairs { 9, 1, 7 } do started[i] = tasks.start(queue.put, queue, item) end
    for _, expected in ipairs { 5, 6, 1, 7, 9 } do -- after the 5 the 9 comes in, after the 6 the 1
      assert.equal(expected, queue:get())
      turns()
    end
    for _, task in ipairs(started) do task:await() end
  end)

  it("gives all items, each once, to getters who wait", function()
    for _, items in ipairs { { 3, 1, 2 }, { 1, 2, 3 }, { 3, 2, 1 } } do
      local queue, got, started = neap.PriorityQueue(), {}, {}
      for i = 1, 3 do
        started[i] = neap.create_task(function()
          local item = queue:get()
          got[#got + 1] = item
        end)
      end
      turns(1)
      for _, item in ipairs(items) do queue:put_nowait(item) end
      assert.equal(0, queue:qsize())
      for _, task in ipairs(started) do task:await() end
      table.sort(got)
      assert.same({ 1, 2, 3 }, got)
    end
  end)

  it("raises what a comparison raised in the one who puts, by identity, and is as before", function()
    local wolf = {}
    local queue = filled(nil, function() error(wolf) end, 1)
    for _, call in ipairs { "put", "put_nowait" } do
      local ok, err = pcall(queue[call], queue, 2)
      assert.is_false(ok)
      assert.equal(wolf, err)
      assert.equal("<PriorityQueue maxsize 0, items 1, unfinished 1, getters 0, putters 0>", tostring(queue))
    end
    assert.equal(1, queue:get())
  end)

  it("raises what items that cannot be compared raise, and is as before", function()
    for wrong, kind in pairs { text = "string", [{}] = "nil", [{ "text" }] = "string", [false] = "boolean" } do
      local queue = filled(nil, nil, 2, 1, 3)
      local ok, err = pcall(function() queue:put(wrong) end)
      assert.is_false(ok)
      assert.matches("priority_queue_spec.lua:%d+: a priority queue cannot compare", err)
      assert.matches(("cannot compare a %s with a number"):format(kind), err, 1, true)
      assert.same({ 1, 2, 3 }, drain(queue))
    end
    local queue = filled(nil, nil, "alone")
    assert.equal("alone", queue:get())
    queue:put(1) -- nothing is left to compare it with
    assert.is_false(pcall(queue.put, queue, nil))
  end)

  it("raises in the waiting putter, not in the getter, what his item raised when it was compared", function()
    for _, how in ipairs { "get", "get_nowait" } do
      local queue = filled(2, nil, 1, 2)
      local wrong = tasks.start(queue.put, queue, "text")
      local right = tasks.start(queue.put, queue, 0)
      assert.equal(1, queue[how](queue))
      local ok, err = pcall(wrong.await, wrong)
      assert.is_false(ok)
      assert.matches("cannot compare a string with a number", err, 1, true)
      right:await() -- the room went to the next one
      assert.matches("unfinished 3,", tostring(queue), 1, true)
      assert.same({ 0, 2 }, drain(queue))
    end
  end)

  it("raises it by identity there too, and the one who took an item in a callback sees nothing of it", function()
    local wolf, item, angry = {}, nil, false
    local queue = filled(2, function(a, b)
      if angry then error(wolf) end
      return a < b
    end, 1, 2)
    local putter = tasks.start(queue.put, queue, 3)
    neap.get_running_loop():call_soon(function()
      item = queue:get_nowait()
      angry = true
    end)
    local ok, err = pcall(putter.await, putter)
    angry = false
    assert.is_false(ok)
    assert.equal(wolf, err)
    assert.equal(1, item)
    assert.same({ 2 }, drain(queue))
  end)

  it("promises the room that is made to the one who waits: strangers find it full, he puts when he runs", function()
    local queue = filled(1, nil, 1)
    local putter = tasks.start(queue.put, queue, 2)
    assert.equal(1, queue:get())
    assert.is_true(queue:full())
    tasks.raises(neap.QueueFull, queue.put_nowait, queue, 3)
    tasks.raises(neap.QueueEmpty, queue.get_nowait, queue)
    putter:cancel() -- too late: it is under way
    assert.equal(2, queue:get())
    pcall(putter.await, putter)
    assert.is_false(queue:full())
  end)

  it("gives the promised room to the next when the one it was promised to is killed, or to anyone", function()
    local queue = filled(1, nil, 1)
    local first = tasks.start(queue.put, queue, 2)
    local second = tasks.start(queue.put, queue, 3)
    assert.equal(1, queue:get())
    first:kill()
    assert.equal(3, queue:get())
    second:await()
    queue:put(4)
    local third = tasks.start(queue.put, queue, 5)
    queue:get()
    third:kill()
    assert.is_false(queue:full())
    queue:put_nowait(6)
    assert.same({ 6 }, drain(queue))
  end)

  it("that is shut down keeps no promise: the one who waits to put raises, and has put nothing", function()
    local queue = filled(1, nil, 1)
    local putter = tasks.start(queue.put, queue, 2)
    queue:get()
    queue:task_done()
    queue:shutdown()
    tasks.raises(neap.QueueShutDown, putter.await, putter)
    assert.is_true(queue:empty())
    queue:join()
  end)

  -- A comparison that ends, or uses, what waits in the queue, while a waiting item is compared or another is taken.
  for name, act in pairs {
    ["cancels the putter who waits"] = function(_, putter) putter:cancel() end,
    ["kills the putter who waits"] = function(_, putter)
      if putter ~= neap.current_task() then putter:kill() end
    end,
    ["shuts it down"] = function(queue) queue:shutdown() end,
    ["takes from it"] = function(queue) pcall(queue.get_nowait, queue) end,
  } do
    for _, when in ipairs { "while an item is taken", "while his item is put" } do
      it(("holds against a comparison that %s, %s"):format(name, when), function()
        local queue, putter, armed
        queue = neap.PriorityQueue(3, function(a, b)
          if armed then
            armed = false
            act(queue, putter)
          end
          return a < b
        end)
        for _, item in ipairs { 1, 2, 3 } do queue:put(item) end
        putter = tasks.start(queue.put, queue, 4)
        if when == "while an item is taken" then armed = true end
        pcall(queue.get_nowait, queue)
        armed = true
        pcall(putter.await, putter)
        armed = false
        turns()
        local items = drain(queue)
        for i = 2, #items do assert.is_true(items[i - 1] < items[i]) end
        assert.matches("getters 0, putters 0", tostring(queue), 1, true)
      end)
    end
  end

  it("keeps all items when a comparison fails as one is taken, and gives it later", function()
    local angry = false
    local queue = filled(nil, function(a, b)
      if angry then error "wolf" end
      return a < b
    end, 4, 2, 3, 1)
    angry = true
    for _, call in ipairs { "get", "get_nowait" } do
      assert.is_false(pcall(queue[call], queue))
      assert.equal(4, queue:qsize())
    end
    angry = false
    assert.same({ 1, 2, 3, 4 }, drain(queue))
  end)

  it("gives the item to the next getter when a comparison fails in the first who was woken", function()
    local angry = 0
    local queue = neap.PriorityQueue(0, function(a, b)
      angry = angry - 1
      if angry == 0 then error "wolf" end
      return a < b
    end)
    local first = tasks.start(queue.get, queue)
    local second = tasks.start(queue.get, queue)
    local third = tasks.start(queue.get, queue)
    for _, item in ipairs { 1, 2, 3 } do queue:put_nowait(item) end
    angry = 1
    assert.is_false(pcall(first.await, first))
    assert.equal(1, second:await())
    assert.equal(2, third:await())
    assert.same({ 3 }, drain(queue))
  end)

  it("refuses a comparison that awaits, and says so", function()
    local queue = filled(nil, function(a, b)
      neap.sleep(0)
      return a < b
    end, 1)
    local ok, err = pcall(queue.put, queue, 2)
    assert.is_false(ok)
    assert.matches("priority_queue_spec.lua:%d+: sleep: cannot wait here", err)
    assert.equal(1, queue:qsize())
    neap.sleep(0)
    local waits = neap.PriorityQueue(1, function(a, b) queue:get() return a < b end)
    waits:put(1)
    assert.equal(1, waits:get())
    assert.equal(1, queue:get())
  end)

  for name, change in pairs {
    ["puts into it"] = function(queue) if queue:qsize() < 20 then queue:put_nowait(0) end end,
    ["takes from it"] = function(queue) if not queue:empty() then queue:get_nowait() end end,
    ["drops all"] = function(queue) queue:shutdown(true) end,
  } do
    it("is not harmed by a comparison that " .. name, function()
      local queue, busy = nil, true
      queue = neap.PriorityQueue(0, function(a, b)
        if not busy then
          busy = true
          change(queue)
          busy = false
        end
        return a < b
      end)
      for i = 1, 12 do queue:put_nowait(i) end
      for call, argument in pairs { put_nowait = 0, get_nowait = 1 } do
        busy = false
        local ok, err = pcall(queue[call], queue, argument)
        busy = true
        assert(ok or tostring(err):find("changed", 1, true) or neap.is(err, neap.QueueShutDown)
          or neap.is(err, neap.QueueEmpty) or tostring(err):find("attempt to compare", 1, true), err)
      end
      local items = drain(queue)
      assert.equal(0, queue:qsize())
      for i = 2, #items do assert(items[i - 1] <= items[i]) end
    end)
  end

  it("takes no function that is none", function()
    for _, wrong in ipairs { 1, "text", {} } do
      local ok, err = pcall(function() return (neap.PriorityQueue(0, wrong)) end)
      assert.is_false(ok)
      assert.matches("priority_queue_spec.lua:%d+: bad argument #2 to 'PriorityQueue' %(function expected", err)
    end
  end)

  it("that is shut down at once drops its items and lets go of them", function()
    local alive = setmetatable({}, { __mode = "k" })
    local queue = neap.PriorityQueue()
    for i = 1, 20 do
      local item = { i }
      alive[item] = true
      queue:put(item)
    end
    queue:shutdown(true)
    collectgarbage()
    assert.is_nil(next(alive))
    tasks.raises(neap.QueueShutDown, queue.get, queue)
  end)
end)
