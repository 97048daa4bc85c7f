-- Calls of child processes that wait, for spec.support.cancel_matrix. All is played in real time.
local assert = require "luassert"
local core = require "neap.core"
local neap = require "neap"
local stream = require "spec.support.stream"
local subprocess = require "neap.subprocess"

local scenarios = {}

local TURNS <const> = 4

-- Those of a task that was killed end by themselves.
local function wait_for_children()
  stream.settle(function() return core.census().children == 0 end)
end

local function cat()
  return assert(subprocess.exec { "cat", stdin = "pipe", stdout = "pipe" })
end

local function soon(fn, ...)
  return neap.create_task(function(...)
    for _ = 1, TURNS do neap.sleep(0) end
    fn(...)
  end, ...)
end

scenarios["Process:wait"] = {
  real = true,
  make = function()
    local process = cat()
    local ender = soon(process.stdin.close, process.stdin)
    return {
      wait = function() assert.equal(0, process:wait()) end,
      intact = function()
        ender:await()
        assert.equal(0, process:wait())
      end,
      close = function() process:close() end,
    }
  end,
}

-- Answers; then its output ends; then it ends itself: each of these is waited for once.
local SLOW_ECHO <const> = "cat; sleep 0.03; exec >&-; sleep 0.03"

scenarios["Process:communicate"] = {
  real = true,
  cancels = true,
  make = function()
    local processes = {}
    return {
      wait = function()
        processes[#processes + 1] = assert(subprocess.shell { SLOW_ECHO, stdin = "pipe", stdout = "pipe" })
        assert.equal("abc", processes[#processes]:communicate "abc")
      end,
      close = function()
        for _, process in ipairs(processes) do process:close() end
        wait_for_children()
      end,
    }
  end,
}

scenarios["Process:close"] = {
  of = { "Process:close", "Process:__close", "subprocess.exec" },
  real = true,
  shielded = true,
  make = function()
    return {
      wait = function()
        local closing <close> = cat()
      end,
      close = wait_for_children,
    }
  end,
}

scenarios["subprocess.shell"] = {
  real = true,
  at_once = true,
  make = function()
    local processes = {}
    return {
      wait = function() processes[#processes + 1] = assert(subprocess.shell { "exit 3" }) end,
      close = function()
        for _, process in ipairs(processes) do process:wait() end
      end,
    }
  end,
}

scenarios["subprocess.run"] = {
  real = true,
  shielded = true,
  cancels = true,
  make = function()
    return {
      wait = function()
        local result = assert(subprocess.run { SLOW_ECHO, shell = true, input = "abc", stderr = "null" })
        assert.equal("abc", result.stdout)
      end,
      close = wait_for_children,
    }
  end,
}

return scenarios
