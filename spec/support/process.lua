-- What the system tells of processes.
local process = {}

local function read_number(path)
  local file <close> = io.open(path)
  return file and file:read "n"
end

process.pid = read_number "/proc/self/stat"

-- Whether it, by default this process, has a handler for that signal just now.
function process.catches(number, pid)
  local file <close> = io.open(("/proc/%d/status"):format(pid or process.pid))
  local mask = file and file:read("a"):match "SigCgt:%s*(%x+)"
  return mask ~= nil and tonumber(mask, 16) >> (number - 1) & 1 == 1
end

-- The same for one that spec.support.program has started.
function process.program_catches(program, number)
  local pid = read_number(program.base .. ".pid")
  return pid ~= nil and process.catches(number, pid)
end

return process
