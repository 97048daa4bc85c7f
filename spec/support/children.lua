-- What specs of child processes need.
local neap = require "neap"

local children = {}

-- Whether a process with that number is there, and is no zombie.
function children.is_alive(pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  local state = file and file:read "a":match "%) (%u)"
  return state ~= nil and state ~= "Z"
end

-- Waits until it is gone.
function children.gone(pid)
  local limit <close> = neap.timeout(10)
  while children.is_alive(pid) do neap.sleep(0.005) end
  return true
end

-- Waits until nobody of that session is left, zombies that await their new parent aside.
function children.session_gone(pid)
  local limit <close> = neap.timeout(10)
  while os.execute(("pgrep -r R,S,D,T -s %d >/dev/null"):format(pid)) do neap.sleep(0.005) end
  return true
end

-- A name for a file that is not there.
function children.path()
  local path = os.tmpname()
  os.remove(path)
  return path
end

function children.read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

function children.has_written(path)
  local file <close> = io.open(path)
  return file and file:seek "end" > 0
end

function children.write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

return children
