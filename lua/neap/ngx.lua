--- As much of OpenResty's `ngx` as drivers of databases and the like use: `ngx = require "neap.ngx"`, before the first
--- of them is required. What modules of LuaJIT they expect beside it is found by `require` from then on.
local core = require "neap.core"
local cosocket = require "neap.cosocket"

local M = {
  OK = 0, ERROR = -1, AGAIN = -2, DONE = -4, DECLINED = -5,
  STDERR = 0, EMERG = 1, ALERT = 2, CRIT = 3, ERR = 4, WARN = 5, NOTICE = 6, INFO = 7, DEBUG = 8,
  null = core.null,
  config = { debug = false, subsystem = "http", ngx_lua_version = 10025, nginx_version = 1025003 },
  socket = { tcp = cosocket.tcp, stream = cosocket.tcp, connect = cosocket.connect },
  ctx = {},
}

-- --- time ---

function M.sleep(seconds)
  core.sleep(seconds)
end

--- Seconds, to the millisecond.
function M.now()
  return core.time_of_day() * 1000 // 1 / 1000
end

function M.time()
  return math.floor(core.time_of_day())
end

function M.update_time() end

-- --- output ---

local LEVELS <const> = {
  [0] = "stderr", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
}

local function text_of(value, into)
  if type(value) ~= "table" then
    into[#into + 1] = value == M.null and "null" or tostring(value)
    return
  end
  for _, item in ipairs(value) do text_of(item, into) end
end

local function joined(...)
  local into = {}
  for i = 1, select("#", ...) do text_of((select(i, ...)), into) end
  return table.concat(into)
end

--- What is more important than `notice` goes to stderr.
function M.log(level, ...)
  if level > M.NOTICE then return end
  io.stderr:write("[", LEVELS[level] or "?", "] ", joined(...), "\n")
end

function M.print(...)
  io.write(joined(...))
  return 1
end

function M.say(...)
  io.write(joined(...), "\n")
  return 1
end

function M.flush()
  io.flush()
  return 1
end

-- --- what libraries look at ---

function M.get_phase()
  return "timer"
end

M.worker = {
  exiting = function() return false end,
  id = function() return 0 end,
  count = function() return 1 end,
}

-- --- tasks ---

M.thread = {}

function M.thread.spawn(fn, ...)
  return core.create_task(fn, ...)
end

--- true and the values, or false and the error, of the first that ends.
function M.thread.wait(...)
  local neap = require "neap"
  local done = neap.wait { return_when = neap.FIRST_COMPLETED, ... }
  return pcall(done[1].await, done[1])
end

function M.thread.kill(task)
  if task:done() then return nil, "already waited or killed" end
  task:cancel()
  return 1
end

M.timer = {}

--- Calls fn(false, ...) after so many seconds, in a task of its own.
function M.timer.at(seconds, fn, ...)
  core.create_task(function(...)
    core.sleep(seconds)
    fn(false, ...)
  end, ...)
  return 1
end

-- --- LuaJIT's modules, unless there are others ---

local function offer(name, loader)
  local package <const> = package
  if package.loaded[name] or package.preload[name] then return end
  if package.searchpath(name, package.path) or package.searchpath(name, package.cpath) then return end
  package.preload[name] = loader
end

offer("bit", function() return require "neap.bit" end)

offer("table.new", function()
  return function() return {} end
end)

offer("table.clear", function()
  return function(t)
    for key in pairs(t) do t[key] = nil end
  end
end)

rawset(_G, "unpack", rawget(_G, "unpack") or table.unpack)

return M
