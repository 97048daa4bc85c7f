-- `neap compile`: one executable of a script and its modules.
local folder = require "spec.support.folder"

local LOST <const> = "the program has lost its Lua files: was this executable stripped or truncated?"

-- What is said of app.lua.
local function not_found(module)
  return ("neap: app.lua requires '%s', which is not found as a Lua file: it is left to run time\n"):format(module)
end

local function computed(line)
  return ("neap: app.lua:%d: a module whose name is computed: name it with -l to include it\n"):format(line)
end

-- Gives fn a folder with these files.
local function with(files, fn)
  return function()
    local dir <close> = folder.new()
    for name, text in pairs(files) do dir:write(name, text) end
    fn(dir)
  end
end

local function compile(dir, options, said)
  local result = dir:shell('"$NEAP" compile ' .. (options or "app.lua -o app"))
  assert.equal(said or "", result.stderr)
  assert.equal(0, result.status)
end

-- Runs the program where its sources are not.
local function run(dir, arguments, before)
  return dir:shell(("mkdir -p away && cd away && %s ../app %s"):format(before or "", arguments or ""))
end

local function assert_prints(expected, result)
  assert.equal("", result.stderr)
  assert.equal(expected, result.stdout)
  assert.equal(0, result.status)
end

-- The program of these files prints that, without them.
local function prints(expected, files)
  return with(files, function(dir)
    compile(dir)
    assert_prints(expected, run(dir))
  end)
end


describe("a compiled program", function()
  it("has its modules with it, and theirs", prints("a\tb c\n", {
    ["app.lua"] = "print(require 'a', (require(\"deep.b\")))\n",
    ["a.lua"] = "return 'a'",
    ["deep/b.lua"] = "return 'b ' .. require [[deep.c]]",
    ["deep/c/init.lua"] = "return 'c'",
  }))

  it("takes its modules before those of package.path, after those of package.preload", function()
    local dir <close> = folder.new()
    dir:write("app.lua", "package.preload.b = function() return 'preloaded' end print((require 'a'), (require 'b'))")
    dir:write("a.lua", "return 'with it'")
    dir:write("b.lua", "return 'with it'")
    compile(dir)
    dir:write("away/a.lua", "return 'another'")
    assert_prints("with it\tpreloaded\n", run(dir))
  end)

  it("finds another module where it runs", with({ ["app.lua"] = "print((require('late' .. 'r')))" }, function(dir)
    compile(dir, nil, computed(1))
    dir:write("away/later.lua", "return 'found'")
    assert_prints("found\n", run(dir))
  end))

  it("gives modules their names and files, as Lua does", prints("m\t./m.lua\n@./m.lua\t@app.lua\n", {
    ["app.lua"] = "local m = require 'm' print(m, debug.getinfo(1, 'S').source)",
    ["m.lua"] = "print(...) return debug.getinfo(1, 'S').source",
  }))

  it("awaits, in its body and in its modules", prints("loaded\t1.0\ntrue\n", {
    ["app.lua"] = "local neap = require 'neap' local loop = neap.get_running_loop() local from = loop:time() "
      .. "require 'm' print(loop:time() - from >= 0.02)",
    ["m.lua"] = "require 'neap'.sleep(0.02) print('loaded', 1.0)",
  }))

  it("has neap's other modules", prints("function\n", {
    ["app.lua"] = "print(type(require 'neap.testing'.virtual_clock))",
  }))

  it("gets every argument, options of neap too", with({
    ["app.lua"] = "print(arg[0], #arg, arg[-1], ...)",
  }, function(dir)
    compile(dir)
    assert_prints("../app\t0\tnil\n", run(dir))
    assert_prints("../app\t5\tnil\t--version\t-e\tx\t--\t\n", run(dir, "--version -e x -- ''"))
    assert_prints("../app\t2\tnil\ttest\tcompile\n", run(dir, "test compile"))
  end))

  it("ends with the status that its script gives", with({ ["app.lua"] = "os.exit(tonumber((...)))" }, function(dir)
    compile(dir)
    assert.equal(7, run(dir, "7").status)
    assert.equal(0, run(dir, "0").status)
  end))

  it("tells of errors with the names and lines of its files", with({
    ["app.lua"] = "local m = require 'm'\nm()",
    ["m.lua"] = "return function()\n  error 'boom'\nend",
  }, function(dir)
    compile(dir)
    local result = run(dir)
    assert.equal(1, result.status)
    assert.matches("^%.%./app: %./m%.lua:2: boom\nstack traceback:\n", result.stderr)
    assert.matches("app.lua:2: in main chunk", result.stderr, 1, true)
  end))

  it("keeps its line numbers under a first line for the shell, and drops a mark of UTF-8", prints("2\n", {
    ["app.lua"] = "\xEF\xBB\xBF#!/usr/bin/env neap\nprint(debug.getinfo(1, 'l').currentline)",
  }))

  it("holds any bytes", prints("true\n", {
    ["app.lua"] = "print(require 'm' == '\\0\\255\\r\\n'..'end')",
    ["m.lua"] = "return '\0\255\\r\\n' .. 'end' -- neap end",
  }))

  it("does not look at LUA_INIT, but at what else the environment says", with({
    ["app.lua"] = "print(package.path:sub(1, 4), require 'neap'.get_running_loop():get_debug())",
  }, function(dir)
    compile(dir)
    assert_prints("/x/?\ttrue\n", run(dir, "", "LUA_INIT='print(1)' LUA_PATH='/x/?' NEAP_DEBUG=1"))
  end))

  it("has its modules in its threads, too", with({
    ["app.lua"] = [[local neap, args = require "neap", require "args"
      print(neap.to_thread(function() return args(1, 2) end))]],
    ["args.lua"] = "return function(...) return select('#', ...) end",
  }, function(dir)
    compile(dir)
    assert_prints("2\n", dir:shell "rm args.lua && ./app")
  end))

  it("says so when it was stripped or truncated", with({ ["app.lua"] = "print 'here'" }, function(dir)
    compile(dir)
    for _, damage in ipairs { "strip -o hurt app", "head -c -1 app >hurt", "head -c -100 app >hurt",
      "{ head -c -4 app; printf 'xxxx'; } >hurt" } do
      local result = dir:shell(damage .. " && chmod +x hurt && ./hurt")
      assert.equal("./hurt: " .. LOST .. "\n", result.stderr, damage)
      assert.equal(1, result.status)
      assert.equal("", result.stdout)
    end
  end))

  it("is one that its folder's reader can run", with({ ["app.lua"] = "print(1)" }, function(dir)
    assert_prints("750\n", dir:shell 'umask 027 && "$NEAP" compile app.lua -o app && stat -c %a app')
  end))

  it("replaces one that runs", with({ ["app.lua"] = "io.open('runs', 'w') io.read() print 'old'" }, function(dir)
    compile(dir)
    dir:write("new.lua", "print 'new'")
    assert_prints("new\nold\n", dir:shell [[mkfifo go; ./app <go & exec 3>go
      until [ -e runs ]; do sleep 0.01; done
      "$NEAP" compile new.lua -o app && ./app; echo >&3; wait]])
  end))
end)

