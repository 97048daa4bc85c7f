-- Wrong arguments: the message names the call and what it wanted, and the position is the caller's line.
local neap = require "neap"

local nan = 0 / 0
local loop = neap.get_event_loop()

-- name, what the message says, wrong arguments
local functions = {
  table.pack("await", "task, future, function or coroutine expected", 1),
  table.pack("await", "task, future, function or coroutine expected"),
  table.pack("sleep", "number expected, got string", "soon"),
  table.pack("sleep", "number expected, got no value"),
  table.pack("sleep", "NaN", nan),
  table.pack("create_task", "function or coroutine expected, got number", 1),
  table.pack("create_task", "got no value"),
  table.pack("ensure_future", "function or coroutine expected, got string", "text"),
  table.pack("run", "function expected, got string", "main"),
  table.pack("run", "function expected, got no value"),
  table.pack("set_event_loop", "Loop expected", {}),
  table.pack("timeout", "number", "soon"),
  table.pack("timeout", "NaN", nan),
  table.pack("timeout_at", "number", {}),
  table.pack("CancelScope", "bad argument #1 to 'CancelScope' (the timeout must be a number", { timeout = nan }),
  table.pack("CancelScope", "bad argument #1 to 'CancelScope' (there is no option 'timout')", { timout = 1 }),
  table.pack("Semaphore", "must not be negative", -1),
  table.pack("Semaphore", "number expected", "many"),
  table.pack("BoundedSemaphore", "must not be negative", -1),
  table.pack("Queue", "number expected, got string", "many"),
  table.pack("Queue", "no integer representation", 1.5),
  table.pack("LifoQueue", "number expected, got table", {}),
  table.pack("PriorityQueue", "number expected, got boolean", true),
  table.pack("PriorityQueue", "function expected, got number", 0, 1),
  table.pack("Condition", "lock expected, got number", 1),
  table.pack("Condition", "lock expected, got neap.Semaphore", neap.Semaphore()),
  table.pack("Barrier", "whole number expected, got no value"),
  table.pack("Barrier", "whole number expected, got string", "2"),
  table.pack("Barrier", "whole number expected, got number", 2.5),
  table.pack("Barrier", "0 is less than 1", 0),
  table.pack("is", "table expected", {}, 1),
  table.pack("gather", "expected", 1),
  table.pack("gather", "expected", function() end, 1),
  table.pack("wait", "list of tasks expected", 1),
  table.pack("wait", "expected", { 1 }),
  table.pack("as_completed", "list of tasks expected", 1),
  table.pack("as_completed", "expected", { "text" }),
  table.pack("wait_for", "task, future, function or coroutine expected", 1, 1),
  table.pack("wait_for", "number of seconds expected", function() end, "soon"),
  table.pack("wait_for", "number of seconds expected", function() end, nan),
  table.pack("shield", "task, future, function or coroutine expected", "text"),
  table.pack("move_on_after", "function or coroutine expected", 1, "text"),
  table.pack("move_on_after", "number", "soon", function() end),
  table.pack("open_connection", "expected", {}, 80),
  table.pack("open_connection", "expected", "127.0.0.1", {}),
  table.pack("start_server", "function expected", 1, "127.0.0.1", 0),
}

local methods = {
  table.pack("call_soon", "function expected", 1),
  table.pack("call_later", "number expected", "soon", print),
  table.pack("call_later", "NaN", nan, print),
  table.pack("call_later", "function expected", 1),
  table.pack("call_at", "number expected", nil, print),
  table.pack("call_at", "function expected", 1, {}),
  table.pack("create_task", "function or coroutine expected", 1),
  table.pack("set_exception_handler", "function expected", 1),
  table.pack("call_exception_handler", "table expected", "text"),
  table.pack("set_debug", "value expected"),
}

-- Makes the row's call in line 2 of a chunk named caller. The message must have the place, the name
-- and what was wanted.
local function assert_refused(owner, row, operator)
  local name, wanted = row[1], row[2]
  local caller = load(("local owner = ...\nowner%s%s(select(2, ...))\n"):format(operator, name), "=caller")
  local ok, err = pcall(caller, owner, table.unpack(row, 3, row.n))
  assert.is_false(ok, "it raised nothing")
  err = tostring(err)
  assert.matches("^caller:2: ", err)
  assert.matches("%f[%w_]" .. name .. "%f[^%w_]", err)
  assert.matches(wanted, err, 1, true)
end

local function describe_row(row)
  local words = {}
  for i = 3, row.n do words[i - 2] = type(row[i]) == "string" and ("%q"):format(row[i]) or
    type(row[i]) == "number" and tostring(row[i]) or type(row[i]) end
  return ("%s(%s)"):format(row[1], table.concat(words, ", "))
