-- The interactive mode on a terminal: keys are typed, and the screen is looked at.
local core = require "neap.core"
local neap = require "neap"
local process = require "spec.support.process"
local program = require "spec.support.program"
local pty = assert(package.loadlib(program.neap:gsub("[^/]*$", "module/neap_probe.so"), "luaopen_neap_pty"))()
local screen = require "spec.support.screen"

local terminal = {}
terminal.__index = terminal

-- A container may have none.
local multiplexer = io.open("/dev/ptmx", "r+")
terminal.is_possible = multiplexer ~= nil
if multiplexer then multiplexer:close() end

-- Starts neap with these arguments. Options: its history's file (by default none; true: where neap has it), settings
-- of its environment (`env`) and the terminal's size.
function terminal.start(options)
  options = options or {}
  local words = { "env", "-u", "NEAP_HISTORY", "TERM=xterm" }
  if options.history ~= true then words[#words + 1] = "NEAP_HISTORY=" .. (options.history or "") end
  for _, setting in ipairs(options.env or {}) do words[#words + 1] = setting end
  words[#words + 1] = program.neap
  for _, word in ipairs(options) do words[#words + 1] = word end
  local columns, rows = options.columns or 80, options.rows or 24
  local fd, pid = pty.start(words, columns, rows)
  return setmetatable({ fd = fd, pid = pid, screen = screen.new(columns, rows), output = "" }, terminal)
end

-- Reads what has come. false at the end.
function terminal:read()
  local bytes = pty.read(self.fd)
  if not bytes then return false end
  self.output = self.output .. bytes
  self.screen:write(bytes)
  return true
end

-- Reads until fn() is true, for at most ten seconds.
function terminal:read_until(fn)
  local limit <close> = neap.timeout(10)
  while not fn() do
    neap.sleep(0.001)
    if not self:read() then error("the program has ended; on the screen:\n" .. self.screen:text(), 2) end
  end
end

-- Reads until the screen ends with this text, apart from spaces at the ends of lines.
function terminal:expect(text)
  local ok, err = pcall(self.read_until, self, function() return self.screen:text():sub(-#text) == text end)
  if not ok then
    error(("expected:\n%s\n%s; on the screen:\n%s"):format(text, tostring(err), self.screen:text()), 2)
  end
end

function terminal:type(keys)
  while keys ~= "" do
    local count = pty.write(self.fd, keys)
    keys = keys:sub(count + 1)
    if keys ~= "" then
      self:read()
      neap.sleep(0)
    end
  end
end

-- Types a line and waits for what the screen shows then, above the next prompt.
function terminal:run(line, shows)
  self:type(line .. "\r")
  self:expect((("> %s\n%s>"):format(line, shows and shows .. "\n" or ""):gsub("^> \n", ">\n")))
end

function terminal:signal(name) assert(neap.signal.send(self.pid, name)) end

function terminal:is_cooked() return pty.is_cooked(self.fd) end

function terminal:resize(columns, rows)
  pty.resize(self.fd, columns, rows)
  self.screen.columns, self.screen.height = columns, rows
end

function terminal:has_ended()
  if self.pid and pty.wait(self.pid) then self.pid = nil end
  return self.pid == nil
end

function terminal:catches(number) return process.catches(number, self.pid) end

-- Waits for the program's end; returns its exit status.
function terminal:finish()
  local limit <close> = neap.timeout(10)
  local status
  while true do
    if not self:read() then break end
    if self.screen and not pcall(core.wait_readable, self.fd) then break end
  end
  repeat
    status = pty.wait(self.pid)
    neap.sleep(0)
  until status
  self.pid = nil
  return status
end

function terminal:hang_up()
  pty.close(self.fd)
  self.fd = nil
end

function terminal:__close()
  if self.fd then pty.close(self.fd) end
  if not self.pid then return end
  neap.signal.send(self.pid, "SIGKILL")
  while not pty.wait(self.pid) do neap.sleep(0) end
end

return terminal
