-- Lua's own behaviour is kept: the same command lines give the same output and exit status under lua5.4 and neap.
local program = require "spec.support.program"

-- The scripts that the command lines below use.
local FILES = {
  ["args.lua"] = [[print(arg[-1], arg[0], #arg, ...)]],
  ["shebang.lua"] = "#!/usr/bin/env lua\nprint(debug.getinfo(1, 'l').currentline)",
  ["bom.lua"] = "\xEF\xBB\xBFprint 'after the mark'",
  ["-dash.lua"] = [[print "dash"]],
  ["syntax.lua"] = "local x = 1\nlocal y = = 2",
  ["unfinished.lua"] = "if true then",
  ["mod.lua"] = [[return { name = ..., path = select(2, ...) }]],
  ["bad_mod.lua"] = [[error "no good"]],
  ["circle.lua"] = [[
depth = (depth or 0) + 1
print("depth", depth, ...)
local inner = depth < 3 and { require "circle" }
return { depth = depth, inner = inner }
]],
  ["chain.lua"] = [[
local function load() return require "bad_mod" end
return (load())
]],
  ["sub/mod.lua"] = [[return { name = "sub" }]],
  ["init.lua"] = [[print "init file"]],
  ["returns.lua"] = [[return 3, "values"]],
  ["trace.lua"] = [[
local t = {}
function t.field(n) local x = n .. nil return x end
function t:method() t.field(1) return 1 end
local function inner() t:method() return 1 end
function global() inner() return 1 end
global()
]],
  ["tail.lua"] = "local function f() error 'tail' end\nlocal function g() return f() end\ng()",
  ["close.lua"] = [[
local function noisy(name) return setmetatable({}, { __close = function(_, err) print(name, err ~= nil) end }) end
local a <close> = noisy "a"
do local b <close> = noisy "b" end
local c <close> = noisy "c"
if arg[1] == "error" then error "failed" end
if arg[1] == "exit" then os.exit(5, true) end
print "end"
]],
  ["read.lua"] = [[
print(io.read("n", "l", 3, "L"))
for line in io.lines() do print("line", line) end
print(io.read())
]],
}

-- What is run: a name, and a line of shell in which $LUA is the interpreter.
local CASES = {
  { "prints values", [[$LUA -e 'print(1, 1.0, nil, true, "x", 2^53, 1e100, -0.0, 1/0, math.mininteger)']] },
  { "passes arguments", [[$LUA args.lua a 'b c' '']] },
  { "passes no arguments", [[$LUA args.lua]] },
  { "counts options in arg", [[$LUA -e 'x = 1' -W args.lua a; $LUA -e 'print(arg[0], arg[-1], #arg)']] },
  { "takes changes of arg", [[$LUA -e 'arg[1] = "z"; arg[3] = "y"' args.lua a b]] },
  { "refuses an arg that is no table", [[$LUA -e 'arg = nil' args.lua]] },
  { "runs several -e in order", [[$LUA -e 'x = 1' -e 'print(x)' -eprint'"joined"' args.lua]] },
  { "gives -e no arguments", [[$LUA -e 'print(select("#", ...))' args.lua a]] },
  { "stops at the first -e that fails", [[$LUA -e 'print(1)' -e 'error "x"' -e 'print(3)']] },
  { "loads -l into a global", [[$LUA -l mod -e 'print(mod.name, mod.path)']] },
  { "loads -l under another name", [[$LUA -l m=mod -e 'print(m.name, mod)']] },
  { "fails when -l finds nothing", [[$LUA -l nowhere -e 'print(1)']] },
  { "runs scripts from stdin with -", [[echo 'print(arg[0], ...)' | $LUA - a b]] },
  { "runs stdin when it is no terminal", [[echo 'print(arg[0], ...)' | $LUA]] },
  { "names stdin in errors", [[echo 'error "x"' | $LUA -; echo 'x x' | $LUA -]] },
  { "ends options at --", [[$LUA -- -dash.lua; $LUA -- args.lua -e]] },
  { "leaves options after the script to it", [[$LUA args.lua -e -v --]] },
  { "skips a #! line and counts it", [[$LUA shebang.lua]] },
  { "skips a byte order mark", [[$LUA bom.lua]] },
  { "ignores what a script returns", [[$LUA returns.lua]] },
  { "runs a precompiled script", [[$LUA -e 'io.output("out.luac"):write(string.dump(load "print(...)"))'
    $LUA out.luac a]] },

  { "has lua's globals and no others", [[$LUA -e '
    local names = {} for name in pairs(_G) do names[#names + 1] = name end
    table.sort(names) print(table.concat(names, " "))']] },
  { "has lua's paths", [[$LUA -e 'print(package.path, package.cpath, package.config)']] },
  { "keeps -v apart from what is run", [[$LUA -v -e 'print(1)' | grep -v 'Lua 5[.]4[.]']] },
  { "has a main chunk at the stack's foot", [[$LUA -e '
    print(debug.traceback "x") print(pcall(debug.getlocal, 4, 1))']] },

  { "turns warnings on with -W", [[$LUA -W -e 'warn("a ", "b")']] },
  { "turns warnings on and off with warn", [[$LUA -e 'warn "@on" warn "on" warn "@off" warn "off"']] },
  { "warns of an error in __gc", [[$LUA -W -e '
    setmetatable({}, { __gc = function() error "x" end }) collectgarbage()']] },
  { "runs finalizers at the end", [[$LUA -e 'X = setmetatable({}, { __gc = function() print "gc" end })']] },

  { "exits with 0 by itself", [[$LUA -e '']] },
  { "exits with os.exit()", [[$LUA -e 'io.write "x" os.exit()']] },
  { "exits with os.exit(true)", [[$LUA -e 'io.write "x" os.exit(true)']] },
  { "exits with os.exit(false)", [[$LUA -e 'io.write "x" os.exit(false)']] },
  { "exits with os.exit(n)", [[$LUA -e 'io.write "x" os.exit(7)']] },
  { "exits with os.exit(n, true)", [[$LUA -e 'io.write "x" os.exit(7, true)']] },
  { "exits with os.exit(false, true)", [[$LUA -e 'io.write "x" os.exit(false, true)']] },
  { "exits from a coroutine and from pcall", [[$LUA -e 'pcall(coroutine.wrap(function() os.exit(4, true) end))']] },
  { "exits from a coroutine at once", [[$LUA -e 'pcall(coroutine.wrap(function() os.exit(4) end))']] },
  { "closes variables at os.exit(n, true)", [[$LUA close.lua exit]] },
  { "closes variables at the end", [[$LUA close.lua]] },
  { "closes variables on an error", [[$LUA close.lua error]] },
  { "dies of a broken pipe", [[{ env --default-signal=PIPE $LUA -e 'for i = 1, 1e6 do print(i) end'
    echo $? >&2; } | head -n 1]] },

  { "reports a syntax error", [[$LUA syntax.lua]] },
  { "reports an unfinished script", [[$LUA unfinished.lua]] },
  { "reports a syntax error of -e", [[$LUA -e 'x =']] },
  { "reports a missing script", [[$LUA missing.lua]] },
  { "reports a folder as script", [[$LUA .]] },
  { "reports a runtime error with its traceback", [[$LUA trace.lua]] },
  { "reports an error of -e with its traceback", [[$LUA -e 'local x = nil; x.y = 1']] },
  { "shows tail calls in the traceback", [[$LUA tail.lua]] },
  { "prints before it fails", [[$LUA -e 'io.write "no newline" error "x"']] },
  { "reports an error without position", [[$LUA -e 'error("plain", 0)']] },
  { "reports an error of the caller", [[$LUA -e 'local function f() error("caller", 2) end
    f()']] },
  { "reports a table", [[$LUA -e 'error {}']] },
  { "reports a table with __tostring", [[$LUA -e '
    error(setmetatable({}, { __tostring = function() return "me" end }))']] },
  { "reports a table whose __tostring gives no string", [[$LUA -e '
    error(setmetatable({}, { __tostring = function() return {} end }))']] },
  { "reports nil", [[$LUA -e 'error(nil)']] },
  { "reports a number", [[$LUA -e 'error(42)']] },
  { "reports true", [[$LUA -e 'error(true)']] },
  { "reports a failed assert", [[$LUA -e 'assert(false)'; $LUA -e 'assert(io.open "missing")']] },
  { "reports an error in a close handler", [[$LUA -e '
    local x <close> = setmetatable({}, { __close = function() error "closing" end })']] },
  { "gives pcall and xpcall what was raised", [[$LUA -e '
    print(pcall(error, nil)) print(pcall(error)) print(pcall(error, "x", 0))
    print(xpcall(function() local x = nil + 1 end, function(e) return e, "more" end))
    print(select(2, xpcall(error, debug.traceback, "traced")))']] },
  { "survives a stack overflow", [[$LUA -e 'local function f() return 1 + f() end
    print(select(2, pcall(f)):match "stack overflow")']] },

  { "runs LUA_INIT", [[LUA_INIT='print "init"' $LUA -e 'print "main"']] },
  { "prefers LUA_INIT_5_4", [[LUA_INIT='print "no"' LUA_INIT_5_4='print "yes"' $LUA -e '']] },
  { "runs LUA_INIT from a file", [[LUA_INIT=@init.lua $LUA -e 'print "main"']] },
  { "fails with LUA_INIT", [[LUA_INIT='error "x"' $LUA -e 'print "main"']] },
  { "reports LUA_INIT's syntax", [[LUA_INIT='x x' $LUA -e 'print "main"']] },
  { "searches LUA_PATH", [[LUA_PATH='sub/?.lua' $LUA -e 'print(package.path, require "mod".name)']] },
  { "puts the default for ;; in LUA_PATH", [[LUA_PATH='sub/?.lua;;' $LUA -e 'print(package.path)']] },
  { "prefers LUA_PATH_5_4", [[LUA_PATH=no LUA_PATH_5_4='sub/?.lua' LUA_CPATH=c $LUA -e '
    print(package.path, package.cpath)']] },
  { "ignores the environment with -E", [[LUA_INIT='print "init"' LUA_PATH=no LUA_CPATH=no $LUA -E -e '
    print(package.path, package.cpath)']] },
  { "requires modules", [[$LUA -e 'print(require "mod".path, select(2, require "mod"), require "mod" == require "mod")
    package.preload.pre = function(...) return { ... } end
    print(table.unpack((require "pre"))) print(#package.searchers)']] },
  { "says where it looked for a module", [[$LUA -e 'print(pcall(require, "no.where"))']] },
  { "passes on a module's error", [[$LUA -e 'print(pcall(require, "bad_mod"))']] },
  { "reports a missing module", [[$LUA -e 'local x = 1
    require "no.where"']] },
  { "reports a module's error with its traceback", [[$LUA -e 'require "chain"']] },
  { "traces through require", [[$LUA -e 'print(select(2, xpcall(require, debug.traceback, "chain")))
    package.preload.pre = function() print(debug.traceback "here") end require "pre"']] },
  { "reports a module's syntax", [[echo 'x x' >wrong.lua; $LUA -e 'print(pcall(require, "wrong"))']] },
  { "gives the loader's data with a module, once", [[$LUA -e '
    print(select("#", require "mod"), select("#", require "mod"))
    print(select(2, require "circle"))']] },
  { "takes what a loader returns: false, nil, nothing", [[$LUA -e '
    local n = 0
    local function try(loader) package.preload.pre = function(...) n = n + 1 return loader(...) end
      package.loaded.pre = nil print(require "pre") print(require "pre") print(n, package.loaded.pre) end
    try(function() return false end) try(function() return nil end) try(function() end)
    try(function() package.loaded.pre = 5 end) try(function() package.loaded.pre = 5 return false end)
    try(function() return 1, 2 end)']] },
  { "takes preloaded modules and searchers that a program adds", [[$LUA -e '
    package.preload.pre = function(...) print(...) end print(require "pre")
    table.insert(package.searchers, 2, function(...) print("searcher", ...)
      return function(...) print(...) end, 7 end)
    print(require "any")
    package.searchers = { function() end, function() return "\n\tnothing", 1 end, function() return 5 end,
      function() return {} end, function() return nil, "data" end }
    print(pcall(require, "missing"))
    package.searchers = {} print(pcall(require, "missing"))
    package.searchers = { 1 } print(pcall(require, "missing"))
    package.searchers = { function() error "searcher" end } print(pcall(require, "missing"))
    package.searchers = { function() return error end } print(pcall(require, "raised"))']] },
  { "refuses package.searchers that is no table", [[$LUA -e 'package.searchers = 1 require "x"']] },
  { "uses its own package table", [[$LUA -e 'package.loaded.package = nil print(require("mod").name)
    package = {} print(pcall(require, "missing"))']] },
  { "searches the templates of package.path", [[$LUA -e '
    package.path = "?.no;sub/?.lua;x?y/?" package.cpath = "./?.none"
    print(require("mod").name, select(2, require "sub.mod" and require "mod")) print(pcall(require, "a.b"))
    package.path = nil print(pcall(require, "a.b"))']] },
  { "runs a module again that requires itself", [[$LUA -e 'local m = require "circle"
    print(m.depth, m.inner[1].depth, m.inner[2], package.loaded.circle == m)']] },
  { "checks the argument of require", [[$LUA -e 'print(pcall(require)) print(pcall(require, {}))
    print(pcall(function() local _ = require() end)) package.preload["1"] = print print(require(1))
    package.preload["a"] = print print(require "a\0b")']] },
  { "reads package.loaded by its metamethods", [[$LUA -e '
    setmetatable(package.loaded, {
      __index = function(_, k) print("index", k) return k == "is" and "here" or nil end,
      __newindex = function(t, k, v) print("set", k, type(v)) rawset(t, k, v) end })
    print(require "is") print(require("mod").name)']] },
  { "requires what closes variables and fails", [[$LUA -e '
    package.preload.pre = function()
      local x <close> = setmetatable({}, { __close = function(_, e) print("closed", e) end }) error "pre" end
    print(pcall(require, "pre")) print(coroutine.resume(coroutine.create(require), "pre"))
    print(pcall(coroutine.wrap(require), "pre")) print(pcall(require, "pre"))']] },

  { "is in the main coroutine", [[$LUA -e 'local co, main = coroutine.running()
    print(type(co), main, coroutine.status(co), coroutine.isyieldable(), coroutine.isyieldable(co))
    print(coroutine.resume(co)) print(pcall(coroutine.close, co))']] },
  { "cannot yield in the main chunk", [[$LUA -e 'print(pcall(coroutine.yield, 1)) coroutine.yield(2)']] },
  { "runs generators", [[$LUA -e '
    for a, b in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i, -i) end end) do print(a, b) end']] },
  { "tells a coroutine's states", [[$LUA -e 'local co
    co = coroutine.create(function(...) print(coroutine.status(co), coroutine.isyieldable(), ...)
      print("again", coroutine.yield(1, nil)) error {} end)
    print(coroutine.status(co), coroutine.resume(co, "a", nil))
    print(coroutine.status(co), select("#", coroutine.resume(co, "b")))
    print(coroutine.status(co), coroutine.resume(co))']] },
  { "closes coroutines", [[$LUA -e '
    local co = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = function() print "closed" end })
      coroutine.yield() end)
    coroutine.resume(co) print(coroutine.close(co), coroutine.status(co))
    co = coroutine.create(error) coroutine.resume(co, "x") print(coroutine.close(co))']] },
  { "fails with a coroutine's error", [[$LUA -e 'coroutine.wrap(function() error "inside" end)()']] },
  { "yields across pcall and metamethods", [[$LUA -e '
    local t = setmetatable({}, { __index = function(_, k) return coroutine.yield(k) end })
    local step = coroutine.wrap(function() print(pcall(function() return t.a + t.b end)) return "end" end)
    print(step()) print(step(1)) print(step(2))']] },

  { "reads stdin", [[printf '12 rest\nabcde\none\ntwo' | $LUA read.lua]] },
  { "reads stdin to the end", [[printf 'all of it' | $LUA -e '
    print(#io.read "a", io.read "a", io.read "l", io.read(0))']] },
  { "writes stderr", [[$LUA -e 'io.stderr:write("error ", 1, "\n")']] },
  { "runs commands", [[$LUA -e '
    print(os.execute "exit 3") print(os.execute "kill -9 $$") print(os.execute())
    local p = io.popen "echo out; exit 4" print(p:read "a", p:close())']] },
  { "keeps a hook from one -e to the next, and gives coroutines none", [[$LUA -e '
    lines = {} debug.sethook(function(_, line) lines[#lines + 1] = debug.getinfo(2, "S").short_src .. line end, "l")
    print(debug.gethook(coroutine.create(print)) ~= nil)' -e 'local x = 1
    local y = 2
    coroutine.wrap(function()
      y = 3
    end)()' -e 'debug.sethook()' -e 'print(debug.gethook()) print(table.concat(lines, " "))']] },
  { "runs goto and integer for", [[$LUA -e 'for i = 3, 1, -1 do if i == 2 then goto next end print(i) ::next:: end']] },

  { "prints in interactive mode what stands behind =", [[printf '=6*7\n= "a" .. \n "b"\n= = 1\n2 =\n=3\n' |
    $LUA -e '_PROMPT = "" _PROMPT2 = ""' -i 2>&1 | grep -x -e 42 -e ab -e 'stdin:.*' -e 3]] },
  { "goes on in interactive mode without its globals", [[
    printf '%s\n' 'local g = _G for k in pairs(g) do if k:sub(1, 2) ~= "_P" and k ~= "print" then g[k] = nil end end' \
      'local x = nil + 1' 'print(42)' '6 + 1' |
    $LUA -e '_PROMPT = "" _PROMPT2 = ""' -i 2>&1 | grep -x -e 42 -e 'stdin:.*' -e 7]] },
  { "refuses an unknown option", [[$LUA -x]], usage = true },
  { "refuses an unknown long option", [[$LUA --help]], usage = true },
  { "refuses letters after an option", [[$LUA -vx]], usage = true },
  { "refuses -e without code", [[$LUA -e]], usage = true },
  { "refuses -l without a name", [[$LUA -l]], usage = true },
}

local dir

-- What a program left, with the interpreter's path replaced by "lua".
local function run(interpreter, case)
  local line = ([[
    unset LUA_INIT LUA_INIT_5_4 LUA_PATH LUA_PATH_5_4 LUA_CPATH LUA_CPATH_5_4
    LUA=%s; cd %s; %s]]):format(interpreter, dir, case[2])
  local result = program.run { "sh", "-c", line }
  local path = interpreter:gsub("%p", "%%%0")
  for _, stream in ipairs { "stdout", "stderr" } do
    result[stream] = result[stream]:gsub(path, "lua"):gsub("%f[^\n\0]neap:", "lua:")
  end
  if case.usage then result.stderr = result.stderr:match "^[^\n]*" end
  result.seconds = nil
  return result
end

local function absolute(path)
  if path:find "^/" then return path end
  local pwd = io.popen "pwd"
  local here = pwd:read "l"
  pwd:close()
  return here .. "/" .. path
end

describe("like lua5.4, neap", function()
  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir -p " .. dir .. "/sub"))
    for name, text in pairs(FILES) do
      local file = assert(io.open(dir .. "/" .. name, "w"))
      file:write(text)
      file:close()
    end
  end)

  teardown(function() os.execute("rm -r " .. dir) end)

  for _, case in ipairs(CASES) do
    it(case[1], function()
      assert.same(run("/usr/bin/lua5.4", case), run(absolute(program.neap), case))
    end)
  end
end)
