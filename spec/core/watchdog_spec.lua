-- The watchdog: what holds the loop is told of while it does, and can be made to yield. The loops here end when
-- they see what they wait for; the clock only bounds them.
local neap = require "neap"
local program = require "spec.support.program"

local LIMIT <const> = 0.02
local GIVE_UP <const> = 10
local SIGURG <const> = 23
local tsan = os.getenv "NEAP_PRESET" == "tsan"

local loop = neap.get_event_loop()

-- Holds the loop until fn() is true. Makes garbage: ThreadSanitizer puts a signal off until the next call of malloc.
local function hold_until(fn)
  local give_up = os.time() + GIVE_UP
  while not fn() do
    local _ = {}
    if os.time() > give_up then error "nothing happened for ten seconds" end
  end
end

-- Runs fn(reports) under a watchdog, of preempting kind if asked, and returns the reports.
local function watched(fn, preempt)
  local reports = {}
  loop:set_exception_handler(function(_, context) reports[#reports + 1] = context end)
  loop:set_watchdog { limit = LIMIT, preempt = preempt }
  local ok, err = pcall(fn, reports)
  loop:set_watchdog(nil)
  loop:set_exception_handler(nil)
  assert(ok, err)
  return reports
end

local function hold_until_reported(reports, count)
  hold_until(function() return #reports >= (count or 1) end)
end

local function mind_the_sheep(reports) hold_until_reported(reports) end

-- The number after "name:" in this process's status, as a string.
local function status(name)
  for line in io.lines "/proc/self/status" do
    local value = line:match("^" .. name .. ":%s*(%x+)")
    if value then return value end
  end
end

local function catches_sigurg()
  return tonumber(status "SigCgt", 16) >> (SIGURG - 1) & 1 == 1
end

describe("the watchdog", function()
  it("tells of a task that holds the loop, while it does", function()
    local reports = watched(function(reports) mind_the_sheep(reports) end)
    assert.matches("^a task has held the loop for [%d.]+ s$", reports[1].message)
    assert.equal(neap.current_task(), reports[1].task)
    assert.is_true(reports[1].warning)
    assert.is_nil(reports[1].exception)
    assert.matches("mind_the_sheep", reports[1].traceback, 1, true)
    assert.matches("spec/core/watchdog_spec.lua:%d+: in", reports[1].traceback)
  end)

  it("tells of the same step again when its time has doubled", function()
    local reports = watched(function(reports) hold_until_reported(reports, 3) end)
    local times = {}
    for i, report in ipairs(reports) do times[i] = tonumber(report.message:match "[%d.]+") end
    assert.is_true(times[1] >= LIMIT and times[2] >= 2 * LIMIT and times[3] >= 4 * LIMIT)
  end)

  it("tells of a callback", function()
    local called = neap.Future()
    local handle
    local reports = watched(function(reports)
      handle = loop:call_soon(function()
        mind_the_sheep(reports)
        called:set_result()
      end)
      called:await()
    end)
    assert.matches("^a callback has held the loop for", reports[1].message)
    assert.equal(handle, reports[1].handle)
    assert.matches("mind_the_sheep", reports[1].traceback, 1, true)
  end)

  it("tells of the task around a coroutine that holds the loop", function()
    local reports = watched(function(reports)
      local function generate()
        mind_the_sheep(reports)
        coroutine.yield(1)
      end
      local function consume()
        local next = coroutine.wrap(generate)
        return next() + 1
      end
      assert.equal(2, (consume()))
    end)
    assert.equal(neap.current_task(), reports[1].task)
    assert.matches("mind_the_sheep.*in a coroutine that the task resumed.*consume", reports[1].traceback)
  end)

  it("says nothing while each step is short", function()
    local longest = 0
    local limit = 0.5
    local reports = {}
    loop:set_exception_handler(function(_, context) reports[#reports + 1] = context end)
    loop:set_watchdog { limit = limit }
    local began = loop:time()
    while loop:time() - began < 2 * limit do
      local before = loop:time()
      while loop:time() - before < limit / 50 do end
      longest = math.max(longest, loop:time() - before)
      neap.sleep(0)
    end
    neap.sleep(limit * 1.5) -- nor while it waits
    loop:set_watchdog(nil)
    loop:set_exception_handler(nil)
    assert.is_true(#reports == 0 or longest >= limit)
  end)

  it("wakes up again with the loop", function()
    watched(function(reports)
      neap.sleep(4 * LIMIT)
      mind_the_sheep(reports)
    end)
  end)

  it("leaves the hook of debug.sethook in place", function()
    local lines = 0
    local function on_line() lines = lines + 1 end
    debug.sethook(on_line, "l")
    local reports = watched(mind_the_sheep)
    local hook, mask, count = debug.gethook()
    local before = lines
    local _ = 1
    local after = lines
    debug.sethook()
    assert.equal(1, #reports)
    assert.same({ on_line, "l", 0 }, { hook, mask, count })
    assert.equal(before + 2, after)
  end)

  it("takes its own hook away", function()
    watched(function(reports)
      mind_the_sheep(reports)
      assert.is_nil((debug.gethook()))
    end)
  end)

  it("is one thread and one signal handler, until it is switched off", function()
    local threads = status "Threads"
    assert.is_false(catches_sigurg())
    loop:set_watchdog {}
    assert.equal(threads + 1, tonumber(status "Threads"))
    assert.is_true(catches_sigurg())
    loop:set_watchdog { limit = 2 }
    assert.equal(threads + 1, tonumber(status "Threads"))
    loop:set_watchdog(false)
    assert.equal(threads, status "Threads")
    assert.is_false(catches_sigurg())
    loop:set_watchdog()
  end)

  it("can be switched off in its own report", function()
    local told = 0
    loop:set_exception_handler(function()
      told = told + 1
      loop:set_watchdog(nil)
    end)
    loop:set_watchdog { limit = LIMIT, preempt = true }
    hold_until(function() return told > 0 end)
    loop:set_exception_handler(nil)
    assert.is_nil((debug.gethook()))
    assert.equal(1, told)
  end)

  it("refuses bad options", function()
    local function refused(message, ...)
      local ok, err = pcall(loop.set_watchdog, loop, ...)
      assert.is_false(ok)
      assert.matches(message, err, 1, true)
    end
    refused("table expected, got number", 1)
    refused("the limit must be a positive number of seconds", { limit = 0 })
    refused("the limit must be a positive number of seconds", { limit = 0 / 0 })
    refused("the limit must be a positive number of seconds", { limit = "soon" })
    refused("there is no option 'limt'", { limt = 1 })
    assert.is_false(catches_sigurg())
  end)
end)

describe("a preempted task", function()
  it("lets the others run", function()
    watched(function()
      local ticks = 0
      local hog = neap.create_task(hold_until, function() return ticks >= 3 end)
      while not hog:done() do
        neap.sleep(0)
        ticks = ticks + 1
      end
      hog:result()
    end, true)
  end)

  it("may be an empty loop", function()
    if tsan then return end
    watched(function()
      local stop
      local hog = neap.create_task(function() while not stop do end end)
      neap.sleep(0.001)
      stop = true
      hog:await()
    end, true)
  end)

  it("may be a loop of pcalls, or of <close> variables", function()
    watched(function()
      local ticks, closed = 0, 0
      local function closing() return setmetatable({}, { __close = function() closed = closed + 1 end }) end
      local hogs = {
        neap.create_task(hold_until, function() return not pcall(error) and ticks >= 3 end),
        neap.create_task(hold_until, function()
          local _ <close> = closing()
          return ticks >= 3
        end),
        neap.create_task(hold_until, function()
          pcall(function()
            local _ <close> = closing()
            error "wolf"
          end)
          return ticks >= 3
        end),
      }
      while not (hogs[1]:done() and hogs[2]:done() and hogs[3]:done()) do
        neap.sleep(0)
        ticks = ticks + 1
      end
      neap.gather(hogs)
      assert.is_true(closed > 0)
    end, true)
  end)

  it("is told of the first, second, fourth, eighth time", function()
    local reports = watched(function(reports)
      local hog = neap.create_task(hold_until_reported, reports, 4)
      while not hog:done() do neap.sleep(0) end
      hog:result()
    end, true)
    local suffixes = {}
    for i, report in ipairs(reports) do suffixes[i] = report.message:match ", preempted so far: (%d+)$" or "0" end
    assert.same({ "0", "1", "3", "7" }, suffixes)
  end)

  it("does not yield out of a coroutine of its own", function()
    watched(function()
      local ticks = 0
      local function count_to(n)
        return coroutine.wrap(function()
          for i = 1, n do
            local _ = {}
            coroutine.yield(i)
          end
        end)
      end
      local hog = neap.create_task(hold_until, function()
        local sum = 0
        for i in count_to(300) do sum = sum + i end
        assert.equal(45150, sum)
        return ticks >= 5
      end)
      while not hog:done() do
        neap.sleep(0)
        ticks = ticks + 1
      end
      hog:result()
    end, true)
  end)

  it("yields when a coroutine that held the loop has given control back", function()
    watched(function(reports)
      local ticks, during = 0, nil
      local ticker = neap.create_task(function()
        while true do
          ticks = ticks + 1
          neap.sleep(0)
        end
      end)
      neap.sleep(0)
      local generator = coroutine.wrap(function()
        local before = ticks
        mind_the_sheep(reports)
        during = ticks - before
        coroutine.yield()
      end)
      generator()
      local seen = ticks
      hold_until(function() return ticks > seen end)
      ticker:cancel()
      assert.equal(0, during)
    end, true)
  end)

  it("yields after the sort whose comparator held the loop", function()
    watched(function(reports)
      local ticks, during = 0, nil
      local ticker = neap.create_task(function()
        while true do
          ticks = ticks + 1
          neap.sleep(0)
        end
      end)
      neap.sleep(0)
      local list = { 3, 1, 2 }
      local inherited
      table.sort(list, function(a, b)
        if not during then
          local before = ticks
          mind_the_sheep(reports)
          local made = coroutine.create(function() for _ = 1, 2000 do local _ = {} end end)
          coroutine.resume(made)
          inherited = debug.gethook(made)
          during = ticks - before
        end
        return a < b
      end)
      local seen = ticks
      hold_until(function() return ticks > seen end)
      ticker:cancel()
      assert.equal(0, during)
      assert.is_nil(inherited)
      assert.same({ 1, 2, 3 }, list)
    end, true)
  end)

  it("does not yield out of neap's own Lua code", function()
    watched(function(reports)
      local clock = { ticks = 0 }
      local own = assert(load([[
        local reports, clock = ...
        local before, give_up = clock.ticks, os.time() + 10
        while #reports == 0 and os.time() < give_up do local _ = {} end
        for _ = 1, 5000 do local _ = {} end
        return clock.ticks - before
      ]], "@lua/neap/own.lua", "t"))
      local ticker = neap.create_task(function()
        while true do
          clock.ticks = clock.ticks + 1
          neap.sleep(0)
        end
      end)
      neap.sleep(0)
      local during = own(reports, clock)
      hold_until(function() return clock.ticks > 1 end)
      ticker:cancel()
      assert.equal(0, during)
    end, true)
  end)

  it("with a hook of debug.sethook keeps that, and yields at a line", function()
    watched(function()
      local ticks, lines, kept = 0, 0, nil
      local hog = neap.create_task(function()
        debug.sethook(function()
          lines = lines + 1
          return lines
        end, "l")
        hold_until(function() return ticks >= 3 end)
        kept = select(2, debug.gethook())
        debug.sethook()
      end)
      while not hog:done() do
        neap.sleep(0)
        ticks = ticks + 1
      end
      hog:result()
      assert.is_true(lines > 3)
      assert.equal("l", kept)
    end, true)
  end)

  it("with a hook of debug.sethook has that called while it cannot yield yet", function()
    watched(function(reports)
      local lines, during = 0, nil
      debug.sethook(function() lines = lines + 1 end, "l")
      table.sort({ 2, 1 }, function(a, b)
        mind_the_sheep(reports)
        local before = lines
        local _ = 1
        during = lines - before
        return a < b
      end)
      debug.sethook()
      assert.equal(2, during)
    end, true)
  end)

  it("that is cancelled hears of it at its next await", function()
    watched(function()
      local cancelled, held
      local hog = neap.create_task(function()
        hold_until(function() return cancelled end)
        held = true
        neap.sleep(0)
      end)
      neap.sleep(0)
      cancelled = true
      hog:cancel()
      local ok, err = pcall(hog.await, hog)
      assert.is_false(ok)
      assert.is_true(neap.is(err, neap.CancelledError))
      assert.is_true(held)
    end, true)
  end)

  it("can be killed; its <close> variables run", function()
    watched(function()
      local closed
      local hog = neap.create_task(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        while true do local _ = {} end
      end)
      neap.sleep(0)
      assert.matches(", preempted at spec/core/watchdog_spec.lua:%d+>$", tostring(hog))
      assert.matches("watchdog_spec.lua:%d+: in function", hog:get_stack())
      assert.is_true(hog:kill())
      assert.is_true(closed)
      assert.is_true(hog:cancelled())
    end, true)
  end)

  it("lets those go first whose deadlines have passed", function()
    watched(function()
      local last, slices, stop = nil, 0, false
      local function hog(i)
        hold_until(function()
          if last ~= i then last, slices = i, slices + 1 end
          return stop
        end)
      end
      local hogs = { neap.create_task(hog, 1), neap.create_task(hog, 2), neap.create_task(hog, 3) }
      for _ = 1, 4 do
        local before = slices
        neap.sleep(0.001)
        assert.is_true(slices - before <= #hogs)
      end
      stop = true
      neap.gather(hogs)
    end, true)
  end)
end)

describe("neap with a watchdog", function()
  -- Runs a script that finds the name of the file with its stderr in arg[1]; returns status and stderr.
  local function run(code)
    local errors = os.tmpname()
    local script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write([[
      local neap = require "neap"
      local core = require "neap.core"
      local loop = neap.get_event_loop()
      local function told()
        local file = assert(io.open(arg[1]))
        local text = file:read "a"
        file:close()
        return text:find("held the loop", 1, true)
      end
      local give_up = os.time() + 10
    ]], code)
    file:close()
    local result = program.run { "sh", "-c", '"$0" "$1" "$2" 2>"$2"', program.neap, script, errors }
    file = assert(io.open(errors))
    local stderr = file:read "a"
    file:close()
    os.remove(errors)
    os.remove(script)
    return result.status, stderr
  end

  it("prints a warning and exits with 0", function()
    local code, stderr = run [[
      loop:set_watchdog { limit = 0.02 }
      local function count_sheep() while not told() and os.time() < give_up do end end
      count_sheep()
    ]]
    assert.matches("^neap: warning: a task has held the loop for [%d.]+ s %(Task%-1%)\nstack traceback:", stderr)
    assert.matches("count_sheep", stderr, 1, true)
    assert.equal(0, code)
  end)

  it("tells of a C function that holds the loop", function()
    local code, stderr = run [[
      loop:set_watchdog { limit = 0.02 }
      os.execute("for i in $(seq 500); do grep -q 'held the loop' " .. arg[1] .. " && break; sleep 0.02; done")
      loop:set_watchdog(nil)
    ]]
    assert.matches(tsan and "^neap: [%w -]+ has held" or "^neap: Task%-1 has held", stderr)
    assert.matches("held the loop for [%d.]+ s in a C function\n", stderr)
    assert.equal(0, code)
  end)

  it("does not cut a read short that holds the loop", function()
    local code, stderr = run [[
      loop:set_watchdog { limit = 0.02 }
      local pipe = io.popen("for i in $(seq 500); do grep -q 'held the loop' " .. arg[1] ..
        " && break; sleep 0.02; done; echo sheep")
      assert(pipe:read "l" == "sheep")
      loop:set_watchdog(nil)
    ]]
    assert.matches("in a C function\n", stderr, 1, true)
    assert.equal(0, code)
  end)

  it("tells of a pattern that holds the loop", function()
    local code, stderr = run [[
      loop:set_watchdog { limit = 0.02, preempt = true }
      loop:set_exception_handler(function() end)
      neap.create_task(function()
        for n = 12, 32 do
          if told() then break end
          string.find(("a"):rep(n), ("a?"):rep(n) .. ("a"):rep(n))
        end
      end):await()
    ]]
    assert.matches("in a C function\n", stderr, 1, true)
    assert.equal(0, code)
  end)

  it("is switched on by NEAP_WATCHDOG", function()
    local code = [[
      local neap = require "neap"
      local reports = 0
      neap.get_event_loop():set_exception_handler(function() reports = reports + 1 end)
      local give_up = os.time() + 10
      while reports == 0 and os.time() < give_up do local _ = {} end
      print(reports)
    ]]
    local result = program.run { "env", "NEAP_WATCHDOG=0.02", program.neap, "-e", code }
    assert.same({ "1\n", "", 0 }, { result.stdout, result.stderr, result.status })
    result = program.run { "env", "NEAP_WATCHDOG=soon", program.neap, "-e", "print(1)" }
    assert.matches("NEAP_WATCHDOG must be a positive number of seconds", result.stderr, 1, true)
    assert.equal("1\n", result.stdout)
  end)
end)
