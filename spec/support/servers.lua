-- Real servers as child processes on 127.0.0.1, each with its files in a folder of its own:
--   local server <close> = servers.start("redis", { args = { "--requirepass", "secret" } })
-- What is told of each is in its file in servers/. Where a spec fails, or its process dies, the server ends with it.
local needs = require "spec.support.needs"
local program = require "spec.support.program"

local servers = {}

local server = {}
server.__index = server

function server:file(name)
  return self.dir .. "/" .. name
end

function server:write(name, text)
  local file <close> = assert(io.open(self:file(name), "w"))
  assert(file:write(text))
end

-- The text of one of its files, empty if it is not there yet.
function server:read(name)
  local file <close> = io.open(self:file(name))
  return file and file:read "a" or ""
end

-- What it has printed.
function server:log()
  return self:read "log"
end

-- Ends the server, waits for that, and removes its folder.
function server:stop()
  if not self.keeper then return end
  self.keeper:write "stop\n"
  self.keeper:close()
  self.keeper = nil
end

server.__close = server.stop

local function kind_of(name)
  return require("spec.support.servers." .. name)
end

-- In a describe: whether a server is not installed, which is said in place of the specs that follow.
function servers.lack(...)
  local packages = {}
  for i, name in ipairs { ... } do packages[i] = kind_of(name).package end
  return needs.lacks(table.unpack(packages))
end

local function quote(words)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = "'" .. word:gsub("'", [['\'']]) .. "'" end
  return table.concat(quoted, " ")
end

local function new(kind, options, port)
  local folder <close> = io.popen "mktemp -d /tmp/neap-XXXXXX"
  local self = setmetatable({ dir = folder:read "l", port = port }, server)
  for name, method in pairs(kind.methods or {}) do self[name] = method end
  local words = quote { self.dir, kind.signal, table.unpack(kind.prepare(self, options)) }
  self.keeper = assert(io.popen(needs.PATH .. "exec sh spec/support/servers/keep.sh " .. words, "w"))
  return self
end

local function is_refused(self)
  return self:log():lower():find("address already in use", 1, true)
end

-- True when it answers, false if it never will.
local function wait(self, kind)
  local failed
  program.wait_until(function()
    failed = is_refused(self) or self:read "ended" ~= ""
    return failed or kind.is_ready(self)
  end)
  return not failed
end

-- On a port that may be in use: nil then. Raises for other failures.
local function try(kind, options, port)
  local self = new(kind, options, port)
  local waited, ready = pcall(wait, self, kind)
  if waited and ready then return self end
  local log, refused = self:log(), is_refused(self)
  self:stop()
  if not waited or options.port or not refused then
    error(("%s did not start: %s\n%s"):format(kind.package, waited and "it ended" or ready, log))
  end
end

-- Below those that the system gives away.
function servers.any_port()
  return math.random(20000, 32000)
end

-- Starts a server and returns when it answers. It has `port`, `dir` (its folder, where `log` is what it prints) and
-- what its kind gives it. With options.port it listens there.
function servers.start(name, options)
  local kind = kind_of(name)
  options = options or {}
  for _ = 1, 5 do
    local self = try(kind, options, options.port or servers.any_port())
    if self then return self end
  end
  error(name .. " found no free port")
end

return servers
