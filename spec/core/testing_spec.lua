-- What neap.testing tells specs.
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
end)

describe("neap test", function()
  local program = require "spec.support.program"

  local function run(text)
    local path = os.tmpname() .. "_spec.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
    file:flush()
    local result = program.run { program.neap, "test", path }
    os.remove(path)
    return result.stdout .. result.stderr
  end

  it("fails a spec that leaves memory behind", function()
    assert.matches("left behind: %d+ bytes of memory", run [[
      it("keeps much", function() kept = {} for i = 1, 300000 do kept[i] = {} end end)
    ]])
  end)

  it("fails a spec that leaves a task behind, and names it", function()
    local said = run [[ it("forgets", function() require "neap".create_task(require "neap".sleep, 9) end) ]]
    assert.matches("left behind: 1 tasks", said, 1, true)
    assert.matches("waits in sleep", said, 1, true)
  end)

  it("fails a spec that leaves an error which nobody reads", function()
    local said = run [[ it("hides", function()
      require "neap".create_task(error, "wolf", 0)
      require "neap".sleep(0.01)
    end) ]]
    assert.matches("1 error", said, 1, true)
    assert.matches("left errors that nobody read", said, 1, true)
  end)

  it("tells the seed of a spec that failed in a shuffled order", function()
    assert.matches("shuffled with seed 42", run [[
      it("fails", function() require "neap.testing".shuffle(42) error "wolf" end)
    ]], 1, true)
  end)
end)
