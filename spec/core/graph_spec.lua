-- Looking inside: where tasks wait, and who waits for whom.
local neap = require "neap"
local wait_all_blocked = require "neap.testing".wait_all_blocked
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"

local FILE = "spec/core/graph_spec.lua"
local loop = neap.get_event_loop()
local capture = neap.capture_call_graph

local function line_of(fn) return debug.getinfo(fn, "S").linedefined end

-- Starts a task of that name, which comes to its first await.
local function named(name, fn, ...)
  local task = neap.create_task(fn, ...)
  task:set_name(name)
  wait_all_blocked()
  return task
end

local function finish(...)
  for _, task in ipairs { ... } do task:cancel() end
  for _, task in ipairs { ... } do pcall(task.await, task) end
end

-- The graph's names as a table of tables: { "inner", { "middle", { "outer" } } }.
local function names(graph)
  local list = { graph.future.get_name and graph.future:get_name() or "future" }
  for i, awaiter in ipairs(graph.awaited_by) do list[i + 1] = names(awaiter) end
  return list
end

local function places(graph)
  local list = {}
  for i, frame in ipairs(graph.call_stack) do list[i] = ("%s:%d"):format(frame.source, frame.line) end
  return list
end

local function at(...)
  local list = {}
  for i, line in ipairs { ... } do list[i] = ("%s:%d"):format(FILE, line) end
  return list
end

local function leaf()
  neap.sleep(3600)
end

local function branch()
  leaf()
  return nil
end

