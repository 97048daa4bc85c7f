-- A scenario while one call of the C library fails, and what is said of that: a cell is a scenario, a function, an
-- error and a number k, the call that fails. A scenario has
--   name, run    a function, in which ok() and noted() see what is returned
--   before, after   what is done around it while nothing fails
--   real         it waits for threads, so that time is not virtual
--   nameless     its operations have no target that a message could name
--   instead      a set of codes that may be told in place of that of the call
--   raises       patterns of errors that it raises when it is told by them
--   pipes        reading and writing pipes fails, too: it has some, and libuv's own are not in use
--   skip         a set of functions that do not fail here
--   children     for a function that children call, how often the first of them does
--   most         for a function, how many of its calls fail in turn, if not all three
local neap = require "neap"
local testing = require "neap.testing"

local path = assert(os.getenv "NEAP_CPATH", "NEAP_CPATH is not set"):gsub("?", "neap_sysfaults")
local sysfaults = assert(package.loadlib(path, "luaopen_neap_sysfaults"))()

local cell = { sysfaults = sysfaults }

-- A path where nothing is, new for each cell, in a folder that somebody else removes.
local folder <const>, made = os.getenv "FAULTS_DIR" or "/tmp", 0
local fresh

function cell.path()
  return fresh
end

local LIMIT_S <const> = 60      -- for a scenario, on the virtual clock
local REAL_LIMIT_S <const> = 5  -- for one in real time
local SETTLE_S <const> = 1

local told = {} -- the errors that the scenario was told of

-- Whatever may be nil, err, code: notes that.
function cell.noted(value, err, ...)
  if value == nil and err ~= nil then told[#told + 1] = err end
  return value, err, ...
end

-- The same, and raises the error.
function cell.ok(...)
  local value, err = cell.noted(...)
  if value == nil and err ~= nil then error(err, 0) end
  return ...
end

local function on_exception(_, context)
  if context.exception ~= nil then told[#told + 1] = context.exception end
end

-- --- the judgement ---

local function has_code(err, code)
  return type(err) == "table" and err.code == code
end

-- "operation target: what", or "operation: what" for an operation on nothing that has a name.
local function names_all(err, scenario)
  local text = tostring(err)
  return text:find "^[%w_.:]+ [^\n]+: %S" or scenario.nameless and text:find "^[%w_.]+: %S"
end

local function is_hang(err)
  return neap.is(err, neap.TimeoutError) or neap.is(err, neap.DeadlockError)
end

local function raises(scenario, err)
  for _, pattern in ipairs(scenario.raises or {}) do
    if tostring(err):find(pattern) then return true end
  end
end

-- Among the errors told one must be that of the call; a scenario that was told may fail in any way that ends. One
-- that was not told has worked.
local function judge(scenario, code, ran, err)
  if is_hang(err) then return "it hung" end
  local first
  if not ran then told[#told + 1] = neap.is(err, neap.OSError) and err or nil end
  for _, one in ipairs(told) do
    if has_code(one, code) or scenario.instead and scenario.instead[one.code] then first = first or one end
  end
  if first then
    return not names_all(first, scenario) and "the error does not name operation and target: " .. tostring(first) or nil
  elseif raises(scenario, err) then
    return nil
  elseif told[1] then
    return "it was told of another error: " .. tostring(told[1])
  elseif not ran then
    return "it went wrong, and was told of nothing: " .. tostring(err)
  end
end

local function find_leak(before)
  local give_up, left = os.time() + SETTLE_S + 1, testing.difference(before, testing.census())
  while left and os.time() < give_up do
    neap.sleep(0.001)
    collectgarbage "step"
    left = testing.difference(before, testing.census())
  end
  return left
end

local function run(scenario)
  local clock <close> = not scenario.real and testing.virtual_clock() or nil
  local limit <close> = neap.timeout(scenario.real and REAL_LIMIT_S or LIMIT_S)
  scenario.run()
end

local function attempt(scenario, ...)
  told, made = {}, made + 1
  fresh = ("%s/%d.%d"):format(folder, sysfaults.pid(), made)
  local before = testing.census()
  if scenario.before then scenario.before() end
  sysfaults.arm(scenario.pipes, ...)
  local ran, err = pcall(run, scenario)
  local fired = sysfaults.disarm()
  if scenario.after then scenario.after() end
  local left = find_leak(before)
  return ran, err, fired, left
end

-- How often each function is called when none fails. Raises if the scenario does not work then.
function cell.count(scenario)
  for _ = 1, 2 do -- what is made once, for all, is made in the first
    local ran, err, _, left = attempt(scenario)
    if not ran then error(err, 0) end
    if told[1] then error("told without a fault: " .. tostring(told[1]), 0) end
    if left then error("left behind: " .. left, 0) end
  end
  return sysfaults.counts()
end

-- Plays a cell. Returns "told", "handled" (nobody saw anything) or "absent" (the call did not come), or nil and what
-- is bad.
function cell.play(scenario, name, code, k)
  local loop = neap.get_running_loop()
  loop:set_exception_handler(on_exception)
  local ran, err, fired, left = attempt(scenario, name, code, k)
  loop:set_exception_handler(nil)
  local bad = judge(scenario, code, ran, err)
  if left then return nil, "it left behind: " .. left end
  if bad then return nil, bad end
  return told[1] and "told" or fired and "handled" or "absent"
end

return cell
