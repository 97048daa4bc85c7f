-- run, the beginning and the end of a program: under the neap command, and in the stock lua5.4.
local program = require "spec.support.program"

local PRELUDE = "local neap = require 'neap' local loop = neap.get_event_loop() "

local function in_stock_lua(code)
  return program.stock_lua(PRELUDE .. code)
end

local assert_printed <const> = program.assert_printed

local function prints(expected, code)
  return function() assert_printed(expected, program.code(PRELUDE .. code)) end
end

local has_stock_lua <const> = program.has_stock_lua

local function prints_in_stock_lua(expected, code)
  return function()
    if has_stock_lua then assert_printed(expected, in_stock_lua(code)) end
  end
end

local function prints_in_both(expected, code)
  return function()
    prints(expected, code)()
    prints_in_stock_lua(expected, code)()
  end
end

local function exists(path)
  local file <close> = io.open(path)
  return file and file:read(1) ~= nil
end

-- Starts code that calls ready() when it may be signalled, sends the signal, and returns how it ended.
local function signalled(name, code, start)
  local path = os.tmpname()
  local text = ("%s local function ready() local file <close> = io.open(%q, 'w') file:write 'x' end %s")
    :format(PRELUDE, path, code)
  local words = start or { program.neap }
  table.move({ "-e", text }, 1, 2, #words + 1, words)
  local child = program.start(words)
  program.wait_until(function() return exists(path) end)
  child:signal(name)
  os.remove(path)
  return child:finish()
end

describe("run", function()
  it("T1 returns all that the function returns", prints_in_both("3\t1\tnil\tx\n", [[
    local function main(...) neap.sleep(0) return select("#", ...), ... end
    print(neap.run(main, 1, nil, "x"))
  ]]))

  it("T2 raises the function's error, the same value", prints_in_both("false\ttrue\n", [[
    local wolf = {}
    local ok, err = pcall(neap.run, function() neap.sleep(0) error(wolf) end)
    print(ok, err == wolf)
  ]]))

  it("E13 can be used again, also after an error", prints_in_both("false\t1\t2\n", [[
    local ok = pcall(neap.run, error)
    print(ok, neap.run(function() return 1 end), neap.run(function() return 2 end))
  ]]))

  it("cancels what is left, waits for it, and lets it clean up", prints_in_both("body\tcleaned up\n0\n", [[
    local log = {}
    neap.run(function()
      neap.create_task(function()
        local _ <close> = setmetatable({}, { __close = function()
          local shield <close> = neap.shielded()
          neap.sleep(0)
          log[#log + 1] = "cleaned up"
        end })
        neap.sleep(3600)
      end)
      neap.sleep(0)
      log[#log + 1] = "body"
    end)
    print(table.concat(log, "\t"))
    local left = 0
    for _, task in ipairs(neap.all_tasks()) do
      if not tostring(task):find("running", 1, true) then left = left + 1 end
    end
    print(left)
  ]]))

  it("T5 reports the error of a leftover task, with the task", prints_in_stock_lua("late\ttrue\n", [[
    local report
    loop:set_exception_handler(function(_, context) report = context end)
    neap.run(function()
      neap.create_task(function()
        pcall(neap.sleep, 3600)
        error("late", 0)
      end)
      neap.sleep(0)
    end)
    loop:set_exception_handler(nil)
    print(report.exception, neap.isfuture(report.task))
  ]]))

  it("T4 T9 raises within a task, and the outer run goes on", prints_in_both("true\tafter\n", [[
    print(neap.run(function()
      local task = neap.create_task(function() return select(2, pcall(neap.run, print)) end)
      local message = task:await()
      neap.sleep(0)
      return message:find("run: the loop is running already", 1, true) ~= nil, "after"
    end))
  ]]))

  it("runs a coroutine", prints_in_both("5\n", [[
    print(neap.run(coroutine.create(function(x) neap.sleep(0) return x end), 5))
  ]]))

  it("E14 is not for what cannot be called", prints_in_both("false\t...\n", [[
    local ok, message = pcall(neap.run, "main")
    print(ok, message:find("bad argument #1 to 'run'", 1, true) and "..." or message)
  ]]))

  local DEADLOCK <const> = [[
    local ok, err = pcall(neap.run, function() neap.current_task():set_name "sheep" neap.Future():await() end)
    local text = tostring(err)
    print(ok, neap.is(err, neap.DeadlockError), text:find("sheep waits in await", 1, true) ~= nil,
      text:find("%(command line%):%d+") ~= nil)
  ]]

  it("law 31: raises DeadlockError, naming tasks and lines, when nothing can wake them", prints(
    "false\ttrue\ttrue\ttrue\n", DEADLOCK))

  it("law 31: does so in the stock lua5.4 too", prints_in_stock_lua("false\ttrue\ttrue\ttrue\n", DEADLOCK))
end)

describe("outside a run", function()
  it("B18 E29 current_task() and get_running_loop() raise", prints_in_stock_lua("current_task\tget_running_loop\n", [[
    local function name(fn) return select(2, pcall(fn)):match "(%S+): no loop is running" end
    print(name(neap.current_task), name(neap.get_running_loop))
  ]]))

  it("law 34: an await raises an error that names it", prints_in_stock_lua("sleep\tawait\tacquire\tgather\n", [[
    local semaphore = neap.Semaphore()
    local function name(fn, ...) return select(2, pcall(fn, ...)):match "(%S+): cannot wait outside a task" end
    print(name(neap.sleep, 1), name(neap.await, print), name(semaphore.acquire, semaphore), name(neap.gather, print))
  ]]))

  it("E15 a stop asked for before means one turn, without waiting", prints_in_stock_lua("1\ttrue\n", [[
    local turns = 0
    local function again() turns = turns + 1 loop:call_soon(again) end
    loop:call_soon(again)
    loop:call_later(3600, print)
    loop:stop()
    local start = loop:time()
    loop:run_forever()
    print(turns, loop:time() - start < 5)
  ]]))

  it("E20 a main task is pending after an early stop, and can be run to its end", prints_in_stock_lua(
    "false\tfalse\nfalse\ttrue\n", [[
    local task = loop:create_task(neap.sleep, 3600)
    loop:call_soon(loop.stop, loop)
    print((pcall(loop.run_until_complete, loop, task)), task:done())
    task:cancel()
    print((pcall(loop.run_until_complete, loop, task)), task:cancelled())
  ]]))

  it("E34 a host may drive the loop turn by turn", prints_in_stock_lua("1\t2\t3\ttrue\n", [[
    local count = 0
    local task = loop:create_task(function() for i = 1, 3 do count = i neap.sleep(0) end end)
    local function turn() loop:stop() loop:run_forever() return count end
    print(turn(), turn(), turn(), (turn() and task:done()))
  ]]))

  it("E17 T6 T7 a loop is closed, twice is fine, and then refuses work", prints_in_both(
    "true\ncall_soon\ncall_later\ncall_at\ncreate_task\ncreate_future\nrun_until_complete\nrun_forever\n", [[
    local closed = neap.new_event_loop()
    closed:close()
    closed:close()
    print(closed:is_closed())
    for _, name in ipairs { "call_soon", "call_later", "call_at", "create_task", "create_future",
        "run_until_complete", "run_forever" } do
      print((select(2, pcall(closed[name], closed, 1, print)):match "(%S+): the loop is closed"))
    end
  ]]))

  it("F6 create_task on a closed loop holds nothing", prints_in_stock_lua("true\t0\n", [[
    local weak = setmetatable({}, { __mode = "k" })
    local closed = neap.new_event_loop()
    closed:close()
    do
      local object = {}
      weak[object] = true
      pcall(closed.create_task, closed, function() return object end)
    end
    collectgarbage()
    collectgarbage()
    print(next(weak) == nil, #neap.all_tasks())
  ]]))

  it("T8 after a loop was closed run opens another", prints_in_both("1\n", [[
    loop:close()
    print(neap.run(function() return 1 end))
  ]]))
end)

describe("run_forever", function()
  it("runs until stop()", prints_in_both("tick\tstopped\n", [[
    local log = {}
    loop:call_soon(function() log[1] = "tick" loop:call_soon(loop.stop, loop) end)
    loop:run_forever()
    log[2] = "stopped"
    print(table.concat(log, "\t"))
  ]]))

  it("that is cancelled in the turn of its stop ends", prints("false\ttrue\n", [[
    local task = neap.current_task()
    loop:call_soon(function() task:cancel() loop:stop() end)
    local ok, err = pcall(loop.run_forever, loop)
    task:uncancel()
    print(ok, neap.is(err, neap.CancelledError))
  ]]))
end)

describe("the command", function()
  it("law 31: names the waiting tasks of a deadlock, and exits 1", function()
    local result = program.code [[
      local neap = require "neap"
      neap.create_task(function() neap.Future():await() end):set_name "ram"
      neap.Semaphore(0):acquire()
    ]]
    assert.matches("deadlock", result.stderr, 1, true)
    assert.matches("waits in acquire", result.stderr, 1, true)
    assert.matches("ram waits in await", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("law 31: the main task may catch it and go on", prints("true\nok\n", [[
    local ok, err = pcall(function() neap.Future():await() end)
    print(neap.is(err, neap.DeadlockError))
    neap.sleep(1)
    print "ok"
  ]]))

  it("law 31: tells of a deadlock after the body's end too", function()
    local result = program.code [[
      local neap = require "neap"
      neap.create_task(function() neap.Future():await() end):set_name "ram"
    ]]
    assert.matches("ram waits in await", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("law 32: exits 0 when all went well, and with the status of os.exit otherwise", function()
    assert.equal(0, program.code("require('neap').sleep(1)").status)
    assert.equal(7, program.code("require('neap').sleep(1) os.exit(7)").status)
    assert.equal(3, program.code("require('neap').create_task(os.exit, 3, true)").status)
  end)

  it("T12 does not exit 130 when the main task cancelled itself", function()
    local result = program.code [[
      local neap = require "neap"
      neap.current_task():cancel()
      neap.sleep(1)
    ]]
    assert.equal(1, result.status)
  end)
end)

describe("a signal", function()
  local CLEANUP = [[
    local function task(name)
      return function()
        local _ <close> = setmetatable({}, { __close = function()
          local shield <close> = neap.shielded()
          neap.sleep(0.001)
          print(name)
        end })
        neap.sleep(3600)
      end
    end
    neap.create_task(task "a")
    neap.create_task(task "b")
    neap.create_task(ready)
    task "main"()
  ]]

  it("T11 SIGINT while idle cancels every task, with cleanup, and exits 130", function()
    local result = signalled("INT", CLEANUP)
    assert.equal("main\na\nb\n", result.stdout)
    assert.equal(130, result.status)
  end)

  it("law 33: SIGTERM does the same and exits 143", function()
    local result = signalled("TERM", CLEANUP)
    assert.equal("main\na\nb\n", result.stdout)
    assert.equal(143, result.status)
  end)

  local LATE <const> = [[
    neap.create_task(function()
      local _ <close> = setmetatable({}, { __close = function()
        neap.create_task(function()
          print(neap.is(select(2, pcall(neap.sleep, 3600)), neap.CancelledError))
        end)
        local shield <close> = neap.shielded()
        neap.sleep(0.01)
        neap.create_task(neap.sleep, 3600)
      end })
      neap.sleep(3600)
    end)
  ]]

  it("cancels what is made in cleanup, too, when the others have ended", function()
    local result = signalled("TERM", LATE .. "neap.create_task(ready) neap.sleep(3600)")
    assert.equal("", result.stderr)
    assert.equal(143, result.status)
  end)

  it("does so after an error in the body", function()
    local result = program.run { program.neap, "-e", PRELUDE .. LATE .. 'neap.sleep(0) error "wolf"' }
    assert.equal("true\n", result.stdout)
    assert.equal(1, result.status)
  end)

  it("T10 SIGINT during a busy main task cancels it at its next await", function()
    local result = signalled("INT", [[
      ready()
      local stop = os.clock() + 0.3
      while os.clock() < stop do end
      local ok, err = pcall(neap.sleep, 3600)
      print(neap.is(err, neap.CancelledError))
      error(err, 0)
    ]])
    assert.equal("true\n", result.stdout)
    assert.equal(130, result.status)
  end)

  it("T10 exits 130 too when the task swallowed its cancel", function()
    local result = signalled("INT", [[
      neap.create_task(ready)
      pcall(neap.sleep, 3600)
      print "swallowed"
    ]])
    assert.equal("swallowed\n", result.stdout)
    assert.equal(130, result.status)
  end)

  it("law 33: a second one ends the process at once", function()
    local path = os.tmpname()
    local child = program.start { program.neap, "-e", PRELUDE .. ([[
      local function write(text) local file <close> = io.open(%q, "w") file:write(text) end
      neap.create_task(write, "x")
      pcall(neap.sleep, 3600)
      local shield <close> = neap.shielded()
      write "second"
      neap.sleep(3600)
    ]]):format(path) }
    local function has(text)
      return function()
        local file <close> = io.open(path)
        return file and file:read "a" == text
      end
    end
    program.wait_until(has "x")
    child:signal "INT"
    program.wait_until(has "second")
    child:signal "INT"
    local result = child:finish()
    os.remove(path)
    assert.equal(130, result.status)
    assert.is_true(result.seconds < 10)
  end)

  it("ends a stock lua5.4 that runs the module as it would any program", function()
    if not has_stock_lua then return end
    local module = program.neap:gsub("[^/]*$", "module/?.so")
    local result = signalled("TERM", "neap.run(function() neap.create_task(ready) neap.sleep(3600) end)",
      { "env", "LUA_CPATH=" .. module .. ";;", "lua5.4" })
    assert.equal(143, result.status)
  end)
end)
