-- Talking to a child process until its end: communicate, run.
local children = require "spec.support.children"
local neap = require "neap"
local stream = require "spec.support.stream"
local subprocess = require "neap.subprocess"

local exec <const>, shell <const>, run <const> = subprocess.exec, subprocess.shell, subprocess.run

local function raised(fn, ...)
  return tostring(stream.raised(fn, ...))
end

local MANY <const> = 1000000

describe("communicate", function()
  it("Y2 writes the input, returns the output and sets the return code", function()
    local process <close> = assert(shell {
      "cat; echo err >&2; exit 3", stdin = "pipe", stdout = "pipe", stderr = "pipe",
    })
    local stdout, stderr = process:communicate "some data"
    assert.equal("some data", stdout)
    assert.equal("err\n", stderr)
    assert.equal(3, process.returncode)
  end)

  it("Y3 closes the input that it gets nothing for", function()
    local process <close> = assert(exec { "cat", stdin = "pipe", stdout = "pipe" })
    assert.equal("", process:communicate())
    assert.equal(0, process.returncode)
  end)

  it("Y4 takes an empty string for input", function()
    local process <close> = assert(exec { "cat", stdin = "pipe", stdout = "pipe" })
    assert.equal("", process:communicate "")
    assert.equal(0, process.returncode)
  end)

  it("Y8 does not mind a child that does not read", function()
    local process <close> = assert(exec { "true", stdin = "pipe", stdout = "pipe" })
    assert.equal("", process:communicate(("x"):rep(MANY)))
    assert.equal(0, process.returncode)
  end)

  it("goes both ways at once, for more than pipes hold", function()
    local process <close> = assert(shell { "tee /dev/stderr", stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    local input = ("x"):rep(MANY)
    local stdout, stderr = process:communicate(input)
    assert.is_true(input == stdout and input == stderr)
  end)

  it("waits for a child that reads late", function()
    local process <close> = assert(shell { "read line; sleep 0.05; cat", stdin = "pipe", stdout = "pipe" })
    assert.equal(MANY, #process:communicate("line\n" .. ("x"):rep(MANY)))
  end)

  it("returns nothing of what is no pipe", function()
    local process <close> = assert(shell { "echo x >&2", stderr = "pipe" })
    local stdout, stderr = process:communicate()
    assert.equal("", stdout)
    assert.equal("x\n", stderr)
    local other <close> = assert(exec { "true" })
    assert.equal("", other:communicate())
    assert.equal(0, other.returncode)
  end)

  it("fails with more output than is allowed, and leaves the process", function()
    local process <close> = assert(exec { "yes", stdout = "pipe" })
    local stdout, err = process:communicate(nil, 1000)
    assert.is_nil(stdout)
    assert.is_true(neap.is(err, neap.LimitOverrunError))
    assert.equal("communicate: the output is longer than 1000 bytes", tostring(err))
    local exact <close> = assert(exec { "printf", "12345", stdout = "pipe" })
    assert.equal("12345", exact:communicate(nil, 5))
  end)

  it("leaves the process running when it is cancelled", function()
    local process <close> = assert(shell { "cat; sleep 100", stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    local task = neap.create_task(process.communicate, process, "x")
    neap.sleep(0.01)
    task:cancel()
    assert.is_true(neap.is(stream.raised(task.await, task), neap.CancelledError))
    assert.is_true(children.is_alive(process.pid))
    assert.is_nil(process.returncode)
  end)

  it("refuses what is no input", function()
    local process <close> = assert(exec { "true" })
    assert.matches("bad argument #1 to 'communicate' %(string expected, got number%)",
      raised(process.communicate, process, 1))
    assert.matches("the standard input of the process is no pipe", raised(process.communicate, process, "x"))
    assert.matches("bad argument #2 to 'communicate'", raised(process.communicate, process, nil, "x"))
  end)
end)

describe("run", function()
  it("returns how a program ended and what it wrote", function()
    local result = assert(run { "echo out; echo err >&2; exit 3", shell = true })
    assert.same({
      returncode = 3, stdout = "out\n", stderr = "err\n", args = { "echo out; echo err >&2; exit 3" },
    }, result)
  end)

  it("gives it the input, or none at all", function()
    assert.equal("abc", run { "cat", input = "abc" }.stdout)
    assert.equal("", run { "cat" }.stdout)
    assert.equal(MANY, #run { "cat", input = ("x"):rep(MANY) }.stdout)
  end)

  it("does not capture what goes elsewhere", function()
    local path = children.path()
    local result = assert(run { "echo out; echo err >&2", shell = true, stdout = { path = path } })
    assert.is_nil(result.stdout)
    assert.equal("err\n", result.stderr)
    assert.equal("out\n", children.read(path))
    assert.is_nil(run { "true", capture = false }.stdout)
    assert.equal("out\nerr\n", run { "echo out; echo err >&2", shell = true, stderr = "stdout" }.stdout)
    os.remove(path)
  end)

  it("returns what stands against the start", function()
    local result, err, code = run { "/no/such/program" }
    assert.is_nil(result)
    assert.equal("ENOENT", code)
    assert.equal("subprocess.run /no/such/program: no such file or directory", tostring(err))
  end)

  it("returns an exit status as a failure where it checks", function()
    assert.equal(0, run({ "true", check = true }).returncode)
    local result, err, code = run { "echo out; echo err >&2; exit 3", shell = true, check = true }
    assert.is_nil(result)
    assert.equal("EXIT", code)
    assert.is_true(neap.is(err, subprocess.ProcessError))
    assert.is_true(neap.is(err, neap.Error))
    assert.equal("subprocess.run echo out; echo err >&2; exit 3: exit status 3", tostring(err))
    assert.same({ 3, "out\n", "err\n", "EXIT" }, { err.returncode, err.stdout, err.stderr, err.code })
    result, err, code = run { "kill -9 $$", shell = true, check = true }
    assert.is_nil(result)
    assert.equal("SIGNAL", code)
    assert.equal("subprocess.run kill -9 $$: ended by SIGKILL", tostring(err))
    assert.equal(-9, err.returncode)
  end)

  it("ends the program and all of its children at the time limit", function()
    local err = stream.raised(run, { "echo $$; echo err >&2; sleep 100 | cat", shell = true, timeout = 0.1 })
    assert.is_true(neap.is(err, neap.TimeoutError))
    assert.equal("subprocess.run echo $$; echo err >&2; sleep 100 | cat: the time limit of 0.1 s was exceeded",
      tostring(err))
    assert.equal("err\n", err.stderr)
    assert.equal(-15, err.returncode)
    assert.is_true(children.gone(tonumber(err.stdout)))
    assert.is_true(children.session_gone(tonumber(err.stdout)))
  end)

  it("ends what holds its output when the program itself has ended", function()
    local err = stream.raised(run, { "sleep 100 & echo $!", shell = true, timeout = 0.1 })
    assert.is_true(neap.is(err, neap.TimeoutError))
    assert.equal(0, err.returncode)
    assert.is_true(children.gone(tonumber(err.stdout)))
  end)

  it("ends the program when it is cancelled", function()
    local path = children.path()
    local task = neap.create_task(run, { "echo $$ >" .. path .. "; sleep 100 | cat", shell = true })
    local limit <close> = neap.timeout(10)
    repeat neap.sleep(0.005) until children.has_written(path)
    task:cancel()
    assert.is_true(neap.is(stream.raised(task.await, task), neap.CancelledError))
    assert.is_true(children.session_gone(tonumber(children.read(path))))
    os.remove(path)
  end)

  it("kills what does not want to end", function()
    local err = stream.raised(run, { "trap '' TERM; echo on; while :; do sleep 0.01; done", shell = true, timeout = 0.1,
      grace = 0.05 })
    assert.equal("on\n", err.stdout)
    assert.equal(-9, err.returncode)
  end)

  it("lets a program clean up within its grace", function()
    local command = "trap 'echo bye; exit 7' TERM; while :; do sleep 0.01; done"
    local err = stream.raised(run, { command, shell = true, timeout = 0.1 })
    assert.equal(7, err.returncode)
  end)

  it("is told of too much on stderr as of too much on stdout", function()
    local result, err = run { "yes >&2; sleep 60", shell = true, max_output = 1000 }
    assert.is_nil(result)
    assert.is_true(neap.is(err, neap.LimitOverrunError), tostring(err))
    assert.equal(-15, err.returncode)
  end)

  it("fails with more output than is allowed, and ends the program", function()
    local result, err = run { "yes", max_output = 1000 }
    assert.is_nil(result)
    assert.is_true(neap.is(err, neap.LimitOverrunError))
    assert.is_number(err.returncode)
  end)

  it("leaves a limit from outside to its owner", function()
    local err = stream.raised(function()
      local limit <close> = neap.timeout(0.05)
      run { "sleep", 100, timeout = 50 }
    end)
    assert.is_true(neap.is(err, neap.TimeoutError))
    assert.is_nil(err.returncode)
  end)

  it("refuses options that are none", function()
    local function refused(options, words)
      assert.matches("^spec/process/process_run_spec.lua:%d+: bad argument #1 to 'run' %(.*" .. words,
        raised(function() run(options) end))
    end
    refused(nil, "table expected")
    refused({}, "the program is missing")
    refused({ "x", inptu = "" }, "there is no option 'inptu'")
    refused({ "x", input = 1 }, "the option 'input' is not a string")
    refused({ "x", input = "x", stdin = "null" }, "exclude each other")
    refused({ "x", timeout = "x" }, "the option 'timeout' is not a number of seconds")
    refused({ "x", max_output = -1 }, "the option 'max_output' is not a number of bytes")
    refused({ "x", shell = 1 }, "the option 'shell' is not a boolean")
  end)
end)
