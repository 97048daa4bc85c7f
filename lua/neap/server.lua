--- Servers: a task for each connection.
local check = require "neap.check"
local core = require "neap.core"
local report = require "neap.report"

local ACCEPT_PAUSE_S <const> = 1
local CALLER_OF_START_SERVER <const> = 5 -- above start: pcall, start_or_close, make, start_server

---@class neap.Server
---@field port integer? the port it listens on, of an internet server
---@field path string? the path, of a Unix server
---@field closing boolean whether it was closed: handlers that go on look at this, or await `wait_closing`
local Server = { __name = "neap.Server" }
Server.__index = Server

--- A connection may be accepted.
local function make_room(server)
  local waiter = server.waiter
  server.waiter = nil
  if waiter and not waiter:done() then waiter:set_result(true) end
end

local function wait_for_room(server)
  while server.connections >= server.max_connections and not server.closing do
    server.waiter = server.waiter or core.Future()
    core.await(server.waiter)
  end
end

local function end_if_done(server)
  if server.closing and server.busy == 0 and not server.ended:done() then
    if server.grace_task then server.grace_task:cancel() end
    server.ended:set_result(true)
  end
end

local function on_handler_done(server, task)
  local stream = server.streams[task]
  if not stream then return end
  server.streams[task] = nil
  server.busy = server.busy - 1
  server.connections = server.connections - 1
  make_room(server)
  stream:close()
  if task:failed() then report("a connection handler failed", task:exception(), task) end
  end_if_done(server)
end

local function handle(server, stream)
  local task = core.create_task_at(0, server.handler, stream, server) -- made where the server was
  server.streams[task] = stream
  server.busy = server.busy + 1
  server.connections = server.connections + 1
  task:add_done_callback(server.on_handler_done)
end

--- A stream; nil and what stands against it; or nothing, when the listener is closed.
local function accept(server, listener)
  local accepted, stream, err = pcall(listener.accept, listener)
  if accepted then return stream, err end
  if server.closing or core.is(stream, core.CancelledError) then error(stream, 0) end
  return nil, stream
end

--- Without descriptors or memory connections wait in the kernel: that is told once, and tried again.
local function accept_all(server, listener)
  local starved = false
  while true do
    wait_for_room(server)
    local stream, err = accept(server, listener)
    if stream then
      starved = false
      wait_for_room(server) -- another listener may have taken it
      if server.closing then return stream:abort() end
      local handled, failure = pcall(handle, server, stream)
      if not handled then
        stream:abort()
        report("a server cannot handle a connection", failure)
      end
    elseif err then
      if not starved then report("a server cannot accept connections", err) end
      starved = true
      core.sleep(ACCEPT_PAUSE_S)
    else
      return
    end
  end
end

local function on_accepter_done(server, task)
  if not server.accepters[task] then return end
  server.accepters[task] = nil
  server.busy = server.busy - 1
  if not server.closing then server:close() end
  end_if_done(server)
end

--- `level` is that of the function that the server's tasks are said to be made by.
local function start(server, level)
  server.started = true
  for _, listener in ipairs(server.listeners) do
    local task = core.create_task_at(level + 1, accept_all, server, listener)
    server.accepters[task] = true
    server.busy = server.busy + 1
    task:add_done_callback(server.on_accepter_done)
    task:set_name("server on " .. (server.path or "port " .. server.port))
  end
end

local function start_or_close(server)
  local started, err = pcall(start, server, CALLER_OF_START_SERVER)
  if started then return end
  server:close()
  error(err, 0)
end

local function close_all(listeners)
  for _, listener in ipairs(listeners) do listener:close() end
end

--- With TLS each connection begins with a handshake.
local function secure(handler, listeners, options, call)
  local made, secured, err, code = pcall(require("neap.tls_streams").handler, call, handler, options.tls)
  if not made or not secured then close_all(listeners) end
  if not made then error(secured, 0) end
  return secured, err, code
end

local function make(handler, listeners, options, call)
  if options and options.tls then
    local secured, err, code = secure(handler, listeners, options, call)
    if not secured then return nil, err, code end
    handler = secured
  end
  local server = setmetatable({
    handler = handler, listeners = listeners, streams = {}, accepters = {}, busy = 0, connections = 0,
    max_connections = options and options.max_connections or math.huge,
    closing = false, told = core.Future(), ended = core.Future(),
  }, Server)
  local host, port = listeners[1]:address()
  server.port, server.path = port, not port and host or nil
  server.on_handler_done = function(task) on_handler_done(server, task) end
  server.on_accepter_done = function(task) on_accepter_done(server, task) end
  if not options or options.start_serving ~= false then start_or_close(server) end
  return server
end

--- Begins to accept, if `start_serving = false` has put that off. Until then connections wait in the
--- kernel.
function Server:start_serving()
  if self.closing then core.misuse "start_serving: the server is closed" end
  if not self.started then start(self, 2) end
