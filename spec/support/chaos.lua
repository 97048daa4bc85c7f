-- Random programs that mix whatever of the outside a script can hold: streams, servers, files, folders, datagrams,
-- processes, signals, watchers, TLS. Tasks call any method of any object with any arguments, in odd places, and cancel
-- and kill each other; at last all is ended, dropped and collected, and nothing may be left.
local fs = require "neap.fs"
local neap = require "neap"
local testing = require "neap.testing"

local chaos = {}

local TASKS <const>, STEPS <const>, TURNS <const> = 8, 12, 25
local KILL_S <const>, SETTLE_S <const> = 1.5, 8 -- a stream gives up a peer who does not read after 5

-- Among a program's objects, so that there is one.
local NOTHING <const> = setmetatable({}, {})

-- --- chance ---

local Chance = {}
Chance.__index = Chance

local function chance_of(seed)
  return setmetatable({ state = (seed * 0x9E3779B97F4A7C15) ~ 0x2545F4914F6CDD1D }, Chance)
end

-- A number from 1 to n.
function Chance:below(n)
  local x = self.state
  x = x ~ (x << 13)
  x = x ~ (x >> 7)
  x = x ~ (x << 17)
  self.state = x
  return (x >> 1) % n + 1
end

function Chance:one_in(n)
  return self:below(n) == 1
end

