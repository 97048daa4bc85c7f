--- busted with every `it`, and each of its hooks, as a task: `neap test`, or `busted --helper=neap.busted`.
--
-- All that busted runs passes through one function of its core, safe(descriptor, run, element). In place of it stands
-- one that runs specs and hooks in tasks of their own. The rest (describe and file bodies, output) runs in the
-- *supervisor*, which waits for them: the script's body in the neap command; in the stock interpreter, where no loop
-- runs around busted, a task for each of busted's outermost calls, for which the loop is run.
local core = require "neap.core"
local testing = require "neap.testing"

local LIMIT_S <const> = tonumber(os.getenv "NEAP_TEST_LIMIT") or 30
local SETTLE_S <const>, QUIET_S <const> = 2, 0.5
local GROWTH_BYTES <const> = 2 << 20 -- busted itself keeps something of each spec

-- What stays in the supervisor.
local IN_PLACE <const> = { suite = true, file = true, describe = true, insulate = true, expose = true }
local IS_SPEC <const> = { it = true, pending = true }

local busted, safe -- the core, and its own function
local supervisor   -- the task, while there is one
local spec, file   -- what there was before the spec, and the file, that is running: see mark
local blamed = 0   -- so many reports of unread errors were laid to a spec, hook or file
local specs = 0    -- so many have run in this suite
local failed       -- something in this suite has, or no spec was to run

-- --- what is left behind ---

local function mark()
  local older = {}
  for _, task in ipairs(core.all_tasks()) do older[task] = true end
  return { older = older, census = testing.census() }
end

--- Waits until nothing more is held than before: closes take a turn, children a moment to be reaped. What does not
--- change for a while stays, unless it is of the system.
local function settle(before)
  local loop <const> = core.get_event_loop()
  local start, since, last = loop:time(), loop:time(), nil
  while true do
    local left = testing.difference(before, testing.census())
    local now = loop:time()
    if left ~= last then last, since = left, now end
    local slow = left and (left:find "children" or left:find "threads")
    if not left or now - start > SETTLE_S or not slow and now - since > QUIET_S then return left end
    core.sleep(0.001)
  end
end

