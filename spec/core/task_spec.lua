-- Tasks: their making, names, results, and what they tell of themselves.
local neap = require "neap"

local FILE = "spec/core/task_spec.lua"

-- The message of the error that fn(...) must raise.
local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

-- A place of this file, `lines` after the caller's line.
local function here(lines)
  return ("%s:%d"):format(FILE, debug.getinfo(2, "l").currentline + (lines or 0))
end

local function contains(list, value)
  for _, item in ipairs(list) do
    if item == value then return true end
  end
  return false
end

describe("a task", function()
  it("B1 runs its function and keeps what it returned", function()
    local task = neap.create_task(function(...) return select("#", ...), ... end, "a", nil)
    assert.is_false(task:done())
    assert.same({ n = 3, 2, "a", nil }, table.pack(task:await()))
    assert.is_true(task:done())
    assert.same({ n = 3, 2, "a", nil }, table.pack(task:result()))
  end)

  it("B2 composes the values of nested calls that await", function()
    local function one() neap.sleep(0) return 1 end
    local function two() return one() + one() end
    local function four() return two() + neap.await(two) end
    assert.equal(4, neap.create_task(four):await())
  end)

  it("B3 is a future", function()
    local task, ended = neap.create_task(function() return "x" end), nil
    task:add_done_callback(function(done) ended = done end)
    assert.equal(0, task:remove_done_callback(print))
    assert.equal("x", neap.await(task))
    assert.equal(task, ended)
    assert.is_nil(task:exception())
    assert.is_false(task:cancelled())
    assert.is_false(task:failed())
  end)

  it("B3 cannot be read before it has ended", function()
    local task = neap.create_task(function() end)
    for _, name in ipairs { "result", "exception" } do
      local ok, err = pcall(task[name], task)
      assert.is_false(ok)
      assert.is_true(neap.is(err, neap.InvalidStateError))
      assert.matches(name, tostring(err), 1, true)
    end
    task:await()
  end)

  it("B4 is not made of what cannot be called", function()
    local before = #neap.all_tasks()
    for _, wrong in ipairs { 1, "text", {}, true } do
      local place
      local message = message_of(function()
        place = here(1)
        neap.create_task(wrong)
      end)
      assert.matches("bad argument #1 to 'create_task'", message, 1, true)
      assert.matches(place, message, 1, true)
      assert.matches("function", message, 1, true)
    end
    assert.matches("bad argument #1", message_of(neap.create_task), 1, true)
    assert.equal(before, #neap.all_tasks())
  end)

  it("B4 is made of a callable or a coroutine as well", function()
    local callable = setmetatable({}, { __call = function(_, x) return x end })
    assert.equal(1, neap.create_task(callable, 1):await())
    assert.equal(2, neap.create_task(coroutine.create(function(x) neap.sleep(0) return x end), 2):await())
  end)

  it("B5 belongs to the running loop", function()
    local loop
    neap.create_task(function() loop = neap.get_running_loop() end):await()
    assert.equal(neap.get_running_loop(), loop)
  end)

  it("B6 tells its name, state, function and where it waits", function()
    local place = here(1)
    local task = neap.create_task(function()
      neap.sleep(0)
    end)
    task:set_name "sheep"
    assert.equal(("<Task 'sheep' pending, function at %s, not started>"):format(place), tostring(task))
    neap.sleep(0)
    local text = tostring(task)
    assert.matches("<Task 'sheep' pending", text, 1, true)
    assert.matches("sleep", text, 1, true)
    assert.matches(here(-8), text, 1, true)
    task:cancel()
    assert.matches("<Task 'sheep' cancelling", tostring(task), 1, true)
    pcall(task.await, task)
    assert.equal("<Task 'sheep' cancelled>", tostring(task))
  end)

  it("B6 tells its end", function()
    local finished, failed = neap.create_task(function() return 7 end), neap.create_task(error, "wolf", 0)
    finished:set_name "f"
    failed:set_name "e"
    finished:await()
    failed:add_done_callback(function() end)
    message_of(failed.await, failed)
    assert.equal("<Task 'f' finished, result: 7>", tostring(finished))
    assert.equal("<Task 'e' failed, error: wolf>", tostring(failed))
    assert.matches("running>", tostring(neap.current_task()), 1, true)
  end)

  it("B7 is named Task-N, with a growing N", function()
    local last = 0
    for _ = 1, 3 do
      local task = neap.create_task(function() end)
      local number = math.tointeger(task:get_name():match "^Task%-(%d+)$")
      assert.is_true(number > last)
      last = number
      task:await()
    end
  end)

  it("B8 keeps a number given as its name as a string", function()
    local task = neap.create_task(function() end)
    task:set_name(1234567890123)
    assert.equal("1234567890123", task:get_name())
    task:await()
    assert.equal("1234567890123", task:get_name())
  end)

  it("B9 keeps any value given as its name as that value's string", function()
    local task = neap.create_task(function() end)
    task:set_name(setmetatable({}, { __tostring = function() return "ram" end }))
    assert.equal("ram", task:get_name())
    task:set_name(nil)
    assert.equal("nil", task:get_name())
    task:await()
  end)

  it("B10 cannot be completed from outside", function()
    local task, future = neap.create_task(function() end), neap.Future()
    assert.is_nil(task.set_result)
    assert.is_nil(task.set_exception)
    assert.matches("bad argument #1", message_of(future.set_result, task, 1), 1, true)
    assert.matches("bad argument #1", message_of(future.set_exception, task, 1), 1, true)
    task:await()
  end)

  it("B11 tells where it was made", function()
    local place = here(1)
    local task = neap.create_task(error, "wolf")
    assert.equal(place, task:made_at())
    message_of(task.await, task)
    assert.equal(place, task:made_at())
  end)

  it("B12 keeps the traceback of where its error was raised", function()
    local place = here(2)
    local function deep()
      error "wolf"
    end
    local task = neap.create_task(function() deep() end)
    message_of(task.await, task)
    assert.matches(place, task:get_stack(), 1, true)
    assert.matches("deep", task:get_stack(), 1, true)
  end)

  it("B12 keeps it after a wait, and when the error comes from a task it awaits", function()
    local place = here(3)
    local inner = neap.create_task(function()
      neap.sleep(0)
      error "wolf"
    end)
    local outer = neap.create_task(function() inner:await() end)
    message_of(outer.await, outer)
    assert.matches(place, outer:get_stack(), 1, true)
  end)

  it("B12 shows the stack of one that waits", function()
    local task = neap.create_task(function() neap.sleep(0) end)
    neap.sleep(0)
    assert.matches(here(-2), task:get_stack(), 1, true)
    task:await()
  end)

  it("B14 cannot await itself", function()
    local message = message_of(function() neap.current_task():await() end)
    assert.matches("await: a task cannot await itself", message, 1, true)
    assert.matches(here(-2), message, 1, true)
    neap.sleep(0)
  end)

  it("B16 is not there in a callback", function()
    local seen = "nothing"
    neap.get_running_loop():call_soon(function() seen = neap.current_task() end)
    neap.sleep(0)
    assert.is_nil(seen)
    local task
    task = neap.create_task(function() return neap.current_task() == task end)
    assert.is_true(task:await())
  end)

  it("B17 is the current one across switches, also in coroutines and after errors", function()
    local function body()
      local me = neap.current_task()
      for _ = 1, 3 do
        neap.sleep(0)
        if neap.current_task() ~= me then return false end
        if coroutine.wrap(neap.current_task)() ~= me then return false end
        pcall(error)
      end
      return true
    end
    local a, b = neap.create_task(body), neap.create_task(body)
    assert.is_true(a:await())
    assert.is_true(b:await())
  end)

  it("B19 is stepped from the loop alone, however long the chain of awaits", function()
    local function chain(n)
      if n == 0 then return 0 end
      return neap.create_task(chain, n - 1):await() + 1
    end
    assert.equal(1000, chain(1000))
    local future = neap.Future()
    local last = future
    for _ = 1, 1000 do
      local before = last
      last = neap.create_task(function() return before:await() end)
    end
    neap.sleep(0)
    future:set_result "through"
    assert.equal("through", last:await())
  end)

  it("B20 is in all_tasks() until it has ended", function()
    local before = #neap.all_tasks()
    local task = neap.create_task(neap.sleep, 0)
    assert.is_true(contains(neap.all_tasks(), task))
    assert.equal(before + 1, #neap.all_tasks())
    task:await()
    assert.is_false(contains(neap.all_tasks(), task))
    assert.is_true(contains(neap.all_tasks(), neap.current_task()))
  end)

  it("B21 is held by the loop until it ends", function()
    local log = {}
    neap.create_task(function()
      neap.sleep(0)
      neap.sleep(0)
      log[1] = "ended"
    end)
    for _ = 1, 4 do
      collectgarbage()
      neap.sleep(0)
    end
    assert.same({ "ended" }, log)
  end)

  it("B21 is collected when it has ended", function()
    local weak = setmetatable({}, { __mode = "v" })
    weak[1] = neap.create_task(function() neap.sleep(0) end)
    neap.sleep(0)
    neap.sleep(0)
    neap.create_task(function() end):await() -- which takes its coroutine
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("B23 is returned by ensure_future as it is", function()
    local task, future = neap.create_task(function() end), neap.Future()
    assert.equal(task, neap.ensure_future(task))
    assert.equal(future, neap.ensure_future(future))
    assert.equal(5, neap.ensure_future(function(x) return x end, 5):await())
    task:await()
  end)

  it("B24 is not made by ensure_future of a string", function()
    assert.matches("bad argument #1 to 'ensure_future'", message_of(function() neap.ensure_future "text" end), 1, true)
  end)

  it("starts when its maker next suspends, first in first out", function()
    local log = {}
    local function note(name) log[#log + 1] = name end
    neap.create_task(note, "a")
    neap.create_task(note, "b")
    note "maker"
    neap.sleep(0)
    assert.same({ "maker", "a", "b" }, log)
  end)

  it("gives its error to all who await it, the same value", function()
    local wolf = {}
    local task = neap.create_task(error, wolf)
    for _ = 1, 2 do
      local ok, err = pcall(task.await, task)
      assert.is_false(ok)
      assert.equal(wolf, err)
    end
    assert.equal(wolf, task:exception())
  end)

  it("D1 is not made by nested calls, 100 deep", function()
    local before = #neap.all_tasks()
    local function nested(n)
      if n == 0 then
        neap.sleep(0)
        return #neap.all_tasks()
      end
      return n % 2 == 0 and neap.await(nested, n - 1) or (nested(n - 1))
    end
    assert.equal(before, nested(100))
  end)

  it("D2 is made 781 times by a tree of groups, 5 wide and 4 deep", function()
    local count = 0
    local function tree(depth)
      count = count + 1
      if depth == 0 then return end
      local group <close> = neap.TaskGroup()
      for _ = 1, 5 do group:create_task(tree, depth - 1) end
    end
    neap.create_task(tree, 4):await()
    assert.equal(781, count)
  end)
end)
