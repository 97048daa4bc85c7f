-- Streams that nobody closes, and reads that nobody waits for.
local neap = require "neap"
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"

local function run(debug_mode, code)
  return program.run { "env", "NEAP_DEBUG=" .. debug_mode, program.neap, "-e", ([[
    local neap = require "neap"
    local got = neap.Future()
    local server <close> = neap.start_server(function(stream) got:set_result(stream:read "a") end, "127.0.0.1", 0)
    local function connect()
      return neap.open_connection("127.0.0.1", server.port)
    end
    %s
    collectgarbage()
    collectgarbage()
    print(got:await())
    collectgarbage()]]):format(code) }
end

local DROP = [[;(function() connect():write "last words" end)()]]

describe("a stream that is dropped", function()
  it("W11 is closed behind what was written, and told once in debug mode, with its place", function()
    local result = run(1, DROP)
    assert.equal("last words\n", result.stdout)
    assert.equal(0, result.status)
    local _, count = result.stderr:gsub("unclosed", "")
    assert.equal(1, count)
    assert.matches("stream to 127%.0%.0%.1:%d+, made at %(command line%):5%f[%D]", result.stderr)
  end)

  it("W11 is told to the exception handler as a warning", function()
    local result = run(1, [[
      neap.get_running_loop():set_exception_handler(function(_, context)
        io.stderr:write(tostring(context.warning), " ", tostring(context.exception), " ", context.message, "\n")
      end) ]] .. DROP)
    assert.equal("last words\n", result.stdout)
    assert.matches("^true nil [^\n]*made at %(command line%):5%f[%D][^\n]*\n$", result.stderr)
  end)

  it("W11 is told of in debug mode alone", function()
    local result = run(0, DROP)
    assert.equal("last words\n", result.stdout)
    assert.equal("", result.stderr)
  end)

  it("W11 is not told of when it was closed, or is closed by its program's end", function()
    local result = run(1, [[
      do
        local stream <close> = connect()
        stream:write "last words"
      end
      kept = connect()]])
    assert.equal("last words\n", result.stdout)
    assert.equal("", result.stderr)
  end)
end)

describe("a read that is cancelled", function()
  -- Cancels it while it waits for the peer; returns in how many turns it ended.
  local function turns_of(fn, ...)
    local task = tasks.start(fn, ...)
    neap.sleep(0.005)
    task:cancel()
    local turns = 0
    while not task:done() do
      turns = turns + 1
      neap.sleep(0)
    end
    tasks.cancelled(task.await, task)
    return turns
  end

  it("E22 ends in the next turn, without waiting for I/O, and loses nothing", function()
    local go = neap.Event()
    local server <close> = assert(neap.start_server(function(stream)
      stream:write "par"
      go:wait()
      stream:write "tial\n"
    end, "127.0.0.1", 0))
    local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
    for _, method in ipairs { "readline", "readexactly", "readuntil", "read" } do
      local argument = ({ readexactly = 100, readuntil = "\n", read = "a" })[method]
      assert.is_true(turns_of(stream[method], stream, argument) <= 2, method)
    end
    go:set()
    assert.equal("partial\n", stream:readline())
  end)
end)
