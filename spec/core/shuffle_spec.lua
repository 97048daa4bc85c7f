-- The order of tasks, shuffled by a seed.
local neap = require "neap"
local testing = require "neap.testing"

-- The order in which ten tasks run, three times each.
local function order()
  local log = {}
  do
    local group <close> = neap.TaskGroup()
    for i = 1, 10 do
      group:create_task(function()
        for _ = 1, 3 do
          log[#log + 1] = i
          neap.sleep(0)
        end
      end)
    end
  end
  return table.concat(log, " ")
end

local function shuffled(seed)
  local _ <close> = testing.shuffle(seed)
  return order()
end

describe("a shuffled order", function()
  it("is the same for the same seed, and another for another", function()
    assert.equal(shuffled(7), shuffled(7))
    assert.not_equal(shuffled(7), shuffled(8))
    assert.not_equal(shuffled(7), shuffled(0))
  end)

  it("ends with its block", function()
    local before = order()
    shuffled(7)
    assert.equal(before, order())
    assert.is_nil(testing.seed())
  end)

  it("runs every task, once in a turn", function()
    for seed = 1, 50 do
      local counts = {}
      for i in shuffled(seed):gmatch "%d+" do counts[i] = (counts[i] or 0) + 1 end
      for i = 1, 10 do assert.equal(3, counts[tostring(i)]) end
    end
  end)

  it("brings every order about", function()
    local seen, count = {}, 0
    for seed = 1, 200 do
      local _ <close> = testing.shuffle(seed)
      local log = {}
      for i = 1, 3 do neap.create_task(function() log[#log + 1] = i end) end
      for _ = 1, 3 do neap.sleep(0) end
      local got = table.concat(log)
      if not seen[got] then count = count + 1 end
      seen[got] = true
    end
    assert.equal(6, count)
  end)

  it("leaves callbacks in their order", function()
    local _ <close> = testing.shuffle(3)
    local log = {}
    local loop = neap.get_running_loop()
    for i = 1, 20 do
      loop:call_soon(function() log[#log + 1] = i end)
      neap.create_task(function() end)
    end
    neap.sleep(0)
    neap.sleep(0)
    for i = 1, 20 do assert.equal(i, log[i]) end
  end)
end)
