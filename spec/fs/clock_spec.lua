-- Virtual time, while libuv's threads work.
local folder = require "spec.support.folder"
local fs = require "neap.fs"
local neap = require "neap"
local program = require "spec.support.program"
local testing = require "neap.testing"

local LONG_BYTES <const> = 1 << 26 -- takes longer than virtual time waits for I/O
local SHORT_S <const>, HOUR_S <const> = 1e-6, 3600

describe("virtual time", function()
  local dir

  before_each(function()
    dir = folder.new()
    testing.virtual_clock()
  end)
  after_each(function() dir:remove() end)

  local function empty_file(length)
    local file <close> = assert(fs.open(dir:file "long", "w"))
    assert(file:truncate(length))
    return dir:file "long"
  end

  local function fifo()
    assert(os.execute(("mkfifo '%s'"):format(dir:file "fifo")))
    return dir:file "fifo"
  end

  local function free(path) io.open(path, "r+"):close() end

  it("stands still while a file is read", function()
    local path = empty_file(LONG_BYTES)
    local limit <close> = neap.timeout(SHORT_S)
    assert.equal(LONG_BYTES, #fs.read_file(path))
  end)

  it("stands still while a file is copied", function()
    local path = empty_file(LONG_BYTES)
    local limit <close> = neap.timeout(SHORT_S)
    assert(fs.copy(path, dir:file "copy"))
  end)

  it("stands still while a stream writes to a file", function()
    local file <close> = assert(fs.open(dir:file "written", "w"))
    local data <const> = ("x"):rep(LONG_BYTES)
    local limit <close> = neap.timeout(SHORT_S)
    assert(file:write(data))
    assert(file:close())
    assert.equal(LONG_BYTES, fs.stat(dir:file "written").size)
  end)

  it("stands still for what was cancelled and goes on", function()
    local path = empty_file(LONG_BYTES)
    local copy = neap.create_task(fs.copy, path, dir:file "copy")
    local start <const> = neap.get_running_loop():time()
    neap.sleep(0)
    copy:cancel()
    local limit <close> = neap.timeout(SHORT_S)
    repeat neap.sleep(0) until copy:done()
    assert.equal(start, neap.get_running_loop():time())
    assert.equal(LONG_BYTES, #fs.read_file(path))
  end)

  for _, how in ipairs { "step", "loop" } do
    it("stands still for a host, too: " .. how, function()
      local host <const> = program.neap:gsub("[^/]*$", "hosts/clock")
      program.assert_printed(("true\t%d\n"):format(LONG_BYTES), program.run { host, how, empty_file(LONG_BYTES) })
    end)
  end

  it("goes on while a fifo that nobody writes to is opened", function()
    local path = fifo()
    assert.is_false(neap.move_on_after(HOUR_S, fs.read_file, path))
    free(path)
  end)

  it("goes on while a fifo that nobody reads is opened for a copy", function()
    local path = fifo()
    assert(fs.write_file(dir:file "source", "x"))
    assert.is_false(neap.move_on_after(HOUR_S, fs.copy, dir:file "source", path))
    free(path)
  end)

  it("goes on while a fifo that is opened for writing has no reader", function()
    assert.is_false(neap.move_on_after(1, fs.open, fifo(), "w"))
  end)

  it("goes on while what waits for a thread may wait for ever", function()
    local path = fifo()
    local result = program.run { "env", "FIFO=" .. path, "UV_THREADPOOL_SIZE=1", program.neap, "--clock=virtual", "-e",
      [[
      local neap = require "neap"
      local fifo = os.getenv "FIFO"
      local reader = neap.create_task(neap.fs.read_file, fifo)
      neap.sleep(0)
      print(neap.move_on_after(3600, neap.fs.stat, fifo))
      io.open(fifo, "r+"):close()
      print(reader:await() == "", neap.fs.stat(fifo).type)]] }
    assert.equal("", result.stderr)
    assert.equal("false\ntrue\tfifo\n", result.stdout)
  end)

  it("goes on while a thread of the script's waits in the threads of all", function()
    local path = fifo()
    local result = program.run { "env", "FIFO=" .. path, "UV_THREADPOOL_SIZE=1", program.neap, "-e", [[
      local neap = require "neap"
      local fifo = os.getenv "FIFO"
      local reader = neap.create_task(neap.fs.read_file, fifo)
      neap.sleep(0)
      local thread = neap.thread(function(fifo)
        local neap = require "neap"
        require("neap.testing").virtual_clock()
        return neap.move_on_after(3600, neap.fs.stat, fifo)
      end, fifo)
      print(thread:join())
      io.open(fifo, "r+"):close()
      print(reader:await() == "")]] }
    assert.equal("", result.stderr)
    assert.equal("false\ntrue\n", result.stdout)
  end)
end)
