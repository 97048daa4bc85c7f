--- The option `tls` of connections and servers.
local core = require "neap.core"

local M = {}

local function copy(options)
  local to = {}
  for name, value in pairs(options) do to[name] = value end
  return to
end

--- Of `true`, of a context, or of a table of options.
local function options_of(tls)
  if type(tls) == "userdata" then return { context = tls } end
  if type(tls) == "table" then return copy(tls) end
  return {}
end

--- Which argument the options are.
local ARGUMENT <const> = { open_connection = 3, open_unix_connection = 2, start_server = 4, start_unix_server = 3 }

local function refuse(call, what)
  core.misuse(("bad argument #%d to '%s' (%s)"):format(ARGUMENT[call], call, what))
end

--- What a call inside has against its arguments is raised to the script, at its line.
local function raise(call, err)
  local what <const> = type(err) == "string" and err:match "bad argument #%d+ to '[^']*' %((.*)%)$"
  if what then refuse(call, what) end
  error(err, 0)
end

--- Closes the stream at the end of a block, unless that is taken back: a task may be killed in the handshake.
local Guard = { __close = function(guard)
  if guard.stream then guard.stream:abort() end
end }

local function secured(guard, call, done, ...)
  if not done then raise(call, (...)) end
  guard.stream = nil
  return ...
end

--- Begins TLS over a connection that was opened; or passes on what stood against that.
local function secure(call, target, tls, stream, err, code)
  if not stream then return nil, err, code end
  local guard <close> = setmetatable({ stream = stream }, Guard)
  return secured(guard, call, pcall(core.start_tls, stream, tls, call, target))
end

local function without_tls(options)
  local plain <const> = copy(options)
  plain.tls = nil
  return plain
end

--- open_connection with the option `tls`.
function M.open_connection(host, port, options)
  local tls <const> = options_of(options.tls)
  if tls.server_hostname == nil then tls.server_hostname = host end
  local target <const> = (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port)
  return secure("open_connection", target, tls, core.open_connection(host, port, without_tls(options)))
end

--- open_unix_connection with the option `tls`.
function M.open_unix_connection(path, options)
  local target <const> = path:gsub("^\0", "@")
  return secure("open_unix_connection", target, options_of(options.tls),
    core.open_unix_connection(path, without_tls(options)))
end

--- What each connection of a server begins with.
local function server_options(call, tls)
  local common <const> = options_of(tls)
  local each <const> = { server = true, context = common.context, handshake_timeout = common.handshake_timeout }
  common.server, common.context, common.handshake_timeout, common.on_handshake_error = nil, nil, nil, nil
  if each.context and next(common) then
    refuse(call, "there are options of 'tls' that belong into the context")
  end
  local err, code
  if not each.context then
    each.context, err, code = core.tls_context(common)
    if not each.context then return nil, err, code end
  end
  core.tls_check_server(each.context)
  return each
end

--- The handler of a server with the option `tls`: it begins with the handshake. Nil, err, code if a file is not there.
function M.handler(call, handler, tls)
  local made, options, err, code = pcall(server_options, call, tls)
  if not made then raise(call, options) end
  if not options then return nil, err, code end
  local on_error <const> = type(tls) == "table" and tls.on_handshake_error
  return function(stream, server)
    local host, port = stream:peer_address()
    local started, failure = core.start_tls(stream, options)
    if started then return handler(stream, server) end
    if on_error then return on_error(failure, host, port) end
    local loop <const> = core.get_event_loop()
    if loop:get_debug() then
      loop:call_exception_handler { message = "a TLS handshake failed", exception = failure }
    end
  end
end

return M