local function describe_tasks(older)
  local lines = {}
  for _, task in ipairs(core.all_tasks()) do
    if not older[task] then lines[#lines + 1] = ("\n\t%s made at %s"):format(task, task:made_at()) end
  end
  return table.concat(lines)
end

local function end_new_tasks(older)
  for _, task in ipairs(core.all_tasks()) do
    if not older[task] then task:kill() end
  end
end

--- What there is more than at `before`, in words; tasks are ended.
local function find_leak(before)
  local left = settle(before.census)
  if not left then return nil end
  left = left .. describe_tasks(before.older)
  end_new_tasks(before.older)
  return left
end

--- What closes frees its buffers in a later turn; a file that is being read by a task that was cancelled, later still.
local function find_growth(before)
  local loop <const> = core.get_event_loop()
  local start <const> = loop:time()
  local bytes = testing.growth(before.census, GROWTH_BYTES)
  while bytes and loop:time() - start < QUIET_S do
    core.sleep(0.005)
    bytes = testing.growth(before.census, GROWTH_BYTES)
  end
  return bytes and ("%d bytes of memory"):format(bytes)
end

--- What a spec was blamed for is not the file's doing.
local function excuse_file()
  if not file then return end
  local now = testing.census()
  for kind, count in pairs(file.census) do file.census[kind] = count + math.max(0, now[kind] - spec.census[kind]) end
end

--- Whether errors went to the default exception handler that nobody was blamed for.
local function has_unread_errors()
  core.report_failures()
  local reported <const> = core.reported()
  local more = reported > blamed
  blamed = reported
  return more
end

-- --- complaints ---

--- Files have no trace of their own.
local function trace_of(element)
  return element.trace or {
    what = "main", source = "@" .. element.name, short_src = element.name, currentline = 1, traceback = "",
  }
end

--- Adds an error to the results of `element`.
local function complain(element, message)
  local trace = trace_of(element)
  message = ("%s:%d: %s"):format(trace.short_src, trace.currentline, message)
  busted.publish({ "error", element.descriptor }, element, busted.context.parent(element), message, trace)
end

local function complain_of_leak(element, what, left)
  if left then complain(element, ("the %s left behind: %s"):format(what, left)) end
end

local function complain_of_unread_errors(element, what)
  if has_unread_errors() then complain(element, ("the %s left errors that nobody read: see stderr"):format(what)) end
end

-- --- a spec or hook in a task ---

--- Calls busted's function, not as a tail call: it looks for its caller.
local function call_safe(...)
  return table.unpack(table.pack(safe(...)))
end

local expired -- why the spec that is running was cancelled

--- In a spec: what runs in it, and its hooks. The cancel at the time limit ends one of them: those that follow, which
--- clean up, may await again.
local function run_part(...)
  local results = table.pack(safe(...))
  if expired then
    expired = nil
    core.current_task():uncancel()
  end
  return table.unpack(results)
end

--- What a lazy_setup starts belongs to no single spec.
local function run_lazy_setup(run)
  local before = mark()
  run()
  local after = mark()
  for kind, count in pairs(after.census) do spec.census[kind] = spec.census[kind] + count - before.census[kind] end
  for task in pairs(after.older) do spec.older[task] = true end
end

--- Waits for the end of a task; cancels it if it takes too long, and kills it if it swallows that.
local function await_limited(task)
  local waited, done = pcall(core.wait_wall, task, LIMIT_S)
  if waited and done then return end
  if not waited and core.is_cancelled() then -- all is, by a signal
    busted.skipAll = true
    error(done, 0)
  end
  expired = waited and ("it took longer than %g s"):format(LIMIT_S) or tostring(done)
  task:cancel(expired)
  if not core.wait_wall(task, SETTLE_S) then task:kill() end
end

--- The results of the task's safe. One that was killed has none, and did not tidy up after itself.
local function take_results(task, context, element)
  local results = table.pack(pcall(task.result, task))
  if not results[1] then
    while busted.context.get() ~= context do busted.context.pop() end
    complain(element, expired and expired .. ", and did not end when it was cancelled" or tostring(results[2]))
    results = { true, busted.status "error", n = 2 }
  end
  expired = nil
  return results
end

local function run_task(descriptor, run, element)
  local context = busted.context.get()
  local task = core.create_task(call_safe, descriptor, run, element)
  task:set_name(descriptor .. " " .. tostring(element.name))
  await_limited(task)
  core.set_virtual_clock(false)
  testing.shuffle(0)
  return take_results(task, context, element)
end

--- The whole of a spec: before_each, the body, after_each.
local function run_spec(descriptor, run, element)
  spec = mark()
  local results = run_task(descriptor, run, element)
  local left = find_leak(spec) or find_growth(spec)
  complain_of_leak(element, "spec", left)
  if left then excuse_file() end
  complain_of_unread_errors(element, "spec")
  return table.unpack(results, 2, results.n)
end

local function run_hook(descriptor, run, element)
  local results = run_task(descriptor, run, element)
  complain_of_unread_errors(element, descriptor)
  return table.unpack(results, 2, results.n)
end

-- --- the supervisor ---

--- Runs the loop until the task is done, whatever that is; a spec may stop the loop.
local function run_loop(task)
  repeat
    local ran, err = pcall(core.drive, task, "busted")
    if not ran and core.is(err, core.DeadlockError) then error(err, 0) end
  until task:done()
end

local function supervise(...)
  supervisor = core.create_task(...)
  supervisor:set_name "busted"
  local task <const> = supervisor
  local ran, err = pcall(run_loop, task)
  supervisor = nil
  if not ran then error(err, 0) end
  return task:result()
end

local function safe_in_tasks(descriptor, run, element)
  if not supervisor then return supervise(busted.safe, descriptor, run, element) end
  local inside = core.current_task() ~= supervisor
  if inside and descriptor == "lazy_setup" then
    return run_part(descriptor, function() run_lazy_setup(run) end, element)
  elseif inside then
    return run_part(descriptor, run, element)
  elseif IN_PLACE[descriptor] then
    return call_safe(descriptor, run, element)
  end
  specs = specs + (IS_SPEC[descriptor] and 1 or 0)
  if descriptor == "it" then return run_spec(descriptor, run, element) end
  return run_hook(descriptor, run, element)
end

-- --- what busted publishes ---

local function on_error()
  failed = true
  return nil, true
end

local function on_test_end(element, _, status)
  if status ~= "success" and testing.seed() then
    io.stderr:write(("\n%s: the order of tasks was shuffled with seed %d\n"):format(element.name, testing.seed()))
  end
  return nil, true
end

local function on_file_start()
  file = mark()
  return nil, true
end

--- What a file's setup has started, its teardown ends; what it only dropped may be garbage still.
local function on_file_end(element)
  if testing.difference(file.census, testing.census()) then collectgarbage() end
  complain_of_leak(element, "file", find_leak(file))
  complain_of_unread_errors(element, "file")
  return nil, true
end

local function on_suite_end(element)
  if specs == 0 and not failed then
    busted.publish({ "error", "suite" }, element, nil, "no spec has run", { traceback = "" })
  end
  specs, failed = 0, nil
  return nil, true
end

--- Before those of the output handlers, which print what there is to tell by then.
local function subscribe_first(channel, fn)
  busted.subscribe(channel, fn, { priority = 1 })
end

--- busted's message handlers return nothing, which tells <close> variables that there was no error: a task group
--- would wait for its tasks and not cancel them.
local function keep_errors(fn)
  local i = 1
  while debug.getupvalue(fn, i) ~= "_ENV" do i = i + 1 end
  local _, globals = debug.getupvalue(fn, i)
  local function keeping_xpcall(body, handler, ...) return xpcall(body, core.keeping(handler), ...) end
  local env = setmetatable({ xpcall = keeping_xpcall }, { __index = globals, __newindex = globals })
  debug.upvaluejoin(fn, i, function() return env end, 1)
end

--- The level of the script's line that called into neap; `level` itself, if that is no function of neap's.
local function skip_own(level)
  local info = debug.getinfo(level + 1, "S")
  local first = level
  while info and (info.what == "C" or info.source:find "^@lua/neap/") do
    level = level + 1
    info = debug.getinfo(level + 1, "S")
  end
  return info and not info.source:find "[/\\]busted[/\\]" and level or first
end

--- An error that has no line gets that of the spec: neap's own, in which it waited, says nothing.
local function trace_scripts()
  local get_trace <const> = busted.getTrace
  function busted.getTrace(element, level, message)
    local trace = get_trace(element, skip_own(level or 3) + 1, message)
    return trace
  end
end

local function install(found)
  busted, safe = found, found.safe
  keep_errors(safe)
  trace_scripts()
  busted.safe = safe_in_tasks
  blamed = core.reported()
  subscribe_first({ "error" }, on_error)
  subscribe_first({ "test", "end" }, on_test_end)
  subscribe_first({ "file", "start" }, on_file_start)
  subscribe_first({ "file", "end" }, on_file_end)
  subscribe_first({ "suite", "end" }, on_suite_end)
end

-- --- as a helper of busted, which has its core in a variable of a function that is running ---

local function is_core(value)
  return type(value) == "table" and type(rawget(value, "safe")) == "function"
    and type(rawget(value, "executors")) == "table"
end

local function find_local(level)
  local i, name, value = 1, debug.getlocal(level + 1, 1)
  while name do
    if is_core(value) then return value end
    i = i + 1
    name, value = debug.getlocal(level + 1, i)
  end
end

local function find_core()
  local level = 2
  while debug.getinfo(level, "f") do
    local found = find_local(level)
    if found then return found end
    level = level + 1
  end
end

if package.loaded["busted.runner"] then
  local found = find_core()
  if not found then error("neap.busted: this version of busted is not known: its core was not found", 0) end
  core.install()
  install(found)
end

-- --- as `neap test` ---

local function load_busted()
  local found, new_core = pcall(require, "busted.core")
  if found then return new_core end
  error("neap test needs busted for Lua 5.4 (`luarocks install busted`, or Debian's lua-busted)\n" .. new_core, 0)
end

local function wrap(new_core)
  return function()
    install(new_core())
    return busted
  end
end

--- The interpreter is the neap command, whatever a .busted file says for others. busted's messages begin with the name
--- of the chunk that calls it.
return function()
  supervisor = core.current_task()
  supervisor:set_name "busted"
  package.loaded["busted.core"] = wrap(load_busted())
  table.insert(arg, 1, "--ignore-lua")
  local run = load("require 'busted.runner' { standalone = false }", "@neap test")
  run()
end
