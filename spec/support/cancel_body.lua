-- The cancel matrix of what waits in a script's body alone: a program that the spec runs, on the virtual clock. Here
-- the task that is cancelled is the body; after each cell its requests are taken back. Prints the number of cells.
local assert = require "luassert"
local neap = require "neap"
local points = require "spec.support.cancel_points"

local loop = neap.get_event_loop()
local body <const> = neap.current_task()

local function leave_one(...)
  neap.create_task(function()
    local _ <close> = setmetatable({}, { __close = function()
      local shield <close> = neap.shielded()
      for _ = 1, 3 do neap.sleep(0) end
    end })
    neap.sleep(3600)
  end)
  neap.sleep(...)
end

local calls = {
  ["neap.run"] = function() neap.run(neap.sleep, 1) end,
  ["neap.run, which cleans up"] = function() neap.run(leave_one, 1) end,
  ["Runner:run"] = function()
    local runner <close> = neap.Runner()
    runner:run(neap.sleep, 1)
    runner:run(neap.sleep, 1)
  end,
  ["Runner:close"] = function()
    local runner <close> = neap.Runner()
    runner:run(leave_one, 1)
    runner:close()
    neap.sleep(0)
  end,
  ["Runner:__close"] = function()
    do
      local runner <close> = neap.Runner()
      runner:run(leave_one, 1)
    end
    neap.sleep(0)
  end,
  ["Loop:run_until_complete"] = function() loop:run_until_complete(neap.sleep, 1) end,
  ["Loop:run_until_complete of a future"] = function()
    local future = neap.Future()
    local setter = loop:call_later(1, future.set_result, future)
    local _ <close> = setmetatable({}, { __close = function() setter:cancel() end })
    loop:run_until_complete(future)
  end,
  ["Loop:run_forever"] = function()
    local timer = loop:call_later(1, loop.stop, loop)
    local _ <close> = setmetatable({}, { __close = function() timer:cancel() end })
    loop:run_forever()
  end,
}

local cells = 0

local function assert_alone()
  local left = {}
  for _, task in ipairs(neap.all_tasks()) do
    if task ~= body then left[#left + 1] = tostring(task) end
  end
  assert.same({}, left)
end

-- A step is seen if the watch had begun before it did.
local function begin_watch()
  local watch = points.watch()
  neap.sleep(0)
  return watch
end

local function count(call)
  local watch <close> = begin_watch()
  watch:count(body)
  call()
  assert.is_true(watch.k > 0)
  return watch:stop_counting()
end

local function take_back()
  while body:cancelling() > 0 do body:uncancel() end
end

local function play(call, k, later, act, judge)
  local watch <close> = begin_watch()
  local acted_at = loop:time()
  watch:at(body, k, later, function()
    acted_at = loop:time()
    act()
  end)
  judge(call)
  watch.act = nil
  take_back()
  assert.near(0, loop:time() - acted_at, 1e-6)
  assert_alone()
  assert.same({}, watch.reports)
  cells = cells + 1
end

-- If what it waited for had come, it is told at the next await.
local function assert_cancelled(call)
  local ok, err = pcall(call)
  if ok then
    ok, err = pcall(neap.sleep, 3600)
  end
  assert.is_false(ok)
  assert.is_true(neap.is(err, neap.CancelledError), tostring(err))
end

local function cancel() body:cancel() end

local function cancel_twice()
  body:cancel()
  body:cancel()
end

local function play_in_limit(call, k, later)
  local limit, ended
  play(call, k, later, function() if not ended then limit:reschedule(loop:time()) end end, function()
    local ok, err = pcall(function()
      limit = neap.timeout()
      local _ <close> = limit
      call()
    end)
    ended = true
    assert.is_true(ok or neap.is(err, neap.TimeoutError), tostring(err))
    assert.equal(0, body:cancelling())
  end)
end

for name, call in pairs(calls) do
  local ok, err = pcall(function()
    body:cancel()
    assert_cancelled(call)
    take_back()
    assert_alone()
    for k, last in ipairs(count(call)) do
      for _, later in ipairs { 0, last } do
        play(call, k, later, cancel, assert_cancelled)
        play(call, k, later, cancel_twice, assert_cancelled)
        play_in_limit(call, k, later)
      end
    end
  end)
  if not ok then error(name .. ": " .. tostring(type(err) == "table" and err.message or err), 0) end
end
print(cells)
