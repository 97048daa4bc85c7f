-- What neap.testing tells specs, and wait_all_blocked. What is made of it: spec/busted_spec.lua.
local neap = require "neap"
local testing = require "neap.testing"

describe("a census", function()
  it("counts tasks, descriptors, and bytes", function()
    local before = testing.census()
    local task = neap.create_task(neap.sleep, 3600)
    local file <close> = assert(io.open "/dev/null")
    local ballast <const> = ("x"):rep(100000)
    local now = testing.census()
    assert.equal("1 tasks, 1 fds", testing.difference(before, now))
    assert.is_true(now.lua_bytes - before.lua_bytes > #ballast)
    task:kill()
    assert.equal("1 fds", testing.difference(before, testing.census()))
  end)

  it("tells growth only of what garbage collection leaves", function()
    collectgarbage()
    collectgarbage()
    local before = testing.census()
    local kept = ("x"):rep(300000)
    assert.is_true(testing.growth(before, 200000) >= 200000)
    assert.is_nil(testing.growth(before, #kept * 2))
    kept = nil -- luacheck: ignore
    assert.is_nil(testing.growth(before, 200000))
  end)

  it("tells no growth of a stack that was deep", function()
    local before = testing.census()
    local function dig(n) return n == 0 and 0 or 1 + dig(n - 1) end
    assert.equal(150000, dig(150000))
    assert.is_nil(testing.growth(before, 1 << 20))
  end)
end)

describe("wait_all_blocked", function()
  local wait_all_blocked = testing.wait_all_blocked

  -- A task that goes round for so many turns, then sleeps for a second.
  local function turn_and_sleep(count)
    local state = { turns = 0 }
    state.task = neap.create_task(function()
      for i = 1, count do
        neap.sleep(0)
        state.turns = i
      end
      neap.sleep(1)
      state.slept = true
    end)
    return state
  end

  for _, clock in ipairs { "real", "virtual" } do
    it("ends when the others wait, before time moves: " .. clock, function()
      if clock == "virtual" then testing.virtual_clock() end
      local loop = neap.get_running_loop()
      local start, state = loop:time(), turn_and_sleep(200)
      wait_all_blocked()
      assert.equal(200, state.turns)
      assert.is_nil(state.slept)
      if clock == "virtual" then assert.equal(start, loop:time()) end
      state.task:kill()
    end)
  end

  it("returns nothing, and at once when nobody else runs", function()
    assert.equal(0, select("#", wait_all_blocked()))
    assert.equal(0, select("#", wait_all_blocked(-1)))
  end)

  it("waits for callbacks, and for timers that are due", function()
    testing.virtual_clock()
    local loop, log = neap.get_running_loop(), {}
    loop:call_soon(function() loop:call_soon(function() log[#log + 1] = "soon" end) end)
    loop:call_later(0, function() log[#log + 1] = "due" end)
    local later = loop:call_later(1e-6, function() log[#log + 1] = "later" end)
    wait_all_blocked()
    table.sort(log)
    assert.same({ "due", "soon" }, log)
    later:cancel()
  end)

  it("wakes all that wait, in order", function()
    local log = {}
    local function wait(name)
      wait_all_blocked()
      log[#log + 1] = name
    end
    neap.gather(function() wait "a" end, function() wait "b" end, function() wait "c" end)
    assert.same({ "a", "b", "c" }, log)
  end)

  it("wakes the shortest cushion first, and begins the others anew", function()
    local loop, log = neap.get_running_loop(), {}
    local function wait(cushion)
      wait_all_blocked(cushion)
      log[#log + 1] = cushion
    end
    local start = loop:time()
    neap.gather(function() wait(0.03) end, function() wait(0.01) end, function() wait(0) end)
    assert.same({ 0, 0.01, 0.03 }, log)
    assert.is_true(loop:time() - start >= 0.04)
  end)

  it("takes a cushion of real time, in which virtual time stands still", function()
    testing.virtual_clock()
    local system = require "system"
    local loop = neap.get_running_loop()
    local state, start, began = turn_and_sleep(1), loop:time(), system.monotime()
    wait_all_blocked(0.02)
    assert.is_true(system.monotime() - began >= 0.02)
    assert.equal(start, loop:time())
    assert.is_nil(state.slept)
    state.task:kill()
  end)

  it("begins its cushion anew when a task runs meanwhile", function()
    local ran_at
    local loop = neap.get_running_loop()
    local task = neap.create_task(function()
      neap.sleep(0.02)
      ran_at = loop:time()
    end)
    wait_all_blocked(0.03)
    assert.is_true(loop:time() - ran_at >= 0.03)
    task:await()
  end)

  it("waits for tasks that talk to each other through the system", function()
    local server <close> = assert(neap.start_server(function(stream)
      for line in stream:lines "L" do stream:write(line) end
    end, "127.0.0.1", 0))
    local answers = 0
    local client = neap.create_task(function()
      local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
      for _ = 1, 20 do
        stream:write "tide\n"
        stream:read "l"
        answers = answers + 1
      end
      neap.Event():wait()
    end)
    wait_all_blocked(0.05)
    assert.equal(20, answers)
    client:cancel()
    pcall(client.await, client)
  end)

  it("is no deadlock, and sees none", function()
    local event = neap.Event()
    local task = neap.create_task(event.wait, event)
    wait_all_blocked()
    assert.is_false(task:done())
    event:set()
    task:await()
  end)

  it("refuses what is no cushion", function()
    assert.error_matches(function() wait_all_blocked(math.huge) end, "bad argument #1 to 'wait_all_blocked'.*finite")
    assert.error_matches(function() wait_all_blocked(0 / 0) end, "NaN")
    assert.error_matches(function() wait_all_blocked "soon" end, "number expected")
  end)

  it("is nothing that others wait for, once cancelled or killed", function()
    local tasks = {}
    for i = 1, 3 do tasks[i] = neap.create_task(wait_all_blocked, 3600) end
    neap.sleep(0)
    tasks[1]:cancel()
    tasks[2]:kill()
    wait_all_blocked()
    assert.is_true(tasks[1]:done() and tasks[2]:done())
    assert.is_false(tasks[3]:done())
    tasks[3]:kill()
  end)
end)
