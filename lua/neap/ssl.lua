--- LuaSec's module `ssl`, over neap's TLS: an object of LuaSocket's is made one that encrypts.
local base = require "neap.socket_base"
local neap = require "neap"

local raw <const> = base.raw
local KIND <const> = "SSL connection"
local methods <const> = {}
local class

base.common(KIND, methods)
base.counting(KIND, methods)
methods.gettimeout, methods.setfd = nil, nil

-- --- contexts ---

local VERSIONS <const> = {
  any = {}, sslv23 = {}, tlsv1_2 = { "1.2", "1.2" }, tlsv1_3 = { "1.3", "1.3" }, tlsv1 = false, tlsv1_1 = false,
}

local function set_of(value)
  local set = {}
  for _, name in ipairs(type(value) == "table" and value or { value }) do set[name] = true end
  return set
end

local function verification(config)
  local wanted = set_of(config.verify)
  if config.mode == "server" then
    return wanted.fail_if_no_peer_cert and "required" or wanted.peer and "optional" or "none"
  end
  return wanted.peer or false
end

local CONTEXT <const> = { __name = "SSL context" }

--- newcontext(config): what connections have in common; or nil and why.
local function newcontext(config)
  if type(config) ~= "table" then base.bad_type(1, "newcontext", "table", config) end
  local versions = VERSIONS[config.protocol]
  if not versions then return nil, ("invalid protocol (%s)"):format(tostring(config.protocol)) end
  if config.mode ~= "client" and config.mode ~= "server" then
    return nil, ("invalid mode (%s)"):format(tostring(config.mode))
  end
  local alpn = type(config.alpn) == "string" and { config.alpn } or config.alpn
  local context, err = neap.tls.context {
    verify = verification(config), ca_file = config.cafile, ca_path = config.capath, cert = config.certificate,
    key = config.key, password = config.password, ciphers = config.ciphers, ciphersuites = config.ciphersuites,
    min_version = versions[1], max_version = versions[2], alpn = alpn,
  }
  if not context then return nil, tostring(err) end
  return setmetatable({ context = context, server = config.mode == "server" }, CONTEXT)
end

-- --- reading and writing, through a stream ---

--- Calls a method of the stream for so long: true and its results, or false.
local function within(seconds, method, ...)
  if seconds < 0 then return true, method(...) end
  return neap.move_on_after(math.max(seconds, 0.001), method, ...)
end

local function failure(err, code)
  return base.message(code == "TLS_TRUNCATED" and "EPIPE" or code, err)
end

local function fill(_, state, start, most)
  if state.stream == nil then return "closed" end
  local completed, data, err, code = within(base.remaining(state, start), state.stream.read_some, state.stream, most)
  if not completed then return "wantread" end
  if not data then return err and failure(err, code) or "closed" end
  state.chunks[#state.chunks + 1] = data
  state.size = state.size + #data
end

local PIECE <const> = 16384

local function send(_, state, data, first, last, start)
  while first <= last do
    if state.stream == nil then return first - 1, "closed" end
    local piece <const> = data:sub(first, math.min(last, first + PIECE - 1))
    local completed, ok, err, code = within(base.remaining(state, start), state.stream.write, state.stream, piece)
    if not completed then return first - 1, "wantwrite" end
    if not ok then return first - 1, failure(err, code) end
    first = first + #piece
    state.sent = state.sent + #piece
  end
  return first - 1
end

-- --- connections ---

--- wrap(socket, config or context): a connection over the socket's descriptor, which the socket has no more.
local function wrap(socket, config)
  local context = config
  if getmetatable(config) ~= CONTEXT then
    local made, err = newcontext(config)
    if not made then return nil, err end
    context = made
  end
  local fd <const> = socket:getfd()
  local stream, code, text = raw.stream(socket)
  if not stream then return nil, base.message(code, text) end
  local self <const> = base.new(KIND, class, "unspec")
  local state <const> = base.any(self, KIND, "wrap")
  state.stream, state.fd, state.context, state.fill, state.send = stream, fd, context, fill, send
  return self
end

function methods:sni(name)
  local state = base.any(self, KIND, "sni")
  if type(name) ~= "string" then return base.bad_type(1, "sni", "string", name) end
  state.hostname = name
end

local function handshake(state)
  return state.stream:start_tls {
    context = state.context.context, server = state.context.server, server_hostname = state.hostname,
    check_hostname = false,
  }
end

--- true; or false and why, "wantread" if it takes longer than the timeout.
function methods:dohandshake()
  local state = base.any(self, KIND, "dohandshake")
  if not state.stream then return false, "closed" end
  state.handshake = state.handshake or neap.create_task(handshake, state)
  local seconds = base.remaining(state, base.start(state))
  neap.wait { state.handshake, timeout = seconds >= 0 and seconds or nil }
  if not state.handshake:done() then return false, "wantread" end
  local ok, err, code = state.handshake:result()
  if ok then return true end
  state.stream = nil
  return false, code == "TLS_CERTIFICATE" and "certificate verify failed" or base.message(code, err)
end

function methods:receive(pattern, prefix)
  return base.receive(self, base.any(self, KIND, "receive"), pattern, prefix)
end

function methods:send(data, i, j)
  return base.send(self, base.any(self, KIND, "send"), data, i, j)
end

function methods:close()
  local state = base.any(self, KIND, "close")
  if state.handshake and not state.handshake:done() then state.handshake:cancel() end
  if state.stream then state.stream:close() end
  state.stream, state.fd = nil, -1
end

function methods:getfd()
  return base.any(self, KIND, "getfd").fd
end

function methods:want()
  local state = base.any(self, KIND, "want")
  return state.handshake and not state.handshake:done() and "read" or "nothing"
end

local function tls_info(self, call)
  local state = base.any(self, KIND, call)
  return state.stream and state.stream:tls_info()
end

function methods:info(field)
  local info = tls_info(self, "info")
  if not info then return nil end
  local all = { protocol = "TLSv" .. info.version, cipher = info.cipher }
  if field then return all[field] end
  return all
end

function methods:getalpn()
  local info = tls_info(self, "getalpn")
  return info and info.alpn
end

function methods:getsniname()
  local info = tls_info(self, "getsniname")
  return info and info.server_hostname
end

class = base.class(KIND, methods, KIND)
class.__close = methods.close

return { _VERSION = "1.2.0", newcontext = newcontext, wrap = wrap, config = { capabilities = {}, algorithms = {} } }
