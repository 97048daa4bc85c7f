-- What the Lua programs of bench/ measure themselves with: the twin of meter.h.
local meter = {}

local scale = tonumber(os.getenv("BENCH_SCALE")) or 1

-- `n`, or less of it in a quick run.
function meter.count(n)
  return math.max(1, math.floor(n * scale))
end

-- Processor time of this process, user and system.
meter.cpu_s = os.clock

local function proc_bytes(file, key)
  for line in io.lines("/proc/self/" .. file) do
    local kilobytes = line:match("^" .. key .. ":%s*(%d+) kB")
    if kilobytes then return kilobytes * 1024 end
  end
  error("no " .. key .. " in /proc/self/" .. file)
end

function meter.rss_bytes() return proc_bytes("status", "VmRSS") end
function meter.peak_rss_bytes() return proc_bytes("status", "VmHWM") end
function meter.private_bytes() return proc_bytes("smaps_rollup", "Private_Dirty") end

function meter.lua_bytes() return collectgarbage("count") * 1024 end

function meter.malloc_bytes() return require("malloc_bytes")() end

function meter.report(name, value)
  print(("%s %.3f"):format(name, value))
end

return meter
