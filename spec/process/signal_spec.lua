-- Signals: waiting for them, listeners, handlers of the loop, and whose they are besides.
local assert = require "luassert"
local neap = require "neap"
local process = require "spec.support.process"
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"

local signal <const> = neap.signal

local function send(name) assert(signal.send(process.pid, name)) end

local function turns(count)
  for _ = 1, count do neap.sleep(0) end
end

-- Waits until all that was sent has been heard, and the calls that it led to are over.
local function settle()
  local listener <close> = signal.listen "SIGWINCH"
  send "SIGWINCH"
  assert(listener:next())
  turns(30)
end

describe("signal.wait", function()
  it("Y22 returns the name of the one that came", function()
    local task = neap.create_task(signal.wait, "SIGUSR1", "SIGUSR2", 1)
    turns(1)
    send "SIGUSR2"
    assert.equal("SIGUSR2", task:await())
    assert.is_false(process.catches(12))
  end)

  it("wakes several tasks by one signal", function()
    local first, second = neap.create_task(signal.wait, "SIGUSR1"), neap.create_task(signal.wait, "SIGUSR1")
    turns(1)
    send "SIGUSR1"
    assert.same({ "SIGUSR1", "SIGUSR1", n = 2 }, neap.gather(first, second))
  end)

  it("knows real-time signals", function()
    local task = neap.create_task(signal.wait, "SIGRTMIN", "SIGRTMIN+3")
    turns(1)
    send "SIGRTMIN+3"
    assert.equal("SIGRTMIN+3", task:await())
  end)

  it("hears no more once it is cancelled", function()
    local task = neap.create_task(signal.wait, "SIGUSR1")
    turns(1)
    assert.is_true(process.catches(10))
    task:cancel()
    tasks.raises(neap.CancelledError, task.await, task)
    assert.is_false(process.catches(10))
  end)

  it("is no deadlock when nothing else goes on", function()
    local waiting = program.start { program.neap, "-e", [[print(require "neap".signal.wait "SIGUSR1")]] }
    program.wait_until(function() return process.program_catches(waiting, 10) end)
    waiting:signal "USR1"
    program.assert_printed("SIGUSR1\n", waiting:finish())
  end)
end)

describe("the name of a signal", function()
  local BAD <const> = {
    { "there is no signal 'SIGFOO'", "SIGFOO" }, { "there is no signal 'INT'", "INT" }, { "there is no signal ''", "" },
    { "there is no signal 'SIGINT'", "SIGINT\0x" }, { "there is no signal '10'", "10" },
    { "there is no signal 0", 0 }, { "there is no signal 65", 65 }, { "there is no signal -1", -1 },
    { "there is no signal 'SIGRTMIN+99'", "SIGRTMIN+99" }, { "there is no signal 'SIGRTMIN+'", "SIGRTMIN+" },
    { "there is no signal 'SIGRTMIN+1x'", "SIGRTMIN+1x" }, { "SIGKILL cannot be caught", "SIGKILL" },
    { "SIGSTOP cannot be caught", 19 }, { "SIGSEGV cannot be caught", "SIGSEGV" }, { "signal 32 cannot be caught", 32 },
    { "name or number of a signal expected, got boolean", true },
    { "number has no integer representation", 1.5 }, { "name or number of a signal expected, got no value" },
  }

  it("Y21 that is none is a bad argument", function()
    local loop = neap.get_running_loop()
    for _, case in ipairs(BAD) do
      local message, bad = case[1], case[2]
      for _, call in ipairs { signal.wait, signal.listen } do
        local ok, err = pcall(call, table.unpack(case, 2))
        assert.is_false(ok)
        assert.truthy(err:find("bad argument #1 to ", 1, true) and err:find(message, 1, true), err)
      end
      local ok, err = pcall(function() loop:add_signal_handler(bad, print) end)
      assert.is_false(ok)
      assert.truthy(err:find("signal_spec.lua:%d+: bad argument #1 to 'add_signal_handler'"), err)
    end
  end)

  it("is one of the names of this system, however long", function()
    assert.is_false(pcall(signal.wait, ("SIG"):rep(1000000)))
    assert.is_false(pcall(signal.wait, "SIGRTMIN+" .. ("9"):rep(1000000)))
  end)
end)

