-- How child processes end with what holds them: a block, a collected value, the runtime.
local children = require "spec.support.children"
local neap = require "neap"
local program = require "spec.support.program"
local stream = require "spec.support.stream"
local subprocess = require "neap.subprocess"

local exec <const>, shell <const> = subprocess.exec, subprocess.shell

local function sleeper(options)
  options = options or {}
  options[1], options[2] = "sleep", "100"
  return assert(exec(options))
end

-- Runs a program whose body this is; returns its result. It begins with a sleeper, whose number it prints.
local function run(code)
  return program.run { program.neap, "-e", [[
    local neap = require "neap"
    local exec = neap.subprocess.exec
    local function sleeper(options)
      options = options or {}
      options[1], options[2] = "sleep", "100"
      local process = assert(exec(options))
      io.stdout:write(process.pid, "\n")
      io.stdout:flush()
      return process
    end
  ]] .. code }
end

local function assert_gone(result)
  local count = 0
  for pid in result.stdout:gmatch "%d+" do
    assert.is_false(children.is_alive(tonumber(pid)))
    count = count + 1
  end
  assert.is_true(count > 0)
end

describe("the end of a block", function()
  it("Y11 ends a running process", function()
    local process
    do
      local held <close> = sleeper()
      process = held
    end
    assert.equal(-15, process.returncode)
    assert.is_false(children.is_alive(process.pid))
  end)

  it("Y12 leaves one alone that has ended", function()
    local process
    do
      local held <close> = assert(exec { "true" })
      held:wait()
      process = held
    end
    assert.equal(0, process.returncode)
    assert.equal(0, process:close())
  end)

  it("waits for it in a cancelled scope, too", function()
    local process
    local task = neap.create_task(function()
      local held <close> = sleeper { stdin = "pipe", stdout = "pipe" }
      process = held
      neap.sleep(1000)
    end)
    neap.sleep(0)
    task:cancel()
    assert.is_true(neap.is(stream.raised(task.await, task), neap.CancelledError))
    assert.equal(-15, process.returncode)
  end)

  it("closes its pipes, and the output last: it may say something yet", function()
    local process = assert(shell { "trap 'echo bye; exit 7' TERM; echo on; while :; do sleep 0.01; done",
      stdin = "pipe", stdout = "pipe" })
    process.stdout:read "l"
    assert.equal(7, process:close())
    assert.is_true(process.stdin:is_closing())
    assert.is_true(process.stdout:is_closing())
  end)

  it("kills what ignores SIGTERM, after its grace", function()
    local process = assert(shell { "trap '' TERM; echo; while :; do sleep 0.01; done", stdout = "pipe", grace = 0.05 })
    process.stdout:read "l"
    assert.equal(-9, process:close())
  end)

  it("kills at once without grace", function()
    assert.equal(-9, sleeper { grace = 0 }:close())
  end)

  it("ends one that is stopped", function()
    local process = sleeper()
    process:send_signal "SIGSTOP"
    assert.equal(-15, process:close())
  end)

  it("may come twice, and to two at once", function()
    local process = sleeper()
    local task = neap.create_task(process.close, process)
    assert.equal(-15, process:close())
    assert.equal(-15, task:await())
    assert.equal(-15, process:close())
  end)

  it("takes the whole group of a shell's command that does not inherit its input", function()
    local process = assert(shell { "sleep 100 & echo $!; wait", stdin = "null", stdout = "pipe" })
    local pid = process.stdout:read "n"
    process:close()
    assert.is_true(children.gone(pid))
  end)

  it("leaves the group alone without that", function()
    local process = assert(shell { "sleep 100 & echo $!; wait", stdin = "null", stdout = "pipe", group = false })
    local pid = process.stdout:read "n"
    process:close()
    assert.is_true(children.is_alive(pid))
    os.execute("kill " .. pid)
    assert.is_true(children.gone(pid))
  end)
end)

describe("a process that nobody holds", function()
  it("is ended, and told of in debug mode with its place", function()
    local result = run [[
      neap.get_running_loop():set_debug(true)
      local pid = (function() return sleeper().pid end)()
      collectgarbage()
      collectgarbage()
      while io.open("/proc/" .. pid .. "/stat") do neap.sleep(0.005) end]]
    assert_gone(result)
    assert.matches("the process of sleep, made at %(command line%):%d+, was collected while it runs", result.stderr)
    assert.equal(0, result.status)
  end)

  it("is not told of when it has ended, or else", function()
    local result = run [[
      (function() sleeper():close() exec { "true" }:wait() end)()
      sleeper()
      collectgarbage()
      collectgarbage()]]
    assert_gone(result)
    assert.equal("", result.stderr)
  end)

  it("goes on while somebody has one of its streams", function()
    local out = assert(exec { "cat", stdin = "null", stdout = "pipe" }).stdout
    local late = assert(shell { "sleep 0.1; echo late", stdout = "pipe" }).stdout
    collectgarbage()
    collectgarbage()
    assert.equal("", out:read "a")
    assert.equal("late\n", late:read "a")
    out:close()
    late:close()
    collectgarbage()
    collectgarbage()
    neap.sleep(0.01)
  end)
end)

