-- TaskGroup: tasks that live and fail together.
local neap = require "neap"
local program = require "spec.support.program"
local testing = require "neap.testing"
local support = require "spec.support.tasks"

local start <const> = support.start

local function time() return neap.get_running_loop():time() end

-- Calls fn(...), which must raise; returns the error.
local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

local function is_cancelled_error(err)
  assert.is_true(neap.is(err, neap.CancelledError), tostring(err))
end

local function fail_after(seconds, err)
  return function()
    neap.sleep(seconds)
    error(err, 0)
  end
end

-- What fails with err when it is cancelled.
local function fail_in_cleanup(err)
  return function()
    pcall(neap.sleep, 3600)
    error(err, 0)
  end
end

-- The errors that reach the exception handler while fn runs.
local function reports_of(fn)
  local loop, reports = neap.get_running_loop(), {}
  loop:set_exception_handler(function(_, context) reports[#reports + 1] = context.exception end)
  local ok, err = pcall(fn)
  loop:set_exception_handler(nil)
  if not ok then error(err, 0) end
  return reports
end

describe("a task group", function()
  it("M1 waits for all its children at the end of the block", function()
    testing.virtual_clock()
    local began = time()
    local a, b
    do
      local group <close> = neap.TaskGroup()
      a = group:create_task(function() neap.sleep(2) return "a" end)
      b = group:create_task(function(value) neap.sleep(1) return value end, "b")
    end
    assert.near(2, time() - began, 1e-6)
    assert.equal("a", a:result())
    assert.equal("b", b:result())
  end)

  it("M1 of no children ends at once", function()
    local kept
    do
      local group <close> = neap.TaskGroup()
      kept = group
    end
    assert.same({}, kept.errors)
  end)

  it("M2 takes children while its body runs, and from its children", function()
    testing.virtual_clock()
    local began, log = time(), {}
    do
      local group <close> = neap.TaskGroup()
      group:create_task(function()
        neap.sleep(2)
        group:create_task(function() neap.sleep(3) log[#log + 1] = "grandchild" end)
      end)
      neap.sleep(1)
      group:create_task(function() neap.sleep(1) log[#log + 1] = "late child" end)
    end
    assert.same({ "late child", "grandchild" }, log)
    assert.near(5, time() - began, 1e-6)
  end)

  it("M3 is not disturbed when one child is cancelled by hand", function()
    testing.virtual_clock()
    local a, b
    do
      local group <close> = neap.TaskGroup()
      a = group:create_task(neap.sleep, 3600)
      b = group:create_task(function() neap.sleep(2) return "b" end)
      neap.sleep(1)
      a:cancel()
    end
    assert.is_true(a:cancelled())
    assert.equal("b", b:result())
  end)

  it("M4 raises a child's error itself and cancels its siblings", function()
    testing.virtual_clock()
    local began, wolf, sibling, went_on = time(), {}, nil, false
    local err = raised(function()
      do
        local group <close> = neap.TaskGroup()
        sibling = group:create_task(neap.sleep, 3600)
        group:create_task(fail_after(1, wolf))
      end
      went_on = true
    end)
    assert.equal(wolf, err)
    assert.is_false(went_on)
    assert.is_true(sibling:cancelled())
    assert.near(1, time() - began, 1e-6)
  end)

  it("M5 raises the first error, has all in order, and reports the later ones", function()
    testing.virtual_clock()
    local kept, body_error
    local reports = reports_of(function()
      local err = raised(function()
        local group <close> = neap.TaskGroup()
        kept = group
        group:create_task(fail_in_cleanup "second")
        group:create_task(fail_after(1, "first"))
        group:create_task(fail_in_cleanup "third")
        body_error = raised(neap.sleep, 3600)
        error(body_error, 0)
      end)
      assert.equal("first", err)
    end)
    is_cancelled_error(body_error)
    assert.same({ "first", "second", "third" }, kept.errors)
    assert.same({ "second", "third" }, reports)
  end)

  it("M6 cancels its children when the parent is cancelled in the body", function()
    local body_error, child
    local parent = start(function()
      local group <close> = neap.TaskGroup()
      child = group:create_task(neap.sleep, 3600)
      body_error = raised(neap.sleep, 3600)
      error(body_error, 0)
    end)
    neap.sleep(0)
    parent:cancel()
    is_cancelled_error(raised(parent.await, parent))
    is_cancelled_error(body_error)
    assert.is_true(parent:cancelled())
    assert.is_true(child:cancelled())
  end)

  it("M6 cancels its children when the parent is cancelled at the end of the block", function()
    testing.virtual_clock()
    local began, child, cleaned = time(), nil, false
    local parent = start(function()
      local group <close> = neap.TaskGroup()
      child = group:create_task(function()
        local ok, err = pcall(neap.sleep, 3600)
        local _ <close> = neap.shielded()
        neap.sleep(5)
        cleaned = true
        if not ok then error(err, 0) end
      end)
    end)
    neap.sleep(0)
    parent:cancel()
    is_cancelled_error(raised(parent.await, parent))
    assert.is_true(parent:cancelled())
    assert.is_true(child:cancelled())
    assert.is_true(cleaned)
    assert.near(5, time() - began, 1e-6)
  end)

  it("M7 raises errors of its children's cleanup rather than CancelledError", function()
    local wolf = {}
    local parent = start(function()
      local group <close> = neap.TaskGroup()
      group:create_task(fail_in_cleanup(wolf))
      neap.sleep(3600)
    end)
    neap.sleep(0)
    parent:cancel()
    assert.equal(wolf, raised(parent.await, parent))
    assert.is_false(parent:cancelled())
  end)

  it("M8 waits for the children it cancels when the body fails, and raises that error", function()
    testing.virtual_clock()
    local wolf, began, cleaned, child = {}, time(), false, nil
    local err = raised(function()
      local group <close> = neap.TaskGroup()
      child = group:create_task(function()
        pcall(neap.sleep, 3600)
        local _ <close> = neap.shielded()
        neap.sleep(5)
        cleaned = true
      end)
      neap.sleep(1)
      error(wolf, 0)
    end)
    assert.equal(wolf, err)
    assert.is_true(cleaned)
    assert.is_true(child:done())
    assert.near(6, time() - began, 1e-6)
  end)

  it("M9 never runs children that had not started when the body fails", function()
    local wolf, ran, child = {}, false, nil
    local err = raised(function()
      local group <close> = neap.TaskGroup()
      child = group:create_task(function() ran = true end)
      error(wolf, 0)
    end)
    assert.equal(wolf, err)
    assert.is_false(ran)
    assert.is_true(child:cancelled())
  end)

  it("M10 raises an inner group's error out of both when the outer cancels it", function()
    local wolf, outer_group, inner_error = {}, nil, nil
    local err = raised(function()
      local outer <close> = neap.TaskGroup()
      outer_group = outer
      neap.get_running_loop():call_later(0, outer.cancel, outer)
      inner_error = raised(function()
        local inner <close> = neap.TaskGroup()
        inner:create_task(fail_in_cleanup(wolf))
        neap.sleep(3600)
      end)
      error(inner_error, 0)
    end)
    assert.equal(wolf, inner_error)
    assert.equal(wolf, err)
    assert.same({ wolf }, outer_group.errors)
  end)

  it("M11 cancels an inner group when a child of the outer fails; only that error comes out", function()
    testing.virtual_clock()
    local wolf, inner_child, inner_error = {}, nil, nil
    local err = raised(function()
      local outer <close> = neap.TaskGroup()
      outer:create_task(fail_after(1, wolf))
      inner_error = raised(function()
        local inner <close> = neap.TaskGroup()
        inner_child = inner:create_task(neap.sleep, 3600)
      end)
      error(inner_error, 0)
    end)
    assert.equal(wolf, err)
    is_cancelled_error(inner_error)
    assert.is_true(inner_child:cancelled())
  end)

  it("M12 raises what the body makes of its cancellation", function()
    local wolf, child = {}, nil
    local parent = start(function()
      local group <close> = neap.TaskGroup()
      child = group:create_task(neap.sleep, 3600)
      pcall(neap.sleep, 3600)
      error(wolf, 0)
    end)
    parent:cancel()
    assert.equal(wolf, raised(parent.await, parent))
    assert.is_true(child:cancelled())
  end)

  it("M13 raises a child's error when the body fails after it, and has both", function()
    testing.virtual_clock()
    local kept
    local reports = reports_of(function()
      local err = raised(function()
        local group <close> = neap.TaskGroup()
        kept = group
        group:create_task(fail_after(1, "child"))
        pcall(neap.sleep, 3600)
        error("body", 0)
      end)
      assert.equal("child", err)
    end)
    assert.same({ "child", "body" }, kept.errors)
    assert.same({ "body" }, reports)
  end)

  it("reports an error once that went from a child through those who await it", function()
    local kept, wolf = nil, {}
    local reports = reports_of(function()
      local err = raised(function()
        local group <close> = neap.TaskGroup()
        kept = group
        local child = group:create_task(fail_after(0, wolf))
        for _ = 1, 2 do
          local last = child
          child = group:create_task(function() last:await() end)
        end
        child:await()
      end)
      assert.equal(wolf, err)
    end)
    assert.equal(wolf, kept.errors[2]) -- errors has it as often as it was met
    assert.same({}, reports)
  end)

  it("tells of each later error whose it was", function()
    local loop, contexts = neap.get_running_loop(), {}
    loop:set_exception_handler(function(_, context) contexts[#contexts + 1] = context end)
    local place = debug.getinfo(1, "l").currentline + 3
    raised(function()
      local group <close> = neap.TaskGroup()
      group:create_task(fail_in_cleanup "second"):set_name "cleaner"
      group:create_task(fail_after(0, "first"))
    end)
    loop:set_exception_handler(nil)
    assert.equal("cleaner", contexts[1].task:get_name())
    assert.equal("spec/core/group_spec.lua:" .. place, contexts[1].made_at)
    assert.matches("in function 'error'.*group_spec.lua", contexts[1].traceback)
  end)

  it("raises a child's error with the traceback of where it failed", function()
    local result = program.code [[
      local neap = require "neap"
      local function howl() neap.sleep(0) error "wolf" end
      local group <close> = neap.TaskGroup()
      group:create_task(howl)
    ]]
    assert.equal(1, result.status)
    assert.matches("in function <%(command line%):2>.*\nawaited after it failed in Task%-2:\n", result.stderr)
  end)

  it("M14 cancels all its children when the parent is cancelled right after the start", function()
    local children = {}
    local parent = start(function()
      local group <close> = neap.TaskGroup()
      for i = 1, 2 do children[i] = group:create_task(neap.sleep, 3600) end
    end)
    parent:cancel()
    is_cancelled_error(raised(parent.await, parent))
    assert.is_true(parent:cancelled())
    for i = 1, 2 do assert.is_true(children[i]:cancelled()) end
  end)

  it("M14 never runs children that had not started when it is cancelled", function()
    local ran, child = false
    do
      local group <close> = neap.TaskGroup()
      child = group:create_task(function() ran = true end)
      group:cancel()
    end
    assert.is_true(child:cancelled())
    assert.is_false(ran)
  end)

  it("M15 lets finished children go while it is open", function()
    local function run_children(group, count)
      for i = 1, count do
        group:create_task(function() end)
        if i % 100 == 0 then neap.sleep(0) end
      end
      neap.sleep(0)
      neap.sleep(0)
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local group <close> = neap.TaskGroup()
    local before = run_children(group, 1000)
    assert.is_true(run_children(group, 100000) - before < 64)
  end)

  it("M16 lets a child's name be set", function()
    local group <close> = neap.TaskGroup()
    local child = group:create_task(function() neap.sleep(0) return neap.current_task():get_name() end)
    child:set_name "yolo"
    assert.equal("yolo", child:await())
  end)

  it("M18 makes no task once it is shutting down", function()
    local ran, message = false, nil
    local err = raised(function()
      local group <close> = neap.TaskGroup()
      group:create_task(error, "wolf", 0)
      pcall(neap.sleep, 3600)
      message = raised(group.create_task, group, function() ran = true end)
    end)
    neap.sleep(0)
    assert.equal("wolf", err)
    assert.matches("shutting down", tostring(message), 1, true)
    assert.is_false(ran)
  end)

  it("M18 makes no task for a child that was cancelled because the body failed", function()
    local ran, message = false, nil
    local err = raised(function()
      local group <close> = neap.TaskGroup()
      group:create_task(function()
        pcall(neap.sleep, 3600)
        message = raised(group.create_task, group, function() ran = true end)
      end)
      neap.sleep(0)
      error("wolf", 0)
    end)
    assert.equal("wolf", err)
    assert.matches("shutting down", tostring(message), 1, true)
    assert.is_false(ran)
  end)

  it("M19 has a cleanup error and a child's error; cancelling() is 0 afterwards", function()
    local kept
    local reports = reports_of(function()
      local err = raised(function()
        local group <close> = neap.TaskGroup()
        kept = group
        group:create_task(error, "child", 0)
        local _ <close> = setmetatable({}, { __close = function() error("cleanup", 0) end })
        neap.sleep(3600)
      end)
      assert.equal("child", err)
    end)
    assert.same({ "child", "cleanup" }, kept.errors)
    assert.same({ "cleanup" }, reports)
    assert.equal(0, neap.current_task():cancelling())
    neap.sleep(0)
  end)

  it("M20 serves once", function()
    local kept
    do
      local group <close> = neap.TaskGroup()
      kept = group
    end
    local message
    pcall(function()
      local group <close> = kept
      message = raised(group.create_task, group, print)
    end)
    assert.matches("finished", tostring(message), 1, true)
  end)

  it("M21 makes no task after its end", function()
    local kept
    do
      local group <close> = neap.TaskGroup()
      kept = group
    end
    assert.matches("finished", tostring(raised(kept.create_task, kept, print)), 1, true)
  end)

  it("M22 is not opened outside a task", function()
    local message
    neap.get_running_loop():call_soon(function() message = raised(neap.TaskGroup) end)
    neap.sleep(0)
    assert.matches("TaskGroup", tostring(message), 1, true)
  end)

  it("M23 that failed leaves cancelling() at 0, and awaits work", function()
    raised(function()
      local group <close> = neap.TaskGroup()
      group:create_task(error, "wolf", 0)
      neap.sleep(3600)
    end)
    assert.equal(0, neap.current_task():cancelling())
    neap.sleep(0)
  end)

  it("M23 leaves an earlier cancel of the task as it was", function()
    local level, err
    local parent = start(function()
      pcall(neap.sleep, 3600)
      err = raised(function()
        local _ <close> = neap.shielded()
        local group <close> = neap.TaskGroup()
        group:create_task(error, "wolf", 0)
        neap.sleep(3600)
      end)
      level = neap.current_task():cancelling()
      neap.sleep(0)
    end)
    parent:cancel()
    is_cancelled_error(raised(parent.await, parent))
    assert.equal("wolf", err)
    assert.equal(1, level)
  end)

  it("M24 raises a child's error when it was cancelled, too; the cancel is at the next await", function()
    local err, after
    local parent = start(function()
      err = raised(function()
        local group <close> = neap.TaskGroup()
        group:create_task(fail_in_cleanup "wolf")
        neap.sleep(3600)
      end)
      after = raised(neap.sleep, 0)
      error(after, 0)
    end)
    neap.sleep(0)
    parent:cancel()
    is_cancelled_error(raised(parent.await, parent))
    assert.equal("wolf", err)
    is_cancelled_error(after)
  end)

  it("M26 leaves no stray cancel on the parent when a child fails at once", function()
    for _ = 1, 3 do
      local err = raised(function()
        local group <close> = neap.TaskGroup()
        group:create_task(error, "wolf", 0)
      end)
      assert.equal("wolf", err)
      neap.sleep(0)
    end
  end)

  it("M27 keeps no task after its end, and no error but in errors", function()
    local kept, weak = nil, setmetatable({}, { __mode = "v" })
    neap.create_task(pcall, function()
      local group <close> = neap.TaskGroup()
      kept = group
      weak[1] = { "error" }
      weak[2] = group:create_task(function() neap.sleep(0) end)
      weak[3] = group:create_task(error, weak[1], 0)
      neap.sleep(3600)
    end):await()
    for _ = 1, 3 do neap.sleep(0) end
    collectgarbage()
    collectgarbage()
    assert.equal(1, #kept.errors)
    assert.is_nil(weak[2])
    assert.is_nil(weak[3])
    kept.errors[1] = nil
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("M28 cancel() cancels children and body, and ends the block without error", function()
    testing.virtual_clock()
    local began = time()
    local child, body_error, kept
    do
      local group <close> = neap.TaskGroup()
      kept = group
      child = group:create_task(neap.sleep, 3600)
      neap.sleep(1)
      group:cancel()
      group:cancel()
      body_error = raised(neap.sleep, 3600)
    end
    kept:cancel()
    is_cancelled_error(body_error)
    assert.is_true(child:cancelled())
    assert.same({}, kept.errors)
    assert.equal(0, neap.current_task():cancelling())
    neap.sleep(1)
    assert.near(2, time() - began, 1e-6)
  end)

  it("M28 cancel() by a child ends a block that is waiting", function()
    testing.virtual_clock()
    local began = time()
    do
      local group <close> = neap.TaskGroup()
      group:create_task(neap.sleep, 3600)
      group:create_task(function()
        neap.sleep(1)
        group:cancel()
      end)
    end
    assert.near(1, time() - began, 1e-6)
    neap.sleep(0)
  end)

  it("M28 cancel() lets errors of the cleanup come out", function()
    local err = raised(function()
      local group <close> = neap.TaskGroup()
      group:create_task(fail_in_cleanup "wolf")
      neap.sleep(0)
      group:cancel()
    end)
    assert.equal("wolf", err)
  end)

  it("M28 cancel() does not hide a cancel from outside", function()
    local parent = start(function()
      local group <close> = neap.TaskGroup()
      group:create_task(neap.sleep, 3600)
      group:cancel()
      neap.current_task():cancel()
      neap.sleep(3600)
    end)
    is_cancelled_error(raised(parent.await, parent))
    assert.is_true(parent:cancelled())
  end)

  it("law 40 cancels its children in the order in which they were made", function()
    local log = {}
    do
      local group <close> = neap.TaskGroup()
      for i = 1, 6 do
        group:create_task(function()
          pcall(neap.sleep, 3600)
          log[#log + 1] = i
        end)
      end
      neap.sleep(0)
      group:cancel()
    end
    assert.same({ 1, 2, 3, 4, 5, 6 }, log)
  end)

  it("law 18 lets a time limit around it convert, after the children have ended", function()
    testing.virtual_clock()
    local began, child = time(), nil
    local err = raised(function()
      local _ <close> = neap.timeout(1)
      local group <close> = neap.TaskGroup()
      child = group:create_task(neap.sleep, 3600)
    end)
    assert.is_true(neap.is(err, neap.TimeoutError), tostring(err))
    assert.is_true(child:cancelled())
    assert.near(1, time() - began, 1e-6)
  end)
end)
