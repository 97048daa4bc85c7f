-- Debug hooks: a task gets the one of its creator.
local neap = require "neap"
local program = require "spec.support.program"

-- Where a function of this file begins.
local function line_of(fn) return debug.getinfo(fn, "S").linedefined end

-- Runs fn with a hook set for `mask`; returns what the hook was given, counted by event and line.
local function hooked(fn, mask, count)
  local seen = {}
  debug.sethook(function(event, line)
    local info = debug.getinfo(2, "Sl")
    if info.source ~= "@spec/core/hook_spec.lua" then return end
    local key = ("%s %s"):format(event, line or info.linedefined)
    seen[key] = (seen[key] or 0) + 1
  end, mask, count)
  local ok, err = pcall(fn)
  debug.sethook()
  assert(ok, err)
  return seen
end

local function body()
  neap.sleep(0)
  return "line 2"
end

describe("a hook", function()
  after_each(function() debug.sethook() end)

  it("that counts lines sees those of a task, and of a task of that", function()
    local inner
    local function outer()
      inner = neap.create_task(body)
      inner:await()
    end
    local seen = hooked(function() neap.create_task(outer):await() end, "l")
    assert.equal(1, seen["line " .. line_of(outer) + 1])
    assert.equal(1, seen["line " .. line_of(outer) + 2])
    assert.equal(1, seen["line " .. line_of(body) + 1])
    assert.equal(1, seen["line " .. line_of(body) + 2])
  end)

  it("sees calls and returns in a task", function()
    local seen = hooked(function() neap.create_task(body):await() end, "cr")
    assert.equal(1, seen["call " .. line_of(body)])
    assert.equal(1, seen["return " .. line_of(body)])
  end)

  it("sees no calls that making the task itself makes", function()
    local calls = {}
    local sethook, getinfo, create_task = debug.sethook, debug.getinfo, neap.create_task
    sethook(function() calls[#calls + 1] = getinfo(2, "n").name or "?" end, "cr")
    create_task(body)
    sethook()
    assert.same({ "sethook", "create_task", "create_task", "sethook" }, calls)
  end)

  it("that counts instructions does so in a task", function()
    local function busy() for _ = 1, 100 do end end
    local seen = hooked(function() neap.create_task(busy):await() end, "", 10)
    assert.is_true(seen["count " .. line_of(busy)] >= 10)
  end)

  it("keeps its function, mask and count in the task", function()
    local function hook() end
    debug.sethook(hook, "crl", 1000)
    local task = neap.create_task(function() return debug.gethook() end)
    debug.sethook()
    assert.same({ n = 3, hook, "crl", 1000 }, table.pack(task:await()))
  end)

  it("is the creator's of that moment: later changes do not reach the task", function()
    local function first() end
    local function second() end
    local function hook_in_task() return (debug.gethook()) end
    debug.sethook(first, "l")
    local a = neap.create_task(hook_in_task)
    debug.sethook(second, "l")
    debug.sethook()
    local b = neap.create_task(hook_in_task)
    debug.sethook(first, "l")
    debug.sethook()
    assert.equal(first, (a:await()))
    assert.is_nil((b:await()))
  end)

  it("does not stay in a coroutine that is reused", function()
    debug.sethook(print, "", 1 << 30)
    local tasks = {}
    for i = 1, 10 do tasks[i] = neap.create_task(function() debug.sethook() end) end
    for i = 11, 20 do tasks[i] = neap.create_task(body) end
    debug.sethook()
    for i = 1, 20 do tasks[i]:await() end
    for _ = 1, 40 do
      assert.is_nil((neap.create_task(function() return (debug.gethook()) end):await()))
    end
  end)

  it("is set in a coroutine that is reused", function()
    local function hook() end
    for _ = 1, 10 do neap.create_task(body):await() end
    debug.sethook(hook, "l")
    local task = neap.create_task(function() return debug.gethook() end)
    debug.sethook()
    assert.same({ n = 3, hook, "l", 0 }, table.pack(task:await()))
  end)

  it("is not given to a coroutine made in a task, as in Lua", function()
    local seen = hooked(function()
      neap.create_task(function() coroutine.wrap(body)() end):await()
    end, "l")
    assert.is_nil(seen["line " .. line_of(body) + 2])
  end)

  it("of a program's body is not one of callbacks, which run in the main coroutine", function()
    local hook
    local future = neap.Future()
    debug.sethook(print, "", 1 << 30)
    neap.get_running_loop():call_soon(function()
      hook = debug.gethook()
      future:set_result()
    end)
    debug.sethook()
    future:await()
    assert.is_nil(hook)
  end)

  it("of an earlier -l or -e is one of callbacks and tasks of the script", function()
    local result = program.run { program.neap, "-e", "hook = function() end debug.sethook(hook, 'l')", "-e", [[
      local neap = require "neap"
      neap.get_running_loop():call_soon(function() print(debug.gethook() == hook) end)
      neap.create_task(function() print(debug.gethook() == hook) end)]] }
    assert.equal("", result.stderr)
    assert.equal("true\ntrue\n", result.stdout)
  end)

  it("sees no calls that passing it on from one -e to the next makes", function()
    local result = program.run { program.neap, "-e", [[
      debug.sethook(function()
        local fn = debug.getinfo(2, "f").func
        if fn == debug.gethook or fn == debug.sethook then print "seen" end
      end, "c")]], "-e", "", "-e", "", "-e", "print 'end'" }
    assert.equal("end\n", result.stdout)
  end)

  it("counts the lines of a whole program", function()
    local code = [[
      local neap = require "neap"
      local counts = {}
      debug.sethook(function(_, line)
        if debug.getinfo(2, "S").source == "=(command line)" then counts[line] = (counts[line] or 0) + 1 end
      end, "l")
      local function work(n)
        for _ = 1, n do
          neap.sleep(0.1)
        end
      end
      do
        local group <close> = neap.TaskGroup()
        group:create_task(work, 2)
        group:create_task(work, 3)
      end
      neap.gather(function()
        neap.sleep(1)
      end, function()
        neap.create_task(work, 4):await()
      end)
      neap.wait_for(function()
        neap.sleep(1)
      end, 5)
      debug.sethook()
      print(counts[8], counts[17], counts[19], counts[22])]]
    assert.equal("9\t1\t1\t1\n", program.code(code).stdout)
  end)
end)