end

describe("a wrong argument of", function()
  for _, row in ipairs(functions) do
    it("neap." .. describe_row(row), function() assert_refused(neap, row, ".") end)
  end

  for _, row in ipairs(methods) do
    it("loop:" .. describe_row(row), function() assert_refused(loop, row, ":") end)
  end

  it("task:cancel and future:cancel, a message that is no string", function()
    local future, task = neap.Future(), neap.create_task(function() end)
    assert_refused(future, table.pack("cancel", "string expected", {}), ":")
    assert_refused(task, table.pack("cancel", "string expected", {}), ":")
    assert.is_false(future:done())
    assert.equal(0, task:cancelling())
    task:await()
  end)

  it("future:set_exception, no value at all", function()
    local future = neap.Future()
    assert_refused(future, table.pack("set_exception", "value expected"), ":")
    assert.is_false(future:done())
  end)

  it("future:add_done_callback, no function", function()
    local future = neap.Future()
    assert_refused(future, table.pack("add_done_callback", "function expected", {}), ":")
    assert_refused(future, table.pack("remove_done_callback", "function expected", {}), ":")
  end)

  it("task:set_name, no value at all", function()
    local task = neap.create_task(function() end)
    assert_refused(task, table.pack("set_name", "value expected"), ":")
    task:await()
  end)

  it("queue:put and queue:put_nowait, no item", function()
    local queue = neap.Queue()
    assert_refused(queue, table.pack("put", "value expected"), ":")
    assert_refused(queue, table.pack("put_nowait", "value expected"), ":")
    assert.is_true(queue:empty())
  end)

  it("condition:notify, no count, and condition:wait_for, no function", function()
    local condition <close> = neap.Condition():acquire()
    assert_refused(condition, table.pack("notify", "whole number expected, got string", "all"), ":")
    assert_refused(condition, table.pack("notify", "whole number expected, got number", 1.5), ":")
    assert_refused(condition, table.pack("notify", "-1 is less than 0", -1), ":")
    assert_refused(condition, table.pack("wait_for", "function expected, got no value"), ":")
    assert_refused(condition, table.pack("wait_for", "function expected, got boolean", true), ":")
  end)

  it("group:create_task, no function", function()
    local group <close> = neap.TaskGroup()
    assert_refused(group, table.pack("create_task", "function", 1), ":")
  end)
end)

describe("a wrong self of", function()
  local owners = {
    Future = neap.Future(), Loop = loop, Semaphore = neap.Semaphore(), Handle = loop:call_later(0, function() end),
    Lock = neap.Lock(), Queue = neap.Queue(), Event = neap.Event(), Condition = neap.Condition(),
    Barrier = neap.Barrier(1),
  }
  local names = {
    Future = { "await", "result", "exception", "done", "cancelled", "failed", "cancel", "set_result" },
    Loop = { "time", "call_soon", "stop", "close", "is_running", "is_closed", "get_debug", "create_future" },
    Semaphore = { "acquire", "release", "locked" },
    Lock = { "acquire", "release", "locked" },
    Queue = {
      "put", "put_nowait", "get", "get_nowait", "join", "task_done", "shutdown", "qsize", "empty", "full",
    },
    Event = { "is_set", "set", "clear", "wait" },
    Condition = { "acquire", "release", "locked", "wait", "wait_for", "notify", "notify_all" },
    Barrier = { "wait", "reset", "abort" },
    Handle = { "cancel", "cancelled", "when" },
  }
  for kind, list in pairs(names) do
    it("neap." .. kind .. "'s methods is named as such", function()
      for _, name in ipairs(list) do
        for _, wrong in ipairs { {}, 1, "text", io.stdout, owners.Future, owners.Loop } do
          if wrong ~= owners[kind] then
            local ok, err = pcall(owners[kind][name], wrong)
            assert.is_false(ok)
            assert.matches("bad argument #1", err, 1, true)
            assert.matches(kind .. "[%w. ]* expected, got", err)
          end
        end
      end
    end)
  end
end)

describe("an option that does not exist", function()
  it("is refused, by name", function()
    local ok, err = pcall(neap.open_connection, "127.0.0.1", 1, { limt = 5 })
    assert.is_false(ok)
    assert.matches("bad argument #3 to .- %(there is no option 'limt'%)", err)
    ok, err = pcall(neap.start_server, print, "127.0.0.1", 0, { nodelay = true, blacklog = 1 })
    assert.is_false(ok)
    assert.matches("bad argument #4 to .- %(there is no option 'blacklog'%)", err)
  end)
end)