describe("a listener", function()
  it("keeps what comes while nobody waits", function()
    local listener <close> = signal.listen("SIGUSR1", "SIGUSR2", "SIGUSR1")
    send "SIGUSR2"
    settle()
    send "SIGUSR1"
    settle()
    assert.equal("SIGUSR2", listener:next())
    assert.equal("SIGUSR1", listener:next())
  end)

  it("loses nothing of a storm", function()
    local STORM <const> = 100000
    local listener <close> = signal.listen("SIGUSR1", "SIGUSR2", "SIGHUP")
    for _ = 1, STORM do send "SIGUSR1" end
    send "SIGUSR2"
    send "SIGHUP"
    local counts, total = { SIGUSR1 = 0, SIGUSR2 = 0, SIGHUP = 0 }, 0
    for name in listener:signals() do
      counts[name], total = counts[name] + 1, total + 1
      if total == STORM + 2 then break end
    end
    assert.same({ SIGUSR1 = STORM, SIGUSR2 = 1, SIGHUP = 1 }, counts)
  end)

  it("tells of a rare signal amid a storm soon", function()
    local listener <close> = signal.listen("SIGUSR1", "SIGUSR2")
    for _ = 1, 1000 do send "SIGUSR1" end
    send "SIGUSR2"
    local count = 0
    repeat count = count + 1 until listener:next() == "SIGUSR2"
    assert.is_true(count <= 3, count)
  end)

  it("that is closed gives nil, to whoever waits too", function()
    local listener = signal.listen "SIGUSR1"
    local task = neap.create_task(listener.next, listener)
    turns(1)
    send "SIGUSR1"
    assert.equal("SIGUSR1", task:await())
    task = neap.create_task(listener.next, listener)
    turns(1)
    listener:close()
    listener:close()
    assert.is_nil(task:await())
    assert.is_nil(listener:next())
    for _ in listener:signals() do error "there is none" end
    assert.is_false(process.catches(10))
  end)

  it("ends with its block", function()
    do
      local _ <close> = signal.listen "SIGUSR1"
      assert.is_true(process.catches(10))
    end
    assert.is_false(process.catches(10))
  end)

  it("that is dropped is closed when it is collected", function()
    signal.listen("SIGUSR1", "SIGUSR2")
    collectgarbage()
    collectgarbage()
    assert.is_false(process.catches(10))
  end)

  it("has one task that waits at a time", function()
    local listener <close> = signal.listen "SIGUSR1"
    local task = neap.create_task(listener.next, listener)
    turns(1)
    local ok, err = pcall(listener.next, listener)
    assert.is_false(ok)
    assert.truthy(err:find("next: another task is waiting", 1, true), err)
    task:cancel()
    tasks.raises(neap.CancelledError, task.await, task)
  end)

  it("loses no signal to a cancelled wait", function()
    local listener <close> = signal.listen "SIGUSR1"
    local task = neap.create_task(listener.next, listener)
    turns(1)
    send "SIGUSR1"
    task:cancel()
    local ok, name = pcall(task.await, task)
    assert.equal("SIGUSR1", ok and name or listener:next())
  end)

  it("keeps the loop alive only while someone waits", function()
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      listener = neap.signal.listen "SIGUSR1"
      print(pcall(function() neap.Future():await() end))
    ]] }
    assert.equal(0, result.status)
    assert.truthy(result.stdout:find("false\tdeadlock", 1, true), result.stdout)
  end)

  it("is closed with its loop", function()
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      listener = neap.signal.listen("SIGUSR1", "SIGINT")
      neap.get_running_loop():add_signal_handler("SIGTERM", print)
      task = neap.create_task(listener.next, listener)
      neap.sleep(0)
      os.exit(3)
    ]] }
    assert.equal("", result.stderr)
    assert.equal(3, result.status)
  end)

  it("is no self of other methods", function()
    local listener <close> = signal.listen "SIGUSR1"
    assert.is_false(pcall(listener.next, {}))
    assert.is_false(pcall(listener.signals))
    assert.truthy(tostring(listener):find "^neap.SignalListener: ")
  end)
end)