-- A script can call __gc by itself; a state that is closed does so while tasks wait.
describe("a process that was collected while tasks wait for it", function()
  it("is let go behind the last of them", function()
    local process = assert(shell { "exit 7" })
    local waiting = {}
    for i = 1, 3 do waiting[i] = stream.start_waiting("wait", process.wait, process) end
    getmetatable(process).__gc(process)
    assert.same({ 7, 7, 7, n = 3 }, neap.gather(waiting))
    assert.error_matches(function() process:wait() end, "the process was collected")
  end)

  it("has ended, and nobody has heard it yet", function()
    local process = assert(exec { "cat", stdin = "pipe" })
    local waiting = stream.start_waiting("wait", process.wait, process)
    local first = neap.create_task(function() -- is told first
      process:wait()
      getmetatable(process).__gc(process)
    end)
    local last = stream.start_waiting("wait", process.wait, process)
    process.stdin:close()
    assert.same({ 0, 0 }, { waiting:await(), last:await() })
    first:await()
  end)
end)

describe("the end of the program", function()
  it("ends its children, and waits for them", function()
    local result = run "kept = { sleeper(), sleeper { stdin = 'pipe', stdout = 'pipe' } }"
    assert_gone(result)
    assert.equal(0, result.status)
    assert.equal("", result.stderr)
  end)

  it("ends them after an error", function()
    local result = run "kept = sleeper() error 'wolf'"
    assert_gone(result)
    assert.equal(1, result.status)
  end)

  it("ends them by os.exit", function()
    local result = run "kept = sleeper() os.exit(5)"
    assert_gone(result)
    assert.equal(5, result.status)
  end)

  it("ends them by os.exit from a task, while others wait for them", function()
    local result = run [[
      kept = sleeper()
      neap.create_task(function() kept:wait() end)
      neap.create_task(function() os.exit(5, true) end)
      kept:wait()]]
    assert_gone(result)
    assert.equal(5, result.status)
  end)

  it("ends them by SIGTERM", function()
    local result = run [[
      kept = sleeper()
      exec { "kill", require "neap.subprocess" and io.open "/proc/self/stat":read "n" }
      neap.sleep(50)]]
    assert_gone(result)
    assert.equal(143, result.status)
  end)

  it("ends those that ignore SIGTERM", function()
    local result = run [[
      kept = neap.subprocess.shell { "trap '' TERM; echo $$; while :; do sleep 0.01; done", stdout = "pipe" }
      print(kept.stdout:read "l")]]
    assert_gone(result)
    assert.is_true(result.seconds < 5)
  end)

  it("leaves those that are detached", function()
    local result = run [[
      kept = sleeper { detached = true, stdout = "null" }
      sleeper { detached = true, stdout = "null" }
      collectgarbage()
      collectgarbage()]]
    for pid in result.stdout:gmatch "%d+" do
      assert.is_true(children.is_alive(tonumber(pid)))
      os.execute("kill " .. pid)
    end
    assert.equal("", result.stderr)
  end)

  it("comes although a child runs that nobody waits for", function()
    local result = run "kept = sleeper()"
    assert.is_true(result.seconds < 5)
    assert.equal(0, result.status)
  end)

  it("comes with a deadlock although a child runs", function()
    local result = run "kept = sleeper() neap.Future():await()"
    assert.matches("deadlock", result.stderr)
    assert_gone(result)
  end)
end)

describe("a failed start", function()
  it("leaves nothing, a hundred times", function()
    for _ = 1, 100 do
      assert.equal("ENOENT", select(3, exec { "/no/such/program", stdin = "pipe", stdout = "pipe" }))
    end
  end)

  it("is told when descriptors are used up", function()
    local result = program.run { "sh", "-c", [[ulimit -n 64; exec "$@"]], "sh", program.neap, "-e", [[
      local neap = require "neap"
      local exec = neap.subprocess.exec
      local files = {}
      while true do
        local file = io.open "/dev/null"
        if not file then break end
        files[#files + 1] = file
      end
      local codes = {}
      for _ = 1, 13 do
        local process, err, code = exec { "cat", stdin = "pipe", stdout = "pipe", stderr = "pipe" }
        codes[#codes + 1] = process and "ok" or code
        if process then process:close() end
        table.remove(files):close()
      end
      print(codes[1], codes[2], codes[13])
      for _ = 1, 50 do exec { "cat", stdin = "pipe", stdout = "pipe", stderr = "pipe" }:close() end
      print "done"]] }
    assert.equal("", result.stderr)
    assert.equal("EMFILE\tEMFILE\tok\ndone\n", result.stdout)
  end)
end)
