-- The functions of neap that never wait. Each entry makes what is needed, which may wait, and returns the call: a
-- function and its arguments; or it is a string that says why it cannot be called here.
local neap = require "neap"
local core = require "neap.core"
local descriptor = require "spec.support.descriptor"
local process = require "spec.support.process"
local stream = require "spec.support.stream"
local subprocess = require "neap.subprocess"
local testing = require "neap.testing"

local calls = {}

local function nothing() end

-- Adds the calls object:method(...) of that class; make() makes the object, and may have things closed later.
local function methods(class, make, list)
  for name, arguments in pairs(list) do
    calls[class .. ":" .. name] = function(defer)
      local object = make(defer)
      return debug.getmetatable(object)[name] or object[name], object, table.unpack(arguments)
    end
  end
end

-- Adds the calls of functions of a module.
local function functions(title, module, list)
  for name, arguments in pairs(list) do
    calls[title .. "." .. name] = function() return module[name], table.unpack(arguments) end
  end
end

local future_methods <const> = {
  __tostring = {}, add_done_callback = { nothing }, remove_done_callback = { nothing }, done = {}, cancelled = {},
  failed = {}, cancel = {},
}

methods("Future", neap.Future, future_methods)
methods("Future", neap.Future, { set_result = { 1 } })
calls["Future:set_exception"] = function(defer)
  local future = neap.Future()
  defer(function() future:exception() end)
  return future.set_exception, future, "wolf"
end
methods("Future", function()
  local future = neap.Future()
  future:set_result(1)
  return future
end, { result = {}, exception = {} })

local function sleeper(defer)
  local task = neap.create_task(neap.sleep, 3600)
  defer(function() task:kill() end)
  return task
end

methods("Task", sleeper, future_methods)
methods("Task", sleeper, {
  cancelling = {}, uncancel = {}, get_name = {}, set_name = { "moon" }, get_stack = {}, made_at = {}, kill = {},
})
methods("Task", function()
  local task = neap.create_task(nothing)
  task:await()
  return task
end, { result = {}, exception = {} })

methods("Handle", function() return neap.get_event_loop():call_soon(nothing) end, {
  __tostring = {}, cancel = {}, cancelled = {}, when = {},
})

-- A scope belongs to the task that opens it: the call opens it, too.
for _, name in ipairs {
  "__close", "__gc", "__tostring", "cancel", "cancelled", "close", "expired", "when", "reschedule",
} do
  calls["CancelScope:" .. name] = function()
    return function()
      local scope <close> = neap.CancelScope()
      debug.getmetatable(scope)[name](scope)
    end
  end
end

calls["TaskGroup:create_task"] = function()
  return function()
    local group = neap.TaskGroup()
    group:create_task(nothing)
    group.scope:close()
  end
end
for _, name in ipairs { "__tostring", "cancel" } do
  calls["TaskGroup:" .. name] = function()
    return function()
      local group = neap.TaskGroup()
      getmetatable(group)[name](group)
      group.scope:close()
    end
  end
end

local function held(class)
  return function()
    local lock = neap[class]()
    lock:acquire()
    return lock
  end
end

for _, class in ipairs { "Lock", "Semaphore" } do
  methods(class, held(class), { __close = {}, __tostring = {}, locked = {}, release = {} })
end
methods("Condition", held "Condition", {
  __close = {}, __tostring = {}, locked = {}, release = {}, notify = {}, notify_all = {},
})
methods("Event", neap.Event, { __tostring = {}, clear = {}, is_set = {}, set = {} })
methods("Barrier", function() return neap.Barrier(2) end, {
  __index = { "n_waiting" }, __tostring = {}, abort = {}, reset = {},
})
methods("WaitQueue", core.WaitQueue, { __len = {}, wake = { 1 } })
methods("Queue", function()
  local queue = neap.Queue()
  queue:put(1)
  return queue
end, {
  __tostring = {}, empty = {}, full = {}, get_nowait = {}, put_nowait = { 2 }, qsize = {}, shutdown = { true },
  task_done = {},
})

methods("Channel", function()
  local channel = neap.Channel()
  channel:send(1)
  return channel
end, {
  __tostring = {}, close = {}, closed = {}, messages = {}, qsize = {}, receive_nowait = {}, send_nowait = { 2 },
})

-- A thread whose loop runs for ever.
local function thread(defer)
  local object = neap.thread(function() neap.get_event_loop():run_forever() end)
  defer(function()
    object:stop()
    pcall(object.join, object)
  end)
  return object
end

