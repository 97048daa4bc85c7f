-- Cancels a call at each of its suspensions, in each way: it ends at once, and takes nothing with it.
--
-- A scenario is a table:
--   of        the functions that it covers, as spec.support.api names them (its own name unless given)
--   make      makes a scene. On the virtual clock what the call waits for comes by itself, at whole seconds below 6.
--   real      in real time, for what the system does: nothing is asserted of time
--   shielded  it may end late: it waits where no cancel comes
--   refuses   what had come just before the cancel is not delivered (it is not lost either)
--   at_once   it need not be suspended
--   swallows  the task may be told that it swallows a cancel
--   cancels   it cancels other tasks by itself
-- and a scene:
--   wait      the call. It may wait several times
--   intact    asserts that nothing was lost; gets the cell: whether `wait` returned (`went_on`), and `killed`
--   close     closes what is still open
local assert = require "luassert"
local neap = require "neap"
local points = require "spec.support.cancel_points"
local testing = require "neap.testing"

local matrix = { cells = 0 }

local loop = neap.get_event_loop()

local function turns(count)
  for _ = 1, count do neap.sleep(0) end
end

-- --- a cell ---

local function list_new_tasks(older)
  local tasks = {}
  for _, task in ipairs(neap.all_tasks()) do
    if not older[task] then tasks[#tasks + 1] = task end
  end
  return tasks
end

local function all_tasks_set()
  local set = {}
  for _, task in ipairs(neap.all_tasks()) do set[task] = true end
  return set
end

-- Makes a scene, and a task that runs body(cell) in it.
local function open(scenario, body)
  if not scenario.real then testing.virtual_clock() end
  local cell = { scenario = scenario, older = all_tasks_set(), swallows = scenario.swallows }
  cell.watch = points.watch(scenario.real)
  cell.scene = scenario.make()
  cell.task = neap.create_task(body, cell)
  return cell
end

-- The cancel of the task may go on to tasks that it awaits; but those end before it does, unless it is killed.
local function assert_no_requests(cell)
  if cell.swallows or cell.scenario.cancels then return end
  for _, task in ipairs(list_new_tasks(cell.older)) do
    assert.equal(0, task:cancelling(), "a cancel of another task is left: " .. tostring(task))
  end
end

-- What a task is told that swallows its cancel.
local SWALLOWED <const> = "awaits in a scope that was cancelled"

local function unexpected_reports(cell)
  local reports = {}
  for _, report in ipairs(cell.watch.reports) do
    if not (cell.swallows and report:find(SWALLOWED)) then reports[#reports + 1] = report end
  end
  return reports
end

-- All that the scene has made ends by itself; what it reported should not have been.
local function close(cell)
  assert_no_requests(cell)
  if cell.scene.intact then cell.scene.intact(cell) end
  if cell.scene.close then cell.scene.close() end
  local left = list_new_tasks(cell.older)
  if left[1] then neap.wait(left) end
  assert.same({}, unexpected_reports(cell))
  matrix.cells = matrix.cells + 1
end

-- Runs one cell: act(cell) at a moment of the task, judge(cell) once the task has ended.
local function play(scenario, body, k, later, act, judge)
  local cell = open(scenario, body)
  local watch <close> = cell.watch
  if act then
    watch:at(cell.task, k, later, function()
      cell.acted_at = loop:time()
      act(cell)
    end)
  end
  judge(cell)
  close(cell)
end

local function assert_on_time(cell)
  local scenario = cell.scenario
  if scenario.real or scenario.shielded then return end
  assert.near(0, loop:time() - cell.acted_at, 1e-6, "time went by")
end

local function assert_ends_cancelled(cell)
  local task = cell.task
  local ok, err = pcall(task.await, task)
  assert.is_false(ok)
  assert.is_true(neap.is(err, neap.CancelledError), tostring(err))
  assert.equal(task, err.task)
  assert.is_true(task:cancelled())
  assert_on_time(cell)
end

-- --- what the tasks do ---

local function wait_and_sleep(cell)
  cell.scene.wait()
  cell.went_on = true
  neap.sleep(3600)
end

-- Afterwards the task is free of the limit, whatever became of it.
local function wait_in_limit(cell)
  cell.ok, cell.err = pcall(function()
    cell.limit = neap.timeout(cell.seconds)
    local limit <close> = cell.limit
    cell.scene.wait()
    cell.went_on = true
  end)
  cell.ended_at = loop:time()
  neap.sleep(0)
end

local function wait_and_go_on(cell)
  cell.ok, cell.err = pcall(cell.scene.wait)
  cell.went_on = cell.ok
  neap.sleep(0)
end

local function wait_for_ever(cell)
  cell.swallows = true
  while true do
    if pcall(cell.scene.wait) then cell.went_on = true end
  end
end

-- --- the ways ---

local ways = {}

-- How often it is suspended, and for each of these the number of its last moment.
local function count(scenario)
  if scenario.counts then return scenario.counts end
  local cell = open(scenario, function(cell)
    cell.scene.wait()
    cell.went_on = true
  end)
  local watch <close> = cell.watch
  watch:count(cell.task)
  cell.task:await()
  scenario.counts = watch:stop_counting()
  close(cell)
  return scenario.counts
end

-- Calls fn(k, later, is_last): for each suspension its moments `from` to the last, or only the first.
local function each_suspension(scenario, fn)
  for k, last in ipairs(count(scenario)) do fn(k, last, k == #scenario.counts) end
end

ways["goes on, when nothing is cancelled"] = function(scenario)
  scenario.counts = nil
  assert.is_true(#count(scenario) > 0 or scenario.at_once, "it never waits")
end

ways["cancelled before it starts"] = function(scenario)
  play(scenario, wait_and_sleep, nil, nil, nil, function(cell)
    cell.acted_at = loop:time()
    cell.task:cancel()
    assert_ends_cancelled(cell)
    assert.is_nil(cell.went_on)
  end)
end

ways["cancelled before it waits"] = function(scenario)
  local function body(cell)
    cell.acted_at = loop:time()
    cell.task:cancel()
    wait_and_sleep(cell)
  end
  play(scenario, body, nil, nil, nil, function(cell)
    assert_ends_cancelled(cell)
    assert.is_nil(cell.went_on)
  end)
end

local function cancel(cell) cell.task:cancel() end

ways["cancelled while it waits"] = function(scenario)
  each_suspension(scenario, function(k)
    play(scenario, wait_and_sleep, k, 0, cancel, assert_ends_cancelled)
  end)
end

-- In real time the moment differs from run to run: some before the last are tried, too.
local REAL_SPREAD <const> = 4

ways["cancelled when its result is on the way"] = function(scenario)
  each_suspension(scenario, function(k, last, is_last)
    local first = scenario.real and math.max(0, last - REAL_SPREAD) or last
    for later = first, last do
      play(scenario, wait_and_sleep, k, later, cancel, function(cell)
        assert_ends_cancelled(cell)
        if is_last and not scenario.real then assert.equal(not scenario.refuses, cell.went_on == true) end
      end)
    end
  end)
end

ways["cancelled twice"] = function(scenario)
  local function cancel_twice(cell)
    cell.task:cancel()
    cell.task:cancel()
  end
  local function cancel_again_later(cell)
    cell.task:cancel()
    cell.watch:at(cell.task, cell.watch.k, cell.watch.later + 1, function() cell.task:cancel() end)
  end
  each_suspension(scenario, function(k, last)
    play(scenario, wait_and_sleep, k, 0, cancel_twice, assert_ends_cancelled)
    play(scenario, wait_and_sleep, k, 0, cancel_again_later, assert_ends_cancelled)
    play(scenario, wait_and_sleep, k, last, cancel_again_later, assert_ends_cancelled)
  end)
end

local function expire(cell)
  if cell.ok == nil then cell.limit:reschedule(loop:time()) end
end

local function assert_limited(cell)
  cell.task:await()
  assert.is_true(cell.ok or neap.is(cell.err, neap.TimeoutError), tostring(cell.err))
  assert.equal(0, cell.task:cancelling())
end

ways["ended by a time limit in the turn in which its result comes"] = function(scenario)
  each_suspension(scenario, function(k, last, is_last)
    play(scenario, wait_in_limit, k, last, expire, function(cell)
      assert_limited(cell)
      assert_on_time(cell)
      if is_last and not scenario.real and not scenario.refuses then assert.is_true(cell.ok) end
    end)
  end)
end

ways["ended by a time limit while it waits"] = function(scenario)
  each_suspension(scenario, function(k)
    play(scenario, wait_in_limit, k, 0, expire, function(cell)
      assert_limited(cell)
      assert_on_time(cell)
    end)
  end)
end

ways["ended by a time limit on the clock"] = function(scenario)
  for seconds = 0, scenario.real and 0 or 3, 0.5 do
    local function body(cell)
      cell.seconds = seconds
      wait_in_limit(cell)
    end
    play(scenario, body, nil, nil, nil, function(cell)
      local began = loop:time()
      assert_limited(cell)
      if scenario.real or scenario.shielded then return end
      local took = cell.ended_at - began
      assert.is_true(cell.ok and took <= seconds + 1e-6 or math.abs(took - seconds) < 1e-6)
    end)
  end
end

ways["cancelled, which is taken back before it is told"] = function(scenario)
  local function cancel_and_uncancel(cell)
    if cell.ok ~= nil then return end
    cell.task:cancel()
    cell.task:uncancel()
  end
  local function assert_goes_on(cell)
    cell.task:await()
    assert.is_true(cell.ok or neap.is(cell.err, neap.CancelledError), tostring(cell.err))
    assert.equal(0, cell.task:cancelling())
  end
  each_suspension(scenario, function(k, last)
    play(scenario, wait_and_go_on, k, 0, cancel_and_uncancel, assert_goes_on)
    play(scenario, wait_and_go_on, k, last, cancel_and_uncancel, assert_goes_on)
  end)
end

local function assert_killed(cell)
  pcall(neap.wait, { cell.task })
  assert.is_true(cell.killed)
  assert.is_true(cell.task:cancelled())
  assert.is_false(cell.task:kill())
  turns(4)
end

local function kill(cell) cell.killed = cell.task:kill() end

ways["killed while it waits"] = function(scenario)
  each_suspension(scenario, function(k)
    play(scenario, wait_and_sleep, k, 0, kill, assert_killed)
  end)
end

ways["killed when its result is on the way"] = function(scenario)
  each_suspension(scenario, function(k, last)
    play(scenario, wait_and_sleep, k, last, kill, assert_killed)
  end)
end

ways["swallowed for ever, then killed"] = function(scenario)
  if #count(scenario) == 0 then return end
  play(scenario, wait_for_ever, 1, 0, cancel, function(cell)
    while not cell.acted_at do neap.sleep(0) end
    turns(12)
    assert.is_false(cell.task:done())
    kill(cell)
    assert_killed(cell)
  end)
end

-- --- for specs ---

-- The names of the ways, in order.
function matrix.ways()
  local names = {}
  for name in pairs(ways) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Plays all cells of a scenario in one way.
function matrix.play(scenario, way)
  ways[way](scenario)
end

return matrix
