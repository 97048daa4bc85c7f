-- Each call of the core that waits, cancelled at each moment: it ends at once, and takes nothing with it.
local neap = require "neap"
local testing = require "neap.testing"

local loop = neap.get_event_loop()

-- For each call a function that makes a new scene: `wait` waits, one second long unless `complete`, where there is
-- one, ends it; with `at_once` the result is there when that returns. `intact` asserts that nothing was lost.
local calls = {}

calls["sleep"] = function()
  return { wait = function() neap.sleep(1) end }
end

calls["await of a future"] = function()
  local future = neap.Future()
  loop:call_later(1, function() if not future:done() then future:set_result() end end)
  return {
    wait = function() future:await() end,
    complete = function() future:set_result() end,
    at_once = true,
    intact = function() assert.is_false(future:cancelled()) end,
  }
end

calls["await of a task"] = function()
  local gate = neap.Future()
  local task = neap.create_task(function() neap.wait { gate, timeout = 1 } end)
  return {
    wait = function() neap.await(task) end,
    complete = function() gate:set_result() end,
    intact = function() pcall(task.await, task) end,
  }
end

calls["await of a function"] = function()
  return { wait = function() neap.await(neap.sleep, 1) end }
end

calls["an await in a generator"] = function()
  return { wait = function()
    coroutine.wrap(function()
      neap.sleep(1)
      coroutine.yield()
    end)()
  end }
end