end

--- The address of the first socket it listens on: host and port, or the path.
---@return string host
---@return integer? port
function Server:address()
  return self.listeners[1]:address()
end

--- Whether it accepts connections.
---@return boolean
function Server:is_serving()
  return self.started == true and not self.closing
end

local function cancel_handlers(server)
  for task in pairs(server.streams) do task:cancel() end
end

local function cancel_later(server, seconds)
  if server.grace_task then server.grace_task:cancel() end
  server.grace_task = core.create_task(function()
    core.sleep(seconds)
    cancel_handlers(server)
  end)
end

--- Stops accepting; the handlers may go on for `grace` seconds (0) and are then cancelled. Waits for
--- nothing. May be called again, with less grace.
---@param grace number?
---@return true
function Server:close(grace)
  if grace ~= nil and (type(grace) ~= "number" or grace ~= grace) then
    core.misuse "bad argument #1 to 'close' (the grace is not a number of seconds)"
  end
  if not self.closing then
    self.closing = true
    for _, listener in ipairs(self.listeners) do listener:close() end
    self.told:set_result(true)
    make_room(self)
  end
  if not grace or grace <= 0 then
    cancel_handlers(self)
  elseif next(self.streams) then
    cancel_later(self, grace)
  end
  end_if_done(self)
  return true
end

--- Closes every connection, behind what was written to it.
function Server:close_clients()
  for _, stream in pairs(self.streams) do stream:close() end
end

--- Closes every connection at once.
function Server:abort_clients()
  for _, stream in pairs(self.streams) do stream:abort() end
end

--- Tasks whose callback there was no memory to make, or to call. Those on their way come first, in
--- whatever order the tasks of a turn run.
local function end_forgotten(server)
  core.sleep(0)
  core.sleep(0)
  for task in pairs(server.streams) do
    if task:done() then on_handler_done(server, task) end
  end
  for task in pairs(server.accepters) do
    if task:done() then on_accepter_done(server, task) end
  end
end

local function list_busy(server)
  local tasks = {}
  for task in pairs(next(server.accepters) and server.accepters or server.streams) do
    tasks[#tasks + 1] = task
  end
  return tasks
end

--- Waits until the server was closed: for a handler that is to end in good order within the grace time.
---@return true
function Server:wait_closing()
  return core.await(self.told)
end

--- Waits until the server was closed and all its handlers have ended.
---@return true
function Server:wait_closed()
  while self.busy > 0 do
    core.wait_many(list_busy(self), 0)
    if self.busy > 0 then end_forgotten(self) end
  end
  return core.await(self.ended)
end

--- Serves until it is closed; cancelling this closes it.
function Server:serve_forever()
  core.check_awaiting "serve_forever"
  if self.closing then core.misuse "serve_forever: the server is closed" end
  if self.serving then core.misuse "serve_forever: the server is being served already" end
  self.serving = true
  self:start_serving()
  local closing <close> = self
  self:wait_closed()
end

--- The end of a block: closes it, and waits for the handlers that this cancels. A handler among them does not.
function Server:__close()
  self:close()
  if self.streams[core.current_task()] then return end
  local shield <close> = core.shielded()
  self:wait_closed()
end

function Server:__tostring()
  local host, port = self:address()
  local where = port and ("%s port %d"):format(host, port) or host
  return ("<Server on %s%s>"):format(where, self.closing and ", closed" or "")
end

check.class(Server)

---@alias neap.Handler fun(stream: neap.Stream, server: neap.Server)

---@class neap.ServerOptions
---@field backlog integer? how many connections may wait in the kernel (128)
---@field fd integer? a listening socket that was inherited, in place of host and port
---@field keepalive number|boolean? seconds of silence before a connection is tested (true: 60); none
---@field max_connections integer? how many handlers may run at once; further connections wait in the kernel
---@field limit integer? bytes of a line that is read from a connection (65536)
---@field nodelay boolean? send small writes at once (true)
---@field reuse_port boolean? several servers, in threads or processes, share the port: the kernel spreads connections
---@field start_serving boolean? begin to accept now (true)
---@field tls neap.TLSContext|neap.TLSOptions? TLS with each connection, before the handler is called

---@class neap.UnixServerOptions
---@field backlog integer? how many connections may wait in the kernel (128)
---@field cleanup_socket boolean? remove the socket's file in the end (true)
---@field fd integer? a listening socket that was inherited, in place of the path
---@field limit integer? bytes of a line that is read from a connection (65536)
---@field max_connections integer? how many handlers may run at once; further connections wait in the kernel
---@field mode integer? permissions of the socket's file, for example tonumber("660", 8)
---@field start_serving boolean? begin to accept now (true)
---@field tls neap.TLSContext|neap.TLSOptions? TLS with each connection, before the handler is called

local start_server, start_unix_server = core.start_server_with(make)

return { start_server = start_server, start_unix_server = start_unix_server }
