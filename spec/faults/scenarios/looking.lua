-- Context variables, call graphs, debug mode and hooks, shuffled turns, modules that await.
local core = require "neap.core"
local neap = require "neap"
local scenario = require "spec.faults.scenario"
local testing = require "neap.testing"

local start <const>, raises <const> = scenario.start, scenario.raises

local variable <const> = neap.ContextVar("variable", "default")

local function stop_watchdog()
  neap.get_running_loop():set_watchdog(nil)
end

return {
  { name = "ContextVar: tasks inherit", run = function()
    assert(variable:get() == "default")
    local token = variable:set "outer"
    local task = neap.create_task(function()
      assert(variable:get() == "outer")
      variable:set "inner"
      neap.sleep(1)
      return variable:get()
    end)
    neap.get_running_loop():call_soon(function() assert(variable:get() == "outer") end)
    assert(task:await() == "inner" and variable:get() == "outer")
    variable:reset(token)
    assert(variable:get() == "default")
    raises("token", variable.reset, variable, token)
  end },

  { name = "Context: run", run = function()
    local context = neap.copy_context()
    local value = context:run(function(a)
      variable:set(a)
      neap.sleep(1)
      return variable:get()
    end, "inside")
    assert(value == "inside" and context:get(variable) == "inside" and variable:get() == "default")
    raises("an error", context.run, context, error, "an error")
  end },

  { name = "call graphs and the table of tasks", run = function()
    local inner = start(neap.sleep, 1)
    local outer = start(neap.await, inner)
    local both = start(neap.gather, inner, outer)
    local text = neap.format_call_graph(inner)
    assert(text:find("awaited by", 1, true) and text:find("sleep", 1, true))
    assert(neap.capture_call_graph().future == neap.current_task())
    assert(#neap.task_table() >= 4)
    both:await()
  end },

  { name = "wait_all_blocked: at once, with a cushion, cancelled", run = function()
    local log = {}
    local function wait(cushion)
      testing.wait_all_blocked(cushion)
      log[#log + 1] = cushion or 0
    end
    local tasks = { start(wait, 0.002), start(wait), start(wait, 0.001), start(wait, 60) }
    neap.sleep(0)
    tasks[4]:cancel()
    raises(neap.CancelledError, neap.await, tasks[4])
    for i = 1, 3 do scenario.try(neap.await, tasks[i]) end
    assert(scenario.told or table.concat(log, " ") == "0 0.001 0.002")
  end },

  { name = "debug mode", reports = true, run = function()
    local loop = neap.get_running_loop()
    loop:set_debug(true)
    local _ <close> = scenario.closer(function() loop:set_debug(false) end)
    local task = start(function()
      for _ = 1, 3 do scenario.try(neap.sleep, 1) end
    end)
    task:cancel()
    task:await()
    assert(loop:get_debug())
  end },

  { name = "the watchdog", after = stop_watchdog, run = function()
    local loop = neap.get_running_loop()
    loop:set_watchdog { limit = 60 }
    neap.create_task(neap.sleep, 1):await()
    loop:set_watchdog { limit = 30, preempt = true }
    neap.sleep(1)
    stop_watchdog()
  end },

  { name = "debug hooks", run = function()
    local lines = 0
    debug.sethook(function() lines = lines + 1 end, "l")
    local _ <close> = scenario.closer(function() debug.sethook() end)
    local before
    neap.create_task(function()
      before = lines
      local sum = 1
      sum = sum + 1
      return sum
    end):await()
    local generator = coroutine.wrap(function()
      local sum = 1
      coroutine.yield(sum)
    end)
    generator()
    assert(lines > before)
  end },

  { name = "shuffled turns", run = function()
    local _ <close> = scenario.closer(function() core.set_seed(0) end)
    core.set_seed(12)
    local order, tasks = {}, {}
    for i = 1, 20 do
      tasks[i] = neap.create_task(function() order[#order + 1] = i end)
    end
    for _, task in ipairs(tasks) do task:await() end
    table.sort(order)
    assert(#order == 20 and order[20] == 20)
  end },

  { name = "require: modules that await", run = function()
    package.loaded["faults.slow"] = nil
    package.preload["faults.slow"] = function()
      neap.sleep(1)
      return { "a module" }
    end
    local function load() return require "faults.slow" end
    local both = neap.gather(load, function() return load() end)
    assert(both[1] == both[2] and both[1][1] == "a module")
    package.preload["faults.failing"] = function()
      neap.sleep(1)
      error "it does not load"
    end
    raises("it does not load", require, "faults.failing")
  end },

  { name = "require: cancelled while it loads", run = function()
    package.loaded["faults.slow"] = nil
    package.preload["faults.slow"] = function()
      neap.sleep(1)
      return { "a module" }
    end
    local first, second = start(require, "faults.slow"), start(require, "faults.slow")
    first:cancel()
    raises(neap.CancelledError, neap.await, first)
    assert(second:await()[1] == "a module")
  end },
}
