local neap = require "neap"
local program = require "spec.support.program"

local thread <const> = neap.thread

local function raises(text, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.matches(text, tostring(err), 1, true)
  return err
end

-- Runs a program in real time.
local function run(code)
  return program.run { program.neap, "-e", code }
end

-- A thread that runs its loop until it is stopped, as a <close> value.
local function loop_thread()
  local t <const> = thread(function() neap.get_event_loop():run_forever() end)
  local closer = setmetatable({}, { __close = function()
    local shield <close> = neap.shielded()
    t:stop()
    t:join()
  end })
  return t, closer
end

describe("a thread", function()
  it("returns what its function does, to all who join it", function()
    local t <const> = thread(function(a, ...)
      neap.sleep(0.001)
      return a, select("#", ...), nil
    end, 1, nil, nil)
    local other = neap.create_task(t.join, t)
    assert.same({ 1, 2, nil, n = 3 }, table.pack(t:join()))
    assert.equal(1, (other:await()))
    assert.equal(1, (t:join()))
  end)

  it("runs elsewhere, in a state of its own", function()
    _G.spec_value = 1
    local t <const> = thread(function() return _G.spec_value, neap.current_thread().name end)
    local value, name = t:join()
    _G.spec_value = nil
    assert.is_nil(value)
    assert.equal(t.name, name)
  end)

  it("has an identity that crosses", function()
    local me <const> = neap.current_thread()
    local t <const> = thread(function() return neap.parent_thread(), neap.current_thread() end)
    local parent, self = t:join()
    assert.equal(me, parent)
    assert.equal(t, self)
    assert.is_nil(neap.parent_thread())
    assert.equal("main", me.name)
  end)

  it("raises its error where it is joined, with its kind and its traceback", function()
    local late <const> = thread(function() error(neap.TimeoutError "late") end)
    assert.is_true(neap.is(raises("late", late.join, late), neap.TimeoutError))
    local result = run [[
      local neap = require "neap"
      local t = neap.thread(function() local function deep() error("oops") end deep() end)
      t:join()
    ]]
    assert.matches("oops.*in upvalue 'deep'.*awaited after it failed in Thread%-1.*in method 'join'", (result.stderr
      :gsub("in local 'deep'", "in upvalue 'deep'")))
    assert.equal(1, result.status)
  end)

  it("fails the program by what failed in a thread of a thread that has not waited for it", function()
    local result = program.code [[
      local neap = require "neap"
      neap.thread(function()
        local neap = require "neap"
        local child = neap.thread(function()
          neap.create_task(error, "nobody reads it")
          neap.sleep(0)
        end)
        while child:is_alive() do end
      end):join()]]
    assert.matches("nobody reads it", result.stderr)
    assert.equal(1, result.status)
  end)

  it("whose error nobody reads tells it in the end", function()
    local result = run [[
      local neap = require "neap"
      neap.thread(function() error("oops") end)
    ]]
    assert.matches("nobody read its error: .*oops.*stack traceback", result.stderr)
    assert.equal(1, result.status)
  end)

  it("whose values cannot be copied fails with an error that says so", function()
    local t <const> = thread(function() return 1, coroutine.create(print) end)
    raises("thread: cannot copy a coroutine (result 2)", t.join, t)
  end)

  it("whose error cannot be copied gives a string that says so", function()
    local t <const> = thread(function() error({ coroutine.create(print) }) end)
    raises("(error object is a table value) (which came as a string: thread: cannot copy a coroutine (field '[1]'))",
      t.join, t)
  end)

  it("is not started with what cannot be copied", function()
    local stream <const> = coroutine.create(print)
    raises("thread: cannot copy a coroutine (upvalue 'stream')", thread, function() return stream end)
    raises("thread: cannot copy a coroutine (argument 2, field 'a.b[3]')", thread, print, 1,
      { a = { b = { 1, 2, stream } } })
    raises("bad argument #1 to 'thread' (function expected, got number)", thread, 42)
  end)

  it("finds a deadlock of its own", function()
    local t <const> = thread(function() neap.Queue():get() end)
    assert.is_true(neap.is(raises("waits in get", t.join, t), neap.DeadlockError))
  end)

  it("cancels what it leaves, and waits for that", function()
    local log <const> = neap.Channel()
    thread(function()
      neap.create_task(function()
        local ok = pcall(neap.sleep, 60)
        local shield <close> = neap.shielded()
        neap.sleep(0.01)
        log:send(ok)
      end)
      neap.sleep(0)
    end):join()
    assert.equal(1, log:qsize())
    assert.is_false(log:receive())
  end)

  it("has the paths of its parent, and arg", function()
    local before <const> = package.path
    package.path = "./?.lua;./spec/none/?.lua"
    local t <const> = thread(function() return package.path, type(arg) end)
    package.path = before
    local path = t:join()
    assert.equal("./?.lua;./spec/none/?.lua", path)
  end)

  it("has no signals delivered to it", function()
    local result = run [[
      local neap = require "neap"
      local t = neap.thread(function()
        local held <close> = setmetatable({}, { __close = function() print "cleaned" end })
        os.execute("kill -TERM $PPID")
        neap.sleep(60)
      end)
      neap.sleep(60)
    ]]
    assert.equal("cleaned\n", result.stdout)
    assert.equal(143, result.status)
  end)

  it("has a name and a daemon flag, and no other field", function()
    local t <const> = thread(neap.sleep, 0)
    assert.is_false(t.daemon)
    t.name = "worker"
    assert.equal("worker", t.name)
    raises("a thread has no field 'color' to set", function() t.color = 1 end)
    t:join()
    assert.is_false(t:is_alive())
    assert.equal("<Thread worker ended>", tostring(t))
  end)

  it("cannot wait for itself", function()
    local t <const> = thread(function() return pcall(function() neap.current_thread():join() end) end)
    local ok, err = t:join()
    assert.is_false(ok)
    assert.matches("join: a thread cannot wait for itself", err, 1, true)
  end)

  it("goes on when a join of it is cancelled", function()
    local go <const> = neap.Channel()
    local t <const> = thread(function() return go:receive() end)
    raises("0.01", neap.wait_for, function() t:join() end, 0.01)
    assert.is_true(t:is_alive())
    go:send "gone on"
    assert.equal("gone on", t:join())
  end)

  it("exits the program by os.exit, which unwinds", function()
    local result = run [[
      local neap = require "neap"
      local held <close> = setmetatable({}, { __close = function() print "unwound" end })
      neap.thread(function() os.exit(7) end)
      neap.sleep(60)
    ]]
    assert.equal("unwound\n", result.stdout)
    assert.equal(7, result.status)
  end)

  it("exits the program from a thread that a thread waits for, whatever that learns first", function()
    for _ = 1, 10 do
      local result = run [[
        local neap = require "neap"
        neap.thread(function()
          local child = neap.thread(function() os.exit(7) end)
          while child:is_alive() do end -- so that its end is known before this loop is told of it
          child:join()
        end)
        neap.sleep(60)
      ]]
      assert.equal("", result.stderr)
      assert.equal(7, result.status)
    end
  end)

  it("may start threads itself", function()
    local t <const> = thread(function()
      local child <const> = neap.thread(function() return neap.parent_thread().name end)
      return child:join(), neap.current_thread().name
    end)
    local parent, self = t:join()
    assert.equal(self, parent)
  end)
end)

describe("stopping a thread", function()
  it("ends a run_forever in its body, which goes on", function()
    local t <const> = thread(function()
      neap.get_event_loop():run_forever()
      return "stopped"
    end)
    t:call_soon_threadsafe(function() neap.current_thread():stop() end)
    assert.equal("stopped", t:join())
  end)

  it("cancels everything in it otherwise", function()
    local ready <const> = neap.Channel()
    local t <const> = thread(function()
      ready:send(true)
      neap.sleep(60)
    end)
    ready:receive()
    t:stop()
    assert.is_true(neap.is(raises("was cancelled", t.join, t), neap.CancelledError))
    t:stop()
  end)

  it("is what the end of the program does to daemons", function()
    local result = run [[
      local neap = require "neap"
      local ready = neap.Channel()
      local t = neap.thread(function()
        local held <close> = setmetatable({}, { __close = function() print "cleaned" end })
        ready:send(true)
        neap.sleep(3600)
      end)
      t.daemon = true
      ready:receive()
      print "over"
    ]]
    assert.equal("over\ncleaned\n", result.stdout)
    assert.equal(0, result.status)
  end)

  it("cannot end one that does not await: the program ends without it", function()
    local result = run [[
      local neap = require "neap"
      local ready = neap.Channel()
      local t = neap.thread(function()
        ready:send(true)
        while true do end
      end)
      t.daemon = true
      ready:receive()
      print "over"
    ]]
    assert.equal("over\n", result.stdout)
    assert.equal(0, result.status)
  end)

  it("takes no longer for many of them", function()
    local before <const> = os.time()
    local result = run [[
      local neap = require "neap"
      local ready = neap.Channel()
      local function swallow()
        ready:send(true)
        while true do pcall(neap.sleep, 60) end
      end
      local function hold()
        ready:send(true)
        while true do end
      end
      for i = 1, 8 do neap.thread(i % 2 == 0 and hold or swallow).daemon = true end
      for _ = 1, 8 do ready:receive() end
    ]]
    assert.equal(0, result.status)
    assert.is_true(os.time() - before < 6) -- one after the other they took ten seconds
  end)

  it("kills what swallows it, at the program's end", function()
    local result = run [[
      local neap = require "neap"
      local ready = neap.Channel()
      local t = neap.thread(function()
        local held <close> = setmetatable({}, { __close = function() print "killed" end })
        ready:send(true)
        while true do pcall(neap.sleep, 60) end
      end)
      t.daemon = true
      ready:receive()
    ]]
    assert.equal("killed\n", result.stdout)
    assert.equal(0, result.status)
  end)
end)

describe("call_soon_threadsafe", function()
  it("E4 wakes a blocked loop, and keeps the order of arrival", function()
    local log <const> = neap.Channel()
    local t <const>, closer <close> = loop_thread()
    neap.sleep(0.01)
    for i = 1, 3 do t:call_soon_threadsafe(function() log:send_nowait(i) end) end
    t:call_soon_threadsafe(function()
      local loop = neap.get_running_loop()
      loop:call_soon(function() log:send_nowait "soon 1" end)
      neap.current_thread():call_soon_threadsafe(function() log:send_nowait "threadsafe" end)
      loop:call_soon(function() log:send_nowait "soon 2" end)
    end)
    local got = {}
    for i = 1, 6 do got[i] = log:receive() end
    assert.same({ 1, 2, 3 }, { table.unpack(got, 1, 3) })
    table.sort(got, function(a, b) return tostring(a) < tostring(b) end)
    assert.same({ 1, 2, 3, "soon 1", "soon 2", "threadsafe" }, got)
  end)

  it("E5 on one's own loop is call_soon", function()
    local loop, log = neap.get_running_loop(), {}
    for i = 1, 6 do
      loop[i % 2 == 0 and "call_soon_threadsafe" or "call_soon"](loop, function() log[#log + 1] = i end)
    end
    neap.sleep(0)
    neap.sleep(0)
    assert.same({ 1, 2, 3, 4, 5, 6 }, log)
  end)

  it("is not called when it was cancelled before", function()
    local log <const> = neap.Channel()
    local t <const>, closer <close> = loop_thread()
    local handle = t:call_soon_threadsafe(function() log:send_nowait "never" end)
    local was_called = handle:cancelled()
    handle:cancel()
    t:call_soon_threadsafe(function() log:send_nowait "called" end)
    local first = log:receive()
    assert.is_false(was_called)
    assert.is_true(handle:cancelled() and first == "called" or first == "never")
  end)

  it("is refused when the thread has ended", function()
    local t <const> = thread(neap.sleep, 0)
    t:join()
    raises("call_soon_threadsafe: the thread has ended", t.call_soon_threadsafe, t, print)
  end)
end)

describe("the error of a thread", function()
  it("is of its kind also where the thread has not loaded neap", function()
    local channel <const> = neap.Channel()
    local failing = neap.thread(function() channel:receive() end)
    failing:stop()
    local ok, err = pcall(failing.join, failing)
    assert.is_false(ok)
    assert.is_true(neap.is(err, neap.CancelledError))
  end)
end)

describe("run_coroutine_threadsafe", function()
  it("U4 returns the function's values", function()
    local t <const>, closer <close> = loop_thread()
    local task = t:run_coroutine_threadsafe(function(a, b)
      neap.sleep(0.001)
      return a + b, nil, neap.current_thread().name
    end, 1, 2)
    assert.same({ 3, nil, t.name, n = 3 }, table.pack(task:await()))
  end)

  it("U5 raises the function's error", function()
    local t <const>, closer <close> = loop_thread()
    local task = t:run_coroutine_threadsafe(function() error({ code = 42 }) end)
    local _, err = pcall(task.await, task)
    assert.same({ code = 42 }, err)
  end)

  it("U6 is cancelled there when the wait for it is, and nothing is left", function()
    local log <const> = neap.Channel()
    local t <const>, closer <close> = loop_thread()
    local task = t:run_coroutine_threadsafe(function()
      local held <close> = setmetatable({}, { __close = function() log:send_nowait "closed" end })
      log:send_nowait "begun"
      neap.sleep(60)
    end)
    log:receive()
    raises("time limit", neap.wait_for, task, 0.01)
    assert.is_true(task:cancelled())
    assert.equal("closed", log:receive())
    local count = t:run_coroutine_threadsafe(function()
      neap.sleep(0)
      return #neap.all_tasks()
    end)
    assert.equal(2, count:await())
  end)

  it("U6 is not begun when it is cancelled at once", function()
    local t <const>, closer <close> = loop_thread()
    local log <const>, held <const> = neap.Channel(), neap.Channel()
    t:call_soon_threadsafe(function() -- holds the loop meanwhile
      held:send_nowait(true)
      while log:qsize() == 0 do end
    end)
    held:receive()
    local task = t:run_coroutine_threadsafe(function() log:send_nowait "begun" end)
    task:cancel()
    raises("was cancelled", task.await, task)
    neap.sleep(0)
    neap.sleep(0)
    log:send_nowait "go on"
    t:run_coroutine_threadsafe(function() end):await()
    assert.equal("go on", log:receive())
    assert.equal(0, log:qsize())
  end)

  it("U7 is cancelled here when it was there", function()
    local t <const>, closer <close> = loop_thread()
    local task = t:run_coroutine_threadsafe(function()
      neap.current_task():cancel()
      neap.sleep(60)
    end)
    raises("was cancelled", task.await, task)
    assert.is_true(task:cancelled())
  end)

  it("U8 fails once when it cannot be begun", function()
    local t <const>, closer <close> = loop_thread()
    local missing <const> = { field = function() end }
    package.loaded["spec.missing"] = missing
    local task = t:run_coroutine_threadsafe(function() return missing.field() end)
    package.loaded["spec.missing"] = nil
    raises("module 'spec.missing' not found", task.await, task)
  end)

  it("is begun before its caller suspends", function()
    local t <const>, closer <close> = loop_thread()
    local log <const> = neap.Channel()
    local task = t:run_coroutine_threadsafe(function() log:send_nowait "begun" end)
    local deadline = os.time() + 5
    while log:qsize() == 0 and os.time() < deadline do end
    assert.equal(1, log:qsize())
    task:await()
  end)

  it("ends with the thread", function()
    local t <const> = loop_thread()
    local begun <const> = neap.Channel()
    local task = t:run_coroutine_threadsafe(function()
      begun:send(true)
      while true do pcall(neap.sleep, 60) end
    end)
    begun:receive()
    t:call_soon_threadsafe(function() for _, other in ipairs(neap.all_tasks()) do other:kill() end end)
    raises("cancelled", task.await, task)
    pcall(t.join, t)
  end)

  it("U12 gives ten threads that submit at once their results", function()
    local t <const>, closer <close> = loop_thread()
    local threads, sum = {}, 0
    for i = 1, 10 do
      threads[i] = thread(function()
        local total = 0
        for k = 1, 20 do total = total + t:run_coroutine_threadsafe(function() return i * k end):await() end
        return total
      end)
    end
    for i = 1, 10 do sum = sum + threads[i]:join() end
    assert.equal(55 * 210, sum)
  end)
end)

describe("all_tasks", function()
  it("U13 is exact in ten runtimes in ten threads", function()
    local threads = {}
    for i = 1, 10 do
      threads[i] = thread(function()
        for _ = 1, 50 do
          local tasks = {}
          for k = 1, i do tasks[k] = neap.create_task(neap.sleep, 0) end
          if #neap.all_tasks() ~= i + 1 then return false end
          neap.wait(tasks)
        end
        return #neap.all_tasks()
      end)
    end
    for i = 1, 10 do assert.equal(1, threads[i]:join()) end
  end)
end)

describe("to_thread", function()
  it("U1 raises the function's error, and one for what cannot be copied", function()
    local err = raises("wolf", neap.to_thread, function() error(neap.OSError "wolf") end)
    assert.is_true(neap.is(err, neap.OSError))
    local co <const> = coroutine.create(print)
    raises("to_thread: cannot copy a coroutine (argument 1)", neap.to_thread, print, co)
    raises("thread: cannot copy a coroutine (result 1)", neap.to_thread, function() return coroutine.create(print) end)
  end)

  it("U2 runs ten calls at once, which may await", function()
    local calls = {}
    for i = 1, 10 do
      calls[i] = function()
        return neap.to_thread(function()
          neap.sleep(0.001)
          return i
        end)
      end
    end
    local results = neap.gather(calls)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, n = 10 }, results)
  end)

  it("U3 passes arguments and values, several and nil ones too", function()
    assert.same({ nil, 2, 3, nil, n = 4 }, table.pack(neap.to_thread(function(...)
      return nil, select("#", ...), 3, nil
    end, nil, nil)))
  end)

  it("U9 runs it in another thread", function()
    assert.not_equal(neap.current_thread().name, neap.to_thread(function() return neap.current_thread().name end))
  end)

  it("cancels the function at its next await", function()
    local log <const> = neap.Channel()
    local call <const> = neap.create_task(neap.to_thread, function()
      local held <close> = setmetatable({}, { __close = function() log:send_nowait "closed" end })
      log:send_nowait "begun"
      neap.sleep(60)
    end)
    log:receive()
    call:cancel()
    raises("was cancelled", call.await, call)
    assert.equal("closed", log:receive())
  end)

  it("is over when it is cancelled, however soon the function ends", function()
    for _ = 1, 40 do
      raises("time limit", neap.wait_for, function() neap.to_thread(function() neap.sleep(60) end) end, 0.005)
    end
  end)

  it("leaves a computation alone that does not await, whose thread is used again", function()
    local go <const> = neap.Channel()
    local function hold() while go:qsize() == 0 do end end
    for _ = 1, 2 do
      raises("time limit", neap.wait_for, function() neap.to_thread(hold) end, 0.02)
    end
    go:send(true)
    for _ = 1, 4 do assert.equal(1, neap.to_thread(function() return 1 end)) end
  end)

  it("keeps its threads for the next call", function()
    local names, count = {}, 0
    for _ = 1, 200 do names[neap.to_thread(function() return neap.current_thread().name end)] = true end
    for _ in pairs(names) do count = count + 1 end
    assert.is_true(count <= 66, count) -- as many as there may be, and two that the spec before may have left
  end)

  it("outlives a function that stops the loop, or the thread", function()
    for _ = 1, 3 do
      for _, stop in ipairs {
        function() neap.get_event_loop():stop() end,
        function() neap.current_thread():stop() end,
      } do neap.to_thread(stop) end
    end
    for _ = 1, 70 do assert.equal(1, neap.to_thread(function() return 1 end)) end
  end)

  it("forgets a thread that a function has cancelled as a whole", function()
    raises("was cancelled", neap.to_thread, function()
      local self = neap.current_thread()
      self:stop() -- the loop that its body runs; then all
      self:stop()
      neap.sleep(60)
    end)
    neap.sleep(0.1)
    for _ = 1, 4 do assert.equal(1, neap.to_thread(function() return 1 end)) end
  end)

  it("gives its place back when nothing could be started", function()
    local co <const> = coroutine.create(print)
    for _ = 1, 70 do pcall(neap.to_thread, tostring, co) end
    assert.equal(1, neap.to_thread(function() return 1 end))
  end)
end)
