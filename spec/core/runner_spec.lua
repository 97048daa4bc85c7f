-- Runners: several runs on one loop, in the script's body and in the stock lua5.4.
local program = require "spec.support.program"

local PRELUDE = "local neap = require 'neap' local loop = neap.get_event_loop() "

local has_stock_lua <const> = program.has_stock_lua

local function in_command(code)
  return program.run { program.neap, "-e", PRELUDE .. code }
end

local function in_stock_lua(code)
  return program.stock_lua(PRELUDE .. code)
end

local assert_printed <const> = program.assert_printed

-- The programs use the virtual clock by themselves.
local function prints(expected, code)
  return function()
    assert_printed(expected, in_command(code))
    if has_stock_lua then assert_printed(expected, in_stock_lua(code)) end
  end
end

describe("a runner", function()
  it("T1 T2 runs one program after the other, and gives values and errors as they are", prints(
    "1\tnil\t3\t3\nfalse\ttrue\n5\n", [[
    local runner <close> = neap.Runner()
    local function count(...) return select("#", ...), ... end
    local n, a, b, c = count(runner:run(function(...) neap.sleep(0) return ... end, 1, nil, 3))
    print(a, b, c, n)
    local wolf = {}
    local ok, err = pcall(runner.run, runner, function() neap.sleep(0) error(wolf) end)
    print(ok, err == wolf)
    print(runner:run(coroutine.create(function(x) neap.sleep(0) return x end), 5))
  ]]))

  it("lets what a run leaves go on in the next, and cancels it at its end", prints("2\t4\ncleaned up at 4\n4\n", [[
    local n, first = 0, nil
    do
      local runner <close> = neap.Runner { clock = "virtual" }
      runner:run(function()
        neap.create_task(function()
          local _ <close> = setmetatable({}, { __close = function()
            local shield <close> = neap.shielded()
            neap.sleep(1)
            print("cleaned up at " .. n)
          end })
          while true do
            neap.sleep(1)
            n = n + 1
          end
        end)
        neap.sleep(2.5)
      end)
      first = n
      runner:run(neap.sleep, 2)
      print(first, n)
    end
    print(n)
  ]]))

  it("lets callbacks and timers go on in the next run, too", prints("timer\tsoon\n", [[
    local log = {}
    local runner <close> = neap.Runner { clock = "virtual" }
    runner:run(function() loop:call_later(1, function() log[#log + 1] = "timer" end) end)
    runner:run(neap.sleep, 2)
    runner:run(function() loop:call_soon(function() log[#log + 1] = "soon" end) end)
    runner:run(neap.sleep, 0)
    print(table.concat(log, "\t"))
  ]]))

  it("cancels its own leftovers alone", prints("false\ttrue\n", [[
    local older = loop:create_task(neap.sleep, 0)
    local newer
    do
      local runner <close> = neap.Runner()
      runner:run(function() newer = neap.create_task(neap.sleep, 3600) end)
    end
    print(older:cancelled(), newer:cancelled())
  ]]))

  it("cancels what its leftovers make while they clean up", prints("true\ttrue\n", [[
    local late
    local runner = neap.Runner()
    local task = runner:run(function()
      local task = neap.create_task(function()
        local _ <close> = setmetatable({}, { __close = function() late = neap.create_task(neap.sleep, 3600) end })
        neap.sleep(3600)
      end)
      neap.sleep(0)
      return task
    end)
    runner:close()
    print(task:cancelled(), late:cancelled())
  ]]))

  it("T5 reports the error of a leftover, with the task", prints("late\ttrue\n", [[
    local report
    loop:set_exception_handler(function(_, context) report = context end)
    do
      local runner <close> = neap.Runner()
      runner:run(function()
        neap.create_task(function()
          pcall(neap.sleep, 3600)
          error("late", 0)
        end)
        neap.sleep(0)
      end)
    end
    loop:set_exception_handler(nil)
    print(report.exception, neap.isfuture(report.task))
  ]]))

  it("E13 runs again after a run that failed, was cancelled, or was stuck", prints(
    "wolf\ntrue\ntrue\nstill\n", [[
    local runner <close> = neap.Runner()
    local function failure(fn) return select(2, pcall(runner.run, runner, fn)) end
    print(failure(function() error("wolf", 0) end))
    print(neap.is(failure(function() neap.current_task():cancel() neap.sleep(1) end), neap.CancelledError))
    print(neap.is(failure(function() neap.Future():await() end), neap.DeadlockError))
    print(runner:run(function() return "still" end))
  ]]))

  it("T6 T7 T8 tells its state, may be closed twice and in every state, and is then no more", prints(
    "<Runner new>\t<Runner open>\t<Runner closed>\t<Runner closed>\n<Runner closed>\n" ..
    "run: the runner is closed\tget_loop: the runner is closed\n", [[
    local runner = neap.Runner()
    local states = { tostring(runner) }
    runner:run(function() end)
    states[2] = tostring(runner)
    runner:close()
    states[3] = tostring(runner)
    runner:close()
    states[4] = tostring(runner)
    print(table.concat(states, "\t"))
    local unused = neap.Runner()
    unused:close()
    print(unused)
    local function message(fn, ...) return select(2, pcall(fn, ...)):match "[%a_]+: .*" end
    print(message(function() runner:run(print) end), message(function() unused:get_loop() end))
  ]]))

  it("T8 another may be made when one was closed", prints("1\t2\n", [[
    local function once(n)
      local runner <close> = neap.Runner()
      return runner:run(function() neap.sleep(0) return n end)
    end
    print(once(1), once(2))
  ]]))

  it("T4 T9 cannot run or be closed inside its own run, which goes on", prints(
    "run: the loop is running already (in a task, await instead)\n" ..
    "close: the loop is running already (in a task, await instead)\nwent on\t<Runner open>\n", [[
    local runner <close> = neap.Runner()
    print(runner:run(function()
      local function message(fn, ...) return select(2, pcall(fn, ...)):match "[%a_]+: .*" end
      print(message(function() runner:run(print) end))
      print(message(function() runner:close() end))
      neap.sleep(0)
      return "went on"
    end), runner)
  ]]))

  it("is closed when its block fails, and the error comes out", prints("wolf\n<Runner closed>\ttrue\n", [[
    local kept, task
    print(select(2, pcall(function()
      local runner <close> = neap.Runner()
      kept = runner
      runner:run(function() task = neap.create_task(neap.sleep, 3600) end)
      error("wolf", 0)
    end)))
    print(kept, task:cancelled())
  ]]))

  it("T6 whose close was cut short by loop:stop() goes on with that when it is closed again", function()
    if not has_stock_lua then return end
    assert_printed("close: the loop was stopped before the task was done\t<Runner open>\tnil\n" ..
      "cleaned up\t<Runner closed>\t0\n", in_stock_lua [[
      local log = {}
      local runner = neap.Runner { clock = "virtual" }
      runner:run(function()
        neap.create_task(function()
          local _ <close> = setmetatable({}, { __close = function()
            local shield <close> = neap.shielded()
            loop:stop()
            neap.sleep(1)
            log[1] = "cleaned up"
          end })
          neap.sleep(3600)
        end)
        neap.sleep(0)
      end)
      print(select(2, pcall(function() runner:close() end)):match "%a+: .*", runner, log[1])
      runner:close()
      print(log[1], runner, #neap.all_tasks())]])
  end)

  it("opens the loop by get_loop, before any run", prints("true\tbefore\n", [[
    local runner <close> = neap.Runner()
    local log = {}
    runner:get_loop():call_soon(function() log[#log + 1] = "before" end)
    print(runner:get_loop() == loop, runner:run(function() neap.sleep(0) return log[1] end))
  ]]))

  it("has its clock and debug mode from its first run to its end", prints("false\t3600\tfalse\n", [[
    loop:set_debug(false)
    local before
    local runner = neap.Runner { clock = "virtual", debug = true }
    before = loop:get_debug()
    local took = runner:run(function()
      local start = loop:time()
      neap.sleep(3600)
      return loop:time() - start
    end)
    runner:close()
    print(before, ("%.0f"):format(took), loop:get_debug())
  ]]))

  it("T3 in a runner has its own settings, and gives back the outer one's", prints("false\ttrue\tfalse\n", [[
    local seen = {}
    local function note() seen[#seen + 1] = tostring(loop:get_debug()) end
    loop:set_debug(false)
    do
      local outer <close> = neap.Runner { debug = true }
      outer:run(function() end)
      do
        local inner <close> = neap.Runner { debug = false }
        inner:run(note)
      end
      outer:run(note)
    end
    note()
    print(table.concat(seen, "\t"))
  ]]))

  it("with the real clock does not jump, in a program whose clock is virtual", function()
    local result = program.code [[
      local neap = require "neap"
      local clock = os.time
      local runner <close> = neap.Runner { clock = "real" }
      local loop = runner:get_loop()
      local start = loop:time()
      runner:run(neap.sleep, 0.02)
      print(loop:time() - start < 10)
      runner:close()
      start = loop:time()
      neap.sleep(3600)
      print(loop:time() - start)]]
    assert.equal("true\n3600.0\n", result.stdout)
  end)

  it("refuses what is wrong at the caller's line", prints([[
bad argument #1 to 'Runner' (table expected, got number)
bad argument #1 to 'Runner' (boolean as its debug expected, got number)
bad argument #1 to 'Runner' (invalid clock 'sun')
bad argument #1 to 'run' (function expected, got no value)
bad argument #1 to 'run' (function expected, got string)
bad argument #1 to 'run' (neap.Runner expected, got table)
bad argument #1 to 'close' (neap.Runner expected, got no value)
bad argument #1 to 'get_loop' (neap.Runner expected, got number)
<Runner new>
]], [[

    local runner = neap.Runner()
    for i, fn in ipairs {
      function() neap.Runner(1) end,
      function() neap.Runner { debug = 1 } end,
      function() neap.Runner { clock = "sun" } end,
      function() runner:run() end,
      function() runner:run "main" end,
      function() runner.run({}, print) end,
      function() runner.close() end,
      function() runner.get_loop(1) end,
    } do
      local place, message = select(2, pcall(fn)):match "^%(command line%):(%d+): (.*)"
      assert(tonumber(place) == i + 3, place)
      print(message)
    end
    print(runner)
  ]]))

  it("in a task other than the body is refused, and leaves nothing behind", prints(
    "run: the loop is running already (in a task, await instead)\t<Runner new>\t1\n", [[
    neap.run(function()
      local runner = neap.Runner()
      local task = neap.create_task(function()
        return (select(2, pcall(function() runner:run(print) end)):match "[%a_]+: .*")
      end)
      print(task:await(), runner, #neap.all_tasks() - (neap.current_task() == neap.all_tasks()[1] and 0 or 1))
    end)
  ]]))

  it("waits in the body while other tasks go on, and is cancelled with it", function()
    local result = program.code [[
      local neap = require "neap"
      local body = neap.current_task()
      neap.create_task(function() neap.sleep(1) print "other" neap.sleep(1) body:cancel() end)
      local runner <close> = neap.Runner()
      local ok, err = pcall(runner.run, runner, function()
        local _ <close> = setmetatable({}, { __close = function() print "main cleaned up" end })
        neap.sleep(3600)
      end)
      print(neap.is(err, neap.CancelledError), #neap.all_tasks())
      body:uncancel()]]
    assert.equal("", result.stderr)
    assert.equal("other\nmain cleaned up\ntrue\t1\n", result.stdout)
  end)

  it("in a generator of the body's is allowed", function()
    local result = program.code [[
      local neap = require "neap"
      local values = coroutine.wrap(function()
        local runner <close> = neap.Runner()
        for i = 1, 3 do coroutine.yield(runner:run(function() neap.sleep(1) return i end)) end
      end)
      for value in values do io.write(value, " ") end]]
    assert.equal("", result.stderr)
    assert.equal("1 2 3 ", result.stdout)
  end)

  it("T13 works in a runtime without signal handlers: SIGTERM ends the stock lua5.4 as it would any", function()
    if not has_stock_lua then return end
    local path = os.tmpname()
    local module = program.neap:gsub("[^/]*$", "module/?.so")
    local child = program.start { "env", "LUA_CPATH=" .. module .. ";;", "lua5.4", "-e", PRELUDE .. ([[
      local runner <close> = neap.Runner()
      runner:run(function()
        neap.create_task(function() local file <close> = io.open(%q, "w") file:write "x" end)
        neap.sleep(3600)
      end)]]):format(path) }
    program.wait_until(function()
      local file <close> = io.open(path)
      return file and file:read(1)
    end)
    child:signal "TERM"
    assert.equal(143, child:finish().status)
    os.remove(path)
  end)
end)
