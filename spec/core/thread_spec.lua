-- Use from another thread, and other runtimes in the process. The probe is spec/support/probe.c.
local neap = require "neap"
local testing = require "neap.testing"

local path = (os.getenv "NEAP_CPATH" or "build/release/module/?.so"):gsub("?", "neap_probe")
local probe = assert(package.loadlib(path, "luaopen_neap_probe"))()

local FILE = "spec/core/thread_spec.lua"
local loop = neap.get_event_loop()

local in_thread = probe.in_thread

describe("another thread", function()
  it("can run Lua functions that are none of the loop's", function()
    assert.same({ n = 4, true, 1, nil, 3 }, table.pack(in_thread(function(...) return ... end, 1, nil, 3)))
    assert.same({ n = 2, false, "wolf" }, table.pack(in_thread(error, "wolf", 0)))
  end)

  local task, future, handle, scope, group
  local lock, semaphore, queue, event = neap.Lock(), neap.Semaphore(0), neap.Queue(), neap.Event()
  local variable = neap.ContextVar "x"

  -- By the name that the error has: each touches the loop or what hangs on it.
  local CALLS = {
    call_soon = function() loop:call_soon(print) end,
    call_later = function() loop:call_later(1, print) end,
    call_at = function() loop:call_at(1, print) end,
    create_task = function() neap.create_task(print) end,
    ["create_task of the loop"] = function() loop:create_task(print) end,
    ensure_future = function() neap.ensure_future(print) end,
    stop = function() loop:stop() end,
    close = function() loop:close() end,
    set_debug = function() loop:set_debug(false) end,
    set_exception_handler = function() loop:set_exception_handler(print) end,
    run_forever = function() loop:run_forever() end,
    run_until_complete = function() loop:run_until_complete(task) end,
    get_running_loop = function() neap.get_running_loop() end,
    current_task = function() neap.current_task() end,
    Future = function() neap.Future() end,
    set_result = function() future:set_result(1) end,
    set_exception = function() future:set_exception(1) end,
    ["cancel of a future"] = function() future:cancel() end,
    add_done_callback = function() future:add_done_callback(print) end,
    ["cancel of a task"] = function() task:cancel() end,
    uncancel = function() task:uncancel() end,
    kill = function() task:kill() end,
    set_name = function() task:set_name "wolf" end,
    ["cancel of a handle"] = function() handle:cancel() end,
    ["cancel of a scope"] = function() scope:cancel() end,
    ["release of a lock"] = function() lock:release() end,
    ["release of a semaphore"] = function() semaphore:release() end,
    put_nowait = function() queue:put_nowait(1) end,
    get_nowait = function() queue:get_nowait() end,
    shutdown = function() queue:shutdown() end,
    sleep = function() neap.sleep(0) end,
    await = function() future:await() end,
    ["await of a function"] = function() neap.await(print) end,
    acquire = function() semaphore:acquire() end,
    timeout = function() neap.timeout(1) end,
    open_connection = function() neap.open_connection("127.0.0.1", 1) end,
    start_server = function() neap.start_server(print, "127.0.0.1", 0) end,
  }

  before_each(function()
    task, future = neap.create_task(neap.sleep, 0), neap.Future()
    handle, scope = loop:call_later(3600, print), neap.CancelScope()
  end)

  after_each(function()
    handle:cancel()
    if not task:done() then task:await() end
  end)

  for name, fn in pairs(CALLS) do
    for _, debug_mode in ipairs { false, true } do
      it(("E31 gets an error that names %s, which has done nothing%s")
        :format(name, debug_mode and ", in debug mode too" or ""), function()
        local was_debug = loop:get_debug()
        loop:set_debug(debug_mode)
        local before = testing.census()
        local ok, message = in_thread(fn)
        local is_debug = loop:get_debug()
        loop:set_debug(was_debug)
        assert.is_false(ok)
        assert.equal(("%s:%d: %s: the loop is running in another thread")
          :format(FILE, debug.getinfo(fn, "S").linedefined, name:match "%S+"), message)
        assert.equal(debug_mode, is_debug)
        assert.is_nil(testing.difference(before, testing.census()))
        assert.is_false(task:done() or future:done() or handle:cancelled() or task:get_name() == "wolf")
        assert.is_true(semaphore:locked() and queue:empty() and not loop:get_exception_handler())
        neap.sleep(0)
      end)
    end
  end

  it("E31 cannot wait or open a scope by what is written in Lua either, and leaves nothing behind", function()
    for _, fn in ipairs {
      function() neap.gather(print) end,
      function() neap.wait { future } end,
      function() neap.wait_for(future, 1) end,
      function() neap.shield(future) end,
      function() for _ in neap.as_completed { future } do end end,
      function() neap.run(print) end,
      function() neap.Runner():run(print) end,
      function() neap.TaskGroup() end,
      function() neap.move_on_after(1, print) end,
      function() event:wait() end,
      function() event:set() end,
      function() variable:set(1) end,
      function() neap.capture_call_graph(task) end,
    } do
      local ok, message = in_thread(fn)
      assert.is_false(ok)
      assert.matches("the loop is running in another thread", message, 1, true)
    end
    assert.is_false(future:done())
    assert.is_nil(variable:get())
  end)

  it("E31 that was refused leaves the loop as it was", function()
    testing.virtual_clock()
    for _ = 1, 3 do in_thread(CALLS.call_later) end
    local called = false
    loop:call_soon(function() called = true end)
    neap.sleep(1)
    assert.is_true(called)
  end)

  it("may run a runtime of its own meanwhile", function()
    assert.same({ n = 3, true, true, "42" }, table.pack(in_thread(probe.in_runtime, [[
      local neap = require "neap"
      neap.sleep(0)
      return neap.create_task(function() neap.sleep(0) return 42 end):await()]])))
  end)

  it("T13 runs programs where no signal handler is installed", function()
    local ok, ran, result = in_thread(probe.in_runtime, [[
      local neap = require "neap"
      local group_ran = false
      neap.run(function()
        local group <close> = neap.TaskGroup()
        group:create_task(function() neap.sleep(0) group_ran = true end)
      end)
      return group_ran]])
    assert.is_true(ok and ran)
    assert.equal("true", result)
  end)
end)