function Chance:of(list)
  return list[self:below(#list)]
end

-- --- what there may be ---

-- A program's objects, the tasks that use them, and a folder of its own.
local World = {}
World.__index = World

local PIECES <const> = { "", "x", "l", "a", "n", "L", "\n", "one\ntwo\n", "r", "w", "a+", "\0", ("long\n"):rep(20000) }
local NUMBERS <const> = { 0, 1, 2, -1, 10, 1000, 70000, 0.5, -0.5, 0 / 0, math.mininteger }
local NAMES <const> = { "one", "two", "folder", "folder/three", "socket", "link", "nowhere/file" }

function World:path()
  return self.folder .. "/" .. self.chance:of(NAMES)
end

function World:argument()
  local chance = self.chance
  local kind = chance:below(9)
  if kind <= 2 then return chance:of(PIECES) end
  if kind <= 4 then return chance:of(NUMBERS) end
  if kind == 5 then return nil end
  if kind == 6 then return chance:one_in(2) end
  if kind == 7 then return {} end
  if kind == 8 then return function() neap.sleep(0) end end
  return chance:of(self.objects)
end

function World:arguments()
  local list = { n = self.chance:below(4) - 1 }
  for i = 1, list.n do list[i] = self:argument() end
  return list
end

function World:keep(...)
  if self.ended then return end
  for _, object in ipairs { ... } do
    local kind = type(object)
    if kind == "userdata" or kind == "table" and getmetatable(object) then self.objects[#self.objects + 1] = object end
  end
end

-- A handler of connections, of a watcher or a signal, or any other call.
function World:does()
  return function(...)
    self:keep(...)
    for _ = 1, 3 do self:step() end
  end
end

local function port_of(world)
  return world.ports[1] and world.chance:of(world.ports) or 1
end

-- What brings objects, or does something to files. Each may raise, be cancelled, and be killed.
local makers <const> = {
  function(world) world:keep(neap.pipe()) end,
  function(world)
    world:keep(neap.open_connection("127.0.0.1", port_of(world), { limit = world.chance:below(100) }))
  end,
  function(world) world:keep(neap.open_connection("localhost", port_of(world))) end,
  function(world) world:keep(neap.open_unix_connection(world:path())) end,
  function(world)
    local server = neap.start_server(world:does(), world.chance:of { "127.0.0.1", "localhost" }, 0, {
      max_connections = world.chance:of { 1, 2, 1000 }, start_serving = not world.chance:one_in(5),
    })
    world.ports[#world.ports + 1] = server and server.port
    world:keep(server)
  end,
  function(world) world:keep(neap.start_unix_server(world:does(), world:path())) end,
  function(world) world:keep(neap.open_datagram_socket("127.0.0.1", 0)) end,
  function(world)
    local socket = neap.open_datagram_socket("127.0.0.1", 0)
    world:keep(socket)
    socket:send_to(world.chance:of(PIECES), socket:local_address())
    world:keep(neap.open_datagram_socket(nil, nil, { remote_addr = { socket:local_address() } }))
  end,
  function(world) neap.getaddrinfo(world.chance:of { "localhost", "127.0.0.1", "::1" }, "http") end,
  function() neap.getnameinfo("127.0.0.1", 80) end,
  function(world) world:keep(fs.open(world:path(), world.chance:of { "r", "w", "a", "r+", "w+", "a+", "wx" })) end,
  function(world) world:keep(fs.open(world.chance:of { "/dev/zero", "/dev/null", "/proc/self/stat" })) end,
  function(world) fs.write_file(world:path(), world.chance:of(PIECES), { append = world.chance:one_in(2) }) end,
  function(world) fs.read_file(world:path()) end,
  function(world) world:keep(fs.scandir(world.folder)) end,
  function(world) world:keep((select(4, fs.walk(world.folder, { follow = world.chance:one_in(2) })))) end,
  function(world) world:keep(fs.watch(world:path())) end,
  function(world) world:keep(fs.watch(world.folder)) end,
  function(world) fs.mkdir(world:path()) end,
  function(world) fs.remove(world:path(), { recursive = world.chance:one_in(2) }) end,
  function(world) fs.rename(world:path(), world:path()) end,
  function(world) fs.copy(world:path(), world:path()) end,
  function(world) fs.symlink(world:path(), world:path()) end,
  function(world) fs.stat(world:path()) end,
  function(world)
    local process = neap.subprocess.exec { "cat", stdin = "pipe", stdout = "pipe", stderr = "null" }
    world:keep(process, process.stdin, process.stdout)
  end,
  function(world)
    local process = neap.subprocess.shell { "echo one; sleep 60", stdout = "pipe", stdin = "null" }
    world:keep(process, process.stdout)
  end,
  function(world) neap.subprocess.run { "cat", input = world.chance:of(PIECES), timeout = 0.01 } end,
  function(world) world:keep(neap.signal.listen("SIGUSR1", "SIGUSR2")) end,
  function() neap.signal.wait "SIGUSR1" end,
  function(world) neap.signal.send(world.pid, "SIGUSR2") end,
  function(world)
    local loop = neap.get_running_loop()
    loop:add_signal_handler("SIGUSR2", world:does())
    if world.chance:one_in(2) then loop:remove_signal_handler "SIGUSR2" end
  end,
  function(world)
    local loop, fd = neap.get_running_loop(), world.chance:of { world.fd, world.fd, -1, 1000000 }
    if world.chance:one_in(2) then loop:add_reader(fd, world:does()) else loop:add_writer(fd, world:does()) end
    if world.chance:one_in(2) then loop:remove_reader(fd) end
    if world.chance:one_in(2) then loop:remove_writer(fd) end
  end,
  function(world) neap.wait_readable(world.fd) end,
  function(world) neap.wait_writable(world.fd) end,
  function(world) world:keep(neap.interval(0.0001)) end,
  function(world)
    local one, other = world.chance:of(world.objects), world.chance:of(world.objects)
    if one.start_tls then one:start_tls { verify = false } end
    if other.start_tls then other:start_tls { server = true, context = world.tls } end
  end,
  function(world)
    local client = neap.open_connection("127.0.0.1", port_of(world))
    world:keep(client)
    client:start_tls { context = world.chance:one_in(2) and world.tls or nil }
  end,
  function(world)
    local server = neap.start_server(world:does(), "127.0.0.1", 0, { tls = world.tls })
    world.ports[#world.ports + 1] = server.port
    world:keep(server, neap.open_connection("127.0.0.1", server.port, { tls = { ca_file = world.ca } }))
  end,
  function(world)
    local tcp = require("neap.socket").tcp()
    world:keep(tcp)
    tcp:settimeout(0.01)
    tcp:connect("127.0.0.1", port_of(world))
  end,
  function(world)
    local udp = require("neap.socket").udp()
    world:keep(udp)
    udp:setsockname("127.0.0.1", 0)
  end,
  function(world)
    local tcp = require("neap.cosocket").tcp()
    world:keep(tcp)
    tcp:settimeout(10)
    tcp:connect("127.0.0.1", port_of(world))
    tcp:setkeepalive(world.chance:of { 1, 10, 1000 })
  end,
}

-- --- what tasks do ---

-- The names of what can be called of an object: its methods and its metamethods.
local function callable_names(object)
  local names, meta = {}, debug.getmetatable(object)
  for _, methods in ipairs { meta, type(meta.__index) == "table" and meta.__index or nil } do
    for name, value in next, methods do
      if type(name) == "string" and type(value) == "function" then names[#names + 1] = name end
    end
  end
  table.sort(names)
  return names
end

-- Lua calls the first two with what cannot be made up here. The others leave a descriptor open on purpose: to whoever
-- has its number, and to who connects there next.
local SKIPPED <const> = { __index = true, __newindex = true, setfd = true, setkeepalive = true }

local function call_method(world)
  local object = world.chance:of(world.objects)
  local names = callable_names(object)
  if #names == 0 then return end
  local name = world.chance:of(names)
  if SKIPPED[name] then return end
  local meta = debug.getmetatable(object)
  local method = rawget(meta, name) or meta.__index[name]
  local arguments = world:arguments()
  world:keep(method(object, table.unpack(arguments, 1, arguments.n)))
end

-- Ways to call fn() where something is in the way of an await, or of its end.
local places <const> = {
  function(_, fn) table.sort({ 1, 2, 3 }, function(a, b) fn() return a < b end) end,
  function(_, fn) string.gsub("a", ".", fn) end,
  function(_, fn) coroutine.wrap(fn)() end,
  function(world, fn) world.coroutines[#world.coroutines + 1] = coroutine.create(fn) end,
  function(world)
    local co = world.coroutines[1] and world.chance:of(world.coroutines)
    if co then coroutine.resume(co) end
  end,
  function(world) if world.coroutines[1] then coroutine.close(table.remove(world.coroutines)) end end,
  function(_, fn) local _ <close> = setmetatable({}, { __close = fn }) fn() end,
  function(_, fn) local _ <close> = neap.shielded() local _ <close> = neap.timeout(0.002) fn() end,
  function(_, fn) local _ <close> = neap.timeout(0) fn() end,
  function(_, fn) local _ <close> = neap.timeout(0.001) fn() fn() end,
  function(_, fn) neap.get_running_loop():call_soon(fn) end,
  function(_, fn) setmetatable({}, { __gc = fn }) collectgarbage() end,
  function(_, fn) neap.gather(fn, fn) end,
  function(_, fn) local group <close> = neap.TaskGroup() group:create_task(fn) group:create_task(fn) end,
}

local actions <const> = {
  { 8, function(world) world.chance:of(makers)(world) end },
  { 12, call_method },
  { 1, function(world) world.chance:of(world.tasks):cancel() end },
  { 1, function(world) world.chance:of(world.tasks):kill() end },
  { 1, function(world) world.chance:of(world.tasks):uncancel() end },
  { 2, function(world)
    table.remove(world.objects, world.chance:below(#world.objects))
    world.objects[#world.objects + 1] = NOTHING
  end },
  { 1, function() collectgarbage() end },
  { 3, function() neap.sleep(0) end },
  { 1, function() neap.sleep(0.0005) end },
  { 1, function(world) world.chance:of(world.objects):close() end },
  { 1, function(world) world:start(3) end },
  { 3, function(world)
    local act = world:any_action()
    world.chance:of(places)(world, function() if not world.ended then pcall(act, world) end end)
  end },
}

local WEIGHT <const> = (function()
  local sum = 0
  for _, action in ipairs(actions) do sum = sum + action[1] end
  return sum
end)()

function World:any_action()
  local left = self.chance:below(WEIGHT)
  for _, action in ipairs(actions) do
    left = left - action[1]
    if left <= 0 then return action[2] end
  end
end

function World:step()
  if self.left <= 0 then return end
  self.left = self.left - 1
  pcall(self:any_action(), self)
end

function World:start(steps)
  if #self.tasks > 40 or self.ended then return end
  self.tasks[#self.tasks + 1] = neap.create_task(function()
    for _ = 1, steps do self:step() end
  end)
end

-- --- a program ---

local function new_world(seed, options)
  local path = assert(os.tmpname())
  os.remove(path)
  assert(fs.mkdir(path))
  assert(fs.mkdir(path .. "/folder"))
  for _, name in ipairs { "one", "folder/three" } do assert(fs.write_file(path .. "/" .. name, "one\ntwo\nthree\n")) end
  return setmetatable({
    chance = chance_of(seed), folder = path, objects = { NOTHING }, tasks = {}, ports = {}, coroutines = {},
    left = TASKS * STEPS * 3, fd = options.fd, tls = options.tls, ca = options.ca, pid = options.pid,
  }, World)
end

local function play(world)
  for _ = 1, TASKS do world:start(STEPS) end
  for _ = 1, TURNS do
    neap.sleep(world.chance:of { 0, 0, 0, 0.0003 })
    if world.chance:one_in(8) then world.chance:of(world.tasks):cancel() end
    if world.chance:one_in(8) then world.chance:of(world.tasks):kill() end
  end
end

-- What has servers, or runs on by itself, is closed; the rest only dropped, at random.
local function finish(world, older)
  world.ended, world.left = true, 0
  for _, task in ipairs(neap.all_tasks()) do
    if not older[task] then
      if world.chance:one_in(2) then task:kill() else task:cancel() end
    end
  end
  local loop <const> = neap.get_running_loop()
  loop:remove_signal_handler "SIGUSR2"
  pcall(loop.remove_reader, loop, world.fd)
  pcall(loop.remove_writer, loop, world.fd)
  for _, object in ipairs(world.objects) do
    local process_or_server = pcall(function() return object.close_clients or object.returncode or object.pid end)
    if object ~= NOTHING and (process_or_server or world.chance:one_in(2)) then
      neap.create_task(pcall, function()
        object:close()
        if object.wait_closed then object:wait_closed() end
      end)
    end
  end
  world.objects, world.coroutines, world.tasks = {}, {}, {}
end

local function remaining(before, older)
  local told = testing.difference(before, testing.census())
  if not told then return nil end
  for _, task in ipairs(neap.all_tasks()) do
    if not older[task] then told = told .. "\n\t" .. tostring(task) .. " made at " .. tostring(task:made_at()) end
  end
  return told
end

local function kill_others(older)
  for _, task in ipairs(neap.all_tasks()) do
    if not older[task] then task:kill() end
  end
end

local function settle(before, older)
  local loop <const> = neap.get_running_loop()
  local start <const> = loop:time()
  local left
  repeat
    if loop:time() > start + KILL_S then kill_others(older) end -- a handler that waits for the end of its server
    neap.sleep(0.001)
    collectgarbage()
    left = remaining(before, older)
  until not left or loop:time() > start + SETTLE_S
  return left
end

-- Plays the program of that seed. Returns what it leaves behind, in words, or nil. Options: fd (to be watched), tls,
-- ca, pid; leak, a function that at last leaves something.
function chaos.play(seed, options)
  local older = {}
  for _, task in ipairs(neap.all_tasks()) do older[task] = true end
  local before = testing.census()
  -- Its listeners share libuv's handles with those of the program: it goes before these are counted.
  local guard <close> = assert(neap.signal.listen("SIGUSR1", "SIGUSR2"))
  local world = new_world(seed, options)
  play(world)
  finish(world, older)
  guard:close()
  local left = settle(before, older)
  if options.leak then
    options.leak()
    left = remaining(before, older)
  end
  fs.remove(world.folder, { recursive = true })
  return left
end

return chaos