methods("Thread", thread, {
  __index = { "name" }, __newindex = { "name", "tide" }, __tostring = {}, call_soon_threadsafe = { nothing },
  is_alive = {}, stop = {},
})
calls["Thread:run_coroutine_threadsafe"] = function(defer)
  local object = thread(defer)
  return function()
    local task = object:run_coroutine_threadsafe(nothing)
    defer(function() pcall(task.await, task) end)
  end
end
methods("ThreadHandle", function(defer) return thread(defer):call_soon_threadsafe(nothing) end, {
  __tostring = {}, cancel = {}, cancelled = {},
})
methods("Job", function(defer) return core.start_job(thread(defer), "start_job", nil, nothing) end, { cancel = {} })

methods("ContextVar", function() return neap.ContextVar "tide" end, { __tostring = {}, get = {}, set = { 1 } })
calls["ContextVar:reset"] = function()
  local variable = neap.ContextVar "tide"
  return function() variable:reset(variable:set(1)) end
end
methods("Context", neap.copy_context, { get = { neap.ContextVar "tide" } })

methods("Loop", neap.get_event_loop, {
  __newindex = { "slow_callback_duration", 0.1 }, __tostring = {}, call_soon = { nothing },
  call_soon_threadsafe = { nothing },
  call_later = { 0, nothing }, call_at = { 0, nothing }, create_future = {}, create_task = { nothing }, get_debug = {},
  set_debug = { false }, set_watchdog = { nil }, get_exception_handler = {},
  set_exception_handler = { nil }, is_closed = {}, is_running = {}, time = {},
})
calls["Loop:close"] = "the loop must not be running"
calls["Loop:call_exception_handler"] = function(defer)
  local loop = neap.get_event_loop()
  loop:set_exception_handler(nothing)
  defer(function() loop:set_exception_handler(nil) end)
  return loop.call_exception_handler, loop, { message = "for the probe" }
end
calls["Loop:stop"] = "it stops the specs"

calls["Loop:add_signal_handler"] = function(defer)
  local loop = neap.get_event_loop()
  defer(function() loop:remove_signal_handler "SIGUSR1" end)
  return loop.add_signal_handler, loop, "SIGUSR1", nothing
end
methods("Loop", neap.get_event_loop, { remove_signal_handler = { "SIGUSR1" } })
functions("signal", neap.signal, { send = { process.pid, 0 } })
calls["signal.listen"] = function()
  return function() neap.signal.listen("SIGUSR1"):close() end
end
methods("SignalListener", function(defer)
  local listener = neap.signal.listen "SIGUSR1"
  defer(function() listener:close() end)
  return listener
end, { __close = {}, __gc = {}, close = {}, signals = {} })

methods("Runner", function() return neap.Runner() end, { __tostring = {}, get_loop = {} })

local function near_end(defer)
  local pair = stream.pair()
  defer(function() pair.far:close() end)
  defer(function() pcall(pair.near.close, pair.near) end) -- it may have been collected
  return pair.near
end

methods("Stream", near_end, {
  __close = {}, __gc = {}, __tostring = {}, abort = {}, at_eof = {}, close = {}, is_closing = {}, isatty = {},
  local_address = {}, peer_address = {}, set_mode = { "raw" }, set_write_limits = { 10, 5 }, winsize = {},
  tls_info = {}, tls_session = {},
})

calls["neap.pipe"] = function(defer)
  return function()
    local reader, writer = neap.pipe()
    defer(function() reader:close() writer:close() end)
  end
end

calls["neap.open_fd"] = function(defer)
  return function()
    local copy = assert(neap.open_fd(2))
    defer(function() copy:close() end)
  end
end

local function server(defer)
  local made = assert(neap.start_server(nothing, "127.0.0.1", 0, { start_serving = false }))
  defer(function() made:close() end)
  return made
end

methods("Server", server, {
  __tostring = {}, abort_clients = {}, address = {}, close = { 1 }, close_clients = {}, is_serving = {},
  start_serving = {},
})
methods("Listener", function(defer)
  local listener = stream.listen()
  defer(function() listener:close() end)
  return listener
end, { __gc = {}, address = {}, close = {} })

local function directory(defer)
  local made = assert(neap.fs.scandir "/")
  defer(function() made:close() end)
  return made
end

local function watcher(defer)
  local made = assert(neap.fs.watch "/")
  defer(function() made:close() end)
  return made
end

methods("Directory", directory, { __close = {}, __gc = {}, close = {} })
methods("Watcher", watcher, { __close = {}, close = {}, events = {} })
methods("Watch", function(defer) return watcher(defer).watch end, { __close = {}, __gc = {}, close = {}, stop = {} })

local function raw_socket(defer)
  local socket = core.raw_socket()
  assert(socket:open("inet", "stream"))
  defer(function() socket:close() end)
  return socket
