-- What a hostile script may try, and how it must end. Each row: a name, options of the host beside --restricted, the
-- script, and what the host prints of its end, in which "script:N:" stands for any line of it. What is
-- expected of the last class holds for these scripts, not for all their like: docs/limits.md.

local MEMORY <const> = "error not enough memory"
local STEP <const> = "error {script:N: the step took longer than 0.01 s}"
local COUNT <const> = "error {script:N: the step took more than 100000 instructions}"

return {
  -- what a script eats memory with
  memory = {
    { "many tables", "--memory=1m", [[local t = {} while true do t[#t + 1] = {} end]], MEMORY },
    { "one table that grows", "--memory=1m", [[local t = {} for i = 1, math.huge do t[i] = i end]], MEMORY },
    { "a table of many keys", "--memory=1m", [[local t = {} for i = 1, math.huge do t["k" .. i] = i end]], MEMORY },
    { "a string that doubles", "--memory=1m", [[local s = "x" while true do s = s .. s end]], MEMORY },
    { "a chain of closures", "--memory=1m", [[
local f while true do local g = f f = function() return g end end]], MEMORY },
    { "coroutines that never ran", "--memory=1m", [[
local t = {} while true do t[#t + 1] = coroutine.create(print) end]], MEMORY },
    { "suspended coroutines", "--memory=1m", [[
local t = {} while true do local w = coroutine.wrap(function() coroutine.yield()
end) w() t[#t + 1] = w end]], MEMORY },
    { "tasks", "--memory=1m", [[
local neap = require "neap" while true do neap.create_task(neap.sleep, 9) end]], MEMORY },
    { "futures", "--memory=1m", [[
local neap = require "neap" local t = {} while true do t[#t + 1] = neap.Future()
end]], MEMORY },
    { "items of a queue", "--memory=1m", [[
local neap = require "neap" local q = neap.Queue() local function run() while
true do q:put_nowait {} end end run()]], MEMORY },
    { "deadlines", "--memory=1m", [[
local loop = require "neap".get_running_loop() while true do loop:call_later(9,
print) end]], MEMORY },
    { "callbacks", "--memory=1m", [[
local loop = require "neap".get_running_loop() while true do loop:call_soon(type,
1) end]], MEMORY },
    { "locks", "--memory=1m", [[
local neap = require "neap" local t = {} while true do t[#t + 1] = neap.Lock()
end]], MEMORY },
    { "scopes, one inside the other", "--memory=1m", [[
local neap = require "neap" local function open() local s <close> = neap.timeout(9)
return (open()) end open()]], "error ..." },
    { "callbacks of one future", "--memory=1m", [[
local f = require "neap".Future() while true do f:add_done_callback(print) end]], MEMORY },
    { "tasks that wait for many", "--memory=1m", [[
local neap = require "neap" local t = {} for i = 1, 50 do t[i] = neap.Future()
end while true do neap.create_task(neap.wait, t) end]], MEMORY },
    { "string.rep", "--memory=1m", [[return ("x"):rep(1e9)]], MEMORY },
    { "string.rep, caught each time", "--memory=1m", [[
local n = 0 while n < 50 do if not pcall(string.rep, "x", 1e9) then n = n +
1 end end return n]], "ok 50" },
    { "table.concat", "--memory=1m", [[
local t = {} for i = 1, 100 do t[i] = ("x"):rep(1e5) end return #table.concat(t)]], MEMORY },
    { "a gsub that doubles", "--memory=1m", [[local s = "x" while true do s = s:gsub(".", "%0%0") end]], MEMORY },
    { "string.format", "--memory=1m", [[local s = "x" while true do s = ("%s%s"):format(s, s) end]], MEMORY },
    { "chunks", "--memory=1m", [[
local t = {} while true do t[#t + 1] = assert(load "return function() return function() end end")
end]], "error script:N: not enough memory" },
    { "one large chunk", "--memory=1m", [[return load("return {" .. ("1,"):rep(3e6) .. "}")]], MEMORY },
    { "a chunk that nests", "--memory=1m", [[
return load(("("):rep(1e5) .. ("("):rep(1e5))]], "ok nil C stack overflow" },
    { "string.pack", "--memory=1m", [[
return string.pack(("s8"):rep(50), table.unpack((function() local t = {} for
i = 1, 50 do t[i] = ("x"):rep(1e6) end return t end)()))]], MEMORY },
    { "tables of many values", "--memory=1m", [[
local t = {} for i = 1, 100 do t[i] = table.pack(table.unpack({}, 1, 2e5)) end]],
      "error script:N: too many results to unpack" },
    { "recursion", "--memory=1m", [[local function f(...) return 1 + f(1, ...) end return f()]], MEMORY },
    { "garbage alone, which is no harm", "--memory=1m", [[
local n = 0 for i = 1, 200 do local s = ("x"):rep(2e5) n = n + #s end return
n]], "ok 40000000" },
    { "garbage beside tasks, which is no harm", "--memory=1m", [[
local neap = require "neap" for i = 1, 3000 do local t = {("y"):rep(1000)} neap.create_task(neap.sleep,
0) if i % 50 == 0 then neap.sleep(0) end end return "ended"]], "ok ended" },
    { "the error, caught", "--memory=1m", [[
local t = {} local ok, err = pcall(function() while true do t[#t + 1] = ("x"):rep(1000)
.. #t end end) t = nil return ok, err]], "ok false not enough memory" },
    { "staying there for ever", "--memory=1m --step=0.01", [[
local t = {} local function eat() while true do t[#t + 1] = {} end end while
true do pcall(eat) end]], "error ..." },
    { "collectgarbage", "--memory=1m", [[
collectgarbage() return pcall(collectgarbage, "stop"), pcall(collectgarbage,
"generational"), collectgarbage "count" > 0]], "ok false false true" },
  },
  -- where a script loops
  loops = {
    { "while", "--step=0.01", [[while true do end]], STEP },
    { "goto", "--step=0.01", [[::again:: goto again]], STEP },
    { "repeat", "--step=0.01", [[repeat until false]], STEP },
    { "for", "--step=0.01", [[for i = 1, math.huge do end]], STEP },
    { "pcall in a loop", "--step=0.01", [[while true do pcall(function() while true do end end) end]], STEP },
    { "pcall in pcall", "--step=0.01", [[local function f() pcall(f) while true do end end f()]], STEP },
    { "a message handler that loops", "--step=0.01", [[
xpcall(function() while true do end end, function() while true do end end)]], STEP },
    { "a handler of a plain error that loops", "--step=0.01", [[
xpcall(error, function() while true do end end)]], STEP },
    { "handlers in handlers", "--step=0.01", [[
local function h() xpcall(error, function() while true do end end) while true
do end end while true do xpcall(error, h) end]], STEP },
    { "a handler in C that calls back", "--step=0.01", [[
require "neap".LimitError.__call = function() while true do end end while true
do xpcall(function() while true do end end, pcall) end]], STEP },
    { "__index", "--step=0.01", [[
local t = setmetatable({}, { __index = function() while true do end end }) return
t.x]], STEP },
    { "__lt that compares", "--step=0.01", [[
local m = {} m.__lt = function(a, b) while true do pcall(function() return a
< b end) end end local a = setmetatable({}, m) return a < a]], STEP },
    { "__close", "--step=0.01", [[
local m = { __close = function() while true do end end } local x <close> = setmetatable({},
m) while true do end]], STEP },
    { "__close that closes", "--step=0.01", [[
local m = {} m.__close = function() local x <close> = setmetatable({}, m) while
true do end end local x <close> = setmetatable({}, m)]], STEP },
    { "__gc", "--step=0.01", [[
setmetatable({}, { __gc = function() while true do end end })]],
      "error script:N: bad argument #2 to 'setmetatable' (a restricted script has no finalizers)" },
    { "__gc that is set later", "--step=0.01", [[
local m = {} local t = setmetatable({}, m) m.__gc = function() while true do
end end t = nil for i = 1, 1000 do local g = { {} } end]], "ok" },
    { "__gc in a kind of error", "--step=0.01", [[
local neap = require "neap" neap.TimeoutError.__gc = function() while true do
end end pcall(neap.wait_for, neap.Future(), 0) for i = 1, 1000 do local g =
{ {} } end return "ended"]], "ok ended" },
    { "__gc in a class of neap", "--step=0.01", [[
local neap = require "neap" getmetatable(neap.Event()).__gc = function() while
true do end end return pcall(neap.Event)]],
      "ok false lua/neap/locks.lua:15: bad argument #2 to 'setmetatable' (a restricted script has..." },
    { "a coroutine", "--step=0.01", [[coroutine.wrap(function() while true do end end)()]], STEP },
    { "coroutines in coroutines", "--step=0.01", [[
local function f() while true do pcall(coroutine.wrap(f)) end end f()]], STEP },
    { "many short coroutines", "--step=0.01", [[
while true do coroutine.wrap(function() for i = 1, 100 do end end)() end]], STEP },
    { "<close> in a coroutine that the limit has ended", "--step=0.01", [[
local co = coroutine.create(function() local x <close> = setmetatable({}, {
__close = function() while true do end end }) while true do end end) coroutine.resume(co)
coroutine.close(co) while true do end]], STEP },
    { "<close> in a coroutine that is closed", "--step=0.01", [[
local co = coroutine.create(function() local x <close> = setmetatable({}, {
__close = function() while true do end end }) coroutine.yield() end) coroutine.resume(co)
return coroutine.close(co)]], "ok false {script:N: the step took longer than 0.01 s}" },
    { "a generator without end", "--step=0.01", [[
local w = coroutine.wrap(function() while true do coroutine.yield() end end)
while true do w() end]], STEP },
    { "a comparator of table.sort", "--step=0.01", [[
local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() while true
do end end)]], STEP },
    { "a callback of gsub", "--step=0.01", [[("x"):gsub(".", function() while true do end end)]], STEP },
    { "a callback of gsub that catches", "--step=0.01", [[
("x"):rep(1000):gsub(".", function() pcall(function() while true do end end)
end)]], STEP },
    { "errors caught very deep", "--step=0.01", [[local function f() pcall(f) return f() end f()]], STEP },
    { "tail calls", "--step=0.01", [[local function f() return f() end f()]], STEP },
    { "a generator of source text", "--step=0.01", [[load(function() return " " end)]], STEP },
    { "an iterator", "--step=0.01", [[for _ in function() return 1 end do end]], STEP },
    { "__pairs", "--step=0.01", [[
for _ in pairs(setmetatable({}, { __pairs = function() while true do end end
})) do end]], STEP },
    { "__tostring", "--step=0.01", [[
return tostring(setmetatable({}, { __tostring = function() while true do end
end }))]], STEP },
    { "__tostring of an error that is reported", "--step=0.01", [[
require "neap".create_task(function() error(setmetatable({}, { __tostring =
function() while true do end end })) end) require "neap".sleep(0)]], "ok" },
    { "an exception handler", "--step=0.01", [[
local neap = require "neap" neap.get_running_loop():set_exception_handler(function()
while true do end end) neap.create_task(error, "x") neap.sleep(0) neap.sleep(0)
return "ended"]], "ok ended" },
    { "a callback of the loop", "--step=0.01", [[
local neap = require "neap" neap.get_running_loop():call_soon(function() while
true do end end) neap.sleep(0) return "ended"]], "ok ended" },
    { "a callback of a future", "--step=0.01", [[
local neap = require "neap" local f = neap.Future() f:add_done_callback(function()
while true do end end) f:set_result(1) neap.sleep(0) return "ended"]], "ok ended" },
    { "a task of a group", "--step=0.01", [[
local neap = require "neap" local group <close> = neap.TaskGroup() group:create_task(function()
while true do end end)]], STEP },
    { "the body of a group, whose tasks end", "--step=0.01", [[
local neap = require "neap" local done pcall(function() local group <close>
= neap.TaskGroup() group:create_task(function() local x <close> = setmetatable({},
{ __close = function() done = true end }) neap.sleep(99) end) neap.sleep(0)
while true do end end) return done]], "ok true" },
    { "__close of a task that is killed", "--step=0.01", [[
local neap = require "neap" local task = neap.create_task(function() local x
<close> = setmetatable({}, { __close = function() while true do end end }) neap.sleep(99)
end) neap.sleep(0) task:kill() return "ended"]], "ok ended" },
    { "__close of a task that is left at the end", "--step=0.01", [[
local neap = require "neap" neap.create_task(function() local x <close> = setmetatable({},
{ __close = function() while true do end end }) neap.sleep(99) end) neap.sleep(0)
return "left"]], "ok left" },
    { "three loops, each caught", "--step=0.01", [[
local neap = require "neap" local n = 0 for i = 1, 3 do pcall(function() while
true do end end) end return "never"]], STEP },
    { "another task, whose error is caught", "--step=0.01", [[
local neap = require "neap" local f = neap.create_task(function() while true
do end end) local ok, err = pcall(f.await, f) return ok, neap.is(err, neap.LimitError)]], "ok false true" },
    { "a shielded scope", "--step=0.01", [[
local neap = require "neap" local s <close> = neap.shielded() while true do
pcall(function() while true do end end) end]], STEP },
    { "a list that lies about its length", "--step=0.01", [[
return pcall(require "neap".gather, setmetatable({}, { __len = function() return
1 << 62 end }))]], "ok false script:N: bad argument #1 to 'gather' (task, future, function or coroutine expect..." },
    { "a chunk that is named as if it were neap", "--step=0.01", [[
load("while true do end", "@lua/neap/x.lua")()]], STEP },
    { "table.move", "--step=0.01", [[
table.move({}, 1, 1 << 62, 1)]], "error script:N: bad argument #3 to 'move' (too many elements)" },
    { "table.insert", "--step=0.01", [[
table.insert(setmetatable({}, { __len = function() return 1 << 50 end }), 1,
1)]], "error script:N: bad argument #1 to 'insert' (a restricted script has no tables with __len here)" },
    { "table.remove", "--step=0.01", [[
table.remove(setmetatable({}, { __len = function() return 1 << 50 end }), 1)]],
      "error script:N: bad argument #1 to 'remove' (a restricted script has no tables with __len here)" },
    { "table.concat", "--step=0.01", [[
table.concat(setmetatable({}, { __index = tostring, __tostring = table.concat
}), "", 1, 1 << 50)]], "error script:N: bad argument #4 to 'concat' (too many elements)" },
    { "string.rep of nothing", "--step=0.01", [[return #(""):rep(1 << 62)]], "ok 0" },
    { "instructions: while", "--instructions=1e5", [[while true do end]], COUNT },
    { "instructions: many coroutines", "--instructions=1e5", [[
while true do coroutine.wrap(function() end)() end]], COUNT },
    { "instructions: pcall in a loop", "--instructions=1e5", [[
while true do pcall(function() while true do end end) end]], COUNT },
  },
  -- how a script gets out
  doors = {
    { "require of a module in C", "--path=?.so", [[
return pcall(require, "neap_probe")]],
      "ok false module 'neap_probe' not found: | no field package.preload['neap_probe'] | the mod..." },
    { "bytecode", "", [[return load("\27Lua")]], "ok nil attempt to load a binary chunk (mode is 't')" },
    { "bytecode, by its mode", "", [[
return load("\27Lua", "x", "b")]], "ok nil attempt to load a binary chunk (mode is '')" },
    { "bytecode, by either mode", "", [[
return load("\27Lua", "x", "bt", {})]], "ok nil attempt to load a binary chunk (mode is 't')" },
    { "bytecode from a function", "", [[
local s = "\27Lua" return load(function() local r = s s = nil return r end)]],
      "ok nil attempt to load a binary chunk (mode is 't')" },
    { "load with an environment", "", [[
return load("return io", "x", "t", _G)(), load("return _ENV.io")()]], "ok nil nil" },
    { "globals with a metatable", "", [[
setmetatable(_G, { __index = function(_, k) return k end }) return io]], "ok io" },
    { "the metatable of a task", "", [[return getmetatable(require "neap".current_task())]], "ok false" },
    { "the metatable of strings", "", [[
getmetatable("").__index = nil return pcall(function() return ("x"):rep(2) end)]],
      "ok false script:N: attempt to index a string value (constant 'x')" },
    { "a connection", "", [[
return require "neap".open_connection("127.0.0.1", 9)]],
      "ok nil {open_connection 127.0.0.1:9: permission denied} EACCES" },
    { "a connection to a name", "", [[
return require "neap".open_connection("localhost", 9)]],
      "ok nil {open_connection localhost:9: permission denied} EACCES" },
    { "a server", "", [[
return require "neap".start_server(print, "127.0.0.1", 0)]],
      "ok nil {start_server 127.0.0.1:0: permission denied} EACCES" },
    { "a server on every address", "", [[
return require "neap".start_server(print, nil, 0)]], "ok nil {start_server [::]:0: permission denied} EACCES" },
    { "a connection that is allowed", "--allow=127.0.0.1", [[
return select(3, require "neap".open_connection("127.0.0.1", 1))]], "asked: 127.0.0.1 | ok ECONNREFUSED" },
    { "an IPv4 address in IPv6's clothes", "--allow=127.0.0.1", [[
return select(3, require "neap".open_connection("::ffff:127.0.0.2", 1))]], "asked: 127.0.0.2 | ok EACCES" },
    { "a name whose address is allowed", "--allow=127.0.0.1", [[
local _, err = require "neap".open_connection("localhost", 1)
return (err.message:find "connection refused" ~= nil)]], "...| ok true" }, -- another that it has is refused
    { "a server that is allowed", "--allow=127.0.0.1", [[
local s = require "neap".start_server(print, "127.0.0.1", 0) s:close() return
s ~= nil]], "asked: 127.0.0.1, to listen | ok true" },
    { "a server elsewhere", "--allow=127.0.0.1", [[
return select(3, require "neap".start_server(print, "127.0.0.2", 0))]], "asked: 127.0.0.2, to listen | ok EACCES" },
    { "a descriptor of the host", "", [[return require "neap".wait_readable]], "ok nil" },
    { "watching a descriptor of the host", "", [[
return pcall(function() require "neap".get_running_loop():add_reader(0, print) end)]],
      "ok false script:N: add_reader: a restricted script may not do that" },
    { "a name", "", [[return require "neap".getaddrinfo("localhost", 9)]],
      "ok nil {getaddrinfo localhost:9: permission denied} EACCES" },
    { "the name of an address", "", [[return require "neap".getnameinfo("127.0.0.1", 9)]],
      "ok nil {getnameinfo 127.0.0.1: permission denied} EACCES" },
    { "a datagram socket", "", [[return require "neap".open_datagram_socket("127.0.0.1", 9)]],
      "ok nil {open_datagram_socket 127.0.0.1:9: permission denied} EACCES" },
    { "a datagram socket that is connected", "", [[
return select(3, require "neap".open_datagram_socket(nil, nil, { remote_addr = { "127.0.0.1", 9 } }))]], "ok EACCES" },
    { "a datagram to elsewhere", "--allow=127.0.0.1", [[
local s <close> = require "neap".open_datagram_socket("127.0.0.1") return
select(3, s:send_to("x", "127.0.0.2", 9))]], "asked: 127.0.0.1, to listen | asked: 127.0.0.2 | ok EACCES" },
    { "connecting a datagram socket to elsewhere", "--allow=127.0.0.1", [[
local s <close> = require "neap".open_datagram_socket("127.0.0.1") return
select(3, s:connect("127.0.0.2", 9))]], "asked: 127.0.0.1, to listen | asked: 127.0.0.2 | ok EACCES" },
    { "the watchdog", "", [[
return pcall(function() require "neap".get_running_loop():set_watchdog { limit
= 1 } end)]], "ok false script:N: set_watchdog: a restricted script may not do that" },
    { "virtual time", "", [[
local neap = require "neap" return pcall(function() neap.Runner { clock = "virtual"
}:run(print) end)]], "ok false script:N: a virtual clock: a restricted script may not do that" },
    { "stopping the host's run", "", [[
return pcall(function() require "neap".get_running_loop():stop() end)]],
      "ok false script:N: stop: a restricted script may not do that" },
    { "closing the loop", "", [[
require "neap".get_running_loop():close() require "neap".sleep(0) return "went on"]], "ok went on" },
    { "a run of its own", "", [[return require "neap".run(function() return 5 end)]], "ok 5" },
    { "an error that is nil", "", [[error()]], "error nil" },
    { "an error that is a table", "", [[error({})]], "error table" },
    { "an error in __close", "", [[
local x <close> = setmetatable({}, { __close = function() error "in close" end
}) error "first"]], "error script:N: in close" },
    { "killing the main task", "", [[
local neap = require "neap" local main = neap.current_task() neap.create_task(function()
main:kill() end) neap.sleep(9)]], "error table" },
    { "cancelling the main task", "", [[
local neap = require "neap" local main = neap.current_task() neap.create_task(function()
main:cancel() end) neap.sleep(9)]], "error table" },
    { "resuming the main coroutine", "", [[
local neap, main = require "neap" neap.get_running_loop():call_soon(function()
main = coroutine.running() end) neap.sleep(0) return coroutine.status(main),
coroutine.resume(main, print, 1)]], "ok normal false cannot resume non-suspended coroutine" },
    { "resuming it with nothing", "", [[
local neap, main = require "neap" neap.get_running_loop():call_soon(function()
main = coroutine.running() end) neap.sleep(0) return coroutine.resume(main)]],
      "ok false cannot resume non-suspended coroutine" },
    { "closing the main coroutine", "", [[
local neap, main = require "neap" neap.get_running_loop():call_soon(function()
main = coroutine.running() end) neap.sleep(0) return pcall(coroutine.close,
main)]], "ok false cannot close a normal coroutine" },
    { "awaiting the main coroutine", "", [[
local neap, main = require "neap" neap.get_running_loop():call_soon(function()
main = coroutine.running() end) neap.sleep(0) return pcall(neap.await, main)]],
      "ok false cannot resume non-suspended coroutine" },
    { "a task of the main coroutine", "", [[
local neap, main = require "neap" neap.get_running_loop():call_soon(function()
main = coroutine.running() end) neap.sleep(0) return pcall(function() neap.create_task(main):await()
end)]], "ok false cannot resume non-suspended coroutine" },
    { "globals that neap uses, taken away", "", [[
for _, name in ipairs { "error", "pcall", "setmetatable", "getmetatable", "type",
"pairs", "ipairs", "select", "require", "assert", "next" } do _G[name] = nil
end local neap = (...) return 1]], "ok 1" },
    { "all globals taken away", "", [=[
local require, pairs, g = require, pairs, _G for k in pairs(g) do g[k] = nil
end local neap = require "neap" local g = neap.gather(function() return 7 end)
return g[1]]=], "ok 7" },
    { "methods of strings taken away", "", [[
local neap = require "neap" for k in pairs(string) do string[k] = nil end return
pcall(neap.gather, 1)]], "ok false lua/neap/check.lua:..." },
    { "a function that neap uses, replaced", "", [[
local neap = require "neap" local seen table.sort = function(t) seen = t end
local group = neap.TaskGroup() group:create_task(print) group:cancel() return
seen]], "ok nil" },
    { "more tasks", "--tasks=10", [[
local neap = require "neap" local ok, err for i = 1, 20 do ok, err = pcall(neap.create_task,
neap.sleep, 9) if not ok then return i, neap.is(err, neap.LimitError), tostring(err)
end end]], "ok 10 true script:N: create_task: the limit of 10 tasks is reached" },
    { "more tasks in a group", "--tasks=10", [[
local neap = require "neap" local group <close> = neap.TaskGroup() while true
do group:create_task(neap.sleep, 9) end]], "error {script:N: create_task: the limit of 10 tasks is reached}" },
    { "more servers", "--handles=3 --allow=127.0.0.1", [[
local neap = require "neap" local t = {} for i = 1, 9 do local s, err, code
= neap.start_server(print, "127.0.0.1", 0) if not s then return i, tostring(err),
code end t[i] = s end]],
      "asked: 127.0.0.1, to listen | asked: 127.0.0.1, to listen | asked: 127.0.0.1, to listen | ..." },
    { "the clock", "", [[return os.time() > 0, os.clock() >= 0, type(os.date())]], "ok true true string" },
  },
  -- what C functions of Lua do: a seat belt
  belts = {
    { "a pattern that goes back and forth", "--step=0.01", [[
return (("a"):rep(300)):find(("a-"):rep(2) .. "b")]], "ok nil" },
    { "a long pattern", "--step=0.01", [[
return pcall(string.find, ("a"):rep(1e5), (".-"):rep(250) .. "b")]], "ok false pattern too complex" },
    { "pcall, very deep", "", [[
local function f() return pcall(f) end return f()]], "ok true true true true true true true tr..." },
    { "coroutines, very deep", "", [[
local function f() return coroutine.wrap(f)() end return pcall(f)]], "ok false script:N: script:N: script:N: s..." },
    { "gsub, very deep", "", [[
local function f() return (("x"):gsub(".", f)) end return pcall(f)]], "ok false C stack overflow" },
    { "tostring, very deep", "", [[
local t = setmetatable({}, { __tostring = tostring }) return pcall(tostring,
t)]], "ok false C stack overflow" },
    { "a chunk, very deep", "", [[return load(("("):rep(300))]], "ok nil C stack overflow" },
    { "a chain of __index", "", [[
local t = {} for i = 1, 3000 do t = setmetatable({}, { __index = t }) end return
pcall(function() return t.x end)]], "ok false script:N: '__index' chain too long; possible loop" },
  },
}
