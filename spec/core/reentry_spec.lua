-- Functions that are entered again while they run: from metamethods, hooks and finalizers.
local neap = require "neap"
local testing = require "neap.testing"
local program = require "spec.support.program"

describe("remove_done_callback", function()
  it("A23 is not entered again: it compares raw, and calls no __eq", function()
    local calls = 0
    local future = neap.Future()
    local meta = { __call = function() end }
    local first, second = setmetatable({}, meta), setmetatable({}, meta)
    meta.__eq = function()
      calls = calls + 1
      future:remove_done_callback(first)
      future:remove_done_callback(second)
      return true
    end
    future:add_done_callback(first)
    future:add_done_callback(second)
    future:add_done_callback(first)
    assert.equal(1, future:remove_done_callback(second))
    assert.equal(2, future:remove_done_callback(first))
    assert.equal(0, future:remove_done_callback(first))
    assert.equal(0, calls)
  end)

  it("A23 may let go of what removes the others in its finalizer", function()
    local future = neap.Future()
    local called = {}
    local function other() called[#called + 1] = "other" end
    do
      local guard = setmetatable({}, { __gc = function() future:remove_done_callback(other) end })
      local function callback() return guard end
      future:add_done_callback(other)
      future:add_done_callback(callback)
      future:add_done_callback(other)
      assert.equal(1, future:remove_done_callback(callback))
    end
    neap.sleep(0)
    collectgarbage()
    collectgarbage()
    future:set_result()
    neap.sleep(0)
    assert.same({}, called)
  end)

  it("A24 may be called by the callbacks themselves", function()
    local future, called = neap.Future(), {}
    local function second() called[#called + 1] = "second" end
    local function first()
      called[#called + 1] = "first"
      future:remove_done_callback(second)
    end
    future:add_done_callback(first)
    future:add_done_callback(second)
    future:set_result()
    neap.sleep(0)
    neap.sleep(0)
    assert.equal("first", called[1])
    assert.is_true(#called <= 2)
  end)
end)

describe("group:create_task", function()
  -- Makes a task in a group that is cancelled at the nth event that a hook sees within; returns the task, or nil
  -- and the refusal; nothing when there are not so many events.
  local function make(nth)
    local task, refused
    local events = 0
    do
      local group <close> = neap.TaskGroup()
      debug.sethook(function()
        if debug.getinfo(2, "S").source:find("group.lua", 1, true) then
          events = events + 1
          if events == nth then group:cancel() end
        end
      end, "l")
      local ok, result = pcall(group.create_task, group, neap.sleep, 3600)
      debug.sethook()
      if ok then task = result else refused = result end
      if events < nth then
        group:cancel()
        task = nil
      end
    end
    return task, refused
  end

  it("M25 whose group is cancelled meanwhile makes a task that is cancelled too, or none", function()
    testing.virtual_clock()
    local loop = neap.get_running_loop()
    local start, made, refused = loop:time(), 0, 0
    for nth = 1, 100 do
      local task, err = make(nth)
      if not task and not err then break end
      if task then
        made = made + 1
        assert.is_true(task:cancelled())
      else
        refused = refused + 1
        assert.matches("shutting down", err, 1, true)
      end
    end
    assert.is_true(made > 3 and refused > 0)
    assert.equal(start, loop:time())
  end)
end)

describe("a task that a finalizer kills", function()
  -- Collects at every allocation; the nth collection from now on kills the task.
  local PRELUDE = [[
    local neap = require "neap"
    local function strike(n, task)
      setmetatable({}, { __gc = function()
        if n == 0 then task:kill() else strike(n - 1, task) end
      end })
    end
    local function sleeper() neap.sleep(1000) end
    local function attack(act)
      collectgarbage("incremental", 1, 1000, 40)
      collectgarbage()
      for n = 0, 40 do
        local task = neap.create_task(sleeper)
        neap.sleep(0)
        strike(n, task)
        act(task)
        task:kill()
      end
    end
  ]]

  local function assert_survives(code)
    local result = program.code(PRELUDE .. code .. " print 'survived'")
    assert.equal("", result.stderr)
    assert.equal("survived\n", result.stdout)
  end

  it("may be being killed", function() assert_survives "attack(function(task) task:kill() end)" end)

  it("may be being told", function() assert_survives "attack(tostring)" end)

  it("may be shown by its stack", function()
    assert_survives "attack(function(task) task:get_stack() end)"
  end)

  it("may be shown by the place where it was made", function()
    assert_survives "attack(function(task) task:made_at() end)"
  end)

  it("may be shown in a call graph", function()
    assert_survives "attack(function(task) neap.format_call_graph(task) end)"
  end)

  it("may be about to be named in a DeadlockError", function()
    assert_survives [[
      local future = neap.Future()
      sleeper = function() future:await() end
      attack(function()
        local ok, err = pcall(future.await, future)
        assert(not ok and neap.is(err, neap.DeadlockError))
      end)
    ]]
  end)
end)

describe("a future that a finalizer completes while it is being completed", function()
  it("is completed once", function()
    local result = program.code [[
      local neap = require "neap"
      local function strike(n, act)
        setmetatable({}, { __gc = function() if n == 0 then act() else strike(n - 1, act) end end })
      end
      collectgarbage("incremental", 1, 1000, 40)
      collectgarbage()
      for _, call in ipairs { "set_exception", "set_result", "cancel" } do
        for n = 0, 30 do
          local future, seen = neap.Future(), nil
          strike(n, function()
            if future:done() then return end
            future:set_result "first"
            seen = true
          end)
          local ok, err = pcall(future[call], future, "x", "y")
          if seen then
            assert(future:result() == "first", call .. n)
            assert(ok and err == false or neap.is(err, neap.InvalidStateError) or ok, tostring(err))
          end
          if not future:cancelled() then pcall(future.exception, future) end
        end
      end
      print "once"
    ]]
    assert.equal("", result.stderr)
    assert.equal("once\n", result.stdout)
  end)
end)
