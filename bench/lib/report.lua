-- The tables that bench/run prints.
local goals = require "goals"
local measure = require "measure"

local report = {}

local main_format = "%-9s %-28s %9s %9s %6s %11s   %-18s %s"

-- Three digits that count, thousands set apart: 1.23, 12.3, 123, 12,345.
local function number(value)
  if not value then return "-" end
  local size = math.abs(value)
  if size < 10 then return ("%.2f"):format(value) end
  if size < 100 then return ("%.1f"):format(value) end
  local digits = ("%.0f"):format(value):reverse():gsub("%d%d%d", "%0,"):reverse()
  return (digits:gsub("^(%-?),", "%1"))
end

-- The least and the greatest ratio of a round.
local function spread(ours, theirs)
  local low, high = math.huge, -math.huge
  for i = 1, math.min(#ours, #theirs) do
    local ratio = ours[i] / theirs[i]
    low, high = math.min(low, ratio), math.max(high, ratio)
  end
  return ("%.2f..%.2f"):format(low, high)
end

local function write_line(line)
  io.write((line:gsub("%s+$", "")), "\n")
end

function report.header()
  write_line(main_format:format("row", "figure, unit", "floor", "neap", "ratio", "by round", "goal", ""))
end

-- The lines of one row: neap beside the floor.
function report.row(row, samples)
  local label = row.name
  for _, figure in ipairs(row) do
    local ours = (samples.neap or {})[figure.key]
    local theirs = figure.floor and (samples.neap or {})[figure.floor] or samples.floor[figure.key]
    local neap, floor = measure.median(ours), measure.median(theirs)
    local both = neap and floor and floor > 0
    write_line(main_format:format(label, figure.what, number(floor), number(neap),
      both and ("%.2f"):format(neap / floor) or "-", both and spread(ours, theirs) or "-",
      goals.text(figure), goals.verdict(figure.goal, neap, floor)))
    label = ""
  end
  io.stdout:flush()
end

local function peer_cell(figure, neap, theirs)
  if not theirs then return "-" end
  if not neap or neap <= 0 then return number(theirs) end
  return ("%s (%.1f)"):format(number(theirs), goals.times_better(figure, neap, theirs))
end

local function medians(samples, figure)
  local results = {}
  for name, figures in pairs(samples) do
    results[name] = measure.median(figures[figure.key])
  end
  return results
end

-- The second table: neap beside its peers. In brackets, how many times better neap is.
function report.peers(rows, all_samples, peers)
  io.write("\nPeers; in brackets, how many times as good as theirs neap's figure is.\n\n")
  local line = {("%-9s %-28s %9s"):format("row", "figure, unit", "neap")}
  for _, peer in ipairs(peers) do line[#line + 1] = ("%16s"):format(peer.name) end
  write_line(table.concat(line) .. "   goals missed")
  for _, row in ipairs(rows) do
    local samples, label = all_samples[row.name], row.name
    for _, figure in ipairs(row) do
      local results = medians(samples, figure)
      local neap, cells = results.neap, {}
      results.neap, results.floor = nil, nil
      for i, peer in ipairs(peers) do
        cells[i] = ("%16s"):format(peer_cell(figure, neap, results[peer.name]))
      end
      if next(results) then
        local missed = neap and goals.missed_peers(figure, neap, results) or {}
        write_line(("%-9s %-28s %9s%s   %s"):format(label, figure.what, number(neap),
          table.concat(cells), table.concat(missed, ", ")))
        label = ""
      end
    end
  end
end

return report
