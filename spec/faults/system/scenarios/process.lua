-- Child processes: in real time, since others than this process do the work.
local cell = require "spec.faults.system.cell"
local neap = require "neap"

local ok <const> = cell.ok

-- libuv does not look whether it hears of SIGCHLD.
local function scenario(name, run, children)
  local skip <const> = { sigaction = true }
  return { name = "process: " .. name, real = true, skip = skip, children = children, run = run }
end

return {
  scenario("its exit status", function()
    local process <close> = ok(neap.subprocess.exec { "sh", "-c", "exit 3", stdin = "null" })
    assert(process:wait() == 3)
  end, { exec = 1 }),

  scenario("through pipes", function()
    local process <close> = ok(neap.subprocess.exec { "cat", stdin = "pipe", stdout = "pipe", stderr = "stdout" })
    ok(process.stdin:write "there and back\n")
    assert(ok(process.stdout:readline()) == "there and back\n")
    process.stdin:close()
    assert(process:wait() == 0)
  end, { exec = 1 }),

  scenario("in a folder, with an environment, into a file", function()
    local process <close> = ok(neap.subprocess.exec {
      "sh", "-c", "pwd; echo $NAME", stdin = "null",
      stdout = { path = cell.path(), mode = "w" }, cwd = "/", env = { NAME = "wool" },
    })
    assert(process:wait() == 0)
    assert(ok(neap.fs.read_file(cell.path())) == "/\nwool\n")
  end),

  scenario("all in one", function()
    local result = ok(neap.subprocess.run { "cat", input = ("x"):rep(100000) })
    assert(#result.stdout == 100000 and result.returncode == 0)
  end),

  scenario("ended by a signal", function()
    local process <close> = ok(neap.subprocess.exec { "sleep", "60", stdin = "null" })
    ok(process:send_signal "SIGTERM")
    assert(process:wait() == -15)
  end),

  scenario("two at once", function()
    local function run(text)
      return function() return ok(neap.subprocess.run { "echo", text }).stdout end
    end
    local results = neap.gather(run "one", run "two")
    assert(results[1] == "one\n" and results[2] == "two\n")
  end),
}
