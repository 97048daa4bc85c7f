-- Specs of a function that tries again after 1, 2, 4 seconds: `neap test examples/spec`. They take milliseconds.
local neap = require "neap"
local testing = require "neap.testing"

-- What is tested; elsewhere it would stand in a module of its own.
local function retry(times, fn)
  for attempt = 1, times do
    local ok, result = pcall(fn, attempt)
    if ok then return result end
    if attempt == times then error(result, 0) end
    neap.sleep(2 ^ (attempt - 1))
  end
end

describe("retry", function()
  local loop = neap.get_event_loop()
  local start

  before_each(function()
    testing.virtual_clock()
    start = loop:time()
  end)

  it("returns what the first attempt that works does, without waiting", function()
    assert.equal("tide", retry(3, function() return "tide" end))
    assert.equal(start, loop:time())
  end)

  it("waits longer before each attempt", function()
    local at = {}
    local ok, err = pcall(retry, 4, function(attempt)
      at[attempt] = loop:time() - start
      error("ebb", 0)
    end)
    assert.is_false(ok)
    assert.equal("ebb", err)
    assert.same({ 0, 1, 3, 7 }, at)
  end)

  it("waits for nothing else meanwhile", function()
    local attempts = 0
    local task = neap.create_task(retry, 2, function()
      attempts = attempts + 1
      error "ebb"
    end)
    testing.wait_all_blocked()           -- the first attempt has failed, and the task sleeps: time stands still
    assert.equal(1, attempts)
    assert.equal(start, loop:time())
    task:cancel()
    assert.is_false(pcall(task.await, task))
    assert.equal(1, attempts)
  end)
end)

describe("retry, over the network", function()
  local server, refusals

  setup(function()
    server = assert(neap.start_server(function(stream)
      refusals = refusals - 1
      stream:write(refusals < 0 and "welcome\n" or "later\n")
    end, "127.0.0.1", 0))
  end)

  teardown(function()
    server:close()
    server:wait_closed()
  end)

  it("comes in when the server lets it", function()
    refusals = 2
    testing.virtual_clock()
    local said = retry(5, function()
      local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
      local line = stream:read "l"
      assert(line == "welcome", line)
      return line
    end)
    assert.equal("welcome", said)
  end)
end)
