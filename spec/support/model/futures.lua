-- The model of futures, awaited one by one and by gather, wait and as_completed: see program.lua.
local neap = require "neap"
local support = require "spec.support.model.program"

local driver <const> = support.driver

-- Two or three of the futures.
local function some(program)
  local list = {}
  for i = 1, 1 + program:random(2) do list[i] = program:pick(program.futures) end
  return list
end

local function raw(list)
  local futures = {}
  for i, future in ipairs(list) do futures[i] = future.subject end
  return futures
end

local function settle(program, me)
  local future = program:pick(program.futures)
  if future.subject:done() then return end
  local dice = program:random(10)
  future.at = program:note(me, "settle", future.number).began
  if dice == 1 then
    future.how = "CancelledError"
    future.subject:cancel()
  elseif dice <= 3 then
    future.how, future.value = "Oops", program:oops()
    future.subject:set_exception(future.value)
  else
    future.how = "ok"
    future.subject:set_result(future.number)
  end
end

-- Whether a call is right to end now: some future of its was settled at this moment, if it waited at all.
local function check_prompt(program, entry, list)
  local prompt = entry.ended == entry.began
  for _, future in ipairs(list) do prompt = prompt or future.at == entry.ended end
  program:expect(prompt, "%s %d-%d ended at no future's time", entry.name, entry.from, entry.to)
end

-- Calls it for those futures; `ready` says whether it would return. Returns as pcall does, and the entry.
local function call_for(program, me, name, list, ready, fn, ...)
  local numbers = {}
  for i, future in ipairs(list) do numbers[i] = future.number end
  local place = #program.log + 1
  local ok, value = pcall(program.call, program, me, name, table.concat(numbers, ","), function(...)
    me.open.ready = ready
    return fn(...)
  end, ...)
  return ok, value, program.log[place]
end

-- Passes on what the task's own scopes raise; what a future ended with must be one of the list's.
local function check_error(program, entry, list, err)
  local found = entry.how == "CancelledError" or entry.how == "TimeoutError"
  for _, future in ipairs(list) do found = found or future.value == err end
  program:expect(found, "%s %d-%d raised %s", entry.name, entry.from, entry.to, err)
  error(err, 0)
end

local function await(program, me)
  local future = program:pick(program.futures)
  local subject = future.subject
  local ok, value, entry = call_for(program, me, "await", { future }, function() return subject:done() end,
    subject.await, subject)
  if not ok then return check_error(program, entry, { future }, value) end
  program:expect(future.how == "ok" and value == future.number, "await %d-%d got %s", entry.from, entry.to, value)
  check_prompt(program, entry, { future })
end

local function all_done(list)
  for _, future in ipairs(list) do
    if not future.at then return false end
  end
  return true
end

local function any_done(list, how)
  for _, future in ipairs(list) do
    if future.at and (not how or future.how == how) then return true end
  end
  return false
end

local function gather(program, me)
  local list, keep = some(program), program:chance(30)
  local arguments = raw(list)
  arguments.return_exceptions = keep
  local ok, values, entry = call_for(program, me, "gather", list, function() return all_done(list) end,
    neap.gather, arguments)
  if not ok then return check_error(program, entry, list, values) end
  for i, future in ipairs(list) do
    local same = values[i] == (future.how == "ok" and future.number or future.value)
    program:expect(same or keep and future.how == "CancelledError", "gather %d-%d: value %d is %s", entry.from,
      entry.to, i, values[i])
  end
  check_prompt(program, entry, list)
end

local READY <const> = {
  ALL_COMPLETED = all_done,
  FIRST_COMPLETED = any_done,
  FIRST_EXCEPTION = function(list) return all_done(list) or any_done(list, "Oops") end,
}
local MODES <const> = { "ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION" }

local function wait(program, me)
  local list, mode = some(program), program:pick(MODES)
  local arguments, done = raw(list), nil
  arguments.return_when, arguments.timeout = mode, program:chance(40) and program:time() or nil
  local ok, err, entry = call_for(program, me, mode, list, function() return READY[mode](list) end, function()
    done = neap.wait(arguments)
  end)
  if not ok then error(err, 0) end
  local over = arguments.timeout and entry.ended - entry.began >= arguments.timeout - 1e-6
  program:expect(over or READY[mode](list), "wait %d-%d returned too early", entry.from, entry.to)
  if not over then check_prompt(program, entry, list) end
  for _, future in ipairs(done) do program:expect(future:done(), "wait gave a future that is not done") end
end

-- Takes the next, sometimes under a limit: who gives up then has taken nothing. Returns nil at the end.
local function take_next(program, next_task)
  if program:chance(50) then return next_task() end
  for _ = 1, 3 do
    local taken, subject = neap.move_on_after(program:time(), next_task)
    if taken then return subject end
  end
  return next_task()
end

local function as_completed(program, me)
  local list, number, seen, last = some(program), {}, {}, 0
  for _, future in ipairs(list) do number[future.subject] = future end
  local ok, err = call_for(program, me, "as_completed", list, function() return all_done(list) end, function()
    local next_task = neap.as_completed(raw(list))
    local subject = take_next(program, next_task)
    while subject do
      local future = number[subject]
      program:expect(future and future.at and not seen[future], "as_completed gave one that was not due")
      program:expect(future.at >= last or last <= me.open.began, "as_completed gave one out of its order")
      seen[future], last = true, future.at
      subject = take_next(program, next_task)
    end
    for _, future in ipairs(list) do program:expect(seen[future], "as_completed gave only some") end
  end)
  if not ok then error(err, 0) end
end

return { futures = {
  start = function(program)
    program.futures = {}
    for i = 1, 2 + program:random(3) do program.futures[i] = { number = i, subject = neap.Future() } end
  end,
  actions = { await, await, gather, wait, as_completed, settle, settle },
  poke = settle,
  quiet = function(program)
    for _, me in ipairs(program.tasks) do
      local open = me.open
      program:expect(not (open and open.ready and open.ready()), "%s %d waits for what is done", open and open.name,
        open and open.from)
    end
  end,
  drain = function(program)
    for _ = 1, #program.futures do settle(program, driver) end
  end,
  check = function(program)
    for _, future in ipairs(program.futures) do
      if future.subject:failed() then future.subject:exception() end
    end
  end,
} }
