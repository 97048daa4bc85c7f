-- Runs programs as child processes and tells what they printed and how they ended.
local assert = require "luassert"
local system = require "system"

local program = {}
program.__index = program

program.neap = os.getenv "NEAP_BIN" or "build/release/neap"

local function quote(words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = "'" .. word:gsub("'", [['\'']]) .. "'"
  end
  return table.concat(quoted, " ")
end

local function take(path)
  local file = io.open(path)
  if not file then return "" end
  local text = file:read "a"
  file:close()
  os.remove(path)
  return text
end

-- Starts a program, given as a list of words, and returns at once. After 20 seconds it is killed with all its children.
function program.start(words)
  local base = os.tmpname()
  local line = ([[exec timeout -s KILL 20 sh -c 'echo $$ >%s.pid; exec "$@"' sh %s </dev/null 2>%s.err]])
    :format(base, quote(words), base)
  return setmetatable({ base = base, began = system.monotime(), pipe = assert(io.popen(line)) }, program)
end

-- Sends a signal, once the program is known to run.
function program:signal(name)
  local file = assert(io.open(self.base .. ".pid"))
  os.execute(("kill -%s %d"):format(name, file:read "n"))
  file:close()
end

-- Waits for the program's end; returns its stdout, stderr, exit status and the seconds it took.
function program:finish()
  local stdout = self.pipe:read "a"
  local _, how, status = self.pipe:close()
  if how == "signal" then status = 128 + status end
  local seconds = system.monotime() - self.began
  local stderr = take(self.base .. ".err")
  os.remove(self.base .. ".pid")
  os.remove(self.base)
  return { stdout = stdout, stderr = stderr, status = status, seconds = seconds }
end

function program.run(words)
  return program.start(words):finish()
end

-- Runs Lua code on the virtual clock.
function program.code(text)
  return program.run { program.neap, "--clock=virtual", "-e", text }
end

program.has_stock_lua = os.getenv "NEAP_PRESET" ~= "asan" -- whose runtime lua5.4 does not have

-- Runs Lua code under lua5.4, with the module.
function program.stock_lua(code)
  local module = program.neap:gsub("[^/]*$", "module/?.so")
  return program.run { "env", "LUA_CPATH=" .. module .. ";;", "lua5.4", "-e", code }
end

-- The program printed just that, and ended well.
function program.assert_printed(expected, result)
  assert.equal("", result.stderr)
  assert.equal(expected, result.stdout)
  assert.equal(0, result.status)
end

-- Waits until fn() is true, for at most ten seconds.
function program.wait_until(fn)
  local give_up = system.monotime() + 10
  while not fn() do
    assert(system.monotime() < give_up, "nothing happened for ten seconds")
    system.sleep(0.02)
  end
end

return program
