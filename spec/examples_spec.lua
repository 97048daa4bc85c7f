-- Each example says in its last lines what it prints, and does so; and what PROGRAMS promise beyond that.
local example = require "spec.support.example"
local program = require "spec.support.program"

local assert_prints <const>, expectation <const> = example.assert_prints, example.expectation

local function example_files()
  local files = {}
  local list = io.popen "ls examples/*.lua"
  for file in list:lines() do files[#files + 1] = file end
  list:close()
  return files
end

-- Programs that end soon, and the least time they take on a real clock.
local SECONDS = {
  hello = 1, run = 1, coroutine = 0, loop_classic = 1, task_print = 1, task_result = 1, done_callback = 3,
  wait_functions = 3, wait_tasks = 3, concurrent = 3, future = 1, cancel = 1, leftover = 0, counter = 0,
}

-- Those of them that live without the neap command: they start a loop by themselves.
local IN_STOCK_LUA = {
  "coroutine", "loop_classic", "task_print", "task_result", "done_callback", "wait_functions", "wait_tasks", "run",
  "future", "cancel", "leftover",
}

-- Runs the named examples side by side in real time; `before` are the words in front of the file.
local function run_together(names, before)
  local running = {}
  for i, name in ipairs(names) do
    local words = table.move(before, 1, #before, 1, {})
    words[#words + 1] = "examples/" .. name .. ".lua"
    running[i] = program.start(words)
  end
  local results = {}
  for i, name in ipairs(names) do results[name] = running[i]:finish() end
  return results
end

local function assert_took_their_time(results)
  for name, result in pairs(results) do
    assert_prints(expectation("examples/" .. name .. ".lua"), result, name)
    assert.is_true(result.seconds >= SECONDS[name], name .. " was too fast")
  end
end

local function keys(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

describe("an example", function()
  for _, file in ipairs(example_files()) do
    local expected = expectation(file)
    if expected then
      it(file .. " prints what it says", function()
        assert_prints(expected, program.run { program.neap, "--clock=virtual", file })
      end)
    end
  end

  it("takes as long as it says on the real clock", function()
    assert_took_their_time(run_together(keys(SECONDS), { program.neap }))
  end)

  it("runs in the stock interpreter too, where it starts the loop itself", function()
    if os.getenv "NEAP_PRESET" == "asan" then return end -- whose runtime lua5.4 does not have
    local module = program.neap:gsub("[^/]*$", "module/?.so")
    assert_took_their_time(run_together(IN_STOCK_LUA, { "env", "LUA_CPATH=" .. module .. ";;", "lua5.4" }))
  end)
end)

describe("a program", function()
  local function prints(expected, code)
    return function() assert_prints(expected, program.code('local neap = require "neap" ' .. code)) end
  end

  it("gets a clear error for a closed loop, whatever it asks of it", prints(
    "false\t...closed...\nfalse\t...closed...\nfalse\t...closed...\nfalse\t...closed...\n", [[
    local loop = neap.new_event_loop()
    loop:close()
    print(pcall(loop.run_until_complete, loop, print))
    print(pcall(loop.create_task, loop, print))
    print(pcall(loop.call_soon, loop, print))
    print(pcall(loop.call_later, loop, 1, print))
  ]]))

  it("gets an argument error that names run and its own line", prints(
    "false\t(command line):2: bad argument #1 to 'run' (...)\n", [[

    local function wrong() neap.run("main")
      return 1 end
    print(pcall(wrong))
  ]]))

  it("makes no task by calling a function", prints("1\t1\n", [[
    local function count()
      local n = 0
      for _ in pairs(neap.all_tasks()) do n = n + 1 end
      return n
    end
    print(count(), (function() return count() end)())
  ]]))

  it("goes on after create_task before the task's body runs", prints("created\nbody\nafter\n", [[
    neap.create_task(print, "body")
    print "created"
    neap.sleep(0)
    print "after"
  ]]))

  it("waits in one task while the others go on", prints("quick 1\nquick 2\nslow 3\n", [[
    local loop = neap.get_running_loop()
    local start = loop:time()
    local function after(seconds, name)
      neap.sleep(seconds)
      print(("%s %.0f"):format(name, loop:time() - start))
    end
    local slow = neap.create_task(after, 3, "slow")
    after(1, "quick")
    after(1, "quick")
    slow:await()
  ]]))

  it("sleeps without blocking the loop's callbacks", prints("tick\ntick\ntick\nawake\n", [[
    local loop = neap.get_running_loop()
    for i = 1, 3 do loop:call_later(i, print, "tick") end
    neap.sleep(3.5)
    print "awake"
  ]]))

  it("reads nil as the result of a function that returns nothing", prints("nil\ttrue\tfalse\n", [[
    local task = neap.create_task(function() end)
    task:await()
    print((task:result()), task:done(), task:cancelled())
  ]]))

  it("hears of a cancelled task in its done callback", prints("true\n", [[
    local task = neap.create_task(neap.sleep, 3600)
    task:add_done_callback(function(ended) print(ended:cancelled()) end)
    neap.sleep(1)
    task:cancel()
    neap.sleep(1)
  ]]))

  it("cancels what call_soon returned before it runs", prints("kept\n", [[
    local loop = neap.get_running_loop()
    loop:call_soon(print, "kept")
    local handle = loop:call_soon(print, "cancelled")
    handle:cancel()
    neap.sleep(1)
  ]]))

  it("cannot wait where there is no task", prints("false\t...sleep...\n", [[
    neap.get_running_loop():call_soon(function() print(pcall(neap.sleep, 1)) end)
    neap.sleep(1)
  ]]))

  it("fails with the error of its body and cancels what is left", function()
    local result = program.code [[
      local neap = require "neap"
      neap.create_task(function()
        local _ <close> = setmetatable({}, { __close = function() print "cleaned up" end })
        neap.sleep(3600)
      end)
      neap.sleep(1)
      error "the wolf"
    ]]
    assert.equal("cleaned up\n", result.stdout)
    assert.matches("the wolf", result.stderr, 1, true)
    assert.equal(1, result.status)
  end)

  it("lives until its last task has ended", prints("body\ntask\n", [[
    neap.create_task(function() neap.sleep(5) print "task" end)
    print "body"
  ]]))
end)
