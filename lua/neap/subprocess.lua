--- Child processes. Processes are written in C (src/io/process.c); what is as good in Lua is here.
local core = require "neap.core"

local subprocess = {}

---@class neap.Process
local Process = core.Process

function subprocess.exec(options)
  return core.spawn("exec", options, "inherit", "inherit", "inherit")
end

function subprocess.shell(options)
  return core.spawn("shell", options, "inherit", "inherit", "inherit")
end

return subprocess
