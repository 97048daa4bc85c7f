-- Descriptors for specs: a FIFO that is open for both directions, and its number.
local core = require "neap.core"

local descriptor = {}

local function pid()
  local stat <close> = assert(io.open "/proc/self/stat")
  return stat:read "n"
end

-- The highest descriptor that is open on the file.
local function number_of(path)
  local list <close> = assert(io.popen(("ls -l /proc/%d/fd 2>/dev/null"):format(pid()))) -- others come and go
  local found
  for line in list:lines() do
    local number, target = line:match " (%d+) %-> (.*)$"
    if target == path then found = math.max(found or 0, tonumber(number)) end
  end
  return assert(found, "there is no /proc")
end

-- The file at that path, opened, unbuffered, and its descriptor.
function descriptor.open(path, mode)
  local file = assert(io.open(path, mode))
  file:setvbuf "no"
  return file, number_of(path)
end

-- A FIFO as a <close> value: what is written to `file` is read from it. `fd` is its descriptor.
function descriptor.fifo()
  local path = os.tmpname()
  assert(os.remove(path))
  assert(os.execute("mkfifo " .. path))
  local file, fd = descriptor.open(path, "r+")
  return setmetatable({ path = path, file = file, fd = fd }, { __close = function()
    if io.type(file) == "file" then file:close() end
    os.remove(path)
  end })
end

local function is_ready(fifo, direction) return core.select_descriptors({ fifo.fd, direction }, 0) ~= nil end

-- Writes to the FIFO until it takes no more; reads from it until nothing is there.
function descriptor.fill(fifo)
  while is_ready(fifo, "w") do fifo.file:write(("x"):rep(4096)) end
end

function descriptor.empty(fifo)
  while is_ready(fifo, "r") do fifo.file:read(4096) end
end

return descriptor
