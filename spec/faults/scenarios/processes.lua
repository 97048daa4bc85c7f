-- Child processes.
local core = require "neap.core"
local neap = require "neap"
local scenario = require "spec.faults.scenario"
local subprocess = require "neap.subprocess"

local start <const>, raises <const>, done <const> = scenario.start, scenario.raises, scenario.done

-- One that nobody holds, or whose end there was no memory to wait for, has been asked to end, or will be.
local function wait_for_children()
  while core.census().children > 0 do
    collectgarbage()
    os.execute "sleep 0.01"
    neap.sleep(0.001)
  end
end

local function all(scenarios)
  for _, one in ipairs(scenarios) do one.after = wait_for_children end
  return scenarios
end

return all {
  { name = "processes: pipes both ways", run = function()
    local process <close> = done(subprocess.exec { "cat", stdin = "pipe", stdout = "pipe", stderr = "stdout" })
    done(process.stdin:write "hello\n")
    process.stdin:close()
    assert(done(process.stdout:read "a") == "hello\n")
    assert(process:wait() == 0)
    assert(tostring(process):find "exit status 0")
  end },

  { name = "processes: options", run = function()
    local process <close> = done(subprocess.shell {
      "echo $A$1", "b", stdin = "null", stdout = "pipe", env = { A = "a", HOME = false }, cwd = "/",
      grace = 1, group = true,
    })
    assert(done(process.stdout:read "l") == "ab")
    process:wait()
  end },

  { name = "processes: communicate", run = function()
    local process <close> = done(subprocess.exec { "cat", stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    local stdout, err = process:communicate "hello"
    if stdout == nil then scenario.note(err) end
    assert(stdout == "hello")
  end },

  { name = "processes: run", run = function()
    local result = done(subprocess.run { "cat; echo err >&2", shell = true, input = "hello" })
    assert(result.stdout == "hello" and result.stderr == "err\n")
  end },

  { name = "processes: run that fails", run = function()
    local result, err = subprocess.run { "exit 3", shell = true, check = true }
    scenario.note(err)
    assert(not result and err.returncode == 3)
  end },

  { name = "processes: run with a time limit", run = function()
    local err = raises(neap.TimeoutError, subprocess.run, { "sleep", 100, timeout = 0.01 })
    assert(scenario.told or err.returncode == -15)
  end },

  { name = "processes: a missing program", run = function()
    local process, err, code = subprocess.exec { "/no/such/program", stdin = "pipe", cwd = "/no/such/folder" }
    scenario.note(err)
    assert(not process and code == "ENOENT")
  end },

  { name = "processes: waiters, signals, the end of a block", run = function()
    local process <close> = done(subprocess.exec { "sleep", 100, stdout = "pipe" })
    local waiting = start(process.wait, process)
    local cancelled = start(process.wait, process)
    cancelled:cancel()
    raises(neap.CancelledError, cancelled.await, cancelled)
    process:send_signal "SIGTERM"
    assert(waiting:await() == -15)
    assert(select(3, process:kill()) == "ESRCH")
  end },

  { name = "processes: nobody holds them", run = function()
    done(subprocess.exec { "sleep", 100, stdin = "pipe" })
    collectgarbage()
    collectgarbage()
    neap.sleep(0)
  end },
}
