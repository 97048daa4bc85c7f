-- Task groups.
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const> = scenario.start, scenario.raises

-- The children of the last run: whatever happened, none goes on when its group has ended.
local children = {}

local function child(group, fn, ...)
  local task = group:create_task(fn, ...)
  children[#children + 1] = task
  return task
end

local function all_ended()
  for _, task in ipairs(children) do assert(task:done(), "a child outlived its group") end
end

return {
  { name = "TaskGroup: all end well", after = all_ended, run = function()
    local ended = 0
    do
      local group <close> = neap.TaskGroup()
      for i = 1, 4 do
        child(group, function()
          neap.sleep(i)
          ended = ended + 1
        end)
      end
      assert(tostring(group))
    end
    assert(ended == 4)
  end },

  { name = "TaskGroup: a child fails", after = all_ended, run = function()
    raises("a child failed", function()
      local group <close> = neap.TaskGroup()
      child(group, neap.sleep, 10)
      child(group, function()
        neap.sleep(1)
        error "a child failed"
      end)
      neap.sleep(10)
    end)
    all_ended()
  end },

  { name = "TaskGroup: the body fails", after = all_ended, run = function()
    raises("the body failed", function()
      local group <close> = neap.TaskGroup()
      child(group, neap.sleep, 10)
      neap.sleep(1)
      error "the body failed"
    end)
    all_ended()
  end },

  { name = "TaskGroup: more than one error", reports = true, after = all_ended, run = function()
    raises("first", function()
      local group <close> = neap.TaskGroup()
      child(group, function()
        neap.sleep(1)
        error "first"
      end)
      child(group, function()
        local _ <close> = scenario.closer(function() error "second" end)
        neap.sleep(10)
      end)
    end)
    all_ended()
  end },

  { name = "TaskGroup: cancelled from outside", after = all_ended, run = function()
    local task = start(function()
      local group <close> = neap.TaskGroup()
      child(group, neap.sleep, 10)
      child(group, neap.sleep, 10)
    end)
    task:cancel()
    raises(neap.CancelledError, neap.await, task)
    all_ended()
  end },

  { name = "TaskGroup: cancels itself", after = all_ended, run = function()
    local ok = neap.CancelScope():run(function()
      raises(neap.CancelledError, function()
        local group <close> = neap.TaskGroup()
        child(group, neap.sleep, 10)
        group:cancel()
        neap.sleep(1)
      end)
    end)
    assert(ok)
    all_ended()
  end },

  { name = "TaskGroup: nested, with a time limit", after = all_ended, run = function()
    raises(neap.TimeoutError, function()
      local limit <close> = neap.timeout(2)
      local outer <close> = neap.TaskGroup()
      child(outer, function()
        local inner <close> = neap.TaskGroup()
        child(inner, neap.sleep, 10)
        child(inner, neap.sleep, 1)
      end)
    end)
    all_ended()
  end },

  { name = "TaskGroup: its task is killed", after = all_ended, run = function()
    local task = start(function()
      local group <close> = neap.TaskGroup()
      child(group, neap.sleep, 10)
      neap.sleep(10)
    end)
    task:kill()
    neap.sleep(1)
    all_ended()
  end },
}
