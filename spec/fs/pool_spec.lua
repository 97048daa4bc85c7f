-- libuv's threads, when all of them are taken.
local folder = require "spec.support.folder"
local fs = require "neap.fs"
local neap = require "neap"
local program = require "spec.support.program"

local QUEUED <const> = 10000
local STEP <const> = 20 -- tasks between two turns of the loop
local LATE_MOST_S <const> = 0.1 -- what a queue that held the loop up would take is seconds

describe("a full pool", function()
  local dir

  before_each(function() dir = folder.new() end)
  after_each(function() dir:remove() end)

  -- Tasks that take up all threads, each opening a fifo that nobody writes to; and the function that frees them.
  local function block_pool()
    local names, blockers = {}, {}
    for i = 1, 4 do
      names[i] = dir:file("fifo" .. i)
      if not fs.access(names[i]) then assert(os.execute(("mkfifo '%s'"):format(names[i]))) end
      blockers[i] = neap.create_task(fs.read_file, names[i])
    end
    neap.sleep(0.02)
    return blockers, function()
      for _, name in ipairs(names) do io.open(name, "r+"):close() end
    end
  end

  -- The most processor time that goes by until a timer of 1 ms is served, while fn runs, and for some more: how late it
  -- is where no other process keeps it waiting.
  local function lateness(fn)
    local most, over = 0, false
    local ticker = neap.create_task(function()
      while not over do
        local before = os.clock()
        neap.sleep(0.001)
        most = math.max(most, os.clock() - before - 0.001)
      end
    end)
    fn()
    neap.sleep(0.05)
    over = true
    ticker:await()
    return most
  end

  -- That many tasks, in steps that leave the loop time to turn.
  local function queue(count)
    local waiting = {}
    for i = 1, count do
      waiting[i] = neap.create_task(fs.stat, dir.path)
      if i % STEP == 0 then neap.sleep(0) end
    end
    return waiting
  end

  it("waits, and goes on", function()
    local limit <close> = neap.timeout(10)
    local blockers, free = block_pool()
    local waiting = neap.create_task(fs.stat, dir.path)
    neap.sleep(0.02)
    assert.is_false(waiting:done())
    free()
    assert.equal("directory", waiting:await().type)
    for _, blocker in ipairs(blockers) do assert.equal("", blocker:await()) end
  end)

  -- How late timers are while tasks are made that wait for the pool, and while they are cancelled.
  local function play(blockers)
    local waiting
    local queueing = lateness(function() waiting = queue(QUEUED) end)
    local cancelling = lateness(function()
      for i, task in ipairs(waiting) do
        task:cancel()
        if i % STEP == 0 then neap.sleep(0) end
      end
      for _, blocker in ipairs(blockers) do blocker:cancel() end
    end)
    for _, task in ipairs(waiting) do assert.is_true(task:cancelled()) end
    for _, blocker in ipairs(blockers) do assert.is_true(blocker:cancelled()) end
    return math.max(queueing, cancelling)
  end

  it("lets timers be on time, while what is queued, and what runs, is cancelled", function()
    local limit <close> = neap.timeout(60)
    local blockers, free = block_pool()
    collectgarbage()
    collectgarbage "stop" -- with ten thousand coroutines its pauses are as long, whatever those wait for
    local done, late = pcall(play, blockers)
    collectgarbage "restart"
    free()
    assert(done, late)
    assert.is_true(late < LATE_MOST_S, late)
    assert.equal("directory", fs.stat(dir.path).type)
  end)

  it("gives up what was cancelled before it began", function()
    local limit <close> = neap.timeout(10)
    local _, free = block_pool()
    local write = neap.create_task(fs.write_file, dir:file "never", "x")
    local make = neap.create_task(fs.mkdir, dir:file "never_made")
    neap.sleep(0)
    write:cancel()
    make:cancel()
    neap.wait { write, make }
    free()
    assert.equal("directory", fs.stat(dir.path).type)
    assert.same("ENOENT", select(3, fs.stat(dir:file "never")))
    assert.same("ENOENT", select(3, fs.stat(dir:file "never_made")))
  end)

  it("U11 is left behind in the end when it is blocked: that is told, and the program ends", function()
    local fifo = dir:file "fifo"
    assert(os.execute(("mkfifo '%s'"):format(fifo)))
    local result = program.run { "env", "FIFO=" .. fifo, program.neap, "-e", [[
      local neap = require "neap"
      local reader = neap.create_task(neap.fs.read_file, os.getenv "FIFO")
      neap.sleep(0)
      neap.fs.stat "/" -- was queued behind it: by now it has begun
      reader:cancel()
      neap.wait { reader }
      print(reader:cancelled())
      os.exit(3, true)]] }
    assert.equal("true\n", result.stdout)
    assert.matches("^[^\n]*: a call of the system is still blocked in a thread, and is left behind\n$", result.stderr)
    assert.equal(3, result.status)
  end)

  it("U10 tells nobody of what was cancelled once the loop is closed", function()
    local result = program.run { "env", "DIR=" .. dir.path, program.neap, "-e", [[
      local neap = require "neap"
      local task = neap.create_task(neap.fs.write_file, os.getenv "DIR" .. "/late", ("x"):rep(1000000))
      task:add_done_callback(function() print(task:cancelled()) end)
      neap.sleep(0)
      task:cancel()
      for _ = 1, 3 do neap.sleep(0) end
      os.exit(0, true)]] }
    assert.equal("", result.stderr)
    assert.equal("true\n", result.stdout)
    assert.equal(0, result.status)
  end)

  it("is freed at the runtime's end, with all that waits for it", function()
    dir:shell "mkdir full && cd full && seq 3000 | xargs touch"
    local result = program.run { "env", "DIR=" .. dir:file "full", program.neap, "-e", [[
      local neap = require "neap"
      local dir = os.getenv "DIR"
      local scan = neap.fs.scandir(dir)
      neap.create_task(function() for _ in scan do end end)
      for i = 1, 1000 do neap.create_task(neap.fs.read_file, dir .. "/1") end
      neap.create_task(neap.fs.remove, dir, { recursive = true })
      neap.create_task(function() for _ in neap.fs.watch(dir):events() do end end)
      neap.sleep(0)
      os.exit(3, true)]] }
    assert.equal("", result.stderr)
    assert.equal(3, result.status)
  end)
end)
