-- Callbacks of tasks and of the loop, and the loop itself.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const>, try <const> = scenario.start, scenario.raises, scenario.try
local loop = neap.get_event_loop()

return {
  { name = "callbacks: of a task", run = function()
    local task = neap.create_task(neap.sleep, 1)
    local called, removed = 0, 0
    local function on_removed() removed = removed + 1 end
    for _ = 1, 3 do
      task:add_done_callback(function(done) called = called + (done == task and 1 or 0) end)
    end
    task:add_done_callback(on_removed)
    task:add_done_callback(on_removed)
    assert(task:remove_done_callback(on_removed) == 2)
    task:await()
    neap.sleep(0)
    assert(called == 3 and removed == 0)
    task:add_done_callback(function() called = called + 1 end)
    neap.sleep(0)
    assert(called == 4)
  end },

  { name = "callbacks: of a future that is cancelled", run = function()
    local future, called = neap.Future(), 0
    future:add_done_callback(function() called = called + 1 end)
    future:cancel()
    neap.sleep(0)
    assert(called == 1)
  end },

  { name = "callbacks: soon, later, and at", run = function()
    local order = {}
    local function add(...) order[#order + 1] = table.concat({ ... }) end
    loop:call_soon(add, "s", 1)
    loop:call_later(2, add, "l", 2)
    loop:call_later(1, add, "l", 1)
    loop:call_at(loop:time() + 3, add, "a")
    neap.sleep(4)
    assert(table.concat(order) == "s1l1l2a")
  end },

  { name = "callbacks: cancelled", run = function()
    local called = 0
    local function call() called = called + 1 end
    local soon, later = loop:call_soon(call), loop:call_later(1, call)
    soon:cancel()
    later:cancel()
    assert(later:cancelled() and tostring(later))
    neap.sleep(2)
    assert(called == 0)
  end },

  { name = "callbacks: that fail", reports = true, run = function()
    local called = 0
    loop:call_soon(error, "a callback's error")
    loop:call_later(1, function() error { "another" } end)
    loop:call_soon(function() called = called + 1 end)
    neap.sleep(2)
    assert(called == 1)
  end },

  { name = "callbacks: that wait", reports = true, run = function()
    loop:call_soon(neap.sleep, 1)
    neap.sleep(0)
    neap.sleep(0)
  end },

  { name = "loop: current, running, other objects", run = function()
    assert(neap.get_running_loop() == loop and loop:is_running())
    assert(tostring(loop):find("running", 1, true))
    local other = neap.new_event_loop()
    assert(other ~= loop and not other:is_closed())
    other:close()
    raises("closed", other.call_soon, other, print)
    raises("running", neap.await, start(loop.run_until_complete, loop, neap.Future()))
    assert(loop:create_task(function() return 5 end):await() == 5)
    local future = loop:create_future()
    loop:call_soon(future.set_result, future, 6)
    assert(future:await() == 6)
  end },

  { name = "loop: turns without waiting", run = function()
    local future = neap.Future()
    future:set_result(1)
    local other = 0
    local task = neap.create_task(function() other = other + 1 end)
    for _ = 1, 600 do future:await() end
    assert(other == 1 and task:done())
  end },

  { name = "exceptions: a handler of one's own", reports = true, run = function()
    local seen = {}
    local before = loop:get_exception_handler()
    local _ <close> = scenario.closer(function() loop:set_exception_handler(before) end)
    loop:set_exception_handler(function(_, context)
      seen[#seen + 1] = context.exception
      scenario.note(context.exception)
    end)
    loop:call_soon(error, "seen", 0)
    loop:call_exception_handler { message = "told", exception = "by hand" }
    neap.sleep(0)
    assert(table.concat(seen, ",") == "by hand,seen")
  end },

  { name = "exceptions: a handler that fails", default_handler = true, run = function()
    loop:set_exception_handler(function(_, context)
      scenario.note(context.exception)
      error "the handler is broken"
    end)
    loop:call_soon(error, "lost?")
    neap.sleep(0)
    loop:set_exception_handler(nil)
  end },

  { name = "exceptions: the default handler", default_handler = true, run = function()
    loop:set_exception_handler(nil)
    loop:call_soon(error, "a callback's error")
    assert(start(error, "a task's error"):done())
    collectgarbage()
    collectgarbage()
    neap.sleep(0)
  end },

  { name = "exceptions: an error nobody reads", reports = true, run = function()
    assert(start(error, { "unread" }):done())
    neap.Future():set_exception "unread too"
    collectgarbage()
    neap.sleep(0)
    start(error, "unread at the end")
  end },

  -- Without memory to tell the main task, the host is told.
  { name = "deadlock: told to the main task", deadlocks = true, run = function()
    start(neap.await, neap.Future())
    local err = raises(neap.DeadlockError, neap.await, neap.Future())
    assert(scenario.told or tostring(err):find("waits in await", 1, true))
    for _, task in ipairs(neap.all_tasks()) do
      if task ~= neap.current_task() then
        task:cancel()
        try(neap.await, task)
      end
    end
  end },
}