calls["gather"] = function()
  local tasks = {}
  local function child()
    tasks[#tasks + 1] = neap.current_task()
    neap.sleep(1)
  end
  return {
    wait = function() neap.gather(child, function() child() end) end,
    intact = function() for _, task in ipairs(tasks) do assert.is_true(task:done()) end end,
  }
end

calls["wait"] = function()
  local task = neap.create_task(neap.sleep, 1)
  return {
    wait = function() neap.wait { task } end,
    intact = function()
      task:await()
      assert.is_false(task:cancelled())
    end,
  }
end

calls["as_completed"] = function()
  local task = neap.create_task(neap.sleep, 1)
  return {
    wait = function() neap.as_completed { task } () end,
    intact = function()
      task:await()
      assert.is_false(task:cancelled())
    end,
  }
end

calls["wait_for"] = function()
  return { wait = function() neap.wait_for(neap.sleep, 9, 1) end }
end

calls["shield"] = function()
  local task = neap.create_task(neap.sleep, 1)
  return {
    wait = function() neap.shield(task)() end,
    intact = function()
      task:await()
      assert.is_false(task:cancelled())
    end,
  }
end

calls["semaphore:acquire"] = function()
  local semaphore = neap.Semaphore(0)
  local timer = loop:call_later(1, semaphore.release, semaphore)
  return {
    wait = function() local permit <close> = semaphore:acquire() end,
    complete = function()
      timer:cancel()
      semaphore:release()
    end,
    at_once = true,
    intact = function()
      neap.sleep(2) -- by now the permit is there in any case
      assert.is_false(semaphore:locked())
      semaphore:acquire()
      assert.is_true(semaphore:locked())
    end,
  }
end

calls["the end of a task group"] = function()
  local tasks = {}
  return {
    wait = function()
      local group <close> = neap.TaskGroup()
      for i = 1, 2 do tasks[i] = group:create_task(neap.sleep, 1) end
    end,
    intact = function() for _, task in ipairs(tasks) do assert.is_true(task:done()) end end,
  }
end

calls["the end of a shield"] = function()
  return { wait = function()
    do
      local shield <close> = neap.shielded()
    end
    neap.sleep(1)
  end }
end

local function turns(count)
  for _ = 1, count do neap.sleep(0) end
end

local function assert_intact(scene)
  if scene.intact then scene.intact() end
  assert.equal(0, neap.current_task():cancelling())
  neap.sleep(0)
end

-- Starts a task that waits in the scene, and then in another await.
local function start(scene)
  return neap.create_task(function()
    scene.wait()
    neap.sleep(3600)
  end)
end

-- The task must end as cancelled, without time going by.
local function assert_ends_cancelled(task)
  local began = loop:time()
  local ok, err = pcall(task.await, task)
  assert.is_false(ok)
  assert.is_true(neap.is(err, neap.CancelledError), tostring(err))
  assert.equal(task, err.task)
  assert.is_true(task:cancelled())
  assert.near(0, loop:time() - began, 1e-6)
end

local names = {}
for name in pairs(calls) do names[#names + 1] = name end
table.sort(names)

for _, name in ipairs(names) do
  describe(name, function()
    local scene
    before_each(function()
      testing.virtual_clock()
      scene = calls[name]()
    end)

    it("goes on after its time", function()
      local began = loop:time()
      scene.wait()
      assert.near(1, loop:time() - began, 1e-6)
      assert_intact(scene)
    end)

    it("cancelled before the first run is never begun", function()
      local began = false
      local task = neap.create_task(function()
        began = true
        scene.wait()
      end)
      task:cancel()
      assert_ends_cancelled(task)
      assert.is_false(began)
      assert_intact(scene)
    end)

    it("cancelled before it waits is refused", function()
      local task = neap.create_task(function()
        neap.current_task():cancel()
        scene.wait()
        neap.sleep(3600)
      end)
      assert_ends_cancelled(task)
      assert_intact(scene)
    end)

    for turn = 1, 4 do
      it("cancelled after turn " .. turn .. " ends at once", function()
        local task = start(scene)
        turns(turn)
        task:cancel()
        assert_ends_cancelled(task)
        assert_intact(scene)
      end)
    end

    it("cancelled twice ends at once", function()
      local task = start(scene)
      neap.sleep(0.5)
      task:cancel()
      neap.sleep(0)
      task:cancel()
      assert_ends_cancelled(task)
      assert_intact(scene)
    end)

    it("cancelled and taken back before it was told goes on or is told, and can then wait", function()
      local woken = false
      local task = neap.create_task(function()
        pcall(scene.wait)
        neap.sleep(1)
        woken = true
      end)
      neap.sleep(0.5)
      task:cancel()
      task:uncancel()
      task:await()
      assert.is_true(woken)
      assert_intact(scene)
    end)

    for _, seconds in ipairs { 0, 0.5, 1 } do
      it("in a limit of " .. seconds .. " s ends by it or in time, and the task goes on", function()
        local began = loop:time()
        local ok, err = pcall(function()
          local limit <close> = neap.timeout(seconds)
          scene.wait()
        end)
        assert.is_true(ok or neap.is(err, neap.TimeoutError), tostring(err))
        assert.near(seconds, loop:time() - began, 1e-6)
        assert_intact(scene)
      end)
    end

    it("swallowed for ever ends when it is killed", function()
      local task = neap.create_task(function()
        while true do pcall(scene.wait) end
      end)
      neap.sleep(0.5)
      task:cancel()
      turns(10)
      assert.is_false(task:done())
      assert.is_true(task:kill())
      assert.is_true(task:cancelled())
      turns(4)
      assert_intact(scene)
    end)

    it("killed while it waits leaves nothing behind", function()
      local task = start(scene)
      neap.sleep(0.5)
      assert.is_true(task:kill())
      assert.is_true(task:cancelled())
      assert.is_false(task:kill())
      turns(4)
      assert_intact(scene)
    end)
  end)
end

for _, name in ipairs { "await of a future", "await of a task", "semaphore:acquire" } do
  for later = 0, 2 do
    it(name .. " cancelled " .. later .. " turns after its result came is told at the next await", function()
      testing.virtual_clock()
      local scene, went_on = calls[name](), false
      local task = neap.create_task(function()
        scene.wait()
        went_on = true
        neap.sleep(3600)
      end)
      neap.sleep(0.5)
      scene.complete()
      turns(later)
      task:cancel()
      assert_ends_cancelled(task)
      assert.is_true(went_on or later == 0 and not scene.at_once)
      assert_intact(scene)
    end)
  end
end
