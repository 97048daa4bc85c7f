-- Limits of scripts: a host that does not trust them runs each, and goes on.
local escapes = require "spec.support.escapes"
local neap = require "neap"
local program = require "spec.support.program"
local stream = require "spec.support.stream"

local host = program.neap:gsub("[^/]*$", "limited_host")
local SECONDS_MOST <const> = 10 -- which is for a machine that has much else to do

local function run(options, script)
  local words = { host }
  for word in options:gmatch "%S+" do words[#words + 1] = word end
  words[#words + 1] = script
  return program.run(words)
end

-- How the script ended, in one line; how the next one in the same state did; and what follows.
local function ending(result)
  local script, same, rest = result.stdout:match "^script:%s*(.-)\nsame state:%s*(.-)\n(.*)"
  if not script then return nil, result.stdout .. result.stderr end
  return script:gsub("script:%d+:", "script:N:"):gsub("%s*\n%s*", " | "), same, rest
end

local function assert_ends(expected, options, script)
  local result = run(options, script)
  local ended, same, rest = ending(result)
  if expected:find "%.%.%.$" then
    expected = expected:sub(1, -4)
    ended = ended and ended:sub(1, #expected)
  elseif expected:find "^%.%.%." then
    expected = expected:sub(4)
    ended = ended and ended:sub(-#expected)
  end
  assert.equal(expected, ended, same)
  assert.equal("ok 2", same)
  local within = options:find "memory" and "memory: within\n" or ""
  assert.equal(within .. "new state: ok 2\n", rest)
  assert.equal(0, result.status, result.stderr)
  assert.is_true(result.seconds < SECONDS_MOST, result.seconds)
end

-- What it printed of its end, without a restricted state.
local function ends(options, script)
  local result = run(options, script)
  assert.equal(0, result.status, result.stderr)
  return (ending(result))
end

local function try_all(class, rows)
  for _, row in ipairs(rows) do
    local name, options, script, expected = table.unpack(row)
    it(class .. ": " .. name, function()
      local needs_name = expected:find "ECONNREFUSED" and script:find "localhost"
      if needs_name and not stream.has_localhost() then return pending "localhost is not known here" end
      assert_ends(expected, "--restricted " .. options, script)
    end)
  end
end

describe("a restricted script", function()
  try_all("ends at the ceiling, and leaves nothing", escapes.memory)
  try_all("ends with its step", escapes.loops)
  try_all("stays inside", escapes.doors)
  try_all("is held by a seat belt", escapes.belts)

  local absent <const> = {
    "io", "debug", "dofile", "loadfile", "warn", "os.execute", "os.remove", "os.rename", "os.exit", "os.getenv",
    "os.tmpname", "os.setlocale", "string.dump", "package.loadlib", "package.searchers", "package.searchpath",
    "package.cpath", "package.preload['neap.core']", "package.loaded['neap.core']", "package.loaded.io",
    "package.loaded.debug", "package.loaded.package.searchers", "package.loaded._G.io",
  }

  it("has no " .. table.concat(absent, ", "):sub(1, 60) .. " ...", function()
    local script = "return " .. table.concat(absent, " or ") .. " or 'nothing'"
    assert_ends("ok nothing", "--restricted", script)
  end)

  for _, name in ipairs {
    "io", "debug", "socket", "neap.core", "neap.testing", "neap.sandbox", "neap.repl", "neap.subprocess",
  } do
    it("cannot require " .. name, function()
      assert_ends("ok false module '" .. name .. "' not found:...", "--restricted",
        ("return pcall(require, %q)"):format(name))
    end)
  end

  it("sees of neap only what is named", function()
    local script = [[
      local names = {}
      for name in pairs(require "neap") do names[#names + 1] = name end
      table.sort(names)
      return table.concat(names, " ")]]
    local seen = run("--restricted", script).stdout:match "ok ([^\n]*)"
    for name in seen:gmatch "%S+" do assert.is_not_nil(neap[name], name) end
    for _, name in ipairs { "install", "thread", "to_thread", "Channel", "subprocess", "print_call_graph" } do
      assert.is_nil((" " .. seen .. " "):find(" " .. name .. " ", 1, true), name)
    end
  end)

  describe("with modules", function()
    local folder, options

    local function write(name, text)
      local file <close> = assert(io.open(folder .. "/" .. name .. ".lua", "wb"))
      file:write(text)
    end

    setup(function()
      folder = os.tmpname()
      os.remove(folder)
      assert(os.execute("mkdir " .. folder))
      options = ("--restricted --modules=a,bytes --path=%s/?.lua"):format(folder)
      write("a", "return io == nil and 'a is here'")
      write("b", "return 'b is here'")
      write("bytes", string.dump(function() return "bytecode" end))
    end)

    teardown(function() os.execute("rm -r " .. folder) end)

    it("loads those that are named, under its own globals", function()
      assert_ends("ok a is here true", options, "local a = require 'a' return a, a == require 'a'")
    end)

    it("loads no others", function()
      assert_ends("ok false module 'b' not found:...", options, "return pcall(require, 'b')")
    end)

    it("loads no bytecode", function()
      assert_ends("ok false error loading module 'bytes'...", options, "return pcall(require, 'bytes')")
    end)

    it("has modules of its own in package.preload", function()
      assert_ends("ok mine", options, "package.preload.m = function() return 'mine' end return (require 'm')")
    end)
  end)
end)

describe("a limit", function()
  it("of memory counts what neap itself has", function()
    local script = [[local neap = require "neap"
      for i = 1, 500 do neap.create_task(neap.sleep, 9) end
      neap.sleep(0) return "slept"]]
    assert.equal("error not enough memory", ends("--restricted --memory=700k", script))
    assert.equal("ok slept", ends("--restricted --memory=2m", script))
  end)

  -- Buffers of Lua's C library are refused without a collection: it must have come before.
  it("of memory has garbage collected before it is reached", function()
    local script = [[local kept, n = {}, 0
      for i = 1, 12 do kept[i] = ("k"):rep(100000) end
      for i = 1, 3000 do
        local t = {}
        for j = 1, 50 do t[j] = {} end
        if i % 50 == 0 then n = n + #("x"):rep(200000) end
      end
      return n]]
    for kilobytes = 1900, 2700, 100 do
      assert.equal("ok 12000000", ends(("--restricted --memory=%dk"):format(kilobytes), script))
    end
  end)

  it("of memory counts scopes, which are not in Lua's memory", function()
    local script = [[local neap, t = require "neap", {}
      for i = 1, 5000 do t[i] = neap.timeout(9) end
      for i = 5000, 1, -1 do t[i]:close() end
      return "opened"]]
    assert.equal("error not enough memory", ends("--restricted --memory=1600k", script))
    assert.equal("ok opened", ends("--restricted --memory=2400k", script))
  end)

  it("of memory counts what streams have received", function()
    assert.equal("asked: 127.0.0.1, to listen | asked: 127.0.0.1 | ok ENOMEM",
      ends("--restricted --memory=1m --allow=127.0.0.1", [[
        local neap = require "neap"
        neap.get_running_loop():set_exception_handler(function() end)
        local server = neap.start_server(function(s) while s:write(("x"):rep(10000)) do end end, "127.0.0.1", 0)
        local stream = neap.open_connection("127.0.0.1", server.port)
        return (select(3, stream:read "a"))]]))
  end)

  it("of addresses is not got round by a descriptor, which may be of a listening socket of the host's", function()
    local message = "ok false the option 'fd': a restricted script may not do that"
    for _, fd in ipairs { 0, 1, 5 } do
      assert.equal(message, ends("--restricted --allow=127.0.0.1", ([[
        local neap = require "neap"
        local ok, err = pcall(neap.start_server, print, nil, nil, { fd = %d })
        return ok, (err:gsub("^.-:%%d+: ", ""))]]):format(fd)))
    end
  end)

  it("of memory is one of the whole state, not of what a script may use at a time", function()
    local script = [[local n = 0 for i = 1, 100 do n = n + #("x"):rep(300000) end return n]]
    assert.equal("ok 30000000", ends("--memory=2m", script))
  end)

  it("of a step is told by a LimitError, at the place", function()
    assert.equal("ok true script:N: the step took longer than 0.01 s", ends("--step=0.01", [[
      local neap = require "neap"
      local task = neap.create_task(function() while true do end end)
      local ok, err = pcall(task.await, task)
      return neap.is(err, neap.LimitError), tostring(err)]]))
  end)

  it("of a step begins anew with each", function()
    assert.equal("ok 40", ends("--step=0.2", [[
      local neap, n = require "neap", 0
      for i = 1, 40 do
        local till = os.clock() + 0.01
        while os.clock() < till do end
        n = n + 1
        neap.sleep(0)
      end
      return n]]))
  end)

  it("of instructions stops no step that keeps to it", function()
    local script = "for i = 1, %d do end return 'ended'"
    assert.equal("ok ended", ends("--instructions=1e5", script:format(90000)))
    assert.equal("error {script:N: the step took more than 100000 instructions}",
      ends("--instructions=1e5", script:format(101000)))
  end)

  it("of a step binds callbacks, and one that breaks it harms no other", function()
    assert.equal("ok 2", ends("--step=0.01", [[
      local neap, n = require "neap", 0
      local loop = neap.get_running_loop()
      loop:set_exception_handler(function(_, context)
        if neap.is(context.exception, neap.LimitError) then n = n + 1 end
      end)
      for i = 1, 2 do loop:call_soon(function() while true do pcall(function() while true do end end) end end) end
      neap.sleep(0)
      neap.sleep(0)
      return n]]))
  end)

  it("of a step lets locks go that the script holds", function()
    assert.equal("ok free", ends("--step=0.01", [[
      local neap = require "neap"
      local lock = neap.Lock()
      local task = neap.create_task(function()
        local held <close> = lock:acquire()
        coroutine.wrap(function() while true do pcall(function() while true do end end) end end)()
      end)
      pcall(task.await, task)
      local held <close> = lock:acquire()
      return "free"]]))
  end)

  it("of tasks is for those that have not ended", function()
    assert.equal("ok 100", ends("--tasks=3", [[
      local neap, n = require "neap", 0
      for i = 1, 100 do n = n + neap.create_task(function() return 1 end):await() end
      return n]]))
  end)

  it("of handles is for those that are open", function()
    assert.equal("ok 20", ends("--handles=2", [[
      local neap, n = require "neap", 0
      for i = 1, 20 do
        local server <close> = assert(neap.start_server(function() end, "127.0.0.1", 0))
        n = n + 1
        server:close()
        neap.sleep(0)
      end
      return n]]))
  end)

  it("of handles counts a child process and its pipes", function()
    assert.equal("ok EMFILE 0 EMFILE", ends("--handles=2", [[
      local neap = require "neap"
      local exec = neap.subprocess.exec
      local codes = {}
      codes[1] = select(3, exec { "cat", stdin = "pipe", stdout = "pipe" })
      neap.sleep(0)
      local process <close> = assert(exec { "cat", stdin = "pipe", stdout = "null" })
      codes[3] = select(3, exec { "true" })
      process.stdin:close()
      codes[2] = process:wait()
      return table.concat(codes, " ")]]))
  end)

  it("of handles lets a server wait", function()
    assert.equal("ok one two", ends("--handles=4", [[
      local neap = require "neap"
      neap.get_running_loop():set_exception_handler(function() end)
      local server <close> = assert(neap.start_server(function(stream)
        stream:write(stream:read "l")
      end, "127.0.0.1", 0))
      local function ask(word)
        local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
        stream:write(word, "\n")
        return (stream:read "a")
      end
      local idle = assert(neap.open_connection("127.0.0.1", server.port))
      neap.create_task(function() neap.sleep(0.05) idle:close() end)
      local answers = neap.gather(function() return ask "one" end)
      return answers[1], ask "two"]]))
  end)
end)
