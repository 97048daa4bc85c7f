-- Models of futures, of waiting for many, of groups and of generators: see program.lua.
local neap = require "neap"
local support = require "spec.support.model.program"

local closing <const>, rest <const>, driver <const> = support.closing, support.rest, support.driver

local M = {}

-- --- futures: gather, wait and as_completed of them ---

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
    program:expect(same or keep and future.how == "CancelledError", "gather %d-%d: value %d is %s", entry.from, entry.to,
      i, values[i])
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

local function as_completed(program, me)
  local list, number, seen, last = some(program), {}, {}, 0
  for _, future in ipairs(list) do number[future.subject] = future end
  local ok, err = call_for(program, me, "as_completed", list, function() return all_done(list) end, function()
    for subject in neap.as_completed(raw(list)) do
      local future = number[subject]
      program:expect(future and future.at and not seen[future], "as_completed gave one that was not due")
      program:expect(future.at >= last or last <= me.open.began, "as_completed gave one out of its order")
      seen[future], last = true, future.at
    end
    for _, future in ipairs(list) do program:expect(seen[future], "as_completed gave only some") end
  end)
  if not ok then error(err, 0) end
end

M.futures = {
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
  drain = function(program) settle(program, driver) end,
  check = function(program)
    for _, future in ipairs(program.futures) do
      if future.subject:failed() then future.subject:exception() end
    end
  end,
}

-- --- groups ---

local run_group

local function fail(program, family, err)
  table.insert(family.errors, { value = err, at = program.loop:time() })
  error(err, 0)
end

-- Of the errors that came at the time of the first one.
local function is_first(family, err)
  for _, oops in ipairs(family.errors) do
    if oops.value == err then return oops.at == family.errors[1].at end
  end
  return #family.errors == 0
end

local function child(program, me, family, depth)
  local last_wish <close> = closing(function() family.left = family.left - 1 end)
  if program:chance(20) then pcall(rest, program, me) else rest(program, me) end
  if program:chance(15) then
    local shield <close> = neap.shielded()
    rest(program, me)
  end
  if depth < 2 and program:chance(20) then
    local ok, err = pcall(run_group, program, me, depth + 1)
    if not ok and program.kind_of(err) == "Oops" then fail(program, family, err) end
    if not ok then error(err, 0) end
  end
  if program:chance(20) then fail(program, family, program:oops()) end
end

local function add_child(program, group, family, depth)
  local me = { id = 100 + program:tick() }
  family.left = family.left + 1
  local started = false
  local task = group:create_task(function()
    started = true
    child(program, me, family, depth)
  end)
  task:add_done_callback(function()
    if not started then family.left = family.left - 1 end
  end)
  return task
end

-- What the body of a group does once its children are made.
local function run_body(program, me, group, family, children)
  local dice = program:random(10)
  if dice <= 4 then rest(program, me) end
  if dice == 5 then fail(program, family, program:oops()) end
  if dice == 6 then program:pick(children):cancel() end
  if dice == 7 then program:pick(children):kill() end
  if dice == 8 then
    family.cancelled = true
    group:cancel()
  end
end

function run_group(program, me, depth)
  local family, children = { errors = {}, left = 0 }, {}
  local ok, err = pcall(function()
    local group <close> = neap.TaskGroup()
    family.group = group
    for i = 1, program:random(3) do children[i] = add_child(program, group, family, depth) end
    run_body(program, me, group, family, children)
  end)
  for _, task in ipairs(children) do program:expect(task:done(), "t%d: a child outlived its group", me.id) end
  program:expect(family.left == 0, "t%d: %d children are at work behind their group", me.id, family.left)
  program:expect(is_first(family, err), "t%d: %s is not the group's first error", me.id, err)
  program:expect(#family.group.errors == #family.errors, "t%d: errors were lost", me.id)
  program:note(me, "group", tostring(ok or err))
  if not ok then error(err, 0) end
end

M.group = {
  reports = true, -- of later errors
  start = function() end,
  actions = { function(program, me) run_group(program, me, 1) end },
  drain = function() end,
}

-- --- generators that await, and are handed round ---

-- Counts what it yields. Its end, however it comes, must come once.
local function make_generator(program)
  local generator = { given = 0, ends = 0, number = program:tick() }
  generator.co = coroutine.create(function()
    generator.started = true
    local end_mark <close> = closing(function() generator.ends = generator.ends + 1 end)
    for i = 1, 3 + program:random(3) do
      local held <close> = program:chance(40) and program.lock:acquire() or nil
      local limit <close> = program:chance(20) and neap.timeout(program:time()) or nil
      local seconds = program:chance(50) and 0 or program:time()
      if program:chance(20) then pcall(neap.sleep, seconds) else neap.sleep(seconds) end
      coroutine.yield(i)
    end
  end)
  return generator
end

local function close(program, me, generator)
  program:note(me, "close", generator.number)
  coroutine.close(generator.co)
  program:expect(generator.ends == (generator.started and 1 or 0), "generator %d ended %d times", generator.number,
    generator.ends)
end

local function resume(program, me, generator)
  local ok, value
  generator.user = me
  program:call(me, "resume", generator.number, function() ok, value = coroutine.resume(generator.co) end)
  program:expect(generator.user == me, "t%d and t%d were in generator %d", me.id, generator.user.id, generator.number)
  generator.user = nil
  if ok and value then
    program:expect(value == generator.given + 1, "generator %d gave %s after %d", generator.number, value,
      generator.given)
    generator.given = value
  else
    close(program, me, generator)
    if not ok then error(value, 0) end
  end
end

local function meddle(program, generator)
  local ok, err = coroutine.resume(generator.co)
  program:expect(not ok and tostring(err):find "non%-suspended", "a generator that waits was resumed: %s", err)
  program:expect(not pcall(coroutine.close, generator.co), "a generator that waits was closed")
end

local function use_generator(program, me)
  local place = program:random(#program.generators)
  local generator = program.generators[place]
  local status = coroutine.status(generator.co)
  if status == "dead" then
    program:expect(generator.ends == 1 or not generator.started, "generator %d ended %d times", generator.number,
      generator.ends)
    program.generators[place] = make_generator(program)
  elseif status ~= "suspended" then
    meddle(program, generator)
  elseif program:chance(10) then
    close(program, me, generator)
  else
    resume(program, me, generator)
  end
end

local function close_all(program)
  for _, generator in ipairs(program.generators) do
    if coroutine.status(generator.co) == "suspended" then close(program, driver, generator) end
  end
end

M.generator = {
  start = function(program)
    program.lock, program.generators = neap.Lock(), {}
    for i = 1, 2 do program.generators[i] = make_generator(program) end
  end,
  actions = { use_generator },
  drain = close_all,
  check = function(program)
    close_all(program)
    program:expect(not program.lock:locked(), "the lock was not released")
  end,
}

return M
