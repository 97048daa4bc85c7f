-- A file of 1 GiB is read, and copied, 64 KiB at a time.
local neap = require "neap"
local meter = require "meter"

local fs = neap.fs

local function read(path)
  local from <close> = assert(fs.open(path))
  local total = 0
  while true do
    local chunk = from:read_some()
    if not chunk then return total end
    total = total + #chunk
  end
end

local function copy(path, target)
  local from <close> = assert(fs.open(path))
  local to <close> = assert(fs.open(target, "w"))
  local total = 0
  while true do
    local chunk = from:read_some()
    if not chunk then return total end
    assert(to:write(chunk))
    total = total + #chunk
  end
end

local function run(what, fn, ...)
  local begin, cpu = neap.get_running_loop():time(), meter.cpu_s()
  local megabytes = fn(...) / (1 << 20)
  meter.report("file_" .. what .. "_mb_per_s", megabytes / (neap.get_running_loop():time() - begin))
  meter.report("file_" .. what .. "_cpu_us", (meter.cpu_s() - cpu) / megabytes * 1e6)
end

local path = assert(os.tmpname())
local target = path .. ".copy"
local file = assert(fs.open(path, "w"))
assert(file:truncate(meter.count(1024) << 20))
file:close()
file:wait_closed()
run("read", read, path)
run("read", read, path)
run("copy", copy, path, target)
os.remove(path)
os.remove(target)
if os.getenv "BENCH_MEMORY" then print("peak", meter.peak_rss_bytes() // 1024) end