describe("another runtime", function()
  it("E21 in the same thread works in full, inside a task of the first", function()
    local ran, result = probe.in_runtime [[
      local neap = require "neap"
      local log = {}
      neap.gather(
        function() for i = 1, 3 do log[#log + 1] = "a" .. i neap.sleep(0) end end,
        function() for i = 1, 3 do log[#log + 1] = "b" .. i neap.sleep(0) end end)
      return table.concat(log, " ")]]
    assert.is_true(ran)
    assert.equal("a1 b1 a2 b2 a3 b3", result)
    neap.sleep(0)
    assert.equal(loop, neap.get_running_loop())
  end)

  it("shares nothing: tasks, context variables, debug mode", function()
    local was_debug = loop:get_debug()
    neap.ContextVar("x"):set(1)
    loop:set_debug(true)
    local ran, result = probe.in_runtime [[
      local neap = require "neap"
      local loop = neap.get_running_loop()
      local seen = ("%d %s"):format(#neap.all_tasks(), tostring(loop:get_debug()))
      loop:set_debug(not loop:get_debug())
      return seen]]
    assert.is_true(loop:get_debug())
    loop:set_debug(was_debug)
    assert.is_true(ran)
    assert.equal(os.getenv "NEAP_DEBUG" == "1" and "1 true" or "1 false", result)
  end)

  it("gives its errors back, and is freed with all that it left", function()
    local ran, err = probe.in_runtime "error('wolf', 0)"
    assert.is_false(ran)
    assert.equal("wolf", err)
    for _ = 1, 3 do
      assert.is_true((probe.in_runtime [[
        local neap = require "neap"
        KEPT = neap.get_running_loop():call_later(3600, print)
        neap.create_task(function()
          local server <close> = neap.start_server(print, "127.0.0.1", 0)
          neap.sleep(0)
        end)]]))
    end
  end)

  it("B15 has tasks that this one cannot await: to it they are no tasks", function()
    local address = probe.address(neap.Future())
    for _, fn in ipairs {
      function() neap.await(address) end,
      function() neap.Future().await(address) end,
      function() neap.gather(address) end,
      function() neap.wait { address } end,
      function() neap.shield(address) end,
    } do
      local ok, message = pcall(fn)
      assert.is_false(ok)
      assert.matches("bad argument #1", message, 1, true)
      assert.matches("userdata", message, 1, true)
    end
    assert.is_false(neap.isfuture(address))
  end)
end)
