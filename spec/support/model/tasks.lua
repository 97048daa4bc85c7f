-- Models of groups and of generators: see program.lua.
local neap = require "neap"
local support = require "spec.support.model.program"

local closing <const>, rest <const>, driver <const> = support.closing, support.rest, support.driver

local M = {}

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