describe("a call graph", function()
  it("Z1 lists the frames, the innermost first", function()
    local task = named("sheep", branch)
    local graph = capture(task)
    assert.equal(task, graph.future)
    assert.equal("sleep", graph.waits_in)
    assert.same(at(line_of(leaf) + 1, line_of(branch) + 1), places(graph))
    assert.equal("leaf", graph.call_stack[1].name)
    assert.same({}, graph.awaited_by)
    finish(task)
  end)

  it("Z1 lists all that await it, through groups, recursively", function()
    local inner = named("inner", branch)
    local outer = named("outer", function()
      local group <close> = neap.TaskGroup()
      group:create_task(function() inner:await() end):set_name "child 1"
      group:create_task(function()
        local nested <close> = neap.TaskGroup()
        nested:create_task(function() inner:await() end):set_name "grandchild"
      end):set_name "child 2"
    end)
    wait_all_blocked()
    assert.same({ "inner", { "child 1", { "outer" } }, { "grandchild", { "child 2", { "outer" } } } },
      names(capture(inner)))
    local awaiter = capture(inner).awaited_by[1]
    assert.equal("await", awaiter.waits_in)
    assert.equal("TaskGroup", awaiter.awaited_by[1].waits_in)
    finish(outer, inner)
  end)

  it("Z2 shows the task inside gather as awaiting each child", function()
    local a, b = named("a", leaf), named("b", leaf)
    local task = named("gatherer", function() neap.gather(a, leaf, b) end)
    for _, child in ipairs { a, b } do
      local graph = capture(child)
      assert.same({ child:get_name(), { "gatherer" } }, names(graph))
      assert.equal("gather", graph.awaited_by[1].waits_in)
    end
    finish(task, a, b)
  end)

  it("Z3 shows the awaiter through a shield", function()
    local inner = named("inner", leaf)
    local outer = named("outer", function() neap.shield(inner)() end)
    local graph = capture(inner)
    assert.same({ "inner", { "outer" } }, names(graph))
    assert.equal("shield", graph.awaited_by[1].waits_in)
    finish(outer, inner)
  end)

  it("Z4 links a task and those that await it, also by wait and wait_for", function()
    local inner = named("inner", leaf)
    local by_await = named("by await", inner.await, inner)
    local by_call = named("by call", function() neap.await(inner) end)
    local by_wait = named("by wait", function() neap.wait { inner, timeout = 5 } end)
    local by_wait_for = named("by wait_for", function() neap.wait_for(inner, 5) end)
    assert.same({ "inner", { "by await" }, { "by call" }, { "by wait" }, { "by wait_for" } }, names(capture(inner)))
    finish(by_wait)
    assert.same({ "inner", { "by await" }, { "by call" }, { "by wait_for" } }, names(capture(inner)))
    finish(by_await, by_call, by_wait_for, inner)
  end)

  it("Z5 of a bare future lists every task that awaits it", function()
    local future = neap.Future()
    local list = {}
    for i = 1, 3 do list[i] = named("task " .. i, future.await, future) end
    local graph = capture(future)
    assert.same({ "future", { "task 1" }, { "task 2" }, { "task 3" } }, names(graph))
    assert.same({}, graph.call_stack)
    assert.is_nil(graph.waits_in)
    finish(list[2])
    assert.same({ "future", { "task 1" }, { "task 3" } }, names(capture(future)))
    future:set_result()
    assert.same({ "future" }, names(capture(future)))
    wait_all_blocked()
  end)

  it("Z6 has the frames of user coroutines", function()
    local resume, body, inner
    local function inner_body() neap.sleep(3600) end
    local task = named("consumer", function()
      local generator = coroutine.wrap(function()
        coroutine.wrap(function()
          inner = debug.getinfo(1, "l").currentline + 1
          inner_body()
        end)()
        body = debug.getinfo(1, "l").currentline
      end)
      resume = debug.getinfo(1, "l").currentline + 1
      generator()
    end)
    assert.is_nil(body)
    local lines = places(capture(task))
    assert.same(at(line_of(inner_body), inner, inner - 2, resume), lines)
    local stack = task:get_stack()
    local last = 0
    for _, place in ipairs(lines) do
      last = assert(stack:find(place .. ":", last + 1, true), stack)
    end
    assert.matches(("waits in sleep at %s>"):format(lines[1]), tostring(task), 1, true)
    finish(task)
  end)

  it("Z6 has them again after the generator yielded and was resumed", function()
    local generator = coroutine.create(function()
      coroutine.yield()
      leaf()
    end)
    local function consume()
      coroutine.resume(generator)
      coroutine.resume(generator)
      return nil
    end
    local task = named("consumer", consume)
    assert.same(at(line_of(leaf) + 1, line_of(consume) - 2, line_of(consume) + 2), places(capture(task)))
    finish(task)
  end)

  it("is that of the running task unless one is given", function()
    local function ask() return (capture()) end
    local graph = ask()
    assert.equal(neap.current_task(), graph.future)
    assert.is_nil(graph.waits_in)
    assert.equal(FILE, graph.call_stack[1].source)
    assert.equal(line_of(ask), graph.call_stack[1].line)
  end)

  it("Z7 shows a circle once more, and no further", function()
    local b
    local a = neap.create_task(function()
      neap.sleep(0)
      b:await()
    end)
    a:set_name "a"
    b = neap.create_task(function() a:await() end)
    b:set_name "b"
    wait_all_blocked()
    assert.same({ "a", { "b", { "a" } } }, names(capture(a)))
    assert.same({ "b", { "a", { "b" } } }, names(capture(b)))
    a:cancel()
    finish(a, b)
  end)

  it("shows what is awaited by two ways under each", function()
    local inner = named("inner", leaf)
    local a, b = named("a", inner.await, inner), named("b", inner.await, inner)
    local top = named("top", function() neap.gather(a, b) end)
    assert.same({ "inner", { "a", { "top" } }, { "b", { "top" } } }, names(capture(inner)))
    finish(top)
    assert.is_true(inner:done())
  end)

  it("of tasks that have not begun, or have ended, has no frames", function()
    local task = neap.create_task(leaf)
    assert.same({}, places(capture(task)))
    task:cancel()
    wait_all_blocked()
    local graph = capture(task)
    assert.same({}, graph.call_stack)
    assert.is_nil(graph.waits_in)
    assert.same({}, graph.awaited_by)
  end)

  it("forgets awaiters that were killed", function()
    local inner = named("inner", leaf)
    local outer = named("outer", inner.await, inner)
    outer:kill()
    assert.same({ "inner" }, names(capture(inner)))
    finish(inner)
  end)

  it("keeps nothing alive", function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local task = named("sheep", leaf)
      weak[task] = true
      capture(task)
      finish(task)
    end
    wait_all_blocked()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("is of tasks and futures alone: refused at the caller's line", function()
    for _, wrong in ipairs { 1, "task", {}, print, loop } do
      for _, name in ipairs { "capture_call_graph", "format_call_graph", "print_call_graph" } do
        local line = debug.getinfo(1, "l").currentline + 1
        local ok, message = pcall(function() neap[name](wrong) end)
        assert.is_false(ok)
        assert.equal(("%s:%d: bad argument #1 to 'capture_call_graph' (task or future expected, got %s)")
          :format(FILE, line, type(wrong) == "userdata" and "neap.Loop" or type(wrong)), message)
      end
    end
    local message
    loop:call_soon(function() message = select(2, pcall(capture)) end)
    wait_all_blocked()
    assert.matches("task or future expected, got no value", message, 1, true)
  end)
end)

describe("a call graph as text", function()
  it("has a line for each frame, and the awaiters further in", function()
    local inner = named("inner", branch)
    local function wait() inner:await() end
    local outer = named("outer", wait)
    assert.equal(([[
* inner waits in sleep
  FILE:%d in leaf
  FILE:%d
  awaited by
    * outer waits in await
      FILE:%d]]):format(line_of(leaf) + 1, line_of(branch) + 1, line_of(wait)):gsub("FILE", FILE),
      (neap.format_call_graph(inner)))
    finish(outer, inner)
  end)

  it("begins with a future as it is printed", function()
    assert.equal("* <Future pending>", (neap.format_call_graph(neap.Future()):gsub(", made at [^>]*", "")))
  end)

  it("goes to stderr, or to the file given", function()
    local result = program.code [[
      local neap = require "neap"
      neap.print_call_graph()
      neap.print_call_graph(nil, io.stdout)]]
    assert.equal("* Task-1\n  (command line):2\n", result.stderr)
    assert.equal("* Task-1\n  (command line):3\n", result.stdout)
  end)
end)

describe("the task table", function()
  local function rows_of(...)
    local wanted, rows = {}, {}
    for _, task in ipairs { ... } do wanted[task] = true end
    for _, row in ipairs(neap.task_table()) do
      if wanted[row.task] then
        local line, awaiter = row.frame and row.frame.line, row.awaiter and row.awaiter:get_name()
        rows[#rows + 1] = { row.name, row.waits_in, line, awaiter }
      end
    end
    return rows
  end

  it("Z8 has one row for each task and awaiter, in the order of their making", function()
    local inner = named("inner", branch)
    local function wait() inner:await() end
    local a, b = named("a", wait), named("b", wait)
    local top = named("top", function() neap.gather(a, b) end)
    local new = neap.create_task(leaf)
    new:set_name "new"
    assert.same({
      { "inner", "sleep", line_of(leaf) + 1, "a" },
      { "inner", "sleep", line_of(leaf) + 1, "b" },
      { "a", "await", line_of(wait), "top" },
      { "b", "await", line_of(wait), "top" },
      { "top", "gather", line_of(wait) + 2 },
      { "new" },
    }, rows_of(inner, a, b, top, new))
    finish(top, new, inner)
    assert.same({}, rows_of(inner, a, b, top, new))
  end)

  it("Z8 has the running task, which waits in nothing", function()
    local rows = rows_of(neap.current_task())
    assert.equal(1, #rows)
    assert.is_nil(rows[1][2])
    assert.equal("number", type(rows[1][3]))
  end)

  it("Z8 names a task that waits in a generator by the generator's line", function()
    local function body() neap.sleep(3600) end
    local task = named("consumer", function() coroutine.wrap(body)() end)
    assert.same({ { "consumer", "sleep", line_of(body) } }, rows_of(task))
    finish(task)
  end)
end)

describe("a deadlock's message", function()
  local function deadlock_of(code)
    local result = program.run { program.neap, "-e", "local neap = require 'neap' " .. code }
    assert.equal(1, result.status)
    return result.stderr
  end

  it("Z7 tells which task each one awaits, and names a circle", function()
    local message = deadlock_of [[
      local a, b, c
      a = neap.create_task(function() neap.sleep(0) b:await() end) a:set_name "a"
      b = neap.create_task(function() c:await() end) b:set_name "b"
      c = neap.create_task(function() a:await() end) c:set_name "c"
      c:await()]]
    assert.matches("\ta waits in await at (command line):2 for b\n", message, 1, true)
    assert.matches("\tb waits in await at (command line):3 for c\n", message, 1, true)
    assert.matches("\tc waits in await at (command line):4 for a\n", message, 1, true)
    assert.matches("Task-1 waits in await at (command line):5 for c\n", message, 1, true)
    assert.matches("\ta circle: a -> b -> c -> a\n", message, 1, true)
  end)

  it("Z7 names the circle that the main task is not in but waits for", function()
    local message = deadlock_of [[
      local a, b
      a = neap.create_task(function() neap.sleep(0) b:await() end) a:set_name "a"
      b = neap.create_task(function() a:await() end) b:set_name "b"
      neap.Future():await()]]
    assert.matches("\ta circle: a -> b -> a\n", message, 1, true)
  end)

  it("Z7 names no circle where there is none", function()
    local message = deadlock_of [[
      local end_of_chain = neap.create_task(function() neap.Future():await() end)
      neap.create_task(end_of_chain.await, end_of_chain):await()]]
    assert.is_nil(message:find("circle", 1, true))
    assert.matches(" for Task-2\n", message, 1, true)
  end)

  it("Z7 cuts a long circle short", function()
    local message = deadlock_of [[
      local ring = {}
      for i = 1, 60 do
        ring[i] = neap.create_task(function() neap.sleep(0) ring[i % 60 + 1]:await() end)
      end
      ring[1]:await()]]
    assert.matches("and 41 more\n", message, 1, true)
    assert.matches("a circle: Task%-2 %-> Task%-3 %-> [^\n]*Task%-21 %-> %.%.%.\n", message)
  end)

  it("names the generator's line in which a task waits", function()
    local message = deadlock_of [[
      local function body()
        neap.Future():await()
      end
      coroutine.wrap(body)()]]
    assert.matches("\tTask-1 waits in await at (command line):2\n", message, 1, true)
  end)
end)

describe("a task's string", function()
  it("tells the place inside a generator", function()
    local function body() neap.sleep(3600) end
    local task = tasks.start(function() coroutine.wrap(body)() end)
    assert.matches(("waits in sleep at %s:%d>"):format(FILE, line_of(body)), tostring(task), 1, true)
    finish(task)
  end)
end)