describe("a thread", function()
  it("hears the process's signals by itself", function()
    local listener <close> = signal.listen("SIGUSR1", "SIGUSR2")
    local thread = neap.thread(function(pid)
      local inner = require "neap"
      local mine <close> = inner.signal.listen "SIGUSR1"
      inner.signal.send(pid, "SIGUSR2")
      return mine:next()
    end, process.pid)
    assert.equal("SIGUSR2", listener:next())
    send "SIGUSR1"
    assert.equal("SIGUSR1", listener:next())
    assert.equal("SIGUSR1", thread:join())
  end)
end)

describe("add_signal_handler", function()
  local loop
  setup(function() loop = neap.get_running_loop() end)

  it("Y21 calls it on the loop until it is removed", function()
    local calls = 0
    assert.is_true(loop:add_signal_handler("SIGUSR1", function() calls = calls + 1 end))
    send "SIGUSR1"
    assert.equal(0, calls)
    settle()
    assert.equal(1, calls)
    assert.is_true(loop:remove_signal_handler "SIGUSR1")
    assert.is_false(loop:remove_signal_handler "SIGUSR1")
    assert.is_false(process.catches(10))
  end)

  it("Y23 passes its arguments on", function()
    local got
    loop:add_signal_handler(12, function(...) got = table.pack(...) end, "moon", nil, 3)
    send(12)
    settle()
    loop:remove_signal_handler(12)
    assert.same({ "moon", nil, 3, n = 3 }, got)
  end)

  it("Y24 wants something that can be called", function()
    for _, bad in ipairs { 1, "print", coroutine.create(print), {} } do
      assert.is_false(pcall(loop.add_signal_handler, loop, "SIGUSR1", bad))
    end
    assert.is_false(pcall(loop.add_signal_handler, loop, "SIGUSR1"))
    assert.is_false(process.catches(10))
  end)

  it("E17 is refused on a closed loop", function()
    program.assert_printed("false\tfalse\n", program.run { program.neap, "-e", [[
      local neap = require "neap"
      local loop = neap.new_event_loop()
      loop:close()
      local added, err = pcall(function() loop:add_signal_handler("SIGINT", print) end)
      assert(err:find "the loop is closed")
      local removed, err = pcall(function() loop:remove_signal_handler "SIGINT" end)
      assert(err:find "the loop is closed")
      print(added, removed)
    ]] })
  end)

  it("replaces the one before", function()
    local calls = {}
    loop:add_signal_handler("SIGUSR1", function() calls[#calls + 1] = "first" end)
    loop:add_signal_handler("SIGUSR1", function() calls[#calls + 1] = "second" end)
    send "SIGUSR1"
    settle()
    assert.is_true(loop:remove_signal_handler "SIGUSR1")
    assert.same({ "second" }, calls)
  end)

  it("calls it once for each signal, one in a turn", function()
    local calls, ready = 0, 0
    loop:add_signal_handler("SIGUSR1", function() calls = calls + 1 end)
    for _ = 1, 20 do send "SIGUSR1" end
    while calls < 20 do
      ready = ready + 1
      neap.sleep(0)
    end
    loop:remove_signal_handler "SIGUSR1"
    assert.is_true(ready >= 20, ready)
  end)

  it("does not call one that was removed, also by itself", function()
    local calls = 0
    loop:add_signal_handler("SIGUSR1", function()
      calls = calls + 1
      loop:remove_signal_handler "SIGUSR1"
    end)
    for _ = 1, 5 do send "SIGUSR1" end
    settle()
    assert.equal(1, calls)
  end)

  it("may replace itself", function()
    local calls = 0
    local function handler()
      calls = calls + 1
      loop:add_signal_handler("SIGUSR1", handler)
      collectgarbage()
    end
    loop:add_signal_handler("SIGUSR1", handler)
    for _ = 1, 5 do send "SIGUSR1" end
    settle()
    loop:remove_signal_handler "SIGUSR1"
    assert.equal(5, calls)
  end)

  it("reports its errors, and is called again", function()
    local reported = {}
    local before = loop:get_exception_handler()
    loop:set_exception_handler(function(_, context) reported[#reported + 1] = context.exception end)
    loop:add_signal_handler("SIGUSR1", function() error("wolf", 0) end)
    for _ = 1, 2 do send "SIGUSR1" end
    settle()
    loop:remove_signal_handler "SIGUSR1"
    loop:set_exception_handler(before)
    assert.same({ "wolf", "wolf" }, reported)
  end)

  it("is quiet once its handle was cancelled", function()
    local calls, before = 0, loop:get_exception_handler()
    loop:set_exception_handler(function(_, context) context.handle:cancel() end)
    loop:add_signal_handler("SIGUSR1", function()
      calls = calls + 1
      error "once"
    end)
    for _ = 1, 2 do
      send "SIGUSR1"
      settle()
      collectgarbage()
    end
    loop:set_exception_handler(before)
    assert.equal(1, calls)
    assert.is_true(loop:remove_signal_handler "SIGUSR1")
  end)

  it("runs it in the context where it was added", function()
    local variable, seen = neap.ContextVar("variable"), nil
    neap.copy_context():run(function()
      variable:set "inner"
      loop:add_signal_handler("SIGUSR1", function() seen = variable:get() end)
    end)
    send "SIGUSR1"
    settle()
    loop:remove_signal_handler "SIGUSR1"
    assert.equal("inner", seen)
  end)

  it("can wake a task, so that waiting for it is no deadlock", function()
    local waiting = program.start { program.neap, "-e", [[
      local neap = require "neap"
      local future = neap.Future()
      neap.get_running_loop():add_signal_handler("SIGUSR1", function() future:set_result "woken" end)
      print(future:await())
    ]] }
    program.wait_until(function() return process.program_catches(waiting, 10) end)
    waiting:signal "USR1"
    program.assert_printed("woken\n", waiting:finish())
  end)
end)

describe("the command", function()
  it("leaves SIGINT to a script that listens, and has it back then", function()
    local running = program.start { program.neap, "-e", [[
      local neap = require "neap"
      do
        local listener <close> = neap.signal.listen("SIGINT", "SIGTERM", "SIGUSR1")
        print(listener:next())
        print(listener:next())
      end
      assert(neap.signal.send(io.open "/proc/self/stat":read "n", "SIGINT"))
      local ok <close> = setmetatable({}, { __close = function() print "cleaned up" end })
      neap.sleep(3600)
    ]] }
    program.wait_until(function() return process.program_catches(running, 10) end)
    running:signal "INT"
    running:signal "TERM"
    local result = running:finish()
    assert.equal("SIGINT\nSIGTERM\ncleaned up\n", result.stdout)
    assert.equal(130, result.status)
  end)

  it("ends by a second signal, as ever, after a script has listened", function()
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      local pid = io.open "/proc/self/stat":read "n"
      neap.signal.listen("SIGINT"):close()
      neap.signal.send(pid, "SIGINT")
      neap.signal.send(pid, "SIGINT")
      print "not reached"
    ]] }
    assert.equal("", result.stdout)
    assert.equal(130, result.status)
  end)

  it("ignores SIGPIPE again, after a script has listened to it", function()
    program.assert_printed("SIGPIPE\nalive\n", program.run { program.neap, "-e", [[
      local neap = require "neap"
      local pid = io.open "/proc/self/stat":read "n"
      local listener = neap.signal.listen "SIGPIPE"
      neap.signal.send(pid, "SIGPIPE")
      print(listener:next())
      listener:close()
      neap.signal.send(pid, "SIGPIPE")
      print "alive"
    ]] })
  end)
end)

describe("signal.send", function()
  it("sends, asks, and says what is wrong", function()
    assert.is_true(signal.send(process.pid, 0))
    local ok, err, code = signal.send(0x3fffffff, "SIGINT")
    assert.is_nil(ok)
    assert.equal("signal.send 1073741823: no such process", tostring(err))
    assert.equal("ESRCH", code)
    assert.is_false(pcall(signal.send, 2 ^ 40, "SIGINT"))
    assert.is_false(pcall(signal.send, "moon", "SIGINT"))
    assert.is_false(pcall(signal.send, process.pid))
    assert.is_false(pcall(signal.send, process.pid, "SIGMOON"))
  end)
end)