describe("neap compile", function()
  it("takes modules that are named with -l, and theirs", with({
    ["app.lua"] = "for _, name in ipairs { 'a', 'b' } do print((require(name))) end",
    ["a.lua"] = "return 'a' .. require 'c'",
    ["b.lua"] = "return 'b'",
    ["c.lua"] = "return 'c'",
  }, function(dir)
    compile(dir, "-l a -lb app.lua -oapp", computed(1))
    assert_prints("ac\nb\n", run(dir))
  end))

  it("sees calls with literal names alone, and names what it does not find", with({
    ["app.lua"] = [==[
      -- require "comment"
      --[[ require "long comment" ]] --[=[ ]] require "longer" ]=]
      local text = 'require "text"' .. "\"require 'more'" .. [[ require "long" ]]
      local object = { require = print } object.require "field" object:require "method"
      local function use() return pcall(require, "optional.c"), pcall(require, "lfs") end
      local twice = function() require "optional.c" end
      local name = "a" if false then require(name) end
      print(pcall(require, name)) ]==],
    ["a.lua"] = "return 1",
  }, function(dir)
    compile(dir, nil, not_found "optional.c" .. not_found "lfs" .. computed(7) .. computed(8))
  end))

  it("finds modules by LUA_PATH", with({
    ["app.lua"] = "print((require 'm'))",
    ["lib/m.lua"] = "return 'm'",
  }, function(dir)
    assert_prints("", dir:shell [[LUA_PATH='lib/?.lua' "$NEAP" compile app.lua -o app]])
    assert_prints("m\n", run(dir))
  end))

  local function refuses(options, message)
    return with({ ["app.lua"] = "print(require 'm')", ["m.lua"] = "return 1", ["bad.lua"] = "\nx = = 1",
      ["requires_bad.lua"] = "require 'bad'", ["chunk.lua"] = string.dump(function() end) }, function(dir)
      local before = dir:shell("ls; cat app.lua m.lua").stdout
      local result = dir:shell('"$NEAP" compile ' .. options)
      assert.equal(message, result.stderr)
      assert.equal(1, result.status)
      assert.equal(before, dir:shell("ls; cat app.lua m.lua").stdout)
    end)
  end

  local USAGE <const> = "usage: neap compile script -o program [-l module ...]\n"

  it("refuses what is not there", refuses("no.lua -o app", "neap: cannot open no.lua: No such file or directory\n"))
  it("refuses a wrong syntax", refuses("bad.lua -o app", "neap: bad.lua:2: unexpected symbol near '='\n"))
  it("refuses it in a module", refuses("requires_bad.lua -o app", "neap: ./bad.lua:2: unexpected symbol near '='\n"))
  it("refuses a binary chunk", refuses("chunk.lua -o app",
    "neap: chunk.lua is a binary chunk, not text\n"))
  it("refuses a module that is not there", refuses("app.lua -l no -o app",
    "neap: module 'no' is not found as a Lua file\n"))
  it("refuses to write where it cannot", refuses("app.lua -o no/app",
    "neap: cannot write no/app: No such file or directory\n"))
  it("refuses to write over its script", refuses("app.lua -o ./app.lua",
    "neap: cannot write ./app.lua: it is a source of the program\n"))
  it("refuses to write over a module", refuses("app.lua -o m.lua",
    "neap: cannot write m.lua: it is a source of the program\n"))
  it("refuses to write over a folder or a device", refuses("app.lua -o /dev/null",
    "neap: cannot write /dev/null: it is not a plain file\n"))
  it("refuses no output", refuses("app.lua", USAGE))
  it("refuses no script", refuses("-o app", USAGE))
  it("refuses two scripts", refuses("app.lua m.lua -o app",
    "neap: one script makes a program, but there is 'm.lua', too\n" .. USAGE))
  it("refuses other options", refuses("-x app.lua -o app", "neap: unrecognized option '-x'\n" .. USAGE))
  it("refuses an option without its argument", refuses("app.lua -o", "neap: '-o' needs argument\n" .. USAGE))
end)
