-- Goals: how they read, and whether figures meet them.
local goals = {}

-- Each kind of goal: its text, and its test of neap's figure `n` against the floor's `f`.
local kinds = {
  at_most = {
    text = function(goal) return ("at most %g times"):format(goal.at_most) end,
    met = function(goal, n, f) return n <= goal.at_most * f end,
  },
  at_least = {
    text = function(goal) return ("at least %g times"):format(goal.at_least) end,
    met = function(goal, n, f) return n >= goal.at_least * f end,
  },
  below = {
    text = function(goal) return goal.below == 1 and "below the floor" or ("below %g times"):format(goal.below) end,
    met = function(goal, n, f) return n < goal.below * f end,
  },
  over_floor = {
    text = function(goal) return ("at most %g %s more"):format(goal.over_floor, goal.unit) end,
    met = function(goal, n, f) return n - f <= goal.over_floor end,
  },
  under = {
    text = function(goal) return ("under %g"):format(goal.under) end,
    met = function(goal, n) return n < goal.under end,
    alone = true, -- needs no floor
  },
  over = {
    text = function(goal) return ("at least %g"):format(goal.over) end,
    met = function(goal, n) return n >= goal.over end,
    alone = true,
  },
}

local function kind_of(goal)
  for name, kind in pairs(kinds) do
    if goal[name] then return kind end
  end
  error("a goal of no known kind")
end

-- What is wanted of `figure`, in words.
function goals.text(figure)
  if figure.goal then return kind_of(figure.goal).text(figure.goal) end
  local name, times = next(figure.times or {})
  if name then return ("at most %g x %s"):format(times, name) end
  return figure.ahead_of == "every" and "ahead of all peers" or ""
end

-- "met", "missed", or "" where a figure is not there.
function goals.verdict(goal, neap, floor)
  if not goal or not neap then return "" end
  local kind = kind_of(goal)
  if not floor and not kind.alone then return "" end
  return kind.met(goal, neap, floor) and "met" or "missed"
end

-- How many times as good as `theirs` the figure `ours` is.
function goals.times_better(figure, ours, theirs)
  if figure.more then return ours / theirs end
  return theirs / ours
end

-- The peers, by name, against which `figure` misses its goals. `results` holds each peer's.
function goals.missed_peers(figure, neap, results)
  local wanted = {uvloop = 1}
  for name in pairs(results) do
    if figure.ahead_of == "every" then wanted[name] = 1 end
  end
  for _, name in ipairs(type(figure.ahead_of) == "table" and figure.ahead_of or {}) do
    wanted[name] = 1
  end
  wanted.asyncio = figure.asyncio or wanted.asyncio
  local missed = {}
  for name, times in pairs(wanted) do
    local theirs = results[name]
    if theirs and goals.times_better(figure, neap, theirs) < times then
      missed[#missed + 1] = times == 1 and name or ("%s x %g"):format(name, times)
    end
  end
  for name, times in pairs(figure.times or {}) do
    local theirs = results[name]
    if theirs and goals.times_better(figure, neap, theirs) * times < 1 then
      missed[#missed + 1] = ("%g x %s"):format(times, name)
    end
  end
  table.sort(missed)
  return missed
end

return goals
