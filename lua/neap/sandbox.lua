--- What a restricted script sees. Runs once, before any script: takes from the globals all that is not named
--- here, and returns the globals of neap's own files, which no script can reach.
local tools <const>, options <const> = ...
local error <const>, loadfile <const> = error, loadfile
local ipairs <const>, pairs <const>, type <const> = ipairs, pairs, type

-- By library. What Lua, or neap, gets one day is not here, and so is not there.
local SEEN <const> = {
  _G = {
    "_G", "_VERSION", "assert", "collectgarbage", "error", "getmetatable", "ipairs", "load", "next", "pairs", "pcall",
    "print", "rawequal", "rawget", "rawlen", "rawset", "require", "select", "setmetatable", "tonumber", "tostring",
    "type", "xpcall", "coroutine", "math", "os", "string", "table", "utf8",
  },
  coroutine = { "close", "create", "isyieldable", "resume", "running", "status", "wrap", "yield" },
  math = {
    "abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor", "fmod", "huge", "log", "max", "maxinteger",
    "min", "mininteger", "modf", "pi", "rad", "random", "randomseed", "sin", "sqrt", "tan", "tointeger", "type", "ult",
  },
  os = { "clock", "date", "difftime", "time" },
  string = {
    "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize", "rep", "reverse",
    "sub", "unpack", "upper",
  },
  table = { "concat", "insert", "move", "pack", "remove", "sort", "unpack" },
  utf8 = { "char", "charpattern", "codepoint", "codes", "len", "offset" },
}

local NEAP <const> = {
  "Future", "await", "sleep", "create_task", "current_task", "all_tasks", "ensure_future", "isfuture",
  "get_running_loop", "get_event_loop", "new_event_loop", "set_event_loop", "run", "Runner",
  "timeout", "timeout_at", "shielded", "CancelScope", "TaskGroup",
  "gather", "wait", "as_completed", "wait_for", "shield", "move_on_after", "interval",
  "ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION",
  "Lock", "Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier", "Queue", "LifoQueue", "PriorityQueue",
  "ContextVar", "copy_context", "open_connection", "start_server", "open_datagram_socket", "getaddrinfo",
  "getnameinfo",
  "format_call_graph", "capture_call_graph", "task_table",
  "Error", "CancelledError", "TimeoutError", "InvalidStateError", "DeadlockError", "OSError", "IncompleteReadError",
  "LimitOverrunError", "QueueEmpty", "QueueFull", "QueueShutDown", "BrokenBarrierError", "LimitError",
  "is", "_VERSION",
}

local function copy(names, from)
  local to = {}
  for _, name in ipairs(names) do to[name] = from[name] end
  return to
end

--- Of libraries: what a script changes in its own does not change these.
local function copy_all(from)
  local to = {}
  for name, value in pairs(from) do to[name] = type(value) == "table" and copy_all(value) or value end
  return to
end

local function keep_only(names, library)
  local kept = copy(names, library)
  for name in pairs(library) do library[name] = kept[name] end
end

-- --- neap's own files ---

local package <const>, globals <const> = package, _G
local loaders <const> = {}
for name, loader in pairs(package.preload) do loaders[name] = loader end

local own <const> = {}
for name, value in pairs(globals) do
  if type(value) ~= "table" then
    own[name] = value
  elseif value ~= globals and value ~= package then
    own[name] = copy_all(value)
  end
end
own._G = own
own.package = { loaded = {}, preload = {} }
own.getmetatable = tools.metatable_of
own.require = function(name) return loaders[name](name, ":preload:") end

-- --- what scripts require ---

local modules <const> = {}
for _, name in ipairs(options.modules) do modules[name] = true end

local seen_package <const> = { path = options.path, config = package.config, loaded = package.loaded, preload = {} }
local searchpath <const> = package.searchpath

local function search_preload(name)
  local loader = seen_package.preload[name]
  if loader == nil then return "no field package.preload['" .. name .. "']" end
  return loader, ":preload:"
end

local function load_neap()
  return copy(NEAP, own.require "neap")
end

--- The text of a file, never bytecode.
local function search_file(name)
  if not modules[name] then return "the module is not among those that the host lets scripts load" end
  local path, message = searchpath(name, options.path)
  if not path then return message end
  local loader, failure = loadfile(path, "t")
  if not loader then error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. failure, 0) end
  return loader, path
end

local function search(name)
  if name == "neap" then return load_neap, ":neap:" end
  return search_file(name)
end

package.searchers = { search_preload, search }
for name in pairs(package.preload) do package.preload[name] = nil end
package.path, package.cpath = options.path, ""

-- --- the globals ---

for library, names in pairs(SEEN) do
  if library ~= "_G" then keep_only(names, globals[library]) end
end
keep_only(SEEN._G, globals)
globals._G = globals
globals.package = seen_package
tools.set_loaded("package", seen_package)

return own
