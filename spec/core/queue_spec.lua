-- Queues: first in, first out, and last in, first out. PriorityQueue has its own file.
local neap = require "neap"
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"
local testing = require "neap.testing"

local turns <const> = tasks.turns

-- A queue that holds these items.
local function filled(new, maxsize, ...)
  local queue = new(maxsize)
  for _, item in ipairs { ... } do queue:put_nowait(item) end
  return queue
end

-- All items that can be taken now.
local function drain(queue)
  local items = {}
  while not queue:empty() do items[#items + 1] = queue:get_nowait() end
  return items
end

-- Starts tasks that get one item each, and note it with their name.
local function getters(queue, names)
  local log, started = {}, {}
  for _, name in ipairs(names) do
    started[name] = neap.create_task(function()
      local item = queue:get()
      log[#log + 1] = name .. " " .. tostring(item)
      return item
    end)
  end
  neap.sleep(0)
  return log, started
end

local function putters(queue, items)
  local started = {}
  for _, item in ipairs(items) do started[item] = neap.create_task(queue.put, queue, item) end
  neap.sleep(0)
  return started
end

describe("a queue", function()
  it("S1 is full at its limit, and never without one", function()
    local queue = neap.Queue()
    assert.equal(0, queue.maxsize)
    for i = 1, 100 do queue:put(i) end
    assert.is_false(queue:full())
    queue = neap.Queue(2)
    assert.equal(2, queue.maxsize)
    assert.is_true(queue:empty())
    queue:put(1)
    assert.is_false(queue:full())
    queue:put(2)
    assert.is_true(queue:full())
    assert.is_false(queue:empty())
    assert.equal(2, queue:qsize())
    queue:get()
    assert.is_false(queue:full())
  end)

  it("S2 gives first what was put first", function()
    local queue = filled(neap.Queue, nil, 1, 3, 2)
    assert.same({ 1, 3, 2 }, drain(queue))
    assert.is_true(queue:empty())
  end)

  it("S2 keeps its order while it grows and goes round", function()
    local queue, put, got = neap.Queue(), 0, 0
    math.randomseed(3)
    for _ = 1, 300 do
      for _ = 1, math.random(0, 20) do
        put = put + 1
        queue:put(put)
      end
      for _ = 1, math.random(0, 19) do
        if queue:empty() then break end
        got = got + 1
        assert.equal(got, queue:get())
      end
      assert.equal(put - got, queue:qsize())
    end
    assert.is_true(put > 1000)
  end)

  it("S3 that is a LifoQueue gives first what was put last", function()
    assert.same({ 2, 3, 1 }, drain(filled(neap.LifoQueue, nil, 1, 3, 2)))
    local queue = neap.LifoQueue(2)
    queue:put(1)
    queue:put(2)
    local started = putters(queue, { 3, 4 })
    assert.equal(2, queue:get())
    assert.equal(3, queue:get())
    assert.equal(4, queue:get())
    assert.equal(1, queue:get())
    for _, task in pairs(started) do task:await() end
  end)

  it("S5 blocks a put at the limit until an item is taken", function()
    local queue = neap.Queue(2)
    queue:put(1)
    queue:put(2)
    local putter = tasks.start(queue.put, queue, 3)
    turns()
    assert.is_false(putter:done())
    assert.equal(2, queue:qsize())
    assert.equal(1, queue:get())
    assert.equal(2, queue:qsize()) -- the room was given at once
    putter:await()
    assert.same({ 2, 3 }, drain(queue))
  end)

  it("S6 takes a limit that is a whole number, also as a float; 0 and less is none", function()
    assert.equal(2, neap.Queue(2.0).maxsize)
    for _, none in ipairs { 0, -1, 0.0, math.mininteger } do
      local queue = neap.Queue(none)
      assert.equal(0, queue.maxsize)
      for i = 1, 10 do queue:put_nowait(i) end
      assert.is_false(queue:full())
    end
    assert.equal(math.maxinteger, neap.Queue(math.maxinteger).maxsize)
    for _, wrong in ipairs { 1.5, 1e300, {}, "many", 0 / 0 } do
      local ok, err = pcall(function() return (neap.Queue(wrong)) end)
      assert.is_false(ok)
      assert.matches("queue_spec.lua:%d+: bad argument #1 to 'Queue' %(number ", err)
    end
  end)

  it("S7 blocks a get until an item comes from a timer", function()
    testing.virtual_clock()
    local queue, loop = neap.Queue(), neap.get_running_loop()
    local start = loop:time()
    loop:call_later(0.5, queue.put_nowait, queue, "tea")
    assert.equal("tea", queue:get())
    assert.equal(0.5, loop:time() - start)
  end)

  it("S8 raises QueueEmpty when nothing can be taken at once", function()
    local queue = neap.Queue()
    local err = tasks.raises(neap.QueueEmpty, function() queue:get_nowait() end)
    assert.matches("queue_spec.lua:%d+: get_nowait: the queue is empty", tostring(err))
    queue:put(1)
    assert.equal(1, queue:get_nowait())
    tasks.raises(neap.QueueEmpty, queue.get_nowait, queue)
  end)

  it("S9 raises QueueFull when nothing can be put at once", function()
    local queue = filled(neap.Queue, 2, "a", "b")
    local err = tasks.raises(neap.QueueFull, function() queue:put_nowait "c" end)
    assert.matches("queue_spec.lua:%d+: put_nowait: the queue is full, with 2", tostring(err))
    assert.same({ "a", "b" }, drain(queue))
  end)

  it("S10 gives nothing to a getter that was cancelled: the next one gets it", function()
    local queue = neap.Queue()
    local log, started = getters(queue, { "a", "b" })
    started.a:cancel()
    queue:put_nowait(1)
    turns()
    assert.same({ "b 1" }, log)
    assert.is_true(started.a:cancelled())
    assert.is_true(queue:empty())
  end)

  it("S11 loses no item when a getter is cancelled that was given one: it returns it", function()
    local queue = neap.Queue()
    local log, started = getters(queue, { "a", "b" })
    queue:put_nowait(1)
    started.a:cancel()
    queue:put_nowait(2)
    turns()
    assert.same({ "a 1", "b 2" }, log)
  end)

  it("S11 passes an item on when a getter is killed that was given one, in the order of the items", function()
    local queue = neap.Queue()
    local log, started = getters(queue, { "a", "b", "c" })
    queue:put_nowait(1)
    queue:put_nowait(2)
    started.a:kill()
    assert.equal(0, queue:qsize())
    turns()
    assert.same({ "b 1", "c 2" }, log)
  end)

  it("S11 keeps the item of a killed getter for whoever comes, in its place", function()
    local queue = neap.Queue()
    local _, started = getters(queue, { "a" })
    queue:put_nowait(1)
    queue:put_nowait(2)
    assert.equal(1, queue:qsize())
    started.a:kill()
    assert.equal(2, queue:qsize())
    assert.same({ 1, 2 }, drain(queue))
  end)

  it("S11 has room, or has not, but loses nothing when a full queue gets an item back", function()
    local queue = neap.Queue(1)
    local _, started = getters(queue, { "a" })
    local putter = neap.create_task(queue.put, queue, 3)
    local killer = neap.create_task(started.a.kill, started.a)
    queue:put_nowait(1)
    queue:put_nowait(2)
    killer:await()
    assert.equal("<Queue maxsize 1, items 2, unfinished 2, getters 0, putters 1>", tostring(queue))
    assert.is_true(queue:full())
    assert.same({ 1, 2, 3 }, drain(queue))
    putter:await()
  end)

  it("S11 leaves a getter the very item it was given, whatever newcomers take before it runs", function()
    local queue = neap.Queue()
    local log = getters(queue, { "a", "b" })
    for i = 1, 4 do queue:put_nowait(i) end
    assert.equal(3, queue:get())
    assert.equal(4, queue:get_nowait())
    turns()
    assert.same({ "a 1", "b 2" }, log)
  end)

  it("S19 that is shut down at once takes no item back from a getter that is killed, and join ends", function()
    local queue = neap.Queue()
    local _, started = getters(queue, { "a" })
    queue:put_nowait(1)
    queue:shutdown(true)
    started.a:kill()
    assert.equal(0, queue:qsize())
    tasks.raises(neap.QueueShutDown, queue.get, queue)
    queue:join()
  end)

  it("raises in a cancelled scope that, also when it was shut down, and starves nobody", function()
    local queue, scope = neap.Queue(), neap.CancelScope()
    queue:shutdown()
    assert.is_false((scope:run(function()
      scope:cancel()
      tasks.cancelled(queue.get, queue)
      tasks.cancelled(queue.put, queue, 1)
      error(tasks.cancelled(neap.sleep, 0), 0)
    end)))
    for _, call in ipairs { "get", "put" } do
      local stop, rounds = false, 0
      neap.create_task(function() stop = true end)
      while not stop and rounds < 100000 do
        pcall(queue[call], queue, 1)
        rounds = rounds + 1
      end
      assert.is_true(stop)
      assert.is_true(rounds < 1000)
    end
  end)

  it("loses nothing that a finalizer puts while it makes room", function()
    local finalized = 0
    for _ = 1, 300 do
      local queue, count = neap.Queue(), finalized
      local put = { __gc = function()
        finalized = finalized + 1
        queue:put_nowait "from a finalizer"
      end }
      for i = 1, 40 do
        setmetatable({}, put)
        queue:put_nowait(i)
      end
      collectgarbage()
      assert.equal(40 + finalized - count, queue:qsize())
    end
    assert.is_true(finalized > 1000)
  end)

  it("S12 keeps the order of the putters who wait, before those who come later", function()
    local queue = filled(neap.Queue, 1, "a")
    local started = putters(queue, { "b", "c", "d" })
    local items = {}
    for i = 1, 4 do
      items[i] = queue:get()
      if i == 1 then tasks.raises(neap.QueueFull, queue.put_nowait, queue, "stranger") end
    end
    assert.equal("abcd", table.concat(items))
    for _, task in pairs(started) do task:await() end
  end)

  it("S12 keeps the order when a putter who waits is cancelled or killed", function()
    local queue = filled(neap.Queue, 1, "a")
    local started = putters(queue, { "b", "c", "d" })
    started.b:cancel()
    started.c:kill()
    turns()
    assert.equal("a", queue:get())
    assert.equal("d", queue:get())
    started.d:await()
    assert.is_true(queue:empty())
  end)

  it("S13 of 1 lets a producer and two consumers come to their end", function()
    local queue, got = neap.Queue(1), {}
    local function consume()
      while true do
        local item = queue:get()
        if item == "end" then return end
        got[#got + 1] = item
        neap.sleep(0)
      end
    end
    local consumers = { neap.create_task(consume), neap.create_task(consume) }
    for i = 1, 50 do queue:put(i) end
    for _ = 1, 2 do queue:put "end" end
    for _, task in ipairs(consumers) do task:await() end
    assert.equal(50, #got)
    for i = 1, 50 do assert.equal(i, got[i]) end
  end)

  it("S14 has no trace of a getter whose time was up", function()
    testing.virtual_clock()
    local queue = neap.Queue()
    for _ = 1, 10 do tasks.raises(neap.TimeoutError, neap.wait_for, queue.get, 0.1, queue) end
    assert.equal("<Queue maxsize 0, items 0, unfinished 0, getters 0, putters 0>", tostring(queue))
    queue:put(1)
    assert.equal(1, queue:get_nowait())
  end)

  it("S15 has no trace of a putter that was cancelled, killed, or whose time was up", function()
    testing.virtual_clock()
    local queue = filled(neap.Queue, 1, "a")
    local started = putters(queue, { "b", "c" })
    started.b:cancel()
    started.c:kill()
    tasks.raises(neap.TimeoutError, neap.wait_for, queue.put, 1, queue, "d")
    assert.equal("<Queue maxsize 1, items 1, unfinished 1, getters 0, putters 0>", tostring(queue))
    assert.same({ "a" }, drain(queue))
  end)

  it("S15 has taken the item of a putter that is cancelled or killed once room was made", function()
    for _, stop in ipairs { "cancel", "kill" } do
      local queue = filled(neap.Queue, 1, "a")
      local putter = tasks.start(queue.put, queue, "b")
      assert.equal("a", queue:get_nowait())
      putter[stop](putter)
      turns()
      assert.same({ "b" }, drain(queue))
      pcall(putter.await, putter)
    end
  end)

  it("S16 says so when task_done is called once too often", function()
    local queue = neap.Queue()
    local ok, err = pcall(function() queue:task_done() end)
    assert.is_false(ok)
    assert.matches("queue_spec.lua:%d+: task_done: ", err)
    queue:put(1)
    queue:get()
    queue:task_done()
    assert.is_false(pcall(queue.task_done, queue))
  end)

  it("S17 raises QueueShutDown in a getter that waits, and in all later calls", function()
    local queue = neap.Queue()
    local _, started = getters(queue, { "a", "b" })
    queue:shutdown()
    for _, task in pairs(started) do
      tasks.raises(neap.QueueShutDown, task.await, task)
    end
    for _, call in ipairs { "put", "get", "put_nowait", "get_nowait" } do
      local err = tasks.raises(neap.QueueShutDown, function() queue[call](queue, 1) end)
      assert.matches("queue_spec.lua:%d+: " .. call .. ": the queue was shut down", tostring(err))
    end
    assert.is_true(queue:empty())
    queue:shutdown()
    queue:shutdown(true)
    queue:join()
  end)

  it("S18 that is shut down gives what it has; putters who wait raise; join ends after task_done", function()
    local queue = filled(neap.Queue, 2, "a", "b")
    local started = putters(queue, { "c", "d" })
    local joiner = tasks.start(queue.join, queue)
    queue:shutdown()
    for _, task in pairs(started) do tasks.raises(neap.QueueShutDown, task.await, task) end
    assert.equal(2, queue:qsize())
    assert.equal("a", queue:get())
    tasks.raises(neap.QueueShutDown, queue.put, queue, "late")
    tasks.raises(neap.QueueShutDown, queue.put_nowait, queue, "late")
    assert.equal("b", queue:get_nowait())
    tasks.raises(neap.QueueShutDown, queue.get, queue)
    tasks.raises(neap.QueueShutDown, queue.get_nowait, queue)
    queue:task_done()
    turns()
    assert.is_false(joiner:done())
    queue:task_done()
    joiner:await()
  end)

  it("S19 that is shut down at once drops its items and releases join", function()
    local queue = filled(neap.Queue, 2, "a", "b")
    local started = putters(queue, { "c" })
    local joiner = tasks.start(queue.join, queue)
    queue:shutdown(true)
    joiner:await()
    assert.equal(0, queue:qsize())
    tasks.raises(neap.QueueShutDown, started.c.await, started.c)
    tasks.raises(neap.QueueShutDown, queue.get, queue)
    assert.is_false(pcall(queue.task_done, queue))
  end)

  it("S20 that is shut down at once still waits in join for items that were taken", function()
    local queue = filled(neap.Queue, nil, "a", "b", "c")
    queue:get()
    local joiner = tasks.start(queue.join, queue)
    queue:shutdown(true)
    turns()
    assert.is_false(joiner:done())
    queue:task_done()
    joiner:await()
  end)

  for _, kind in ipairs { "Queue", "LifoQueue", "PriorityQueue" } do
    it("S20 that is shut down at once leaves a getter the item it was given: " .. kind, function()
      local queue = neap[kind]()
      local log, started = getters(queue, { "a" })
      queue:put_nowait(1)
      queue:put_nowait(2)
      queue:shutdown(true)
      assert.equal(0, queue:qsize())
      turns()
      assert.equal(1, #log)
      assert.is_true(started.a:done())
      local joiner = tasks.start(queue.join, queue)
      assert.is_false(joiner:done())
      queue:task_done()
      joiner:await()
    end)
  end

  it("S20 may be shut down gently first, and at once later", function()
    local queue = filled(neap.Queue, nil, "a", "b")
    queue:shutdown()
    assert.equal("a", queue:get())
    queue:task_done()
    queue:shutdown(true)
    queue:join()
    tasks.raises(neap.QueueShutDown, queue.get, queue)
  end)

  it("S21 tells as a string its limit, what is unfinished, who waits and whether it was shut down", function()
    local queue = neap.Queue(1)
    local _, started = getters(queue, { "a" })
    assert.equal("<Queue maxsize 1, items 0, unfinished 0, getters 1, putters 0>", tostring(queue))
    assert.matches("waits in get at spec/core/queue_spec.lua", tostring(started.a), 1, true)
    queue:put(1)
    queue:put(2)
    local putter = tasks.start(queue.put, queue, 3)
    assert.matches("waits in put", tostring(putter), 1, true)
    assert.equal("<Queue maxsize 1, items 1, unfinished 2, getters 0, putters 1>", tostring(queue))
    queue:shutdown()
    assert.equal("<Queue maxsize 1, items 1, unfinished 2, getters 0, putters 0, shut down>", tostring(queue))
    pcall(putter.await, putter)
    assert.matches("^<LifoQueue ", tostring(neap.LifoQueue()))
    assert.matches("^<PriorityQueue ", tostring(neap.PriorityQueue()))
  end)

  it("law 9: suspends nobody who finds an item, or room", function()
    local queue, other = neap.Queue(1), neap.create_task(function() end)
    queue:put(1)
    queue:get()
    assert.is_false(other:done())
    other:await()
  end)

  it("law 28: serves those who wait in their order, and newcomers after them", function()
    local queue = neap.Queue()
    local log = getters(queue, { "a", "b" })
    queue:put_nowait(1)
    assert.is_true(queue:empty()) -- it is a's
    tasks.raises(neap.QueueEmpty, queue.get_nowait, queue)
    local late = neap.create_task(function()
      local item = queue:get()
      log[#log + 1] = "late " .. item
    end)
    turns()
    assert.same({ "a 1" }, log)
    queue:put_nowait(2)
    queue:put_nowait(3)
    late:await()
    assert.same({ "a 1", "b 2", "late 3" }, log)
  end)

  it("law 28: lets a putter who waits go before one who finds the room that was made for him", function()
    local queue = filled(neap.Queue, 1, "a")
    local first = tasks.start(queue.put, queue, "b")
    local stranger = neap.create_task(queue.put, queue, "c")
    assert.equal("a", queue:get())
    turns()
    assert.is_true(first:done())
    assert.is_false(stranger:done())
    assert.equal("b", queue:get())
    assert.equal("c", queue:get())
    stranger:await()
  end)

  it("takes any item: nil, false, and the first of several", function()
    for _, kind in ipairs { "Queue", "LifoQueue" } do
      local queue = neap[kind](3)
      queue:put(nil)
      queue:put_nowait(false)
      queue:put(0 / 0, "and more")
      assert.equal(3, queue:qsize())
      local items = table.pack(queue:get(), queue:get_nowait(), queue:get())
      assert.equal(3, items.n)
      if kind == "LifoQueue" then items[1], items[3] = items[3], items[1] end
      assert.is_nil(items[1])
      assert.is_false(items[2])
      assert.is_true(items[3] ~= items[3])
      local getter = tasks.start(function() return select("#", queue:get()) end)
      queue:put(nil)
      assert.equal(1, getter:await())
    end
  end)

  it("returns nothing from put, put_nowait, task_done, join and shutdown", function()
    local queue = neap.Queue(1)
    assert.equal(0, select("#", queue:put(1)))
    local waiting = tasks.start(function() return select("#", queue:put(2)) end)
    queue:get()
    assert.equal(0, waiting:await())
    queue:get()
    assert.equal(0, select("#", queue:task_done()))
    local joiner = tasks.start(function() return select("#", queue:join()) end)
    assert.equal(0, select("#", queue:task_done()))
    assert.equal(0, joiner:await())
    assert.equal(0, select("#", queue:join()))
    assert.equal(0, select("#", queue:put_nowait(3)))
    assert.equal(0, select("#", queue:shutdown(true)))
  end)

  it("joins at once when nothing is unfinished; all who wait in join are let go together", function()
    local queue = neap.Queue()
    queue:join()
    queue:put(1)
    queue:put(2)
    local joiners = { tasks.start(queue.join, queue), tasks.start(queue.join, queue), tasks.start(queue.join, queue) }
    assert.matches("waits in join", tostring(joiners[1]), 1, true)
    joiners[1]:cancel()
    joiners[2]:kill()
    queue:get()
    queue:task_done()
    turns()
    assert.is_false(joiners[3]:done())
    queue:task_done() -- whether or not the item was taken
    joiners[3]:await()
    tasks.cancelled(joiners[1].await, joiners[1])
  end)

  it("counts an item of a putter who waits as unfinished only once it is in", function()
    local queue = filled(neap.Queue, 1, "a")
    local putter = tasks.start(queue.put, queue, "b")
    assert.matches("unfinished 1,", tostring(queue), 1, true)
    queue:get()
    assert.matches("unfinished 2,", tostring(queue), 1, true)
    putter:await()
  end)

  it("is used from callbacks by put_nowait, get_nowait, task_done and shutdown", function()
    local queue, loop, seen = neap.Queue(1), neap.get_running_loop(), {}
    local log = getters(queue, { "a" })
    loop:call_soon(function()
      queue:put_nowait(1)
      queue:put_nowait(2)
      seen.full = neap.is(select(2, pcall(queue.put_nowait, queue, 3)), neap.QueueFull)
      seen.item = queue:get_nowait()
      queue:task_done()
    end)
    turns()
    assert.same({ "a 1" }, log)
    assert.same({ full = true, item = 2 }, seen)
    local joiner = tasks.start(queue.join, queue)
    loop:call_soon(queue.task_done, queue)
    joiner:await()
    local _, started = getters(queue, { "b" })
    loop:call_soon(queue.shutdown, queue)
    tasks.raises(neap.QueueShutDown, started.b.await, started.b)
  end)

  it("makes room for a putter who waits by get_nowait in a callback", function()
    local queue = filled(neap.Queue, 1, "a")
    local putter, item = tasks.start(queue.put, queue, "b")
    neap.get_running_loop():call_soon(function() item = queue:get_nowait() end)
    putter:await()
    assert.equal("a", item)
    assert.same({ "b" }, drain(queue))
  end)

  it("cannot be awaited in a callback, nor where Lua cannot yield, whether or not it would wait", function()
    local queue, errors = filled(neap.Queue, 1, "a"), {}
    local empty = neap.Queue(1)
    local calls = {
      put = function() queue:put "b" end, free_put = function() empty:put(1) end,
      get = function() empty:get() end, free_get = function() queue:get() end,
      join = function() queue:join() end, free_join = function() empty:join() end,
    }
    neap.get_running_loop():call_soon(function()
      for name, call in pairs(calls) do errors[name] = select(2, pcall(call)) end
    end)
    turns()
    for name, call in pairs(calls) do
      assert.matches("queue_spec.lua:%d+: %l+: cannot wait outside a task", errors[name])
      local ok, err = pcall(table.sort, { 1, 2 }, call)
      assert.is_false(ok)
      assert.matches(name:gsub("free_", "") .. ": cannot wait here: Lua cannot yield across table.sort", err)
    end
    assert.equal("<Queue maxsize 1, items 1, unfinished 1, getters 0, putters 0>", tostring(queue))
    assert.equal("<Queue maxsize 1, items 0, unfinished 0, getters 0, putters 0>", tostring(empty))
  end)

  it("neither gives nor takes in a cancelled scope", function()
    local queue, scope = filled(neap.Queue, 2, "a"), neap.CancelScope()
    assert.is_false((scope:run(function()
      scope:cancel()
      for _ = 1, 3 do
        tasks.cancelled(queue.get, queue)
        tasks.cancelled(queue.put, queue, "b")
        tasks.cancelled(queue.join, queue)
      end
      error(tasks.cancelled(neap.sleep, 0), 0)
    end)))
    assert.same({ "a" }, drain(queue))
  end)

  it("gives an item, or not, by what comes first in a turn: the put or the end of the scope", function()
    for _, put_first in ipairs { true, false } do
      local queue, scope = neap.Queue()
      local getter = tasks.start(function()
        scope = neap.CancelScope()
        return scope:run(queue.get, queue)
      end)
      if put_first then queue:put_nowait(1) end
      scope:cancel()
      if not put_first then queue:put_nowait(1) end
      local _, item = getter:await()
      assert.equal(put_first and 1 or nil, item)
      assert.equal(put_first and 0 or 1, queue:qsize())
    end
  end)

  it("takes a putter's item, or not, by what comes first in a turn: the room or the end of the scope", function()
    for _, get_first in ipairs { true, false } do
      local queue, scope = filled(neap.Queue, 1, "a")
      local putter = tasks.start(function()
        scope = neap.CancelScope()
        return scope:run(queue.put, queue, "b")
      end)
      if get_first then queue:get_nowait() end
      scope:cancel()
      if not get_first then queue:get_nowait() end
      putter:await()
      assert.same(get_first and { "b" } or {}, drain(queue))
    end
  end)

  it("loses no item to time limits that pass in the turn of the put", function()
    testing.virtual_clock()
    local queue, got = neap.Queue(), 0
    local started = {}
    for i = 1, 100 do
      started[i] = neap.create_task(function()
        if neap.move_on_after(i % 10, queue.get, queue) then got = got + 1 end
      end)
    end
    for i = 0, 9 do
      for _ = 1, 5 do queue:put(i) end
      neap.sleep(1)
    end
    for _, task in ipairs(started) do task:await() end
    assert.equal(50, got + queue:qsize())
    assert.is_true(got > 0)
    assert.equal("<Queue maxsize 0, items " .. 50 - got .. ", unfinished 50, getters 0, putters 0>", tostring(queue))
  end)

  it("is filled and emptied by generators", function()
    local queue, log = neap.Queue(1), {}
    local function numbers()
      for i = 1, 3 do
        queue:put(i)
        coroutine.yield("put " .. i)
      end
      queue:shutdown()
    end
    local function items()
      while true do
        local ok, item = pcall(queue.get, queue)
        if not ok then return end
        coroutine.yield("got " .. item)
      end
    end
    local producer = neap.create_task(function()
      for what in coroutine.wrap(numbers) do log[#log + 1] = what end
    end)
    for what in coroutine.wrap(items) do log[#log + 1] = what end
    producer:await()
    local text = table.concat(log, ", ")
    assert.matches("put 1.*put 2.*put 3", text)
    assert.matches("got 1.*got 2.*got 3", text)
    assert.equal(6, #log)
  end)

  it("does not take the item of a generator whose task was killed as it waited to put it", function()
    local queue = filled(neap.Queue, 1, "a")
    local putter = tasks.start(function()
      coroutine.wrap(function() queue:put "b" end)()
    end)
    assert.matches("putters 1", tostring(queue), 1, true)
    putter:kill()
    collectgarbage()
    assert.same({ "a" }, drain(queue))
    assert.matches("putters 0", tostring(queue), 1, true)
  end)

  it("takes the item that lies deep in a generator's stack", function()
    local queue = filled(neap.Queue, 1, "a")
    local function deep(n, ...)
      if n > 0 then return deep(n - 1, n, ...), n end
      queue:put { ... }
    end
    local putter = tasks.start(function() coroutine.wrap(deep)(100) end)
    collectgarbage()
    assert.equal("a", queue:get())
    putter:await()
    assert.equal(100, #queue:get())
  end)

  it("keeps a producer and a consumer that never wait from starving the others", function()
    for _, use in ipairs {
      function(queue) queue:put(1) queue:get() end,
      function(queue) queue:put_nowait(1) queue:get() end,
      function(queue) queue:put(1) queue:get_nowait() end,
      function(queue) queue:join() end,
    } do
      local queue, stop, rounds = neap.Queue(), false, 0
      neap.create_task(function() stop = true end)
      while not stop and rounds < 100000 do
        use(queue)
        rounds = rounds + 1
      end
      assert.is_true(stop)
      assert.is_true(rounds < 1000)
    end
  end)

  -- Makes so many free calls and then a get or a put, for which a thief that is ready would be quicker, if it came to
  -- run first. Returns whether it did, what the call returned, and what is left.
  local function race(free_calls, call, steal)
    local queue, idle, stolen = neap.Queue(1), neap.Queue()
    if call == "get" then queue:put_nowait "first" end
    neap.sleep(0)
    local thief = neap.create_task(function()
      stolen = pcall(queue[steal], queue, "first")
      neap.sleep(0)
      if call == "get" then queue:put_nowait "second" else queue:get_nowait() end
    end)
    for _ = 1, free_calls do idle:join() end
    if thief:done() then return false end
    local item = queue[call](queue, "second")
    assert.is_true(queue:qsize() <= 1)
    thief:await()
    return stolen, item, drain(queue)
  end

  it("looks again when a free call had to let the others run first, and they were quicker", function()
    local gets, puts = 0, 0
    for calls = 0, 300, 4 do
      local stolen, item = race(calls, "get", "get_nowait")
      if stolen then
        gets = gets + 1
        assert.equal("second", item)
      end
      local left
      stolen, item, left = race(calls, "put", "put_nowait")
      if stolen then
        puts = puts + 1
        assert.is_nil(item)
        assert.same({ "second" }, left)
      end
    end
    assert.is_true(gets > 0)
    assert.is_true(puts > 0)
  end)

  it("gives back the memory of 100,000 items", function()
    for _, kind in ipairs { "Queue", "LifoQueue", "PriorityQueue" } do
      local queue = neap[kind]()
      local function kilobytes()
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end
      local before = kilobytes()
      for i = 1, 100000 do queue:put(i) end
      assert.is_true(kilobytes() - before > 1000)
      for i = 1, 100000 do assert(queue:get() == (kind == "LifoQueue" and 100001 - i or i)) end
      assert.is_true(kilobytes() - before < 100)
      for i = 1, 100000 do queue:put(i) end
      queue:shutdown(true)
      assert.is_true(kilobytes() - before < 100)
    end
  end)

  it("gives it back too when the last item is that of a getter who waited", function()
    local queue = neap.Queue()
    collectgarbage()
    local before = collectgarbage "count"
    local getter = tasks.start(queue.get, queue)
    for i = 1, 100000 do queue:put_nowait(i) end
    for _ = 1, 99999 do queue:get_nowait() end
    getter:await()
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 100)
  end)

  it("keeps no item alive that was taken or dropped", function()
    for _, kind in ipairs { "Queue", "LifoQueue", "PriorityQueue" } do
      local queue, alive = neap[kind](), setmetatable({}, { __mode = "k" })
      local function put(i)
        local item = { i }
        alive[item] = true
        queue:put(item)
      end
      for i = 1, 5 do put(i) end
      queue:get()
      queue:get()
      collectgarbage()
      local left = 0
      for _ in pairs(alive) do left = left + 1 end
      assert.equal(3, left)
      queue:shutdown(true)
      collectgarbage()
      assert.is_nil(next(alive))
    end
  end)

  it("waits with 1,000 getters and 1,000 putters, and serves all in their order", function()
    local queue, got, started = neap.Queue(1), {}, {}
    for i = 1, 1000 do started[i] = neap.create_task(function() got[i] = queue:get() end) end
    turns(1)
    for i = 1, 1000 do queue:put_nowait(i) end
    for i = 1, 1000 do started[i]:await() end
    for i = 1, 1000 do assert(got[i] == i) end
    queue:put(0)
    for i = 1, 1000 do started[i] = neap.create_task(queue.put, queue, i) end
    turns(1)
    for i = 0, 1000 do assert(queue:get() == i) end
    for i = 1, 1000 do started[i]:await() end
  end)

  it("of any size gives each item once, whoever is cancelled or killed", function()
    for seed = 1, 6 do
      math.randomseed(seed)
      local queue = neap.Queue(seed % 3)
      local put, got, sent, crowd = {}, {}, 0, {}
      local function produce()
        for _ = 1, 20 do
          sent = sent + 1
          local item = sent
          put[item] = "trying"
          queue:put(item)
          put[item] = true
          if math.random(3) == 1 then neap.sleep(0) end
        end
      end
      local function consume()
        for _ = 1, 20 do
          local item = queue:get()
          assert(not got[item], "given twice")
          got[item] = true
          if math.random(3) == 1 then neap.sleep(0) end
        end
      end
      for i = 1, 40 do crowd[i] = neap.create_task(i % 2 == 0 and produce or consume) end
      for _ = 1, 60 do
        turns(math.random(0, 2))
        local victim = crowd[math.random(#crowd)]
        if math.random(2) == 1 then victim:cancel() else victim:kill() end
      end
      turns(50)
      for _, task in ipairs(crowd) do
        task:kill()
        pcall(task.await, task)
      end
      for _, item in ipairs(drain(queue)) do
        assert(not got[item], "both given and left")
        got[item] = true
      end
      for item = 1, sent do assert(got[item] or put[item] == "trying", "an item that was put is lost") end
      assert.equal(0, queue:qsize())
    end
  end)

  it("names who waits in the deadlock of a get from an empty queue", function()
    local result = program.code [[
      local queue = require "neap".Queue(1)
      require "neap".create_task(function() queue:join() end)
      queue:put(1)
      queue:put(2)
    ]]
    assert.matches("waits in put at (command line):4", result.stderr, 1, true)
    assert.matches("waits in join at (command line):2", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("that others wait in ends with its runtime", function()
    local result = program.code [[
      local neap = require "neap"
      local queue, full = neap.Queue(), neap.Queue(1)
      full:put {}
      local function wait(call, ...)
        local _ <close> = setmetatable({}, { __close = function(_, err) print(neap.is(err, neap.CancelledError)) end })
        call(...)
      end
      neap.create_task(wait, queue.get, queue)
      neap.create_task(wait, full.put, full, {})
      neap.create_task(wait, full.join, full)
      neap.sleep(0)
      error "the wolf"
    ]]
    assert.equal("true\ntrue\ntrue\n", result.stdout)
    assert.matches("the wolf", result.stderr, 1, true)
  end)
end)
