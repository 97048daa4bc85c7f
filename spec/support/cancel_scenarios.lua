-- Calls of the core that wait, for spec.support.cancel_matrix: each `make` makes a new scene.
local assert = require "luassert"
local core = require "neap.core"
local neap = require "neap"
local testing = require "neap.testing"

local scenarios = {}

local loop = neap.get_event_loop()

-- --- what scenes are made of ---

-- A task that calls fn(...) after so many seconds.
local function at(seconds, fn, ...)
  return neap.create_task(function(...)
    neap.sleep(seconds)
    fn(...)
  end, ...)
end

-- Calls fn(...), which must raise that value or an error of that kind; a cancel passes.
local function expect(wanted, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  if err ~= wanted and not (type(wanted) == "table" and neap.is(err, wanted)) then error(err, 0) end
end

local WOLF <const> = "wolf"

local function assert_all_done(tasks)
  for _, task in ipairs(tasks) do assert.is_true(task:done(), tostring(task)) end
end

-- Tasks that were not to be cancelled end well.
local function assert_end_well(...)
  for _, task in ipairs { ... } do task:await() end
end

local function waiting(object)
  return tonumber(tostring(object):match "waiters (%d+)") or 0
end

-- --- time ---

scenarios["sleep"] = {
  of = { "neap.sleep" },
  make = function() return { wait = function() neap.sleep(1) end } end,
}

scenarios["sleep of no time"] = {
  of = { "neap.sleep" },
  refuses = true, -- a bare switch has no result
  make = function() return { wait = function() neap.sleep(0) end } end,
}

scenarios["a call whose budget of ready awaits is used up"] = {
  of = { "Event:wait", "WaitQueue:wait" },
  refuses = true,
  make = function()
    local event = neap.Event()
    event:set()
    return { wait = function() for _ = 1, 300 do event:wait() end end }
  end,
}

-- A task goes round for some turns, while the other waits for all to be still; what is to come at 1 s has not come. One
-- who waits for the same takes a step before it, when the result of both has come.
local function blocked_scene(cushion)
  local turns, slept = 0, false
  local first = neap.create_task(testing.wait_all_blocked, cushion)
  local task = neap.create_task(function()
    for i = 1, 5 do
      neap.sleep(0)
      turns = i
    end
    neap.sleep(1)
    slept = true
  end)
  return {
    wait = function()
      testing.wait_all_blocked(cushion)
      assert.equal(5, turns)
      assert.is_false(slept)
    end,
    intact = function() assert_end_well(first, task) end,
  }
end

scenarios["wait_all_blocked"] = {
  of = { "testing.wait_all_blocked" },
  make = function() return blocked_scene() end,
}

scenarios["wait_all_blocked with a cushion"] = {
  of = { "testing.wait_all_blocked" },
  make = function() return blocked_scene(0.002) end,
}

-- --- futures and tasks ---

local function future_scene(wait)
  local future = neap.Future()
  local setter = at(1, function() future:set_result "moon" end)
  return {
    wait = function() assert.equal("moon", wait(future)) end,
    intact = function()
      assert_end_well(setter)
      assert.equal("moon", future:result())
    end,
  }
end

scenarios["Future:await"] = { make = function() return future_scene(function(future) return future:await() end) end }

scenarios["await of a future"] = { of = { "neap.await" }, make = function() return future_scene(neap.await) end }

scenarios["wait_for a future"] = {
  of = { "neap.wait_for" },
  make = function() return future_scene(function(future) return neap.wait_for(future, 9) end) end,
}

scenarios["await of a future that fails"] = {
  of = { "Future:await" },
  make = function()
    local future = neap.Future()
    local setter = at(1, function() future:set_exception(WOLF) end)
    return {
      wait = function() expect(WOLF, future.await, future) end,
      intact = function()
        assert_end_well(setter)
        assert.equal(WOLF, future:exception())
      end,
    }
  end,
}

local function task_scene(wait)
  local task = neap.create_task(function()
    neap.sleep(1)
    return "moon"
  end)
  return {
    wait = function() assert.equal("moon", wait(task)) end,
    intact = function()
      pcall(task.await, task)
      assert.is_true(task:done())
    end,
  }
end

scenarios["Task:await"] = { make = function() return task_scene(function(task) return task:await() end) end }

scenarios["await of a task"] = { of = { "neap.await" }, make = function() return task_scene(neap.await) end }

scenarios["wait_for a task"] = {
  of = { "neap.wait_for" },
  make = function() return task_scene(function(task) return neap.wait_for(task, 9) end) end,
}

scenarios["await of a task that cleans up"] = {
  of = { "Task:await" },
  shielded = true,
  make = function()
    local cleaned = false
    local task = neap.create_task(function()
      local _ <close> = setmetatable({}, { __close = function()
        local shield <close> = neap.shielded()
        neap.sleep(1)
        cleaned = true
      end })
      neap.sleep(1)
    end)
    return {
      wait = function() task:await() end,
      intact = function()
        pcall(task.await, task)
        assert.is_true(cleaned or task:cancelled()) -- it may have been cancelled before it began
      end,
    }
  end,
}

scenarios["await of a chain of tasks"] = {
  of = { "Task:await" },
  make = function()
    local tasks = { neap.create_task(neap.sleep, 1) }
    for i = 2, 5 do tasks[i] = neap.create_task(tasks[i - 1].await, tasks[i - 1]) end
    return {
      wait = function() tasks[5]:await() end,
      intact = function()
        for _, task in ipairs(tasks) do pcall(task.await, task) end
      end,
    }
  end,
}

scenarios["await of a function"] = {
  of = { "neap.await" },
  make = function() return { wait = function() neap.await(neap.sleep, 1) end } end,
}

scenarios["await of a coroutine"] = {
  of = { "neap.await" },
  make = function()
    local co
    return {
      wait = function()
        co = coroutine.create(function()
          neap.sleep(1)
          neap.sleep(1)
        end)
        neap.await(co)
      end,
      intact = function() if co then coroutine.close(co) end end,
    }
  end,
}

scenarios["wait_for no time"] = {
  of = { "neap.wait_for" },
  make = function()
    local task = neap.create_task(neap.sleep, 1)
    return {
      wait = function() expect(neap.TimeoutError, neap.wait_for, task, 0) end,
      intact = function() pcall(task.await, task) end,
    }
  end,
}

scenarios["wait_for a function"] = {
  of = { "neap.wait_for" },
  make = function()
    return { wait = function()
      neap.wait_for(neap.sleep, 9, 1)
      expect(neap.TimeoutError, neap.wait_for, neap.sleep, 1, 9)
      neap.wait_for(neap.sleep, nil, 1)
    end }
  end,
}

-- --- several tasks ---

-- A child takes some turns to clean up.
local cleanup <const> = setmetatable({}, { __close = function()
  local shield <close> = neap.shielded()
  for _ = 1, 3 do neap.sleep(0) end
end })

-- The tasks that a call has made have ended when it ends. A kill waits for nothing, but cancels them.
local function assert_children_ended(cell, tasks)
  if cell.killed then for _ = 1, 4 do neap.sleep(0) end end
  assert_all_done(tasks)
  for _, task in ipairs(tasks) do pcall(task.exception, task) end -- their errors are read now
end

local function children_scene(wait)
  local tasks = {}
  local function child(seconds, ending)
    tasks[#tasks + 1] = neap.current_task()
    local _ <close> = cleanup
    neap.sleep(seconds or #tasks)
    if ending then error(ending, 0) end
  end
  return {
    wait = function() wait(child, function() child() end) end,
    intact = function(cell) assert_children_ended(cell, tasks) end,
  }
end

scenarios["gather"] = { of = { "neap.gather" }, make = function() return children_scene(neap.gather) end }

scenarios["gather of a list"] = {
  of = { "neap.gather" },
  make = function()
    return children_scene(function(...) return neap.gather { return_exceptions = true, ... } end)
  end,
}

scenarios["gather that fails"] = {
  of = { "neap.gather" },
  make = function()
    return children_scene(function(child)
      expect(WOLF, neap.gather, child, function() child(1, WOLF) end, function() child(4) end)
    end)
  end,
}

scenarios["gather of tasks and futures"] = {
  of = { "neap.gather" },
  make = function()
    local task, future = neap.create_task(neap.sleep, 1), neap.Future()
    local setter = at(2, function() future:set_result() end)
    return {
      wait = function() neap.gather(task, future) end,
      intact = function()
        assert_end_well(setter)
        assert.is_true(task:done())
        assert.is_false(future:cancelled())
      end,
    }
  end,
}

local function untouched_scene(wait)
  local tasks = { neap.create_task(neap.sleep, 1), neap.create_task(neap.sleep, 2) }
  return {
    wait = function() wait(tasks) end,
    intact = function() assert_end_well(table.unpack(tasks)) end,
  }
end

scenarios["wait for all"] = {
  of = { "neap.wait" },
  make = function() return untouched_scene(neap.wait) end,
}

scenarios["wait for the first"] = {
  of = { "neap.wait" },
  make = function()
    return untouched_scene(function(tasks)
      neap.wait { return_when = neap.FIRST_COMPLETED, table.unpack(tasks) }
    end)
  end,
}

scenarios["wait for the first error"] = {
  of = { "neap.wait" },
  make = function()
    local quiet, failing = neap.create_task(neap.sleep, 2), at(1, error, WOLF, 0)
    return {
      wait = function() neap.wait { quiet, failing, return_when = neap.FIRST_EXCEPTION } end,
      intact = function()
        assert_end_well(quiet)
        assert.equal(WOLF, failing:exception())
      end,
    }
  end,
}

scenarios["wait with a time limit"] = {
  of = { "neap.wait" },
  make = function()
    return untouched_scene(function(tasks) neap.wait { timeout = 1, tasks[2] } end)
  end,
}

scenarios["the iterator of as_completed"] = {
  of = { "neap.as_completed" },
  make = function()
    return untouched_scene(function(tasks)
      local count = 0
      for task in neap.as_completed(tasks) do
        assert.is_true(task:done())
        count = count + 1
      end
      assert.equal(2, count)
    end)
  end,
}

scenarios["the iterator of as_completed, used again"] = {
  of = { "neap.as_completed" },
  make = function()
    local tasks, given = { neap.create_task(neap.sleep, 1), neap.create_task(neap.sleep, 2) }, {}
    local next_task = neap.as_completed(tasks)
    local function take()
      local task = next_task()
      if task then given[#given + 1] = task end
      return task
    end
    return {
      wait = function() while take() do end end,
      intact = function(cell)
        if cell.killed and #given < 2 then return assert_end_well(table.unpack(tasks)) end
        while take() do end
        assert.same(tasks, given)
      end,
    }
  end,
}

scenarios["shield"] = {
  of = { "neap.shield" },
  make = function()
    return untouched_scene(function(tasks)
      neap.shield(tasks[1])()
      neap.shield(tasks[2])()
    end)
  end,
}

scenarios["shield of a function"] = {
  of = { "neap.shield" },
  make = function()
    local task
    return {
      wait = function()
        neap.shield(function()
          task = neap.current_task()
          neap.sleep(1)
        end)()
      end,
      intact = function() if task then assert_end_well(task) end end,
    }
  end,
}

-- --- scopes ---

scenarios["CancelScope:run"] = {
  make = function()
    return { wait = function() assert.is_true(neap.CancelScope { timeout = 9 }:run(neap.sleep, 1)) end }
  end,
}

scenarios["CancelScope:run that is cut short"] = {
  of = { "CancelScope:run" },
  refuses = true,
  make = function()
    return { wait = function()
      assert.is_false(neap.CancelScope { timeout = 1 }:run(neap.sleep, 9))
      neap.sleep(0)
    end }
  end,
}

scenarios["move_on_after"] = {
  of = { "neap.move_on_after" },
  refuses = true,
  make = function()
    return { wait = function()
      assert.is_true(neap.move_on_after(9, neap.sleep, 1))
      assert.is_false(neap.move_on_after(1, neap.sleep, 9))
      neap.sleep(0)
    end }
  end,
}

scenarios["the end of a shield"] = {
  of = { "neap.sleep" },
  shielded = true,
  refuses = true,
  make = function()
    return { wait = function()
      do
        local shield <close> = neap.shielded()
        neap.sleep(1)
      end
      neap.sleep(0)
    end }
  end,
}

scenarios["nested scopes"] = {
  of = { "neap.sleep" },
  make = function()
    return { wait = function()
      local outer <close> = neap.timeout(9)
      do
        local inner <close> = neap.timeout_at(loop:time() + 8)
        neap.sleep(1)
      end
      local group <close> = neap.CancelScope()
      neap.sleep(1)
    end }
  end,
}

scenarios["Context:run"] = {
  make = function()
    local variable = neap.ContextVar("tide", "neap")
    local context = neap.copy_context()
    local after
    return {
      wait = function()
        local ok, err = pcall(context.run, context, function()
          variable:set "spring"
          neap.sleep(1)
        end)
        after = variable:get()
        if not ok then error(err, 0) end
      end,
      intact = function(cell)
        if not cell.killed then assert.is_true(after == nil or after == "neap") end
        context:run(function() end) -- it is not in use any more
      end,
    }
  end,
}

scenarios["the end of a task group"] = {
  of = { "TaskGroup:__close" },
  make = function()
    return children_scene(function(child)
      local group <close> = neap.TaskGroup()
      group:create_task(child, 1)
      group:create_task(child, 2)
    end)
  end,
}

scenarios["the body of a task group"] = {
  of = { "TaskGroup:__close" },
  make = function()
    return children_scene(function(child)
      local group <close> = neap.TaskGroup()
      group:create_task(child, 2)
      neap.sleep(1)
    end)
  end,
}

scenarios["a task group that fails"] = {
  of = { "TaskGroup:__close" },
  make = function()
    return children_scene(function(child)
      local failing
      local ok, err = pcall(function()
        local group <close> = neap.TaskGroup()
        failing = group:create_task(child, 1, WOLF)
        group:create_task(child, 4)
      end)
      if not ok and err ~= WOLF then error(err, 0) end
      assert.equal(ok, failing:cancelled()) -- it was cancelled instead, and that was taken back
    end)
  end,
}

scenarios["a task group in a task group"] = {
  of = { "TaskGroup:__close" },
  make = function()
    return children_scene(function(child)
      local outer <close> = neap.TaskGroup()
      outer:create_task(function()
        local inner <close> = neap.TaskGroup()
        inner:create_task(child, 1)
      end)
    end)
  end,
}

-- --- locks ---

-- The task stands first in the line, another one behind it: who does not take what is given hands it on.
local function line_scene(lock, release)
  local began = loop:time()
  local second = neap.create_task(function()
    neap.sleep(0)
    neap.sleep(0)
    local held <close> = lock:acquire()
    assert.near(1, loop:time() - began, 1e-6)
  end)
  local releaser = at(1, release)
  return {
    wait = function() local held <close> = lock:acquire() end,
    intact = function()
      assert_end_well(releaser, second)
      assert.is_false(lock:locked())
      lock:acquire()
      assert.is_true(lock:locked()) -- one permit, and no more
      lock:release()
      assert.equal(0, waiting(lock))
    end,
  }
end

local function held_scene(lock)
  lock:acquire()
  return line_scene(lock, function() lock:release() end)
end

scenarios["Lock:acquire"] = { make = function() return held_scene(neap.Lock()) end }

scenarios["Semaphore:acquire"] = { make = function() return held_scene(neap.Semaphore(1)) end }

scenarios["BoundedSemaphore:acquire"] = {
  of = { "Semaphore:acquire" },
  make = function() return held_scene(neap.BoundedSemaphore(1)) end,
}

scenarios["Condition:acquire"] = { make = function() return held_scene(neap.Condition()) end }

scenarios["a lock in a lock"] = {
  of = { "Lock:acquire" },
  make = function()
    local outer, inner = neap.Lock(), neap.Lock()
    outer:acquire()
    inner:acquire()
    local first, second = at(1, outer.release, outer), at(2, inner.release, inner)
    return {
      wait = function()
        local _ <close> = outer:acquire()
        local _ <close> = inner:acquire()
      end,
      intact = function()
        assert_end_well(first, second)
        assert.is_false(outer:locked() or inner:locked())
      end,
    }
  end,
}

scenarios["Event:wait"] = {
  make = function()
    local event = neap.Event()
    local second = neap.create_task(event.wait, event)
    local setter = at(1, function()
      event:set()
      event:clear()
    end)
    return {
      wait = function() assert.is_true(event:wait()) end,
      intact = function()
        assert_end_well(setter, second)
        assert.equal("<Event not set, waiters 0>", tostring(event))
      end,
    }
  end,
}

scenarios["WaitQueue:wait"] = {
  make = function()
    local queue = core.WaitQueue(true) -- what is given to one who cannot take it goes on
    local second = neap.create_task(function()
      neap.sleep(0)
      queue:wait()
    end)
    local wakers = { at(1, queue.wake, queue, 1), at(2, queue.wake, queue, 1) }
    return {
      wait = function() queue:wait() end,
      intact = function()
        assert_end_well(second, table.unpack(wakers))
        assert.equal(0, #queue)
      end,
    }
  end,
}

-- Two wait in turn, the task first; one is notified at each second. Who was notified and does not go on has it passed
-- on to the other. `hold` is for how long the notifier keeps the lock.
local function condition_scene(wait, hold)
  local condition = neap.Condition()
  local used, second_at, began, held_by_notifier = false, nil, loop:time(), false
  local second = neap.create_task(function()
    neap.sleep(0)
    neap.sleep(0)
    local held <close> = condition:acquire()
    condition:wait()
    second_at = loop:time() - began
  end)
  local function notify()
    local held <close> = condition:acquire()
    condition:notify()
    held_by_notifier = true
    neap.sleep(hold)
    held_by_notifier = false
  end
  local notifiers = { at(1, notify), at(3, notify) }
  return {
    wait = function()
      local held <close> = condition:acquire()
      local ok, err = pcall(wait, condition) -- has the lock again, in any case
      assert.is_true(condition:locked() and not held_by_notifier)
      if not ok then error(err, 0) end
      used = true
    end,
    intact = function()
      assert_end_well(second, table.unpack(notifiers))
      assert.is_false(condition:locked())
      assert.equal(0, waiting(condition))
      assert.near((used and 3 or 1) + hold, second_at, 1e-6)
    end,
  }
end

local function wait_in(condition) condition:wait() end

scenarios["Condition:wait"] = {
  make = function() return condition_scene(wait_in, 0) end,
  refuses = true, -- it says that it was not used, and the notification goes on
}

scenarios["Condition:wait, with the lock held for long"] = {
  of = { "Condition:wait" },
  make = function() return condition_scene(wait_in, 1) end,
  shielded = true,
  refuses = true,
}

scenarios["Condition:wait_for"] = {
  refuses = true,
  make = function()
    local condition, value = neap.Condition(), 0
    local function add()
      local held <close> = condition:acquire()
      value = value + 1
      condition:notify_all()
    end
    local adders = { at(1, add), at(2, add) }
    return {
      wait = function()
        local held <close> = condition:acquire()
        assert.is_true(condition:wait_for(function() return value == 2 end))
      end,
      intact = function()
        assert_end_well(table.unpack(adders))
        assert.is_false(condition:locked())
        assert.equal(0, waiting(condition))
      end,
    }
  end,
}

-- Whoever is left alone in the barrier gets company later.
local function barrier_scene(barrier, wait)
  local peers = {}
  for _ = 2, barrier.parties do peers[#peers + 1] = at(1, barrier.wait, barrier) end
  peers[#peers + 1] = at(3, function() if barrier.n_waiting > 0 then barrier:wait() end end)
  return {
    wait = wait,
    intact = function()
      assert_end_well(table.unpack(peers))
      assert.equal(0, barrier.n_waiting)
      assert.is_false(barrier.broken)
    end,
  }
end

scenarios["Barrier:wait"] = {
  make = function()
    local barrier = neap.Barrier(3)
    return barrier_scene(barrier, function() assert.equal(1, barrier:wait()) end)
  end,
}

for _, how in ipairs { "abort", "reset" } do
  scenarios["Barrier:wait, until the " .. how] = {
    of = { "Barrier:wait" },
    make = function()
      local barrier = neap.Barrier(2)
      local breaker = at(1, barrier[how], barrier)
      return {
        wait = function() expect(neap.BrokenBarrierError, barrier.wait, barrier) end,
        intact = function()
          assert_end_well(breaker)
          assert.equal(how == "abort", barrier.broken)
          assert.equal(0, barrier.n_waiting)
        end,
      }
    end,
  }
end

-- --- queues ---

local function drain(queue, list)
  while not queue:empty() do list[#list + 1] = queue:get_nowait() end
  return list
end

-- What the task got, and then what is left, is what was put, in order.
local function get_scene(queue, items, expected)
  local got, putters = {}, {}
  for i, item in ipairs(items) do putters[i] = at(i, queue.put, queue, item) end
  return {
    wait = function() for _ = 1, #items do got[#got + 1] = queue:get() end end,
    intact = function()
      assert_end_well(table.unpack(putters))
      assert.same(expected or items, drain(queue, got))
      assert.equal(0, tonumber(tostring(queue):match "getters (%d+)"))
    end,
  }
end

scenarios["Queue:get"] = { make = function() return get_scene(neap.Queue(), { "a", "b" }) end }

scenarios["LifoQueue:get"] = {
  of = { "Queue:get" },
  make = function() return get_scene(neap.LifoQueue(), { "a" }) end,
}

scenarios["PriorityQueue:get"] = {
  of = { "Queue:get" },
  make = function() return get_scene(neap.PriorityQueue(), { 1, 2 }) end,
}

scenarios["Queue:get, another one behind"] = {
  of = { "Queue:get" },
  make = function()
    local queue, got, second = neap.Queue(), {}, nil
    local other = neap.create_task(function()
      neap.sleep(0)
      second = queue:get()
    end)
    local putters = { at(1, queue.put, queue, "a"), at(2, queue.put, queue, "b") }
    return {
      wait = function() got[#got + 1] = queue:get() end,
      intact = function()
        assert_end_well(other, table.unpack(putters))
        got[#got + 1] = second
        assert.same({ "a", "b" }, drain(queue, got))
      end,
    }
  end,
}

scenarios["Queue:get, until the shutdown"] = {
  of = { "Queue:get" },
  make = function()
    local queue = neap.Queue()
    local closer = at(1, queue.shutdown, queue)
    return {
      wait = function() expect(neap.QueueShutDown, queue.get, queue) end,
      intact = function() assert_end_well(closer) end,
    }
  end,
}

-- The queue is full; the task puts what `items` has after the first.
local function put_scene(queue, items)
  local returned, taken = 1, {}
  queue:put_nowait(items[1])
  local takers = {}
  for i = 1, #items - 1 do
    takers[i] = at(i, function() if not queue:empty() then taken[#taken + 1] = queue:get_nowait() end end)
  end
  return {
    wait = function()
      for i = 2, #items do
        queue:put(items[i])
        returned = i
      end
    end,
    intact = function(cell)
      assert_end_well(table.unpack(takers))
      drain(queue, taken)
      if not cell.killed then assert.equal(returned, #taken) end -- a put that was killed may have happened
      assert.is_true(#taken == returned or #taken == returned + 1)
      assert.same({ table.unpack(items, 1, #taken) }, taken)
      queue:put_nowait "room"
      assert.equal(0, tonumber(tostring(queue):match "putters (%d+)"))
    end,
  }
end

scenarios["Queue:put"] = { make = function() return put_scene(neap.Queue(1), { "a", "b", "c" }) end }

scenarios["LifoQueue:put"] = {
  of = { "Queue:put" },
  make = function() return put_scene(neap.LifoQueue(1), { "a", "b" }) end,
}

scenarios["PriorityQueue:put"] = {
  of = { "Queue:put" },
  make = function()
    return put_scene(neap.PriorityQueue(1, function(a, b) return tostring(a) < tostring(b) end), { "a", "b", "c" })
  end,
}

scenarios["Queue:put, until the shutdown"] = {
  of = { "Queue:put" },
  make = function()
    local queue = neap.Queue(1)
    queue:put_nowait "a"
    local closer = at(1, queue.shutdown, queue)
    return {
      wait = function() expect(neap.QueueShutDown, queue.put, queue, "b") end,
      intact = function()
        assert_end_well(closer)
        assert.same({ "a" }, drain(queue, {}))
      end,
    }
  end,
}

scenarios["Queue:join"] = {
  make = function()
    local queue = neap.Queue()
    queue:put_nowait "a"
    local worker = at(1, function()
      queue:get()
      queue:task_done()
    end)
    return {
      wait = function() queue:join() end,
      intact = function()
        assert_end_well(worker)
        queue:join()
      end,
    }
  end,
}

-- --- coroutines of the user's own, and modules ---

scenarios["coroutine.wrap"] = {
  make = function()
    return { wait = function()
      local generate = coroutine.wrap(function()
        neap.sleep(1)
        coroutine.yield "a"
        neap.sleep(1)
      end)
      assert.equal("a", generate())
      generate()
    end }
  end,
}

scenarios["coroutine.resume"] = {
  make = function()
    return { wait = function()
      local co <close> = setmetatable({ co = coroutine.create(function()
        local limit <close> = neap.timeout(9)
        neap.sleep(1)
        coroutine.yield "a"
        neap.sleep(1)
      end) }, { __close = function(held) coroutine.close(held.co) end })
      for _ = 1, 2 do
        local ok, err = coroutine.resume(co.co)
        if not ok then error(err, 0) end
      end
    end }
  end,
}

scenarios["a generator in a generator"] = {
  of = { "coroutine.wrap" },
  make = function()
    return { wait = function()
      local function inner() return coroutine.wrap(function() neap.sleep(1) end)() end
      coroutine.wrap(function()
        inner()
        coroutine.yield()
      end)()
    end }
  end,
}

local modules = 0

scenarios["require"] = {
  make = function()
    modules = modules + 1
    local name, loads = "spec.module_that_waits_" .. modules, 0
    package.preload[name] = function()
      neap.sleep(1)
      loads = loads + 1
      return "loaded"
    end
    local second = neap.create_task(function()
      neap.sleep(0)
      neap.sleep(0)
      return require(name)
    end)
    return {
      wait = function() assert.equal("loaded", require(name)) end,
      intact = function()
        assert.equal("loaded", second:await())
        assert.equal("loaded", require(name))
        assert.equal(1, loads)
        package.loaded[name], package.preload[name] = nil, nil
      end,
    }
  end,
}

return scenarios
