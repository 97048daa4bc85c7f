-- A folder for a spec, with what it needs to run programs there.
local program = require "spec.support.program"

local folder = {}
folder.__index = folder

-- A new, empty one, as a <close> variable.
function folder.new()
  local pipe <close> = io.popen "mktemp -d"
  return setmetatable({ path = pipe:read "l" }, folder)
end

function folder:remove()
  os.execute(("rm -rf '%s'"):format(self.path))
end

folder.__close = folder.remove

function folder:file(name)
  return self.path .. "/" .. name
end

-- Writes a file, and the folders above it.
function folder:write(name, text)
  local above = name:match "^(.*)/"
  if above then os.execute(("mkdir -p '%s/%s'"):format(self.path, above)) end
  local output <close> = assert(io.open(self:file(name), "wb"))
  assert(output:write(text))
end

function folder:read(name)
  local input <close> = assert(io.open(self:file(name), "rb"))
  return input:read "a"
end

local neap = program.neap:find "^/" and program.neap or os.getenv "PWD" .. "/" .. program.neap

-- Runs a line of shell in it, which has the words as $1, $2 ..., and the command as $NEAP.
function folder:shell(line, ...)
  return program.run { "env", "NEAP=" .. neap, "sh", "-c", 'cd "$0" && ' .. line, self.path, ... }
end

return folder
