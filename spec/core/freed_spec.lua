-- What is called when the runtime is no more: finalizers that run behind its end.
local program = require "spec.support.program"

-- Runs code, and `after` in a finalizer that Lua calls after the runtime was freed, with `kept` from the code.
local function at_the_end(code, after)
  return program.run { program.neap, "-e", ([[
    kept = {}
    local _ = setmetatable({ kept }, { __gc = function(t)
      local kept = t[1]
      local neap, loop = kept.neap, kept.loop
      local function try(fn, ...)
        local ok, message = pcall(fn, ...)
        print(ok and "done" or message:match "[%%a_]+: .*" or message)
      end
      %s
    end })
    kept.late = _
    local neap = require "neap"
    kept.neap, kept.loop = neap, neap.get_event_loop()
    %s]]):format(after, code) }
end

local function prints(expected, code, after)
  return function()
    local result = at_the_end(code, after)
    assert.equal("", result.stderr)
    assert.equal(expected, result.stdout)
    assert.equal(0, result.status)
  end
end

describe("a freed runtime", function()
  it("E16 runs nothing: each call that would says so", prints([[
create_task: the runtime is closed
create_task: the runtime is closed
create_task: the runtime is closed
call_soon: the loop is closed
call_later: the loop is closed
run_forever: the loop is closed
run_until_complete: the loop is closed
sleep: the runtime is closed
await: the runtime is closed
open_connection: the runtime is closed
start_server: the runtime is closed
]], "kept.task = neap.create_task(neap.sleep, 0)", [[
    try(neap.run, print)
    try(neap.create_task, print)
    try(function() neap.Runner():run(print) end)
    try(loop.call_soon, loop, print)
    try(loop.call_later, loop, 1, print)
    try(loop.run_forever, loop)
    try(loop.run_until_complete, loop, kept.task)
    try(neap.sleep, 1)
    try(neap.await, kept.task)
    try(neap.open_connection, "127.0.0.1", 1)
    try(neap.start_server, print, "127.0.0.1", 0)]]))

  it("E16 opens no scope", prints("timeout\nTaskGroup\nshielded\n", "", [[
    for _, name in ipairs { "timeout", "TaskGroup", "shielded" } do
      local ok, message = pcall(neap[name], 1)
      print(not ok and message:match "%a+: a scope is opened in a task" and name)
    end]]))

  it("has futures whose callbacks are never called", prints("done\ndone\ndone\n1\n", [[
    for i = 1, 4 do
      kept[i] = neap.Future()
      kept[i]:add_done_callback(print)
    end]], [[
    try(kept[1].set_result, kept[1], 1)
    try(kept[2].set_exception, kept[2], 1)
    try(kept[3].cancel, kept[3])
    print(kept[4]:remove_done_callback(print))]]))

  it("has tasks that have ended, and can be looked at", prints(
    "true\ttrue\tfalse\tfalse\n<Task 'sheep' cancelled>\n* sheep\n0\tnil\n", [[
    kept.task = neap.create_task(function() neap.sleep(3600) end)
    kept.task:set_name "sheep"
    neap.create_task(function() neap.sleep(0) os.exit(0, true) end)]], [[
    local task = kept.task
    print(task:done(), task:cancelled(), task:cancel(), task:kill())
    print(task)
    print(neap.format_call_graph(task))
    print(#neap.all_tasks(), (task:get_stack()))]]))

  it("has locks, queues and events that work without waiting", prints("done\ndone\n1\nfalse\n", [[
    kept.queue, kept.event, kept.lock = neap.Queue(), neap.Event(), neap.Lock()]], [[
    try(kept.queue.put_nowait, kept.queue, 1)
    try(kept.event.set, kept.event)
    print(kept.queue:get_nowait())
    print(kept.lock:locked())]]))

  it("has context variables", prints("1\tnil\n", "kept.variable = neap.ContextVar 'x'", [[
    kept.variable:set(1)
    local context = neap.copy_context()
    context:run(function() kept.variable:set(nil) end)
    print(kept.variable:get(), context:get(kept.variable))]]))

  it("has handles that are called no more", prints("done\ndone\ntrue\ttrue\n", [[
    kept.soon, kept.later = kept.loop:call_soon(print, "never"), kept.loop:call_later(3600, print)
    os.exit(0, true)]], [[
    try(kept.soon.cancel, kept.soon)
    try(kept.later.cancel, kept.later)
    print(kept.soon:cancelled(), kept.later:cancelled())]]))

  it("has generators that waited inside a time limit, which is forgotten", prints(
    "done\nsleep: the runtime is closed\n", [[
    kept.generator = coroutine.wrap(function()
      local limit <close> = neap.timeout(3600)
      coroutine.yield(limit)
      neap.sleep(1)
    end)
    kept.limit = kept.generator()
    os.exit(0, true)]], [[
    try(kept.limit.when, kept.limit)
    try(kept.generator)]]))

  it("leaves a generator inside a time limit to the collector", function()
    for _, last in ipairs { "", "os.exit(0, true)", "error 'wolf'" } do
      local result = program.code([[
        local neap = require "neap"
        generators = {}
        for i = 1, 20 do
          generators[i] = coroutine.wrap(function()
            local limit <close> = neap.timeout(3600 - i)
            local inner <close> = neap.CancelScope { timeout = i }
            coroutine.yield()
          end)
          generators[i]()
        end ]] .. last)
      assert.equal(last:find "wolf" and 1 or 0, result.status)
    end
  end)

  it("has servers and streams that are closed", prints("done\ntrue\ttrue\n", [[
    kept.server = assert(neap.start_server(print, "127.0.0.1", 0))
    os.exit(0, true)]], [[
    try(kept.server.close, kept.server)
    print(not kept.server:is_serving(), kept.loop:is_closed())]]))
end)

describe("what a program has finalized", function()
  it("is nothing any more", function()
    local result <const> = program.run { program.neap, "-e", [[
      local neap = require "neap"
      local function finalized(object)
        for _ = 1, 2 do debug.getmetatable(object).__gc(object) end
        return object
      end
      local function refused(text, fn, ...)
        local ok, message = pcall(fn, ...)
        assert(not ok and message:find(text, 1, true), message)
      end
      local channel, gate = finalized(neap.Channel()), neap.Channel()
      local thread = neap.thread(function() gate:receive() end)
      refused("neap.Channel expected", channel.send, channel, 1)
      refused("neap.Channel expected", tostring, channel)
      refused("cannot copy ", neap.Channel().send_nowait, neap.Channel(), channel)
      local call, join = thread:call_soon_threadsafe(function() end), thread.join
      refused("neap.ThreadHandle expected", call.cancel, finalized(call))
      gate:send(1)
      thread:join()
      while #neap.all_tasks() > 1 do neap.sleep(0) end -- one of them joins the thread, too
      refused("neap.Thread expected", join, finalized(thread))
      refused("neither true", neap.open_connection, "127.0.0.1", 1, { tls = finalized(neap.tls.context()) })
      print "done"
    ]] }
    assert.equal("done\n", result.stdout, result.stderr)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
  end)
end)
