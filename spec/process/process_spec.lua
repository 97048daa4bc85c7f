-- Child processes: how they are started, what they read and write, how they are signalled and waited for.
local children = require "spec.support.children"
local neap = require "neap"
local stream = require "spec.support.stream"
local subprocess = require "neap.subprocess"

local exec <const>, shell <const> = subprocess.exec, subprocess.shell

local function raised(fn, ...)
  return tostring(stream.raised(fn, ...))
end

-- What a command of the shell prints.
local function printed(options)
  options.stdout = options.stdout or "pipe"
  local process <close> = assert(shell(options))
  local text = assert(process.stdout:read "a")
  process:wait()
  return text
end

local function sleeper(options)
  options = options or {}
  options[1], options[2] = "sleep", "100"
  return assert(exec(options))
end

describe("exec", function()
  it("Y1 starts a program that reads what is written and writes what is read", function()
    local process <close> = assert(exec { "cat", stdin = "pipe", stdout = "pipe" })
    assert(process.stdin:write "some data")
    process.stdin:close()
    assert.equal("some data", process.stdout:read "a")
    assert.equal(0, process:wait())
    assert.equal(0, process.returncode)
  end)

  it("Y7 gives EPIPE to who writes to a child that has ended", function()
    local process <close> = assert(exec { "true", stdin = "pipe" })
    assert.equal(0, process:wait())
    local written, err, code = process.stdin:write "x"
    assert.is_nil(written)
    assert.equal("EPIPE", code)
    assert.matches("^write stdin of true: broken pipe$", tostring(err))
  end)

  it("Y9 gives the null device as an input that is at its end", function()
    assert.equal("", printed { "cat", stdin = "null" })
  end)

  it("Y10 starts nothing in a cancelled task", function()
    local path = children.path()
    local task = neap.create_task(function()
      neap.current_task():cancel()
      exec { "touch", path }
    end)
    assert.is_true(neap.is(stream.raised(task.await, task), neap.CancelledError))
    assert.is_nil(io.open(path))
  end)

  it("Y13 says which program is missing, and leaves nothing", function()
    local process, err, code = exec { "/no/such/program", "x", stdin = "pipe", stdout = "pipe", stderr = "pipe" }
    assert.is_nil(process)
    assert.equal("ENOENT", code)
    assert.equal("subprocess.exec /no/such/program: no such file or directory", tostring(err))
    assert.equal("/no/such/program", err.target)
  end)

  it("Y14 keeps output that is read long after the end", function()
    local process <close> = assert(exec { "seq", "2000", stdout = "pipe" })
    assert.equal(0, process:wait())
    local pieces = {}
    for piece in function() return process.stdout:read_some(100) end do
      pieces[#pieces + 1] = piece
      neap.sleep(0)
    end
    assert.equal(8893, #table.concat(pieces))
  end)

  it("Y19 gives data before the end, for each pipe", function()
    local process <close> = assert(shell { "echo out; echo err >&2", stdout = "pipe", stderr = "pipe" })
    assert.equal("out", process.stdout:read "l")
    assert.equal("err", process.stderr:read "l")
    assert.is_nil(process.stdout:read "l")
    assert.is_nil(process.stderr:read "l")
    assert.equal(0, process:wait())
  end)

  it("looks for the program in PATH, and for that in the child's environment", function()
    assert.equal(0, assert(exec { "true" }):wait())
    local process, _, code = exec { "true", env = { PATH = "/no/such/folder" } }
    assert.is_nil(process)
    assert.equal("ENOENT", code)
  end)

  it("passes on 10,000 arguments, empty ones, and numbers", function()
    local words = { "sh", "-c", "echo $# $2 \"<$1>\"", "sh", "", 42, stdout = "pipe" }
    for i = 7, 10004 do words[i] = "x" end
    local process <close> = assert(exec(words))
    assert.equal("10000 42 <>\n", process.stdout:read "a")
    assert.equal(10004, #process.args)
    assert.equal("42", process.args[6])
  end)

  it("fails with more than the system takes", function()
    local process, err, code = exec { "true", ("x"):rep(1 << 20) }
    assert.is_nil(process)
    assert.equal("E2BIG", code)
    assert.matches("^subprocess%.exec true: ", tostring(err))
  end)

  it("fails with what is no program", function()
    local path = children.path()
    children.write(path, "#!/bin/sh\n")
    local _, err, code = exec { path }
    assert.equal("EACCES", code)
    assert.equal(("subprocess.exec %s: permission denied"):format(path), tostring(err))
    assert.equal("EACCES", select(3, exec { "/tmp" }))
    assert.equal("ENOENT", select(3, exec { "" }))
    assert.equal("ENAMETOOLONG", select(3, exec { "/" .. ("x"):rep(5000) }))
    os.remove(path)
  end)

  it("starts in another directory, and says when that is what is missing", function()
    assert.equal("/\n", printed { "pwd", cwd = "/" })
    local _, err, code = exec { "true", cwd = "/no/such/folder" }
    assert.equal("ENOENT", code)
    assert.equal("subprocess.exec true: the directory /no/such/folder: no such file or directory", tostring(err))
    assert.equal("ENOTDIR", select(3, exec { "true", cwd = "/dev/null" }))
    assert.matches("no/such/program: no such file", tostring(select(2, exec { "/no/such/program", cwd = "/" })))
  end)

  it("Y15 replaces the environment with clear_env", function()
    local process <close> = assert(exec {
      "/usr/bin/env", env = { FOO = "bar", N = 1 }, clear_env = true, stdout = "pipe",
    })
    local lines = {}
    for line in process.stdout:lines() do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ "FOO=bar", "N=1" }, lines)
  end)

  it("adds to the environment, changes it and takes from it", function()
    local home = assert(os.getenv "PATH")
    assert.equal(home .. " bar gone\n", printed { "echo $PATH $FOO ${HOME-gone}", env = { FOO = "bar", HOME = false } })
    assert.equal("x\n", printed { "echo $HOME", env = { HOME = "x" } })
  end)

  it("passes on none of the runtime's descriptors", function()
    local pair <close> = stream.pair()
    local other <close> = assert(exec { "cat", stdin = "pipe", stdout = "pipe" })
    assert.equal("0\n", printed { "ls -l /proc/self/fd | grep -cE 'socket|anon_inode'", stdin = "null" })
    local held = printed { "readlink /proc/self/fd/*", stdin = "null" }
    local ours = printed { "readlink /proc/$1/fd/0 /proc/$1/fd/1", other.pid }
    for name in ours:gmatch "pipe:%S+" do assert(not held:find(name, 1, true), name) end
    other.stdin:close()
    assert.equal(0, other:wait())
  end)

  it("refuses options that are none", function()
    local function refused(options, words)
      local message = raised(function() exec(options) end)
      assert.matches("^spec/process/process_spec.lua:%d+: bad argument #1 to 'exec' %(", message)
      assert.matches(words, message, 1, true)
    end
    refused({}, "the program is missing")
    refused(nil, "table expected, got nil")
    refused({ "true", shel = true }, "there is no option 'shel'")
    refused({ "true", input = "x" }, "there is no option 'input'")
    refused({ "true", [3] = "x" }, "hole")
    refused({ "true", [1.5] = "x" }, "there is no option '1.5'")
    refused({ "true", {} }, "argument 2 is not a string but a table value")
    refused({ "true", true }, "argument 2 is not a string but a boolean value")
    refused({ "tr\0ue" }, "zero byte")
    refused({ "true", cwd = "/\0" }, "zero byte")
    refused({ "true", cwd = 1 }, "the option 'cwd' is not a string")
    refused({ "true", env = "x" }, "the option 'env' is not a table")
    refused({ "true", env = { ["a=b"] = "x" } }, "no name of an environment variable")
    refused({ "true", env = { [""] = "x" } }, "no name of an environment variable")
    refused({ "true", env = { a = "\0" } }, "zero byte")
    refused({ "true", env = { ["a\0"] = "x" } }, "zero byte")
    refused({ "true", env = { a = true } }, "the variable 'a' is not a string")
    refused({ "true", env = { "x" } }, "a name that is not a string")
    refused({ "true", uid = -1 }, "the option 'uid' is not a number of a user")
    refused({ "true", gid = "root" }, "the option 'gid' is not a number of a group")
    refused({ "true", detached = 1 }, "the option 'detached' is not a boolean")
    refused({ "true", grace = 0 / 0 }, "the option 'grace' is not a number of seconds")
    refused({ "true", limit = 0 }, "the option 'limit' is not a positive integer")
    refused({ "true", stdin = "stdout" }, "the option 'stdin' is none of")
    refused({ "true", stdout = "stdout" }, "the option 'stdout' is none of")
    refused({ "true", stdout = -1 }, "the option 'stdout' is none of")
    refused({ "true", stdout = 1.5 }, "the option 'stdout' is none of")
    refused({ "true", stdout = true }, "the option 'stdout' is none of")
    refused({ "true", stdout = {} }, "the option 'stdout' is none of")
    refused({ "true", stdout = { path = "a\0b" } }, "zero byte")
    refused({ "true", stdout = { path = "x", mode = "rw" } }, "the mode of 'stdout' is none of")
  end)

  it("cannot become another user without the right to", function()
    local id <close> = assert(io.popen "id -u")
    local is_root = id:read "n" == 0
    local process, err, code = exec { "id", "-u", uid = is_root and 65534 or 0, stdout = "pipe" }
    if is_root then
      assert.equal("65534\n", process.stdout:read "a")
      process:close()
    else
      assert.equal("EPERM", code)
      assert.matches("subprocess%.exec id: ", tostring(err))
    end
  end)
end)

describe("a child's standard streams", function()
  it("can be files, which are made, cut or appended to", function()
    local path = children.path()
    assert(exec { "echo", "one", stdout = { path = path } }):wait()
    assert(exec { "echo", "two", stdout = { path = path, mode = "a" } }):wait()
    assert.equal("one\ntwo\n", children.read(path))
    assert.equal("one\ntwo\n", printed { "cat", stdin = { path = path } })
    assert(exec { "echo", "three", stdout = { path = path } }):wait()
    assert.equal("three\n", children.read(path))
    os.remove(path)
  end)

  it("name the file that cannot be opened", function()
    local process, err, code = exec { "true", stdin = "pipe", stdout = { path = "/no/such/file" } }
    assert.is_nil(process)
    assert.equal("ENOENT", code)
    assert.equal("subprocess.exec /no/such/file: no such file or directory", tostring(err))
  end)

  it("can be a named pipe that nobody reads, without holding up the loop", function()
    local path = children.path()
    assert.equal(0, assert(exec { "mkfifo", path }):wait())
    assert.equal("ENXIO", select(3, exec { "true", stdout = { path = path } }))
    os.remove(path)
  end)

  it("can be one another", function()
    assert.equal("a\nb\n", printed { "echo a; echo b >&2", stderr = "stdout" })
    local path = children.path()
    assert(shell { "echo a; echo b >&2", stdout = { path = path }, stderr = "stdout" }):wait()
    assert.equal("a\nb\n", children.read(path))
    os.remove(path)
    assert.equal(0, assert(shell { "echo b >&2", stdout = "null", stderr = "stdout" }):wait())
  end)

  it("can be opened anew by the child", function()
    local process <close> = assert(shell { "cat /dev/stdin >/dev/stdout", stdin = "pipe", stdout = "pipe" })
    process.stdin:write "hello"
    process.stdin:close()
    assert.equal("hello", process.stdout:read "a")
  end)

  it("can be a descriptor, which stays ours", function()
    local first <close> = assert(exec { "cat", stdin = "pipe", stdout = "pipe" })
    local path = children.path()
    children.write(path, "")
    assert.equal("EBADF", select(3, exec { "true", stdout = 900 }))
    assert.equal(0, assert(exec { "true", stdout = 2, stderr = 1 }):wait())
    os.remove(path)
    first.stdin:close()
    assert.equal(0, first:wait())
  end)

  it("can be a stream: one process writes to the next", function()
    local last <close> = assert(exec { "tr", "a-z", "A-Z", stdin = "pipe", stdout = "pipe" })
    local first <close> = assert(exec { "echo", "hello", stdout = last.stdin })
    assert.equal(0, first:wait())
    last.stdin:close()
    assert.equal("HELLO\n", last.stdout:read "a")
  end)

  it("can be a connection", function()
    local pair <close> = stream.pair()
    local process <close> = assert(exec { "cat", stdin = pair.far, stdout = pair.far })
    pair.far:close()
    pair.near:write "echo"
    pair.near:shutdown()
    assert.equal("echo", pair.near:read "a")
    assert.equal(0, process:wait())
  end)

  it("cannot be a stream that was closed", function()
    local pair <close> = stream.pair()
    pair.near:close()
    assert.matches("the stream in the option 'stdin' is closed", raised(exec, { "true", stdin = pair.near }))
  end)

  it("go in one direction", function()
    local process <close> = assert(exec { "cat", stdin = "pipe", stdout = "pipe" })
    assert.matches("read: the stream is only for writing", raised(process.stdin.read, process.stdin))
    assert.matches("write: the stream is only for reading", raised(process.stdout.write, process.stdout, "x"))
    assert.is_nil(process.stderr)
  end)

  it("hold up who writes more than the child reads, until it is cancelled", function()
    local process <close> = sleeper { stdin = "pipe" }
    local task = neap.create_task(function()
      while true do assert(process.stdin:write(("x"):rep(65536))) end
    end)
    stream.settle(function() return stream.waits(task, "write") end)
    task:cancel()
    assert.is_true(neap.is(stream.raised(task.await, task), neap.CancelledError))
    assert.is_nil(process.returncode)
  end)

  it("end behind what was written, for however long the child takes", function()
    local process <close> = assert(shell { "sleep 0.05; wc -c", stdin = "pipe", stdout = "pipe" })
    process.stdin:write(("x"):rep(100000))
    assert.is_true(process.stdin:shutdown())
    assert.is_true(process.stdin:shutdown())
    assert.equal("100000", process.stdout:read "a":match "%d+")
    assert.matches("write: the stream was shut down", raised(process.stdin.write, process.stdin, "x"))
    assert.is_true(process.stdin:close())
    assert.is_true(process.stdin:wait_closed())
  end)

  it("are kept open by a grandchild, which is not waited for", function()
    local process <close> = assert(shell { "sleep 100 & echo $!", stdin = "null", stdout = "pipe" })
    local pid = process.stdout:read "n"
    assert.equal(0, process:wait())
    assert.is_true(children.is_alive(pid))
    process:close()
    assert.is_true(children.gone(pid))
  end)
end)

describe("a process", function()
  it("Y5 that was killed has minus the signal's number", function()
    local process <close> = sleeper()
    assert.is_true(process:kill())
    assert.equal(-9, process:wait())
    assert.equal(-9, process.returncode)
  end)

  it("Y6 that was terminated, too", function()
    local process <close> = sleeper()
    assert.is_true(process:terminate())
    assert.equal(-15, process:wait())
  end)

  it("Y17 can be waited for by ten at once", function()
    local process <close> = assert(exec { "cat", stdin = "pipe" })
    local tasks = {}
    for i = 1, 10 do tasks[i] = neap.create_task(process.wait, process) end
    neap.sleep(0)
    process.stdin:close()
    for _, task in ipairs(tasks) do assert.equal(0, task:await()) end
    assert.equal(0, process:wait())
  end)

  it("Y18 is one of ten, each with output of its own", function()
    local tasks = {}
    for i = 1, 10 do tasks[i] = neap.create_task(printed, { "echo $1", i }) end
    for i, task in ipairs(tasks) do assert.equal(i .. "\n", task:await()) end
  end)

  it("Y20 that has ended cannot be signalled, and keeps its exit status", function()
    for _ = 1, 20 do
      local process <close> = assert(exec { "true" })
      local sent, _, code = process:send_signal "SIGTERM"
      assert.is_true(sent == true or code == "ESRCH")
      local returncode = process:wait()
      assert.is_true(returncode == 0 or returncode == -15)
      assert.equal("ESRCH", select(3, process:kill()))
      assert.equal("ESRCH", select(3, process:terminate()))
      assert.equal("send_signal true: no such process", tostring(select(2, process:send_signal(9))))
      assert.equal(returncode, process:wait())
    end
  end)

  it("is signalled by name or number", function()
    local process <close> = assert(shell {
      "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.01; done", stdout = "pipe",
    })
    assert.equal("ready", process.stdout:read "l")
    assert.is_true(process:send_signal "SIGUSR1")
    assert.equal("usr1", process.stdout:read "l")
    process:send_signal(9)
    assert.equal(-9, process:wait())
    assert.matches("there is no signal 'SIGMOON'", raised(process.send_signal, process, "SIGMOON"))
    assert.matches("there is no signal 0", raised(process.send_signal, process, 0))
    assert.matches("bad argument #1 to 'send_signal'", raised(function() process:send_signal() end))
  end)

  it("tells of itself", function()
    local process <close> = sleeper()
    assert.equal(("<Process %d of sleep, running>"):format(process.pid), tostring(process))
    assert.same({ "sleep", "100" }, process.args)
    assert.is_nil(process.returncode)
    process:kill()
    process:wait()
    assert.equal(("<Process %d of sleep, ended by SIGKILL>"):format(process.pid), tostring(process))
    local other <close> = assert(shell { "exit 3" })
    other:wait()
    assert.equal(("<Process %d of exit 3, exit status 3>"):format(other.pid), tostring(other))
    assert.is_nil(other.no_such_field)
  end)

  it("runs on when a wait for it is cancelled", function()
    local process <close> = sleeper()
    local task = neap.create_task(process.wait, process)
    neap.sleep(0)
    task:cancel()
    assert.is_true(neap.is(stream.raised(task.await, task), neap.CancelledError))
    assert.is_true(children.is_alive(process.pid))
    assert.is_nil(process.returncode)
  end)

  it("takes no wrong self, and no assignment", function()
    local process <close> = sleeper()
    assert.matches("bad argument #1 to '%w+' %(neap.Process expected", raised(function() process.wait({}) end))
    assert.matches("bad argument #1 to '%w+' %(neap.Process expected", raised(function() process.kill(neap) end))
    assert.matches("bad argument #1 to 'close' %(neap.Process expected", raised(process.close, {}))
    assert.matches("bad argument #1 to 'communicate' %(neap.Process expected", raised(process.communicate, {}))
    assert.is_false(pcall(function() process.pid = 1 end))
  end)

  it("is one of hundreds that end at once", function()
    local tasks = {}
    local gate <close> = assert(exec { "cat", stdin = "pipe", stdout = "null" })
    for i = 1, 100 do
      tasks[i] = neap.create_task(function()
        for _ = 1, 3 do assert.equal(i % 7, assert(exec { "sh", "-c", "exit " .. i % 7 }):wait()) end
      end)
    end
    for _, task in ipairs(tasks) do task:await() end
    gate.stdin:close()
    assert.equal(0, gate:wait())
  end)
end)

describe("shell", function()
  it("runs a command, with arguments that need no quoting", function()
    assert.equal("a b\n$HOME\n", printed { "echo \"$1\"; echo \"$2\" | cat", "a b", "$HOME" })
  end)

  it("Y16 replaces the environment with clear_env", function()
    assert.equal("bar\n", printed { "echo $FOO$HOME", env = { FOO = "bar" }, clear_env = true })
  end)

  it("names the command in messages", function()
    local process, err = shell { "true", cwd = "/no/such/folder" }
    assert.is_nil(process)
    assert.equal("subprocess.shell true: the directory /no/such/folder: no such file or directory", tostring(err))
    assert.matches("bad argument #1 to 'shell' %(the command is missing%)", raised(shell, {}))
  end)
end)