end
methods("RawSocket", raw_socket, {
  __gc = {}, bind = { "127.0.0.1", 0 }, close = {}, disconnect = {}, family = {}, fileno = {},
  get_option = { "keepalive" }, listen = { 1 }, local_address = {}, open = { "inet6", "dgram" }, outcome = {},
  peer_address = {}, set_class = { getmetatable(core.raw_socket()) }, set_option = { "keepalive", true },
  shutdown = { "both" },
})
methods("RawSocket", core.raw_socket, { adopt = { -1 } })
calls["RawSocket:connect"] = function(defer)
  local socket = raw_socket(defer)
  return socket.connect, socket, "127.0.0.1", 1
end
calls["RawSocket:move"] = function(defer)
  local socket <const>, to <const> = raw_socket(defer), core.raw_socket()
  defer(function() to:close() end)
  return socket.move, socket, to
end
calls["RawSocket:stream"] = function(defer)
  local socket <const> = raw_socket(defer)
  return function()
    local made <const> = socket:stream()
    if made then made:close() end
  end
end
functions("neap", neap, {
  Barrier = { 2 }, BoundedSemaphore = { 1 }, Condition = {}, ContextVar = { "tide" }, Event = {}, Future = {},
  Channel = {}, LifoQueue = {}, Lock = {}, PriorityQueue = {}, Queue = {}, Runner = {}, Semaphore = {},
  all_tasks = {}, copy_context = {}, create_task = { nothing }, current_task = {}, ensure_future = { nothing },
  format_call_graph = {}, capture_call_graph = {}, print_call_graph = { nil, { write = nothing } }, task_table = {},
  get_event_loop = {}, get_running_loop = {}, new_event_loop = {}, set_event_loop = { neap.get_event_loop() },
  current_thread = {}, parent_thread = {}, install = {}, is = { 1, neap.Error }, isfuture = { 1 },
})
for _, name in ipairs { "CancelScope", "shielded", "timeout", "timeout_at" } do
  calls["neap." .. name] = function()
    return function() local scope <close> = neap[name]() end
  end
end
calls["neap.thread"] = function(defer)
  return function()
    local started = neap.thread(nothing)
    defer(function() started:join() end)
  end
end
calls["neap.TaskGroup"] = function()
  return function() neap.TaskGroup().scope:close() end
end

functions("testing", testing, {
  census = {}, difference = { testing.census(), testing.census() }, growth = { testing.census(), 1 << 40 },
  seed = {}, shuffle = { 0 }, virtual_clock = {},
})

functions("coroutine", coroutine, {
  create = { nothing }, isyieldable = {}, running = {}, status = { coroutine.create(nothing) },
})
calls["coroutine.close"] = function()
  local co = coroutine.create(coroutine.yield)
  coroutine.resume(co)
  return coroutine.close, co
end
calls["coroutine.yield"] = function()
  return function() coroutine.wrap(coroutine.yield)() end
end

methods("DatagramSocket", function(defer)
  local socket = assert(neap.open_datagram_socket("127.0.0.1"))
  defer(function() socket:close() end)
  return socket
end, {
  __close = {}, __gc = {}, __tostring = {}, close = {}, is_closing = {}, local_address = {}, peer_address = {},
  join_group = { "239.255.17.41", "127.0.0.1" }, leave_group = { "239.255.17.41", "127.0.0.1" },
  set_broadcast = { true }, set_ttl = { 1 }, set_multicast_ttl = { 1 }, set_multicast_loop = { true },
  set_multicast_interface = { "127.0.0.1" },
})
functions("neap", neap, { interval = { 1 } })
methods("Interval", function() return neap.interval(1) end, { __tostring = {} })
for _, side in ipairs { "reader", "writer" } do
  calls["Loop:add_" .. side] = function(defer)
    local loop, fifo = neap.get_event_loop(), descriptor.fifo()
    defer(function()
      loop["remove_" .. side](loop, fifo.fd)
      local _ <close> = fifo
    end)
    return loop["add_" .. side], loop, fifo.fd, nothing
  end
end
methods("Loop", neap.get_event_loop, { remove_reader = { 0 }, remove_writer = { 0 } })

functions("tls", neap.tls, { context = {} })

for _, class in ipairs {
  "Channel", "Failure", "Job", "Process", "TLSContext", "Thread", "ThreadHandle",
} do
  calls[class .. ":__gc"] = "only the collector calls it"
end
calls["Load:__close"] = "only a load of require has one"

methods("Process", function(defer)
  local child = assert(subprocess.exec { "sleep", "100" })
  defer(function() child:close() end)
  return child
end, { kill = {}, terminate = {}, send_signal = { "SIGTERM" }, __tostring = {}, __index = { "pid" } })

return calls
