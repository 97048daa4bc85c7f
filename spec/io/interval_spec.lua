-- interval: ticks of the loop's clock.
local neap = require "neap"
local support = require "spec.support.stream"
local testing = require "neap.testing"

local raised <const> = support.raised

local function times(interval, count, work)
  local loop, list = neap.get_running_loop(), {}
  for tick in interval do
    list[#list + 1] = { tick, loop:time() - interval.start }
    if work then work(tick) end
    if #list == count then return list end
  end
end

local function ticks_of(list)
  local ticks = {}
  for i, entry in ipairs(list) do ticks[i] = entry[1] end
  return ticks
end

describe("interval", function()
  it("ticks first after one period, and does not drift", function()
    testing.virtual_clock()
    local list = times(neap.interval(0.1), 1000, function(tick) neap.sleep(tick % 7 / 100) end)
    for i, entry in ipairs(list) do
      assert.equal(i, entry[1])
      assert.near(i * 0.1, entry[2], 2e-9)
    end
  end)

  it("does not drift by a period that is no whole number of nanoseconds", function()
    testing.virtual_clock()
    local list = times(neap.interval(1 / 3), 3000)
    assert.equal(3000, list[3000][1])
    assert.near(1000, list[3000][2], 2e-9)
  end)

  it("skips the ticks that its consumer was too late for", function()
    testing.virtual_clock()
    local list = times(neap.interval(1), 5, function(tick)
      if tick == 2 then neap.sleep(3.5) end
    end)
    assert.same({ 1, 2, 5, 6, 7 }, ticks_of(list))
    assert.near(5.5, list[3][2], 1e-8) -- the latest one that had gone by comes at once
    assert.near(6, list[4][2], 1e-8)
  end)

  it("counts from when it was made", function()
    testing.virtual_clock()
    local interval = neap.interval(1)
    neap.sleep(2.5)
    assert.equal(2, interval:wait())
    assert.equal(3, interval:wait())
    assert.equal("<Interval of 1 s, tick 3>", tostring(interval))
  end)

  it("gives each tick to all who wait for it", function()
    testing.virtual_clock()
    local interval = neap.interval(1)
    local first, second = neap.create_task(interval.wait, interval), neap.create_task(interval.wait, interval)
    assert.equal(1, first:await())
    assert.equal(1, second:await())
    assert.equal(2, interval:wait())
  end)

  it("loses no tick when it is cancelled", function()
    testing.virtual_clock()
    local interval = neap.interval(1)
    assert.is_false((neap.move_on_after(0.5, interval.wait, interval)))
    assert.equal(1, interval:wait())
  end)

  it("lets others run when its consumer is always late", function()
    local interval, turns = neap.interval(1e-9), 0
    local other = neap.create_task(function()
      while true do
        turns = turns + 1
        neap.sleep(0)
      end
    end)
    for _ = 1, 50 do interval:wait() end
    assert.is_true(turns >= 50)
    support.cancel(other)
  end)

  it("does not tick for ever so long", function()
    testing.virtual_clock()
    local interval = neap.interval(math.huge)
    assert.is_false((neap.move_on_after(1e6, interval.wait, interval)))
  end)

  it("ticks in real time, never early", function()
    for _, entry in ipairs(times(neap.interval(0.002), 10)) do
      assert.is_true(entry[2] >= entry[1] * 0.002 - 1e-9)
    end
  end)

  it("refuses what is no period", function()
    for _, seconds in ipairs { 0, -1, 0 / 0 } do
      assert.matches("bad argument #1 to 'interval' (not a positive period)",
        raised(neap.interval, seconds), 1, true)
    end
    for _, seconds in ipairs { "1", {}, false } do
      assert.matches("number of seconds expected, got " .. type(seconds), raised(neap.interval, seconds), 1, true)
    end
    assert.matches("got no value", raised(neap.interval), 1, true)
    assert.matches("neap.Interval expected", raised(neap.interval(1).wait, {}), 1, true)
  end)

  it("is waited for in a task", function()
    local interval, err = neap.interval(1), nil
    neap.get_running_loop():call_soon(function() err = raised(interval.wait, interval) end)
    neap.sleep(0)
    assert.matches("interval: cannot wait outside a task", err, 1, true)
  end)
end)
