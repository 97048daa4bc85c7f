-- neap test, and busted in the stock interpreter with --helper=neap.busted, say the same of the same specs.
local program = require "spec.support.program"

-- --- small spec files ---

local FILES <const> = {}

-- 5 successes, 2 failures, 2 errors, 2 pending.
FILES["mixed_spec.lua"] = [[
local neap = require "neap"

describe("one", function()
  local log = {}
  local server

  setup(function()
    neap.sleep(0.001)
    server = assert(neap.start_server(function(stream) stream:write(stream:read "L") end, "127.0.0.1", 0))
  end)
  teardown(function()
    neap.sleep(0.001)
    server:close()
    server:wait_closed()
    if log.first_ran and log[4] then assert.matches("^before finally after before", table.concat(log, " ")) end
  end)
  before_each(function() neap.sleep(0.001) log[#log + 1] = "before" end)
  after_each(function() neap.sleep(0.001) log[#log + 1] = "after" end)

  it("awaits #fast", function()
    log.first_ran = log[2] == nil
    finally(function() neap.sleep(0.001) log[#log + 1] = "finally" end)
    neap.sleep(0.001)
  end)
  it("talks to the server", function()
    local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
    stream:write "tide\n"
    assert.equal("tide", stream:read "l")
  end)
  it("fails", function() neap.sleep(0) assert.equal("tide", "ebb") end)
  it("fails in a child", function()
    neap.create_task(function() neap.sleep(0) assert.equal("tide", "ebb") end):await()
  end)
  it("raises in a child", function() neap.create_task(error, "wolf"):await() end)
  it("raises a table", function() neap.sleep(0) error { code = 42 } end)
  it("is put off while it runs", function() neap.sleep(0) pending "for the moon" end)
  pending("is put off", function() error "it ran" end)
end)

describe("two", function()
  lazy_setup(function() neap.sleep(0.001) _G.started = neap.create_task(neap.sleep, 3600) end)
  lazy_teardown(function() neap.sleep(0.001) _G.started:kill() end)

  it("runs with what is there #fast", function()
    neap.sleep(0)
    assert.is_false(_G.started:done())
  end)
  it("runs with it again", function() assert.is_false(_G.started:done()) end)
  insulate("apart", function()
    it("has the same neap", function()
      package.loaded["neap"], package.loaded["neap.core"] = nil, nil
      assert.equal(neap, require "neap")
      assert.equal(neap.current_task(), require "neap".current_task())
    end)
  end)
end)
]]

FILES["second_spec.lua"] = [[
local neap = require "neap"
neap.sleep(0.001) -- the body of a file may await
describe("the second file", function()
  neap.sleep(0.001)
  it("has the same loop, and coroutines that await", function()
    assert.equal(neap.get_event_loop(), require "neap".get_running_loop())
    assert.equal(1, coroutine.wrap(function() neap.sleep(0.001) coroutine.yield(1) end)())
  end)
end)
]]

FILES["leaks_spec.lua"] = [[
local neap = require "neap"
local kept = {}

it("leaves a task", function() neap.create_task(neap.sleep, 3600):set_name "the sleeper" end)
it("leaves a task and an error", function()
  neap.create_task(neap.sleep, 3600)
  neap.create_task(error, "a lost wolf", 0)
  neap.sleep(0)
end)
it("leaves a descriptor", function() kept[1] = assert(io.open "/dev/null") end)
it("leaves a server", function() kept[2] = assert(neap.start_server(print, "127.0.0.1", 0)) end)
it("leaves an error", function() neap.create_task(error, "a second wolf", 0) neap.sleep(0.001) end)
it("fails and leaves a task", function() neap.create_task(neap.sleep, 3600) error "a third wolf" end)
it("leaves nothing", function() neap.sleep(0) end)
describe("of two that share a task", function()
  lazy_setup(function() kept[3] = neap.create_task(neap.sleep, 3600) end)
  lazy_teardown(function() kept[3]:kill() end)
  it("one leaves another", function() neap.create_task(neap.sleep, 3600) end)
  it("the other finds it", function() assert.is_false(kept[3]:done()) end)
end)
]]

FILES["file_leaks_spec.lua"] = [[
local neap = require "neap"
setup(function() neap.create_task(neap.sleep, 3600):set_name "the tenant" end)
it("passes", function() neap.sleep(0) end)
]]

FILES["group_spec.lua"] = [[
local neap = require "neap"
local function fail_in_group(fn)
  local group <close> = neap.TaskGroup()
  group:create_task(neap.sleep, 3600)
  neap.sleep(0)
  fn()
end
it("fails", function() fail_in_group(function() assert.equal("tide", "neap") end) end)
it("raises", function() fail_in_group(function() error "a wolf" end) end)
]]

FILES["memory_spec.lua"] = [[
it("keeps much", function() kept = {} for i = 1, 60000 do kept[i] = {} end end)
it("was deep", function()
  local function dig(n) return n == 0 and 0 or 1 + dig(n - 1) end
  assert.equal(150000, dig(150000))
end)
]]

FILES["hangs_spec.lua"] = [[
local neap = require "neap"
local log = {}
after_each(function() neap.sleep(0.001) log[#log + 1] = "after" end)
it("sleeps", function()
  finally(function() neap.sleep(0.001) log[#log + 1] = "finally" end)
  neap.sleep(3600)
end)
it("waits for nothing", function() neap.Event():wait() end)
it("goes round", function() while true do neap.sleep(0) end end)
it("was cleaned up after", function() assert.equal("finally after after after", table.concat(log, " ")) end)
]]

FILES["swallows_spec.lua"] = [[
local neap = require "neap"
insulate("inside", function()
  it("swallows", function()
    _G.of_the_inside = true
    while true do pcall(neap.sleep, 1) end
  end)
end)
it("comes after, outside", function()
  neap.sleep(0)
  assert.is_nil(_G.of_the_inside)
end)
]]

FILES["seed_spec.lua"] = [[
it("fails", function() require "neap.testing".shuffle(42) error "wolf" end)
it("is in order again", function() assert.is_nil(require "neap.testing".seed()) end)
]]

FILES["clock_spec.lua"] = [[
local neap = require "neap"
local testing = require "neap.testing"
setup(function() testing.virtual_clock() end)
it("is real", function()
  local start = require "system".monotime()
  neap.sleep(0.02)
  assert.is_true(require "system".monotime() - start >= 0.02)
end)
it("is virtual", function() testing.virtual_clock() neap.sleep(3600) end)
]]

FILES["exits_spec.lua"] = [[
it("exits", function() require "neap".sleep(0.001) io.write "said" os.exit(7, true) end)
]]

FILES["arg_spec.lua"] = [[
it("has what -e has set", function() assert.equal("tide", _G.set_by_e) end)
it("finds modules of --lpath", function() assert.equal("moon", require "of_lpath") end)
]]

FILES["lib/of_lpath.lua"] = [[return "moon"]]

-- In place of LuaCov, which may not be installed: it counts the lines of spec files that ran.
FILES["cov/luacov/runner.lua"] = [[
local lines = {}
debug.sethook(function(_, line)
  local file = debug.getinfo(2, "S").short_src
  if file:find "_spec.lua$" then lines[line] = true end
end, "l")
local exit = os.exit
os.exit = function(...) -- luacheck: ignore
  local list = {}
  for line in pairs(lines) do list[#list + 1] = line end
  table.sort(list)
  io.stderr:write("lines ", table.concat(list, " "), "\n")
  exit(...)
end
return setmetatable({ configuration = { exclude = {} } }, { __call = function() end })
]]

FILES["covered_spec.lua"] = [[
local neap = require "neap"
it("is covered", function()
  neap.sleep(0)
  neap.create_task(function()
    neap.sleep(0)
    neap.sleep(0)
  end):await()
  error "so that busted exits"
end)
]]

FILES["no_specs_spec.lua"] = [[describe("nothing", function() end)]]
FILES["only_pending_spec.lua"] = [[pending "later"]]
FILES["own_helper.lua"] = [[require "neap.busted"]]
FILES["configured/.busted"] = [[return { default = { lua = "lua5.4", helper = "neap.busted", ROOT = { "some" } } }]]
FILES["configured/some/a_spec.lua"] = [[
it("awaits in Lua 5.4", function()
  require "neap".sleep(0.001)
  assert.equal("Lua 5.4", _VERSION)
end)
]]
FILES["empty/readme"] = "no specs are here"

-- --- running them ---

local root

local function write_files()
  root = os.tmpname()
  os.remove(root)
  for name, text in pairs(FILES) do
    local path = root .. "/" .. name
    os.execute("mkdir -p " .. path:gsub("/[^/]*$", ""))
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
  end
end

local function absolute(path)
  return path:sub(1, 1) == "/" and path or os.getenv "PWD" .. "/" .. path
end

local neap <const> = absolute(program.neap)

local function busted_script()
  local pipe <close> = io.popen "command -v busted"
  return pipe:read "l"
end

-- Under a sanitizer the stock interpreter must be given its runtime.
local preload <const> = "LD_PRELOAD=" .. (os.getenv "NEAP_PRELOAD" or "")

-- The words before busted's options, for each way.
local WAYS <const> = {
  neap = { neap, "test" },
  stock = { "env", preload, "lua5.4", busted_script(), "--helper=neap.busted" },
}

local function start(words, options)
  local line = { "env", "-C", root, "LUA_CPATH=" .. neap:gsub("[^/]*$", "module/?.so") .. ";;" }
  table.move(options.env or {}, 1, #(options.env or {}), #line + 1, line)
  table.move(words, 1, #words, #line + 1, line)
  table.move(options, 1, #options, #line + 1, line)
  return program.start(line)
end

-- What differs from run to run, and from way to way.
local function plain(text)
  return (text:gsub(" : [%d.]+ seconds", ""):gsub("Task%-%d+", "Task-N"):gsub("port %d+", "port N")
    :gsub("%d+ bytes", "N bytes"):gsub("%d fds", "N fds"):gsub("[%d.]+ ms", "N ms")
    :gsub("time='[%d.]+'", ""):gsub("timestamp='[^']*'", ""))
end

local function sorted_words(text)
  local words = {}
  for word in text:gmatch "[^%s>/]+" do words[#words + 1] = word end
  table.sort(words)
  return words
end

local CASES <const> = {
  mixed = { "mixed_spec.lua" },
  files = { "second_spec.lua", "mixed_spec.lua" },
  leaks = { "leaks_spec.lua" },
  ["leaks of a file"] = { "file_leaks_spec.lua" },
  memory = { "memory_spec.lua" },
  group = { "group_spec.lua" },
  hangs = { "hangs_spec.lua", env = { "NEAP_TEST_LIMIT=0.2" } },
  swallows = { "swallows_spec.lua", env = { "NEAP_TEST_LIMIT=0.2" } },
  seed = { "seed_spec.lua" },
  clock = { "clock_spec.lua" },
  exits = { "exits_spec.lua" },
  coverage = { "--coverage", "covered_spec.lua", env = { "LUA_PATH=cov/?.lua;;" } },
  ["no file"] = { "empty" },
  ["no folder"] = { "nowhere" },
  ["no specs"] = { "no_specs_spec.lua" },
  ["no match"] = { "--filter=nothing of the kind", "mixed_spec.lua" },
  ["only pending"] = { "only_pending_spec.lua" },
  tags = { "--tags=fast", "mixed_spec.lua" },
  ["excluded tags"] = { "--exclude-tags=fast", "mixed_spec.lua" },
  filter = { "--filter=talks", "mixed_spec.lua" },
  ["filter out"] = { "--filter-out=in a child", "--filter-out=raises", "mixed_spec.lua" },
  ["repeat"] = { "--repeat=2", "mixed_spec.lua" },
  shuffle = { "--shuffle", "--seed=7", "-o", "TAP", "mixed_spec.lua", "second_spec.lua" },
  sort = { "--sort", "-o", "TAP", "mixed_spec.lua", "second_spec.lua" },
  verbose = { "-v", "mixed_spec.lua" },
  TAP = { "-o", "TAP", "mixed_spec.lua" },
  gtest = { "-o", "gtest", "mixed_spec.lua" },
  junit = { "-o", "junit", "second_spec.lua", any_order = true },
  list = { "--list", "mixed_spec.lua" },
  ["first error"] = { "--no-keep-going", "mixed_spec.lua" },
  uninsulated = { "--no-auto-insulate", "mixed_spec.lua", "second_spec.lua" },
  lazy = { "--lazy", "mixed_spec.lua" },
  ["-e and --lpath"] = { "-e", "_G.set_by_e = 'tide'", "--lpath=lib/?.lua", "arg_spec.lua" },
  directory = { "-C", "configured", "-p", "a_spec", "some" },
  version = { "--version" },
  ["unknown option"] = { "--no-such-option" },
}

local running, results = {}, {}

local function start_case(name)
  running[name] = {}
  for way, words in pairs(WAYS) do running[name][way] = start(words, CASES[name]) end
end

-- Those that wait for long do so together.
local function start_slow_ones()
  for _, name in ipairs { "swallows", "leaks", "hangs", "leaks of a file", "memory" } do start_case(name) end
end

-- What came of a case, in either way, which must be the same but for stderr.
local function result_of(name)
  if results[name] then return results[name] end
  results[name] = {}
  if not running[name] then start_case(name) end
  for way, child in pairs(running[name]) do results[name][way] = child:finish() end
  running[name] = nil
  local of_neap, of_stock = results[name].neap, results[name].stock
  local form = CASES[name].any_order and sorted_words or tostring
  assert.same(form(plain(of_neap.stdout)), form(plain(of_stock.stdout)), name)
  assert.equal(of_neap.status, of_stock.status, name)
  return results[name]
end

-- What it printed and how it ended: in `neap test`, which is as in the other way.
local function assert_ends(status, counts, name)
  local result = result_of(name).neap
  assert.equal(status, result.status, result.stdout .. result.stderr)
  if counts then
    local pattern = counts:gsub("%d+", "%0 %%a+"):gsub(", ", " / ")
    assert.matches("\n" .. pattern, result.stdout)
  end
  return result
end

local function assert_says(result, ...)
  local said = result.stdout .. result.stderr
  for _, words in ipairs { ... } do assert.matches(words, said, 1, true) end
end

describe("neap test and stock busted", function()
  setup(function()
    write_files()
    start_slow_ones()
  end)

  teardown(function()
    for _, ways in pairs(running) do
      for _, child in pairs(ways) do child:finish() end
    end
    os.execute("rm -rf " .. root)
  end)

  it("count what passes, fails, raises and is put off", function()
    local result = assert_ends(1, "5, 2, 2, 2", "mixed")
    assert_says(result, "mixed_spec.lua:32: Expected objects to be equal", "wolf", "for the moon", "code = 42")
    assert.matches("^%+%+%-%-%*%*%.%.%+%+%+\n", result.stdout)
  end)

  it("run several files on one loop", function() assert_ends(1, "6, 2, 2, 2", "files") end)

  it("fail a spec that leaves something behind, and blame no other", function()
    local result = assert_ends(1, "8, 0, 9, 0", "leaks")
    assert_says(result, "leaks_spec.lua:4: the spec left behind: 1 tasks", "<Task 'the sleeper' pending",
      "waits in sleep> made at leaks_spec.lua:4", "leaks_spec.lua:5: the spec left behind: 1 tasks",
      "leaks_spec.lua:5: the spec left errors that nobody read: see stderr", "a lost wolf",
      "leaks_spec.lua:10: the spec left behind: 1 fds", "leaks_spec.lua:11: the spec left behind: 1 tasks, 1 handles",
      "leaks_spec.lua:12: the spec left errors", "a second wolf", "leaks_spec.lua:13: the spec left behind")
  end)

  it("fail a file whose setup leaves something behind", function()
    local result = assert_ends(1, "1, 0, 1, 0", "leaks of a file")
    assert_says(result, "file_leaks_spec.lua:1: the file left behind: 1 tasks", "the tenant")
  end)

  it("fail a spec that leaves memory behind", function()
    local result = assert_ends(1, "2, 0, 1, 0", "memory")
    assert.matches("memory_spec.lua:1: the spec left behind: %d+ bytes of memory", result.stdout)
    assert.not_matches("memory_spec.lua:2: the spec left behind", result.stdout)
  end)

  it("tell <close> variables of the error: an open group cancels its tasks", function()
    local result = assert_ends(1, "0, 1, 1, 0", "group")
    assert_says(result, "Expected objects to be equal", "group_spec.lua:9: a wolf")
  end)

  it("end a spec at the time limit, and run its hooks", function()
    local result = assert_ends(1, "1, 0, 3, 0", "hangs")
    assert_says(result, "it took longer than 0.2 s", "deadlock: nothing can wake the waiting tasks any more",
      "hangs_spec.lua:8: it waits for nothing was cancelled", "it waits for nothing waits in wait at hangs_spec.lua:8")
  end)

  it("kill a spec that swallows that", function()
    local result = assert_ends(1, "1, 0, 1, 0", "swallows")
    assert_says(result, "it took longer than 0.2 s, and did not end when it was cancelled")
  end)

  it("tell the seed of a spec that fails in a shuffled order", function()
    assert_says(assert_ends(1, "1, 0, 1, 0", "seed"), "fails: the order of tasks was shuffled with seed 42")
    assert_says(results.seed.stock, "shuffled with seed 42")
  end)

  it("begin each spec in real time and in order", function() assert_ends(0, "2, 0, 0, 0", "clock") end)

  it("leave by os.exit in a spec, with what was written", function()
    assert.matches("said$", assert_ends(7, nil, "exits").stdout)
  end)

  it("let coverage see what runs in tasks", function()
    for _, result in pairs(result_of "coverage") do
      assert.equal("lines 1 2 3 4 5 6 7 8 9\n", (result.stderr:gsub(" 9$", "")))
    end
  end)

  it("fail where there are no specs, and say so", function()
    assert_says(assert_ends(1, "0, 0, 1, 0", "no file"), "No test files found")
    assert_says(assert_ends(1, "0, 0, 2, 0", "no folder"), "Cannot find file or directory: nowhere")
    assert_says(assert_ends(1, "0, 0, 1, 0", "no specs"), "no spec has run")
    assert_says(assert_ends(1, "0, 0, 1, 0", "no match"), "no spec has run")
    assert_ends(0, "0, 0, 0, 1", "only pending")
  end)

  it("choose specs by tags and names", function()
    assert_ends(0, "2, 0, 0, 0", "tags")
    assert_ends(1, "3, 2, 2, 2", "excluded tags")
    assert_ends(0, "1, 0, 0, 0", "filter")
    assert_ends(1, "5, 1, 0, 2", "filter out")
  end)

  it("repeat, shuffle and sort", function()
    local twice = assert_ends(1, "5, 2, 2, 2", "repeat")
    assert.equal(2, select(2, twice.stdout:gsub("5 successes / 2 failures / 2 errors / 2 pending", "")))
    assert.not_equal(assert_ends(1, nil, "shuffle").stdout, assert_ends(1, nil, "sort").stdout)
  end)

  it("print what output handlers print", function()
    assert.matches("ok 1 %- one awaits #fast\nok 2 .*not ok 3 .*1%.%.11\n$", assert_ends(1, nil, "TAP").stdout)
    assert_says(assert_ends(1, nil, "gtest"), "[ RUN      ]", "11 tests from mixed_spec.lua")
    assert.matches("<testsuite [^>]*tests='1'", assert_ends(0, nil, "junit").stdout)
    assert_says(assert_ends(1, "5, 2, 2, 2", "verbose"), "stack traceback")
  end)

  it("take busted's other options", function()
    assert_says(assert_ends(0, nil, "list"), "mixed_spec.lua:20: one awaits #fast")
    assert_ends(1, "2, 1, 0, 0", "first error")
    assert_ends(1, "6, 2, 2, 2", "uninsulated")
    assert_ends(1, "5, 2, 2, 2", "lazy")
    assert_ends(0, "2, 0, 0, 0", "-e and --lpath")
    assert_ends(0, "1, 0, 0, 0", "directory")
    assert.matches("^%d+%.%d", assert_ends(0, nil, "version").stdout)
  end)

  it("refuse an option that busted does not have", function()
    assert.equal("neap test: error: unknown/bad flag: --no-such-option; re-run with --help for usage.\n",
      assert_ends(1, nil, "unknown option").stderr)
  end)
end)

describe("a .busted file", function()
  setup(write_files)
  teardown(function() os.execute("rm -rf " .. root) end)

  local function run(...)
    return start({ ... }, {}):finish()
  end

  it("with lua and helper serves both commands", function()
    local of_neap = run("env", "-C", "configured", neap, "test")
    assert.equal(0, of_neap.status, of_neap.stdout .. of_neap.stderr)
    assert.matches("1 success", of_neap.stdout)
    local of_stock = run("env", "-C", "configured", preload, busted_script())
    assert.equal(plain(of_neap.stdout), plain(of_stock.stdout))
    assert.equal(0, of_stock.status)
  end)

  it("is not needed with --lua and --helper", function()
    local result = run("env", preload, busted_script(), "--lua=lua5.4", "--helper=neap.busted", "second_spec.lua")
    assert.matches("1 success / 0 failures / 0 errors", result.stdout)
  end)

  it("may name a helper that loads neap.busted", function()
    local result = run("env", preload, "lua5.4", busted_script(), "--helper=own_helper.lua", "mixed_spec.lua")
    assert.matches("5 successes / 2 failures / 2 errors", result.stdout)
  end)

  it("that names none leaves busted as it is", function()
    local result = run("env", preload, "lua5.4", busted_script(), "configured/some/a_spec.lua")
    assert.matches("cannot wait outside a task", result.stdout, 1, true)
  end)
end)

describe("the specs among the examples", function()
  for way, words in pairs(WAYS) do
    it("pass in time that is virtual: " .. way, function()
      local line = { "env", "LUA_CPATH=" .. neap:gsub("[^/]*$", "module/?.so") .. ";;" }
      table.move(words, 1, #words, #line + 1, line)
      line[#line + 1] = "examples/spec"
      local result = program.run(line)
      assert.matches("4 successes / 0 failures / 0 errors", result.stdout)
      assert.equal(0, result.status)
    end)
  end
end)
