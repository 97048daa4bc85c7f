-- Debug mode: places of making, steps that take long, cancels that were swallowed.
local neap = require "neap"
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"
local testing = require "neap.testing"

local FILE = "spec/core/debug_spec.lua"
local loop = neap.get_event_loop()
local start = tasks.start

local was_debug = loop:get_debug()

local function here(lines)
  return ("%s:%d"):format(FILE, debug.getinfo(2, "l").currentline + (lines or 0))
end

local function reset()
  loop:set_debug(was_debug)
  loop:set_exception_handler(nil)
  loop.slow_callback_duration = 0.1
end

-- Calls fn in debug mode, in which no step counts as slow; returns the contexts that the handler got.
local function contexts_of(fn)
  local contexts = {}
  testing.virtual_clock()
  loop:set_debug(true)
  loop.slow_callback_duration = math.huge
  loop:set_exception_handler(function(_, context) contexts[#contexts + 1] = context end)
  fn()
  reset()
  return contexts
end

local function messages_of(fn)
  local messages = {}
  for i, context in ipairs(contexts_of(fn)) do messages[i] = context.message end
  return messages
end

local function quiet(fn)
  return function() assert.same({}, messages_of(fn)) end
end

local function cleanup(fn)
  return setmetatable({}, { __close = fn })
end

local function shielded_sleep(seconds)
  return cleanup(function()
    local shield <close> = neap.shielded()
    neap.sleep(seconds)
  end)
end

local function cancel_after(seconds, fn, ...)
  local task = neap.create_task(fn, ...)
  neap.sleep(seconds)
  task:cancel()
  pcall(task.await, task)
  return task
end

describe("debug mode", function()
  after_each(reset)

  it("E30 is what was set", function()
    loop:set_debug(true)
    assert.is_true(loop:get_debug())
    loop:set_debug(false)
    assert.is_false(loop:get_debug())
  end)

  for value, on in pairs { ["1"] = true, ["yes"] = true, ["0"] = false, [""] = false } do
    it(("E33 NEAP_DEBUG=%s turns it %s"):format(value, on and "on" or "off"), function()
      local result = program.run { "env", "NEAP_DEBUG=" .. value, program.neap, "-e",
        "print(require('neap').get_running_loop():get_debug())" }
      assert.equal(tostring(on) .. "\n", result.stdout)
    end)
  end

  it("E33 is off with -E, whatever the environment says", function()
    local result = program.run { "env", "NEAP_DEBUG=1", program.neap, "-E", "-e",
      "print(require('neap').get_running_loop():get_debug())" }
    assert.equal("false\n", result.stdout)
  end)

  it("T3 is a runner's while it is open, in both directions", function()
    local code = [[
      local neap = require "neap"
      local loop = neap.get_event_loop()
      local seen = {}
      local function note() seen[#seen + 1] = tostring(loop:get_debug()) end
      for _, debug in ipairs { true, false } do
        for _, default in ipairs { true, false } do
          loop:set_debug(default)
          do
            local runner <close> = neap.Runner { debug = debug }
            runner:run(note)
          end
          note()
        end
      end
      loop:set_debug(true)
      do
        local runner <close> = neap.Runner()
        runner:run(note)
      end
      print(table.concat(seen, " "))]]
    assert.equal("true true true false false true false false true\n", program.code(code).stdout)
  end)

  it("gives a bad argument its place", function()
    local ok, message = pcall(function() loop.slow_callback_duration = "long" end)
    assert.is_false(ok)
    assert.matches(here(-2) .. ": ", message, 1, true)
    assert.matches("expected, got string", message, 1, true)
    ok, message = pcall(function() loop.slow_callback_duration = 0 / 0 end)
    assert.is_false(ok)
    assert.matches("not a number (NaN)", message, 1, true)
    ok, message = pcall(function() loop.pace = 1 end)
    assert.is_false(ok)
    assert.matches(here(-2) .. ": a loop has no field 'pace' to set", message, 1, true)
    for _, method in ipairs { "set_debug", "get_debug" } do
      ok, message = pcall(loop[method], {}, true)
      assert.is_false(ok)
      assert.matches("bad argument #1 to '?' (neap.Loop expected, got table)", message, 1, true)
    end
    ok, message = pcall(function() loop:set_debug() end)
    assert.is_false(ok)
    assert.matches("value expected", message, 1, true)
  end)

  it("keeps slow_callback_duration, 0.1 s at first", function()
    assert.equal(0.1, loop.slow_callback_duration)
    loop.slow_callback_duration = 2
    assert.equal(2, loop.slow_callback_duration)
  end)
end)

describe("the place of making", function()
  after_each(reset)

  it("A17 of a future is kept in debug mode alone", function()
    loop:set_debug(true)
    local future, made, place = neap.Future(), loop:create_future(), here()
    loop:set_debug(false)
    assert.equal(("<Future pending, made at %s>"):format(place), tostring(future))
    assert.equal(("<Future pending, made at %s>"):format(place), tostring(made))
    assert.equal("<Future pending>", tostring(neap.Future()))
  end)

  it("A17 of a task is kept always", function()
    for _, on in ipairs { true, false } do
      loop:set_debug(on)
      local place = here(1)
      local task = neap.create_task(neap.sleep, 0)
      assert.equal(place, task:made_at())
      task:await()
    end
  end)

  it("A16 of a future whose error nobody read is in the report", function()
    local place
    local contexts = contexts_of(function()
      local future = neap.Future()
      place = here(-1)
      future:set_exception "wolf"
      future = nil -- luacheck: ignore
      for _ = 1, 4 do
        collectgarbage()
        neap.sleep(0)
      end
    end)
    assert.equal(1, #contexts)
    assert.equal("wolf", contexts[1].exception)
    assert.equal(place, contexts[1].made_at)
  end)

  it("E24 E25 is in the string of each scheduled handle, in debug mode alone", function()
    testing.virtual_clock()
    local function nothing() end
    local schedule = {
      function() return loop:call_soon(nothing), here() end,
      function() return loop:call_soon(nothing, 1, nil, 3), here() end,
      function() return loop:call_later(1, nothing), here() end,
      function() return loop:call_at(loop:time() + 1, nothing, "x"), here() end,
    }
    for _, fn in ipairs(schedule) do
      loop:set_debug(true)
      local handle, place = fn()
      assert.matches("made at " .. place .. ">", tostring(handle), 1, true)
      neap.sleep(2)
      assert.matches("called", tostring(handle), 1, true)
      assert.matches("made at " .. place .. ">", tostring(handle), 1, true)
      loop:set_debug(false)
      handle = fn()
      assert.is_nil(tostring(handle):find("made at", 1, true))
      handle:cancel()
      neap.sleep(2)
    end
  end)

  it("E25 of a done callback is in the report of its error", function()
    local place
    local contexts = contexts_of(function()
      local future = neap.Future()
      place = here(1)
      future:add_done_callback(function() error "wolf" end)
      future:set_result()
      neap.sleep(0)
    end)
    assert.equal(1, #contexts)
    assert.equal(place, contexts[1].made_at)
  end)

  it("E25 is that of the script's line, through functions of neap", function()
    loop:set_debug(true)
    local place = here(1)
    local handle = (function(...) return loop:call_soon(...) end)(print)
    assert.matches(place, tostring(handle), 1, true)
    handle:cancel()
    neap.sleep(0)
  end)

  it("does not get into the arguments of callbacks, with and without a context", function()
    loop:set_debug(true)
    local variable = neap.ContextVar "x"
    local got = {}
    local function keep(...) got[#got + 1] = table.pack(...) end
    loop:call_soon(keep, 1, nil)
    variable:set(1)
    loop:call_soon(keep, nil, nil)
    loop:set_debug(false)
    loop:call_soon(keep)
    neap.sleep(0)
    assert.same({ { n = 2, 1 }, { n = 2 }, { n = 0 } }, got)
  end)
end)

describe("a slow step", function()
  after_each(reset)

  local function busy(seconds)
    local stop = os.clock() + seconds
    while os.clock() < stop do end
  end

  -- What is reported while fn runs, with steps of more than a hundredth of a second as slow ones.
  local function slow_steps_of(fn)
    local contexts = {}
    loop:set_exception_handler(function(_, context) contexts[#contexts + 1] = context end)
    loop.slow_callback_duration = 0.01
    loop:set_debug(true)
    neap.sleep(0)
    fn()
    loop:set_debug(false)
    neap.sleep(0)
    return contexts
  end

  local function find(contexts, name, value)
    for _, context in ipairs(contexts) do
      if context[name] == value then return context end
    end
  end

  it("E32 of a task is reported with its duration and the task", function()
    local task
    local contexts = slow_steps_of(function()
      task = neap.create_task(busy, 0.02)
      task:await()
    end)
    local context = find(contexts, "task", task)
    assert.is_true(context.warning)
    assert.is_nil(context.exception)
    assert.is_true(tonumber(context.message:match "for ([%d.]+) s") >= 0.02)
  end)

  it("E32 of a callback is reported with the handle, which tells its place", function()
    local handle, place
    local contexts = slow_steps_of(function()
      place = here(1)
      handle = loop:call_soon(busy, 0.02)
      neap.sleep(0)
    end)
    local context = find(contexts, "handle", handle)
    assert.is_true(context.warning)
    assert.matches(place, tostring(context.handle), 1, true)
  end)

  it("E32 is measured on the real clock, not by the virtual one", function()
    testing.virtual_clock()
    local task
    local contexts = slow_steps_of(function()
      task = neap.create_task(neap.sleep, 3600)
      task:await()
    end)
    assert.is_nil(find(contexts, "task", task))
  end)

  it("E32 is not reported outside debug mode", function()
    local contexts = {}
    loop:set_exception_handler(function(_, context) contexts[#contexts + 1] = context end)
    loop:set_debug(false)
    neap.sleep(0)
    loop.slow_callback_duration = 0
    neap.create_task(neap.sleep, 0):await()
    assert.same({}, contexts)
  end)

  it("E32 that fails is reported as slow and its error is kept", function()
    local task
    local contexts = slow_steps_of(function()
      task = neap.create_task(function()
        busy(0.02)
        error "wolf"
      end)
      pcall(task.await, task)
    end)
    assert.is_true(find(contexts, "task", task).warning)
    assert.matches("wolf", task:exception(), 1, true)
  end)

  it("E32 whose handler fails does not stop the loop", function()
    local result = program.code [[
      local neap = require "neap"
      local loop = neap.get_running_loop()
      loop:set_debug(true)
      loop.slow_callback_duration = 0
      loop:set_exception_handler(function() error "wolf" end)
      neap.create_task(print, "went on"):await()
      loop:set_debug(false)]]
    assert.equal("went on\n", result.stdout)
    assert.matches("the exception handler failed", result.stderr, 1, true)
    assert.matches("warning: a step held the loop", result.stderr, 1, true)
  end)

  it("E32 is one line on stderr by default, and no failure of the program", function()
    local result = program.code [[
      local neap = require "neap"
      local loop = neap.get_running_loop()
      loop:set_debug(true)
      loop.slow_callback_duration = 0
      local task = neap.create_task(math.abs, 1)
      task:set_name "sheep"
      loop:call_soon(function() end)
      neap.sleep(0)
      loop:set_debug(false)]]
    assert.equal(0, result.status)
    assert.matches("\nneap: warning: a step held the loop for %d+%.%d+ s %(sheep%)\n", "\n" .. result.stderr)
    assert.matches("(<Handle called (command line):", result.stderr, 1, true)
    assert.matches("made at (command line):7>)\n", result.stderr, 1, true)
  end)
end)

describe("a swallowed cancel", function()
  after_each(reset)

  it("is named once, with its task and the line that awaits again", function()
    local task, place
    local contexts = contexts_of(function()
      task = start(function()
        pcall(neap.sleep, 3600)
        place = here(1)
        pcall(neap.sleep, 3600)
        pcall(neap.sleep, 3600)
        neap.sleep(3600)
      end)
      task:cancel()
      pcall(task.await, task)
    end)
    assert.equal(1, #contexts)
    assert.is_true(contexts[1].warning)
    assert.equal(task, contexts[1].task)
    assert.matches("sleep at " .. place, contexts[1].message, 1, true)
    assert.matches(place, contexts[1].traceback, 1, true)
  end)

  it("of a time limit is named", function()
    local place
    local messages = messages_of(function()
      local limit <close> = neap.timeout(1)
      pcall(neap.sleep, 3600)
      place = here(1)
      pcall(neap.sleep, 0)
    end)
    assert.equal(1, #messages)
    assert.matches("sleep at " .. place, messages[1], 1, true)
  end)

  it("is named for each cancel", function()
    assert.equal(2, #messages_of(function()
      for _ = 1, 2 do
        neap.move_on_after(1, function()
          pcall(neap.sleep, 3600)
          pcall(neap.sleep, 0)
        end)
      end
    end))
  end)

  it("is named although shielded cleanup, or gather, came in between", function()
    assert.equal(1, #messages_of(function()
      cancel_after(1, function()
        for _ = 1, 4 do
          pcall(neap.sleep, 3600)
          local shield <close> = neap.shielded()
          neap.sleep(0)
        end
      end)
    end))
    assert.equal(1, #messages_of(function()
      cancel_after(1, function()
        for _ = 1, 2 do pcall(neap.gather, function() neap.sleep(3600) end) end
      end)
    end))
  end)

  it("is cleanup that awaits without a shield, too", function()
    local place
    local messages = messages_of(function()
      cancel_after(1, function()
        local _ <close> = cleanup(function()
          place = here(1)
          neap.sleep(1)
        end)
        neap.sleep(3600)
      end)
    end)
    assert.equal(1, #messages)
    assert.matches("sleep at " .. place, messages[1], 1, true)
  end)

  it("is not named outside debug mode", function()
    local contexts = {}
    loop:set_debug(false)
    loop:set_exception_handler(function(_, context) contexts[#contexts + 1] = context end)
    local task = start(function()
      for _ = 1, 3 do pcall(neap.sleep, 3600) end
    end)
    task:cancel()
    pcall(task.await, task)
    assert.same({}, contexts)
  end)

  it("is a paragraph on stderr by default, and no failure of the program", function()
    local result = program.code [[
      local neap = require "neap"
      neap.get_running_loop():set_debug(true)
      local task = neap.create_task(function()
        pcall(neap.sleep, 1)
        pcall(neap.sleep, 1)
      end)
      task:set_name "sheep"
      neap.sleep(0)
      task:cancel()]]
    assert.equal(0, result.status)
    assert.matches("^neap: warning: sleep at %(command line%):5 awaits [^\n]*%(sheep%)\nstack traceback:\n",
      result.stderr)
  end)
end)

describe("no warning comes of", function()
  after_each(reset)

  it("a time limit", quiet(function()
    for _ = 1, 3 do
      pcall(function()
        local limit <close> = neap.timeout(1)
        neap.sleep(5)
      end)
      neap.move_on_after(1, neap.sleep, 5)
      neap.sleep(1)
    end
  end))

  it("a time limit whose block swallowed its cancel and ended", quiet(function()
    do
      local limit <close> = neap.timeout(1)
      pcall(neap.sleep, 5)
    end
    neap.sleep(1)
  end))

  it("a time limit in a time limit, whichever is due", quiet(function()
    for inner = 1, 3 do
      pcall(function()
        local limit <close> = neap.timeout(2)
        pcall(function()
          local _ <close> = neap.timeout(inner)
          neap.sleep(5)
        end)
      end)
      neap.sleep(1)
    end
  end))

  it("a scope that is cancelled while an inner one cleans up", quiet(function()
    local outer = neap.CancelScope()
    outer:run(function()
      local limit <close> = neap.timeout(1)
      local _ <close> = cleanup(function()
        local shield <close> = neap.shielded()
        neap.sleep(1)
        outer:cancel()
        neap.sleep(1)
      end)
      neap.sleep(5)
    end)
    neap.sleep(1)
  end))

  it("a cancelled task that cleans up behind a shield, returns, or raises", quiet(function()
    cancel_after(1, function()
      local _ <close> = shielded_sleep(1)
      neap.sleep(5)
    end)
    cancel_after(1, function() pcall(neap.sleep, 5) end)
    cancel_after(1, function() assert(pcall(neap.sleep, 5)) end)
    cancel_after(0, neap.sleep, 5)
    neap.create_task(neap.sleep, 5):cancel()
  end))

  it("a task that looks at its cancels itself", quiet(function()
    cancel_after(1, function()
      while neap.current_task():cancelling() == 0 do pcall(neap.sleep, 3) end
    end)
  end))

  it("a cancel that is taken back", quiet(function()
    cancel_after(1, function()
      pcall(neap.sleep, 5)
      neap.current_task():uncancel()
      neap.sleep(1)
    end)
  end))

  it("a task that awaits cancelled tasks", quiet(function()
    local task = cancel_after(1, neap.sleep, 5)
    for _ = 1, 3 do pcall(task.await, task) end
    neap.sleep(1)
  end))

  it("awaiters that are cancelled down to a task that cleans up", quiet(function()
    local inner = neap.create_task(function()
      local _ <close> = shielded_sleep(1)
      neap.sleep(5)
    end)
    cancel_after(1, function() neap.create_task(inner.await, inner):await() end)
  end))

  it("a group whose child, body or program fails", quiet(function()
    local function block(fail_child, fail_body, seconds)
      local group <close> = neap.TaskGroup()
      group:create_task(function()
        local _ <close> = shielded_sleep(1)
        neap.sleep(5)
      end)
      if fail_child then group:create_task(function() neap.sleep(1) error "child" end) end
      neap.sleep(seconds)
      if fail_body then error "body" end
    end
    local function failing(...)
      pcall(block, ...)
      neap.sleep(1)
    end
    failing(true, false, 9)
    failing(true, false, 0)
    failing(false, true, 1)
    failing(false, true, 9)
    cancel_after(1, block, false, false, 9)
    cancel_after(1, block, false, false, 0)
    pcall(neap.wait_for, block, 1, false, false, 9)
    neap.sleep(1)
  end))

  it("a group in a group", quiet(function()
    cancel_after(1, function()
      local outer <close> = neap.TaskGroup()
      outer:create_task(function()
        local inner <close> = neap.TaskGroup()
        inner:create_task(neap.sleep, 5)
        inner:create_task(neap.sleep, 5)
      end)
      local second <close> = neap.TaskGroup()
      second:create_task(neap.sleep, 5)
    end)
  end))

  it("a group that is cancelled by its body, a child, or others", quiet(function()
    for seconds = 0, 2, 2 do
      pcall(function()
        local group <close> = neap.TaskGroup()
        group:create_task(neap.sleep, 5)
        group:create_task(function() neap.sleep(1) group:cancel() end)
        neap.sleep(seconds)
      end)
      neap.sleep(1)
    end
    do
      local group <close> = neap.TaskGroup()
      group:create_task(neap.sleep, 5)
      group:cancel()
    end
    neap.sleep(1)
  end))

  it("a group whose body swallowed the cancel and ended", quiet(function()
    do
      local group <close> = neap.TaskGroup()
      group:create_task(neap.sleep, 5)
      group:create_task(function() neap.sleep(1) group:cancel() end)
      pcall(neap.sleep, 9)
    end
    neap.sleep(1)
  end))

  it("retries under limits in a group", quiet(function()
    local group <close> = neap.TaskGroup()
    for _ = 1, 3 do
      group:create_task(function()
        for _ = 1, 3 do neap.move_on_after(1, neap.sleep, 5) end
      end)
    end
  end))

  it("gather that fails, or is cancelled once or twice", quiet(function()
    local function slow()
      local _ <close> = shielded_sleep(2)
      neap.sleep(5)
    end
    pcall(neap.gather, slow, function() neap.sleep(1) error "wolf" end)
    neap.sleep(1)
    cancel_after(1, neap.gather, slow, slow)
    pcall(neap.wait_for, function() neap.gather(slow, slow) end, 1)
    local task = start(neap.gather, slow)
    task:cancel()
    neap.sleep(1)
    task:cancel()
    pcall(task.await, task)
  end))

  it("wait_for", quiet(function()
    pcall(neap.wait_for, neap.sleep, 1, 5)
    pcall(neap.wait_for, neap.create_task(neap.sleep, 5), 1)
    pcall(neap.wait_for, neap.create_task(neap.sleep, 5), 0)
    pcall(neap.wait_for, function()
      local _ <close> = shielded_sleep(1)
      neap.sleep(5)
    end, 1)
    neap.sleep(1)
  end))

  it("wait, as_completed and shield", quiet(function()
    local task = neap.create_task(neap.sleep, 9)
    neap.wait { task, timeout = 1 }
    pcall(function() for _ in neap.as_completed { task, timeout = 1 } do end end)
    cancel_after(1, function() neap.wait { task } end)
    cancel_after(1, function() for _ in neap.as_completed { task } do end end)
    cancel_after(1, function() neap.shield(task)() end)
    task:await()
  end))

  it("locks, semaphores, events, barriers and queues whose waiters are cancelled", quiet(function()
    local lock, semaphore, event, queue = neap.Lock(), neap.Semaphore(0), neap.Event(), neap.Queue(1)
    local held <close> = lock:acquire()
    for _ = 1, 2 do
      cancel_after(1, lock.acquire, lock)
      cancel_after(1, semaphore.acquire, semaphore)
      cancel_after(1, event.wait, event)
      cancel_after(1, queue.get, queue)
      local barrier = neap.Barrier(2)
      cancel_after(1, barrier.wait, barrier)
    end
    queue:put(1)
    pcall(neap.wait_for, function() queue:put(2) end, 1)
    pcall(neap.wait_for, function() queue:join() end, 1)
    neap.sleep(1)
  end))

  it("a condition whose waiter is cancelled, the lock being free or held", quiet(function()
    local condition = neap.Condition()
    local function wait()
      local held <close> = condition:acquire()
      condition:wait()
    end
    cancel_after(1, wait)
    local task = start(wait)
    do
      local held <close> = condition:acquire()
      task:cancel()
      neap.sleep(1)
    end
    pcall(task.await, task)
    cancel_after(1, function()
      local held <close> = condition:acquire()
      condition:wait_for(function() return false end)
    end)
  end))

  it("generators that open limits, and those whose consumer is cancelled", quiet(function()
    local generator = coroutine.wrap(function()
      local limit <close> = neap.timeout(1)
      pcall(neap.sleep, 3)
      coroutine.yield()
    end)
    generator()
    neap.sleep(1)
    pcall(generator)
    neap.sleep(1)
    cancel_after(1, function()
      local rows = coroutine.wrap(function() for i = 1, 9 do neap.sleep(0.3) coroutine.yield(i) end end)
      for _ in rows do neap.sleep(0.1) end
    end)
  end))

  it("a task that is killed with all it has", quiet(function()
    local task = start(function()
      local group <close> = neap.TaskGroup()
      local limit <close> = neap.timeout(2)
      group:create_task(neap.sleep, 5)
      neap.gather(function() neap.sleep(5) end)
    end)
    task:kill()
    neap.sleep(1)
  end))

  it("a server that is closed while its handlers read, write and sleep", quiet(function()
    for _, handler in ipairs {
      function() neap.sleep(3600) end,
      function(stream) for line in stream:lines() do stream:write(line) end end,
      function(stream) stream:write(("x"):rep(1 << 23)) end,
      function(stream)
        local _ <close> = cleanup(function() stream:close() end)
        stream:read "a"
      end,
    } do
      local server <close> = assert(neap.start_server(handler, "127.0.0.1", 0))
      local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
      neap.sleep(0.01)
      server:close(0)
      server:wait_closed()
    end
  end))

  it("serve_forever and a client that are cancelled", quiet(function()
    cancel_after(0.01, function()
      local server <close> = assert(neap.start_server(function(stream) stream:read "a" end, "127.0.0.1", 0))
      local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
      stream:write(("x"):rep(100000))
      server:serve_forever()
    end)
  end))

  it("programs that end: leftovers of run and of the command", function()
    local result = program.code [[
      local neap = require "neap"
      neap.get_running_loop():set_debug(true)
      local function slow()
        local _ <close> = setmetatable({}, { __close = function()
          local shield <close> = neap.shielded()
          neap.sleep(1)
        end })
        neap.sleep(3600)
      end
      neap.run(function()
        neap.create_task(neap.gather, slow, slow)
        neap.create_task(slow)
        neap.sleep(1)
      end)
      local runner <close> = neap.Runner()
      runner:run(function() neap.create_task(slow) neap.sleep(0) end)
      neap.create_task(slow)
      neap.sleep(0)
      os.exit(0, true)]]
    assert.equal("", result.stderr)
  end)
end)
