-- Runs contestants in turn and collects what they report.
local shell = require "shell"

local measure = {}

local time_limit_s = 300
local connections = 50
local echo_bytes = {64, 16384}
local starts_per_round = 20
local no_malloc_cache = "env GLIBC_TUNABLES=glibc.malloc.tcache_count=0 "
local stderr_file = "build/bench/stderr.txt"

-- The cores this process may use: 1-3,5 is {1, 2, 3, 5}.
local function allowed_cores()
  local cores = {}
  local file <close> = assert(io.open("/proc/self/status"))
  local list = file:read("a"):match("Cpus_allowed_list:%s*(%S+)")
  for first, last in list:gsub("%f[%d](%d+)%f[^%d-]", "%1-%1"):gmatch("(%d+)-(%d+)") do
    for core = tonumber(first), tonumber(last) do cores[#cores + 1] = core end
  end
  return cores
end

-- Prefixes that pin the program to one core and the load to another, where that is possible.
local function pins()
  local cores = allowed_cores()
  if #cores < 2 or not shell.ok("taskset --version") then
    return "", "", "not pinned to cores"
  end
  local load, program = cores[1], cores[#cores]
  return ("taskset -c %d "):format(program), ("taskset -c %d "):format(load),
    ("programs on core %d, load on core %d"):format(program, load)
end

-- `options.quick` is a rough answer soon. Returns how to measure, for `measure.row`.
function measure.plan(options)
  local plan = {
    rounds = options.quick and 3 or 5,
    peer_rounds = options.quick and 1 or 3,
    scale = options.quick and 0.1 or 1,
    echo_s = options.quick and 0.5 or 2,
  }
  plan.program, plan.load, plan.pinned = pins()
  plan.environment = ("env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 BENCH_SCALE=%g "):format(plan.scale)
    .. "LUA_PATH='bench/lib/?.lua;;' LUA_CPATH='build/bench/?.so;;' PYTHONPYCACHEPREFIX=build/bench/pycache "
  return plan
end

-- The command lines that make up `row` for a contestant.
local function command_lines(plan, row, contestant)
  local command, lines = contestant.command(row.name), {}
  local program = row.threads and "" or plan.program
  if not command then return lines end
  if row.name == "echo" or row.name == "tls_echo" then
    for _, bytes in ipairs(echo_bytes) do
      lines[#lines + 1] = ("%sbuild/bench/load_%s %d %d %g %s%s"):format(
        plan.load, row.name, bytes, connections, plan.echo_s, program, command)
    end
  elseif row.name == "start" then
    lines[1] = ("%sbuild/bench/load_start %d %s"):format(program, starts_per_round, command)
    local rest = contestant.command("rest")
    lines[2] = rest and program .. rest
  elseif row.no_malloc_cache then
    lines[1] = program .. no_malloc_cache .. command
  else
    lines[1] = program .. command
  end
  return lines
end

local function first_line_of_stderr()
  local file <close> = io.open(stderr_file)
  return file and file:read("l") or "no message"
end

-- Runs one command line and adds the figures that it prints to `samples`.
local function run(plan, line, samples)
  local pipe = assert(io.popen(("timeout --foreground -k 5 %d %s%s 2>%s"):format(
    time_limit_s, plan.environment, line, stderr_file)))
  for name, value in pipe:read("a"):gmatch("([%w_]+) (%-?[%d.]+)\n") do
    samples[name] = samples[name] or {}
    table.insert(samples[name], tonumber(value))
  end
  local ok, how, code = pipe:close()
  if not ok then return nil, ("%s (%s %d)"):format(first_line_of_stderr(), how, code) end
  return true
end

function measure.median(list)
  if not list or #list == 0 then return nil end
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  if #sorted % 2 == 1 then return sorted[middle + 1] end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

-- Runs the row with each contestant in turn, round after round. Returns the samples, by contestant
-- and figure; one whose program fails is left out from then on, and `failures` tells why.
function measure.row(plan, row, list, failures)
  local samples, lines, failed = {}, {}, {}
  for _, contestant in ipairs(list) do
    samples[contestant.name] = {}
    lines[contestant] = command_lines(plan, row, contestant)
  end
  for round = 1, plan.rounds do
    for _, contestant in ipairs(list) do
      if failed[contestant] or contestant.is_peer and round > plan.peer_rounds then goto continue end
      for _, line in ipairs(lines[contestant]) do
        local ok, why = run(plan, line, samples[contestant.name])
        if not ok then
          failed[contestant] = true
          failures[#failures + 1] = ("%s, %s: %s"):format(contestant.name, row.name, why)
          break
        end
      end
      ::continue::
    end
  end
  return samples
end

return measure
