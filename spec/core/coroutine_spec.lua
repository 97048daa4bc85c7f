-- Coroutines of the user's own: an await inside one suspends the task, a yield goes to its consumer.
local neap = require "neap"

-- A generator that awaits between its values.
local function slow_numbers(n)
  return coroutine.wrap(function()
    for i = 1, n do
      neap.sleep(0)
      coroutine.yield(i)
    end
  end)
end

-- Starts a task that is parked in an await inside a coroutine; returns both.
local function parked(body)
  local co = coroutine.create(body or function() neap.sleep(3600) end)
  local task = neap.create_task(function() return coroutine.resume(co) end)
  neap.sleep(0)
  return co, task
end

local function end_by_cancel(task)
  task:cancel()
  return pcall(task.await, task)
end

describe("a generator", function()
  it("awaits between its yields", function()
    local got = {}
    for i in slow_numbers(3) do got[#got + 1] = i end
    assert.same({ 1, 2, 3 }, got)
  end)

  it("lets other tasks run while it awaits, and the consumer gets only what is yielded", function()
    local log = {}
    local function consume(name)
      for i in slow_numbers(2) do log[#log + 1] = name .. i end
    end
    local a, b = neap.create_task(consume, "a"), neap.create_task(consume, "b")
    a:await()
    b:await()
    assert.same({ "a1", "b1", "a2", "b2" }, log)
  end)

  it("passes values in both ways around an await", function()
    local co = coroutine.create(function(a, b)
      neap.sleep(0)
      local c, d = coroutine.yield(a + b, nil)
      neap.sleep(0)
      return c, d
    end)
    assert.same({ n = 3, true, 3, nil }, table.pack(coroutine.resume(co, 1, 2)))
    assert.equal("suspended", coroutine.status(co))
    assert.same({ n = 3, true, nil, "d" }, table.pack(coroutine.resume(co, nil, "d")))
    assert.equal("dead", coroutine.status(co))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  end)

  it("awaits inside another, ten deep", function()
    local function nest(depth)
      return coroutine.wrap(function()
        if depth == 0 then
          neap.sleep(0)
          coroutine.yield "deep"
        else
          coroutine.yield(nest(depth - 1)())
        end
      end)
    end
    assert.equal("deep", nest(10)())
  end)

  it("gets the values of what it awaits", function()
    local future = neap.Future()
    neap.get_running_loop():call_soon(future.set_result, future, "a", nil)
    assert.same({ n = 2, "a", nil }, table.pack(coroutine.wrap(function() return future:await() end)()))
  end)

  it("raises what it awaits raises: a table as it is, a string with the place of the caller", function()
    local wolf = {}
    local function failing(err)
      return coroutine.wrap(function()
        neap.sleep(0)
        error(err, 0)
      end)
    end
    local ok, err = pcall(failing(wolf))
    assert.is_false(ok)
    assert.equal(wolf, err)
    ok, err = pcall(function() failing "wolf" () end)
    assert.is_false(ok)
    assert.matches("^spec/core/coroutine_spec.lua:%d+: wolf$", err)
    ok, err = coroutine.resume(coroutine.create(failing "wolf"))
    assert.is_false(ok)
    assert.matches("wolf", err, 1, true)
  end)

  it("catches errors around its awaits", function()
    local task = neap.create_task(error, "wolf", 0)
    local next_value = coroutine.wrap(function()
      coroutine.yield(select(2, pcall(task.await, task)))
      neap.sleep(0)
      coroutine.yield "went on"
    end)
    assert.equal("wolf", next_value())
    assert.equal("went on", next_value())
  end)

  it("may be handed from one task to another between its yields", function()
    local numbers = slow_numbers(4)
    local got = {}
    for i = 1, 4 do
      got[i] = neap.create_task(numbers):await()
    end
    assert.same({ 1, 2, 3, 4 }, got)
  end)

  it("runs in a callback so long as it does not await", function()
    local result = {}
    neap.get_running_loop():call_soon(function()
      local numbers = coroutine.wrap(function()
        coroutine.yield(1)
        neap.sleep(0)
      end)
      result[1] = numbers()
      result[2] = select(2, pcall(numbers))
    end)
    neap.sleep(0)
    assert.equal(1, result[1])
    assert.matches("sleep", result[2], 1, true)
  end)

  it("knows itself: running, isyieldable, status", function()
    local co
    co = coroutine.create(function()
      neap.sleep(0)
      local running, main = coroutine.running()
      return running == co, main, coroutine.isyieldable(), coroutine.status(co)
    end)
    assert.same({ true, true, false, true, "running" }, { coroutine.resume(co) })
  end)
end)

describe("a coroutine parked in an await", function()
  it("is neither suspended nor dead", function()
    local co, task = parked()
    assert.equal("normal", coroutine.status(co))
    end_by_cancel(task)
    assert.equal("dead", coroutine.status(co))
  end)

  it("cannot be resumed by another", function()
    local co, task = parked()
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    local ok, message = pcall(neap.await, co)
    assert.is_false(ok)
    assert.matches("cannot resume non-suspended coroutine", message, 1, true)
    end_by_cancel(task)
  end)

  it("cannot be called again when it is wrapped", function()
    local numbers = coroutine.wrap(function()
      neap.sleep(0)
      return 1
    end)
    local task = neap.create_task(numbers)
    neap.sleep(0)
    local ok, message = pcall(numbers)
    assert.is_false(ok)
    assert.matches("cannot resume non-suspended coroutine", message, 1, true)
    assert.equal(1, task:await())
  end)

  it("cannot be closed", function()
    local co, task = parked()
    local ok, message = pcall(coroutine.close, co)
    assert.is_false(ok)
    assert.matches("cannot close a normal coroutine", message, 1, true)
    end_by_cancel(task)
  end)

  it("is cancelled with its task: the await raises inside it", function()
    local caught
    local _, task = parked(function()
      local ok, err = pcall(neap.sleep, 3600)
      caught = not ok and err
    end)
    end_by_cancel(task)
    assert.is_true(neap.is(caught, neap.CancelledError))
    assert.equal(task, caught.task)
  end)

  it("lets the cancel out through wrap as the same error", function()
    local numbers = slow_numbers(1)
    local task = neap.create_task(function() return numbers() end)
    neap.sleep(0)
    local ok, err = end_by_cancel(task)
    assert.is_false(ok)
    assert.is_true(neap.is(err, neap.CancelledError))
    assert.is_true(task:cancelled())
  end)

  it("does not get out of a cancel by swallowing it", function()
    local rounds = 0
    local _, task = parked(function()
      while rounds < 3 do
        rounds = rounds + 1
        pcall(neap.sleep, 3600)
      end
      neap.sleep(3600)
    end)
    end_by_cancel(task)
    assert.equal(3, rounds)
  end)

  it("dies when its task is killed", function()
    local closed = false
    local co, task = parked(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      neap.sleep(3600)
    end)
    assert.is_true(task:kill())
    assert.is_true(task:cancelled())
    assert.is_true(closed)
    assert.equal("dead", coroutine.status(co))
  end)
end)

describe("a coroutine between its yields", function()
  it("can be closed, and its <close> variables run", function()
    local closed = false
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      neap.sleep(0)
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.is_true(closed)
    assert.equal("dead", coroutine.status(co))
  end)

  it("cannot await while it is closed", function()
    local message
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() message = select(2, pcall(neap.sleep, 0)) end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
    assert.matches("sleep: cannot wait here", message, 1, true)
    neap.sleep(0)
  end)
end)

describe("awaiting a coroutine", function()
  it("runs it to its end and returns its values", function()
    local co = coroutine.create(function(a, b)
      neap.sleep(0)
      return b, nil, a
    end)
    assert.same({ n = 3, 2, nil, 1 }, table.pack(neap.await(co, 1, 2)))
  end)

  it("takes its plain yields for turns", function()
    local log = {}
    local other = neap.create_task(function() log[#log + 1] = "other" end)
    local co = coroutine.create(function()
      coroutine.yield "ignored"
      log[#log + 1] = "end"
      return "result"
    end)
    assert.equal("result", neap.await(co))
    assert.same({ "other", "end" }, log)
    other:await()
  end)

  it("raises its error", function()
    local wolf = {}
    local ok, err = pcall(neap.await, coroutine.create(function()
      neap.sleep(0)
      error(wolf)
    end))
    assert.is_false(ok)
    assert.equal(wolf, err)
  end)

  it("raises for one that is dead", function()
    local co = coroutine.create(function() end)
    coroutine.resume(co)
    local ok, message = pcall(neap.await, co)
    assert.is_false(ok)
    assert.matches("dead coroutine", message, 1, true)
  end)

  it("closes it when cancelled between its yields", function()
    local closed = false
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      while true do coroutine.yield() end
    end)
    local task = neap.create_task(neap.await, co)
    neap.sleep(0)
    end_by_cancel(task)
    assert.is_true(task:cancelled())
    assert.is_true(closed)
    assert.equal("dead", coroutine.status(co))
  end)
end)

describe("a scope in a generator", function()
  before_each(function() require("neap.testing").virtual_clock() end)

  it("limits what is inside it", function()
    local results = coroutine.wrap(function()
      local ok, err = pcall(function()
        local _ <close> = neap.timeout(1)
        neap.sleep(3600)
      end)
      coroutine.yield(ok, err)
    end)
    local ok, err = results()
    assert.is_false(ok)
    assert.is_true(neap.is(err, neap.TimeoutError))
    neap.sleep(1)
  end)

  it("does not limit its consumer between the yields", function()
    local results = coroutine.wrap(function()
      local ok, err = pcall(function()
        local _ <close> = neap.timeout(1)
        coroutine.yield "first"
        neap.sleep(3600)
      end)
      coroutine.yield(ok, err)
    end)
    assert.equal("first", results())
    neap.sleep(5)
    local ok, err = results()
    assert.is_false(ok)
    assert.is_true(neap.is(err, neap.TimeoutError))
    neap.sleep(5)
  end)

  it("around the consumer limits the generator too", function()
    local numbers = coroutine.wrap(function() neap.sleep(3600) end)
    local ok, err = pcall(function()
      local _ <close> = neap.timeout(1)
      numbers()
    end)
    assert.is_false(ok)
    assert.is_true(neap.is(err, neap.TimeoutError))
    neap.sleep(1)
  end)

  it("that shields keeps a cancel out until its end", function()
    local slept = false
    local task = neap.create_task(coroutine.wrap(function()
      do
        local _ <close> = neap.shielded()
        neap.sleep(2)
        slept = true
      end
      neap.sleep(3600)
    end))
    neap.sleep(1)
    task:cancel()
    pcall(task.await, task)
    assert.is_true(slept)
    assert.is_true(task:cancelled())
  end)

  it("that is abandoned leaves the task alone", function()
    local function abandon()
      local numbers = coroutine.wrap(function()
        local _ <close> = neap.timeout(1)
        coroutine.yield(1)
        neap.sleep(3600)
      end)
      return numbers()
    end
    assert.equal(1, abandon())
    collectgarbage()
    collectgarbage()
    neap.sleep(5)
    collectgarbage()
    neap.sleep(5)
  end)

  it("may be a group, whose tasks go on between the yields", function()
    local log = {}
    local results = coroutine.wrap(function()
      local group <close> = neap.TaskGroup()
      group:create_task(function()
        neap.sleep(1)
        log[#log + 1] = "child"
      end)
      coroutine.yield "first"
      log[#log + 1] = "last"
    end)
    assert.equal("first", results())
    neap.sleep(2)
    results()
    assert.same({ "child", "last" }, log)
  end)
end)
