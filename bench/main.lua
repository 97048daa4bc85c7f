-- Builds the floors and runs them and neap side by side; bench/run starts it in the checkout.
local usage = [[
usage: bench/run [--quick] [--peers] [row ...]

  --quick   a tenth of the work: a rough answer in well under a minute
  --peers   also asyncio, uvloop, Node, Go, luv and cqueues, those that are here
  row       only these rows, of: switch spawn sleepers timers cancel queue locks memory
            echo tls_echo start host post channel cores file processes size

NEAP_BIN is the neap to measure (build/release/neap).
]]

package.path = "bench/lib/?.lua;" .. package.path

local contestants = require "contestants"
local measure = require "measure"
local report = require "report"
local rows = require "rows"
local shell = require "shell"

local function fail(message)
  io.stderr:write("bench: ", message, "\n")
  os.exit(2)
end

local function row_named(name)
  for _, row in ipairs(rows) do
    if row.name == name then return row end
  end
  fail(("no row %q; see bench/run --help"):format(name))
end

local function parse(arguments)
  local options = {rows = {}}
  for _, argument in ipairs(arguments) do
    if argument == "--help" or argument == "-h" then
      io.write(usage)
      os.exit(0)
    elseif argument == "--quick" or argument == "--peers" then
      options[argument:sub(3)] = true
    elseif argument:sub(1, 1) == "-" then
      fail(("unknown option %s; see bench/run --help"):format(argument))
    else
      table.insert(options.rows, row_named(argument))
    end
  end
  if #options.rows == 0 then options.rows = rows end
  return options
end

local function print_machine(plan)
  local function line(command) return shell.output(command) or "unknown" end
  local load = line("cut -d' ' -f1 /proc/loadavg")
  print(("%s; %s cores; libuv %s; %s"):format(line("lua5.4 -v"):match("^Lua %S+"), line("nproc"),
    line("pkg-config --modversion libuv"), line("grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-"):match("%S.*")))
  print(("medians of %d rounds, in turn; %s; load average at the start %s\n"):format(
    plan.rounds, plan.pinned, load))
end

-- Who runs, in turn; the peers apart; what is not here.
local function gather(options)
  local list, peers, notes = {contestants.floor()}, {}, {}
  local neap, why = contestants.neap()
  if neap then list[2] = neap else notes[1] = "neap is left out: " .. why end
  if options.peers then
    local missing
    peers, missing = contestants.peers()
    for _, peer in ipairs(peers) do
      peer.is_peer = true
      list[#list + 1] = peer
    end
    if #missing > 0 then notes[#notes + 1] = "peers that are not here: " .. table.concat(missing, ", ") end
  end
  return list, peers, notes, neap ~= nil
end

local options = parse(arg)
assert(os.execute("mkdir -p build/bench"))
contestants.build()
local plan = measure.plan(options)
local list, peers, notes, have_neap = gather(options)
local samples, failures = {}, {}

print_machine(plan)
report.header()
for _, row in ipairs(options.rows) do
  samples[row.name] = measure.row(plan, row, list, failures)
  report.row(row, samples[row.name])
end
if #peers > 0 then report.peers(options.rows, samples, peers) end
if #notes + #failures > 0 then print() end
for _, note in ipairs(notes) do print(note) end
for _, failure in ipairs(failures) do print("failed: " .. failure) end
os.exit(have_neap and #failures == 0)
