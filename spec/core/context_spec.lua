-- Context variables: what tasks and callbacks inherit, and what they keep to themselves.
local neap = require "neap"
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"
local testing = require "neap.testing"

local FILE = "spec/core/context_spec.lua"
local loop = neap.get_event_loop()
local start = tasks.start

local function here(lines)
  return ("%s:%d"):format(FILE, debug.getinfo(2, "l").currentline + (lines or 0))
end

-- Calls fn(...), which must raise at that place with that message.
local function raises_at(place, message, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(place .. ": " .. message, err)
end

local function turns(count)
  for _ = 1, count or 2 do neap.sleep(0) end
end

describe("a context variable", function()
  it("is nil or its default until it is set", function()
    local plain, with_default, is_false = neap.ContextVar "plain", neap.ContextVar("x", 5), neap.ContextVar("f", false)
    assert.is_nil(plain:get())
    assert.equal(1, plain:get(1))
    assert.is_false(plain:get(false))
    assert.equal(5, with_default:get())
    assert.equal(6, with_default:get(6))
    assert.is_false(is_false:get())
    assert.equal("plain", plain.name)
    assert.equal("<ContextVar 'plain'>", tostring(plain))
  end)

  it("set to nil or false is so, whatever the default", function()
    local variable = neap.ContextVar("x", 5)
    variable:set(nil)
    assert.is_nil(variable:get())
    assert.is_nil(variable:get(6))
    variable:set(false)
    assert.is_false(variable:get(6))
  end)

  it("is itself, not its name", function()
    local one, other = neap.ContextVar "x", neap.ContextVar "x"
    one:set(1)
    other:set(2)
    assert.equal(1, one:get())
    assert.equal(2, other:get())
  end)

  it("gets back by reset what it had before the set that gave the token, also unset and nil", function()
    local variable = neap.ContextVar("x", "default")
    local first = variable:set(nil)
    local second = variable:set(2)
    local third = variable:set(3)
    variable:reset(third)
    assert.equal(2, variable:get())
    variable:reset(second)
    assert.is_nil(variable:get())
    variable:reset(first)
    assert.equal("default", variable:get())
  end)

  it("gets back by reset what it had, in any order of the tokens", function()
    local variable = neap.ContextVar "x"
    local first = variable:set(1)
    local second = variable:set(2)
    variable:reset(first)
    assert.is_nil(variable:get())
    variable:reset(second)
    assert.equal(1, variable:get())
  end)

  it("refuses wrong arguments at the caller's line", function()
    local variable, other = neap.ContextVar "x", neap.ContextVar "y"
    local token = variable:set(1)
    raises_at(here(1), "reset: the token was made by another variable", function()
      other:reset(token) end)
    variable:reset(token)
    raises_at(here(1), "reset: the token was used already", function()
      variable:reset(token) end)
    raises_at(here(1), "bad argument #1 to 'reset' (token expected, got table)", function()
      variable:reset {} end)
    raises_at(here(1), "bad argument #1 to 'reset' (token expected, got no value)", function()
      variable:reset() end)
    raises_at(here(1), "bad argument #1 to 'ContextVar' (string expected, got no value)", function()
      neap.ContextVar() end)
    raises_at(here(1), "bad argument #1 to 'ContextVar' (string expected, got number)", function()
      neap.ContextVar(1) end)
    for _, method in ipairs { "get", "set", "reset" } do
      raises_at(here(1), ("bad argument #1 to '%s' (neap.ContextVar expected, got table)"):format(method), function()
        variable[method]({}) end)
    end
  end)

  it("serves a token after a refused reset", function()
    local variable, other = neap.ContextVar "x", neap.ContextVar "y"
    local token = variable:set(1)
    pcall(other.reset, other, token)
    variable:reset(token)
    assert.is_nil(variable:get())
  end)
end)

describe("a task", function()
  it("begins with its creator's values of that moment", function()
    local variable = neap.ContextVar "x"
    variable:set "before"
    local task = neap.create_task(function() return variable:get() end)
    variable:set "after"
    assert.equal("before", task:await())
    assert.equal("after", variable:get())
  end)

  it("keeps what it sets to itself and to what it makes", function()
    local variable = neap.ContextVar "x"
    variable:set "outer"
    local task = neap.create_task(function()
      variable:set "inner"
      return neap.create_task(function() return variable:get() end):await()
    end)
    assert.equal("inner", task:await())
    assert.equal("outer", variable:get())
  end)

  it("B26 of a hundred interleaved ones sees only its own values", function()
    local variable, other = neap.ContextVar "x", neap.ContextVar "y"
    other:set "shared"
    local group_errors = {}
    do
      local group <close> = neap.TaskGroup()
      for i = 1, 100 do
        group:create_task(function()
          for round = 1, 10 do
            variable:set(i * 1000 + round)
            neap.sleep(0)
            if variable:get() ~= i * 1000 + round then group_errors[#group_errors + 1] = i end
            if other:get() ~= "shared" then group_errors[#group_errors + 1] = -i end
          end
        end)
      end
    end
    assert.same({}, group_errors)
    assert.is_nil(variable:get())
  end)

  it("of a reused coroutine has nothing of its predecessor", function()
    local variable = neap.ContextVar "x"
    for _ = 1, 50 do
      assert.is_nil(neap.create_task(function()
        local before = variable:get()
        variable:set "left over"
        return before
      end):await())
    end
  end)

  it("keeps its values while it awaits and after it caught a cancel", function()
    local variable = neap.ContextVar "x"
    local task = start(function()
      variable:set "mine"
      pcall(neap.sleep, 3600)
      return variable:get()
    end)
    variable:set "other"
    task:cancel()
    assert.equal("mine", task:await())
  end)

  it("awaited in place as a function, shares its awaiter's values", function()
    local variable = neap.ContextVar "x"
    neap.await(function() variable:set "set in place" end)
    assert.equal("set in place", variable:get())
    neap.wait_for(function() variable:set "in wait_for" end, 1)
    assert.equal("in wait_for", variable:get())
    neap.move_on_after(1, function() variable:set "in move_on_after" end)
    assert.equal("in move_on_after", variable:get())
  end)

  it("of gather, wait, shield, as_completed or a group inherits, and gives nothing back", function()
    local variable = neap.ContextVar "x"
    local seen = {}
    local function see()
      seen[#seen + 1] = variable:get()
      variable:set "child"
    end
    variable:set(1)
    neap.gather(see)
    variable:set(2)
    neap.wait { see }
    variable:set(3)
    neap.shield(see)()
    variable:set(4)
    for _ in neap.as_completed { see } do neap.sleep(0) end
    variable:set(5)
    do
      local group <close> = neap.TaskGroup()
      group:create_task(see)
      variable:set(6)
    end
    variable:set(7)
    neap.ensure_future(see):await()
    loop:create_task(see):await()
    assert.same({ 1, 2, 3, 4, 5, 7, 7 }, seen)
    assert.equal(7, variable:get())
  end)

  it("that handles a connection has the values of where the server was made", function()
    local variable = neap.ContextVar "x"
    local seen
    variable:set "server"
    local server <close> = assert(neap.start_server(function()
      seen = variable:get()
      variable:set "handler"
    end, "127.0.0.1", 0))
    variable:set "client"
    local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
    stream:read "a"
    assert.equal("server", seen)
    assert.equal("client", variable:get())
  end)

  it("that is a coroutine, and generators in it, share the task's values", function()
    local variable = neap.ContextVar "x"
    variable:set(1)
    local generator = coroutine.wrap(function()
      for i = 1, 3 do
        neap.sleep(0)
        variable:set(variable:get() + i)
        coroutine.yield(variable:get())
      end
    end)
    assert.equal(2, generator())
    variable:set(10)
    assert.equal(12, generator())
    assert.equal(12, variable:get())
    local task = neap.create_task(coroutine.create(function() return variable:get() end))
    assert.equal(12, task:await())
  end)
end)

describe("a task that is killed", function()
  local variable = neap.ContextVar "x"

  local function victim(seen)
    variable:set "victim"
    local _ <close> = setmetatable({}, { __close = function()
      seen[#seen + 1] = variable:get()
      variable:set "closing"
      neap.create_task(function() seen[#seen + 1] = "task " .. variable:get() end)
      loop:call_soon(function() seen[#seen + 1] = "callback " .. variable:get() end)
    end })
    neap.sleep(3600)
  end

  it("closes in its own context, and leaves the killer's alone", function()
    local seen = {}
    variable:set "killer"
    local task = start(victim, seen)
    task:kill()
    assert.equal("killer", variable:get())
    turns()
    assert.same({ "victim", "task closing", "callback closing" }, seen)
  end)

  it("by a callback leaves that one's context alone", function()
    local seen, after = {}, nil
    local task = start(victim, seen)
    loop:call_soon(function()
      variable:set "callback's"
      task:kill()
      after = variable:get()
    end)
    turns()
    assert.equal("callback's", after)
    assert.equal("victim", seen[1])
  end)

  it("while it is in Context:run leaves the context usable, and the killer's alone", function()
    local context = neap.copy_context()
    local seen = {}
    variable:set "killer"
    local task = start(function() context:run(victim, seen) end)
    task:kill()
    assert.equal("killer", variable:get())
    assert.equal("closing", context:get(variable))
    assert.equal("closing", context:run(function() return variable:get() end))
    turns()
  end)

  it("and kills another: each closes in its own", function()
    local seen = {}
    local function closing(name, fn)
      return start(function()
        variable:set(name)
        local _ <close> = setmetatable({}, { __close = function()
          if fn then fn() end
          seen[#seen + 1] = variable:get()
        end })
        neap.sleep(3600)
      end)
    end
    variable:set "killer"
    local inner = closing "inner"
    local outer = closing("outer", function() inner:kill() end)
    outer:kill()
    assert.same({ "inner", "outer" }, seen)
    assert.equal("killer", variable:get())
  end)
end)

describe("a callback", function()
  it("has the values of where it was scheduled, and keeps what it sets to itself", function()
    testing.virtual_clock()
    local variable = neap.ContextVar "x"
    local seen = {}
    local function see()
      seen[#seen + 1] = variable:get()
      variable:set "callback"
      loop:call_soon(function() seen[#seen + 1] = "from " .. variable:get() end)
    end
    variable:set(1)
    loop:call_soon(see)
    variable:set(2)
    loop:call_later(1, see)
    variable:set(3)
    loop:call_at(loop:time() + 2, see)
    variable:set(4)
    neap.sleep(3)
    assert.same({ 1, "from callback", 2, "from callback", 3, "from callback" }, seen)
    assert.equal(4, variable:get())
  end)

  it("B25 of a future has the values of when it was added", function()
    local variable = neap.ContextVar "x"
    local future, seen = neap.Future(), {}
    local function see() seen[#seen + 1] = variable:get() end
    variable:set "first"
    future:add_done_callback(see)
    variable:set "second"
    future:add_done_callback(see)
    variable:set "third"
    neap.create_task(function()
      variable:set "setter"
      future:set_result()
    end):await()
    turns()
    future:add_done_callback(see)
    turns()
    assert.same({ "first", "second", "third" }, seen)
  end)

  it("that fails leaves nothing behind for the next", function()
    local variable = neap.ContextVar "x"
    local seen = {}
    loop:set_exception_handler(function() seen[#seen + 1] = "handler " .. tostring(variable:get()) end)
    loop:call_soon(function()
      variable:set "failed"
      error "wolf"
    end)
    loop:call_soon(function() seen[#seen + 1] = tostring(variable:get()) end)
    turns()
    loop:set_exception_handler(nil)
    assert.same({ "handler failed", "nil" }, seen)
    assert.is_nil(variable:get())
  end)
end)

describe("the exception handler", function()
  it("A26 sees the variables of the failed task, and changes none but its own", function()
    local variable = neap.ContextVar "x"
    local seen
    variable:set "main"
    loop:set_exception_handler(function()
      seen = variable:get()
      variable:set "handler"
    end)
    neap.create_task(function()
      variable:set "failed"
      neap.sleep(0)
      error "wolf"
    end)
    for _ = 1, 4 do
      turns()
      collectgarbage()
    end
    loop:set_exception_handler(nil)
    assert.equal("failed", seen)
    assert.equal("main", variable:get())
    local after
    loop:call_soon(function() after = variable:get() end)
    turns()
    assert.equal("main", after)
  end)

  it("of a future's error has no task's variables, nor those that it set when it was called before", function()
    local variable = neap.ContextVar "x"
    local seen = {}
    loop:set_exception_handler(function(_, context)
      seen[#seen + 1] = context.exception .. " " .. tostring(variable:get())
      variable:set "handler"
    end)
    for i = 1, 2 do
      neap.Future():set_exception("wolf " .. i)
      for _ = 1, 4 do
        turns()
        collectgarbage()
      end
    end
    loop:set_exception_handler(nil)
    assert.same({ "wolf 1 nil", "wolf 2 nil" }, seen)
    assert.is_nil(variable:get())
  end)

  it("A26 sees them at a program's end too", function()
    local result = program.code [[
      local neap = require "neap"
      local variable = neap.ContextVar "x"
      neap.get_running_loop():set_exception_handler(function(_, context) print(context.exception, variable:get()) end)
      for i = 1, 3 do
        KEPT = { KEPT, neap.create_task(function()
          variable:set(i)
          error("wolf " .. i, 0)
        end) }
      end]]
    assert.equal("", result.stderr)
    assert.equal("wolf 1\t1\nwolf 2\t2\nwolf 3\t3\n", result.stdout)
  end)
end)

describe("copy_context", function()
  it("is a copy: what is set later is not in it", function()
    local variable = neap.ContextVar("x", "default")
    local empty = neap.copy_context()
    variable:set(1)
    local context = neap.copy_context()
    variable:set(2)
    assert.equal("default", empty:get(variable))
    assert.equal("other", empty:get(variable, "other"))
    assert.equal(1, context:get(variable))
    assert.equal(1, context:get(variable, "other"))
  end)

  it("runs a function in it, keeps what that sets, and passes arguments and values", function()
    local variable = neap.ContextVar "x"
    variable:set(1)
    local context = neap.copy_context()
    local values = table.pack(context:run(function(...)
      variable:set(2)
      return variable:get(), ...
    end, nil, "a", nil))
    assert.same({ n = 4, 2, nil, "a" }, values)
    assert.equal(1, variable:get())
    assert.equal(2, context:get(variable))
    assert.equal(2, context:run(variable.get, variable))
  end)

  it("is left when its function raises, with that very error", function()
    local variable = neap.ContextVar "x"
    local context, wolf = neap.copy_context(), {}
    local ok, err = pcall(context.run, context, function()
      variable:set(2)
      error(wolf)
    end)
    assert.is_false(ok)
    assert.equal(wolf, err)
    assert.is_nil(variable:get())
    assert.equal(2, context:run(variable.get, variable))
  end)

  it("B27 M17 is given to a task or a child by running in it inside", function()
    local variable = neap.ContextVar "x"
    local context = neap.copy_context()
    context:run(function() variable:set "given" end)
    variable:set "creator"
    local seen = {}
    local function work()
      seen[#seen + 1] = variable:get()
      neap.sleep(0)
      variable:set(variable:get() .. "+")
    end
    neap.create_task(function() context:run(work) end):await()
    do
      local group <close> = neap.TaskGroup()
      group:create_task(function() context:run(work) end)
    end
    assert.same({ "given", "given+" }, seen)
    assert.equal("given++", context:get(variable))
    assert.equal("creator", variable:get())
  end)

  it("may be awaited in; other tasks do not see it meanwhile", function()
    local variable = neap.ContextVar "x"
    local context = neap.copy_context()
    local task = start(function()
      context:run(function()
        variable:set "inside"
        neap.sleep(0)
        neap.sleep(0)
        assert.equal("inside", variable:get())
      end)
      return variable:get()
    end)
    assert.is_nil(variable:get())
    neap.sleep(0)
    assert.is_nil(variable:get())
    assert.is_nil(task:await())
  end)

  it("is refused while it is in use, by the same task or another", function()
    local context = neap.copy_context()
    local message = "run: the context is in use"
    context:run(function()
      raises_at(here(1), message, function()
        context:run(print) end)
    end)
    local task = start(function() context:run(neap.sleep, 3600) end)
    assert.is_false((pcall(context.run, context, print)))
    task:cancel()
    tasks.cancelled(task.await, task)
    assert.equal("free", context:run(function() return "free" end))
  end)

  it("nests with others", function()
    local variable = neap.ContextVar "x"
    local outer, inner = neap.copy_context(), neap.copy_context()
    outer:run(function()
      variable:set "outer"
      inner:run(function()
        assert.is_nil(variable:get())
        variable:set "inner"
      end)
      assert.equal("outer", variable:get())
    end)
    assert.is_nil(variable:get())
    assert.equal("outer", outer:get(variable))
    assert.equal("inner", inner:get(variable))
  end)

  it("is not entered in a coroutine inside the task, which could be left half-way", function()
    local context = neap.copy_context()
    local place
    local ok, message = coroutine.resume(coroutine.create(function()
      place = here(1)
      context:run(print)
    end))
    assert.is_false(ok)
    assert.equal(place .. ": run: a context is entered in a task itself, not in a coroutine inside it", message)
    assert.equal("free", context:run(function() return "free" end))
  end)

  it("runs callables, and in callbacks", function()
    local variable = neap.ContextVar "x"
    local context, seen = neap.copy_context(), nil
    context:run(variable.set, variable, "given")
    assert.equal(5, context:run(setmetatable({}, { __call = function(_, x) return x end }), 5))
    loop:call_soon(function()
      seen = context:run(variable.get, variable)
      seen = seen .. tostring(variable:get())
    end)
    turns()
    assert.equal("givennil", seen)
  end)

  it("refuses wrong arguments at the caller's line", function()
    local context = neap.copy_context()
    raises_at(here(1), "bad argument #1 to 'run' (function expected, got string)", function()
      context:run "main" end)
    raises_at(here(1), "bad argument #1 to 'run' (neap.Context expected, got number)", function()
      context.run(1) end)
    raises_at(here(1), "bad argument #1 to 'get' (neap.ContextVar expected, got string)", function()
      context:get "x" end)
    raises_at(here(1), "bad argument #1 to 'get' (neap.ContextVar expected, got no value)", function()
      context:get() end)
    assert.equal(1, context:run(function() return 1 end))
  end)
end)

describe("contexts outside the loop", function()
  it("are those of what a run starts, and are given back", function()
    local result = program.run { "env", "LUA_CPATH=" .. (os.getenv "NEAP_CPATH" or "") .. ";;",
      "LD_PRELOAD=" .. (os.getenv "NEAP_PRELOAD" or ""), "ASAN_OPTIONS=detect_leaks=0", "lua5.4", "-e", [[
      local neap = require "neap"
      local variable = neap.ContextVar("x", "default")
      local loop = neap.get_event_loop()
      print(variable:get())
      variable:set "outside"
      loop:set_exception_handler(function(_, context)
        print(context.exception, variable:get())
        variable:set "handler"
      end)
      print(neap.run(function()
        local before = variable:get()
        variable:set "main"
        loop:call_soon(function() variable:set "callback" end)
        neap.create_task(error, "wolf")
        neap.sleep(0)
        return before, variable:get()
      end))
      print(variable:get())]] }
    assert.equal("", result.stderr)
    assert.equal("default\nwolf\tmain\noutside\tmain\noutside\n", result.stdout)
  end)
end)

describe("memory", function()
  -- The bytes that Lua allocates for each of many tasks, callbacks and futures made after `before` ran.
  local function bytes(before)
    local result = program.code(([[
      local neap = require "neap"
      local loop = neap.get_running_loop()
      local variable = neap.ContextVar "x"
      local function nothing() end
      local function measure(make)
        for i = 1, 300 do make(i) end
        neap.sleep(0)
        collectgarbage()
        collectgarbage "stop"
        local kept = {}
        for i = 1, 1000 do kept[i] = false end
        local before = collectgarbage "count"
        for i = 1, 1000 do kept[i] = make(i) end
        local after = collectgarbage "count"
        collectgarbage "restart"
        neap.sleep(0)
        return math.floor((after - before) * 1024 / 1000 + 0.5)
      end
      %s
      print(measure(function() return loop:call_soon(nothing) end), measure(function() return neap.Future() end),
        measure(function() return neap.create_task(nothing) end))]]):format(before))
    assert.equal(0, result.status, result.stderr)
    local handle, future, task = result.stdout:match "(%d+)\t(%d+)\t(%d+)"
    return { handle = tonumber(handle), future = tonumber(future), task = tonumber(task) }
  end

  it("is not taken by variables that nobody has set", function()
    assert.same(bytes "", bytes "for i = 1, 100 do variable = neap.ContextVar('x' .. i, i) end variable:get()")
  end)

  it("of a set variable is shared, however many values a context has", function()
    local one = bytes "variable:set(1)"
    local many = bytes "for i = 1, 1000 do neap.ContextVar('x' .. i):set(i) end"
    assert.near(one.handle, many.handle, 1)
    assert.near(one.future, many.future, 1)
    assert.near(one.task, many.task, 1)
  end)

  it("of values goes with the last task that has them", function()
    local weak = setmetatable({}, { __mode = "k" })
    local variable = neap.ContextVar "x"
    do
      local task = neap.create_task(function()
        local value = {}
        weak[value] = true
        variable:set(value)
        neap.create_task(function() neap.sleep(0) assert.equal("table", type(variable:get())) end)
      end)
      task:await()
    end
    assert.is_not_nil(next(weak))
    turns(4)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)
