-- Streams over TLS for specs, and what lies between the two ends.
local certificates = require "spec.support.certificates"
local neap = require "neap"
local support = require "spec.support.stream"

local tls = {}

-- The results of start_tls at both ends of a pair, packed: of the client, of the server.
function tls.shake(ends, client, server)
  local serving = neap.create_task(function() return table.pack(ends.far:start_tls(server)) end)
  local near = table.pack(ends.near:start_tls(client))
  return near, neap.await(serving)
end


local function server_of(options)
  local all = options and (options.context or options.cert or options.cert_pem) and {} or certificates.server "good"
  for name, value in pairs(options or {}) do all[name] = value end
  all.server = true
  return all
end

local function client_of(options)
  if options and (options.context or options.server_hostname) then return options end
  return certificates.client(options)
end

-- Two ends of one connection over TLS: `near` is the client's, `far` the server's.
function tls.pair(client, server, ends)
  ends = ends or support.pair()
  local near, far = tls.shake(ends, client_of(client), server_of(server))
  assert(near[1], near[2])
  assert(far[1], far[2])
  return ends
end

-- What both ends are told of a handshake: of the client and the server the message, or nil, and the code.
function tls.try(client, server)
  local ends <close> = support.pair()
  local near, far = tls.shake(ends, client_of(client), server_of(server))
  local function told(result) return result[2] and tostring(result[2]), result[3] end
  local message, code = told(near)
  local far_message, far_code = told(far)
  return { near = message, near_code = code, far = far_message, far_code = far_code, ends = ends }
end

local function carry(from, to, options)
  local cut, count = options.cut or math.huge, 0
  while count < cut do
    local bytes = from:read_some(math.min(options.piece or 65536, cut - count))
    if not bytes then return to:shutdown() end
    count = count + #bytes
    if not to:write(bytes) then return end
    if options.piece then neap.sleep(0) end
  end
  options.how(from, to)
end

-- Carries what comes from one stream to another, byte by byte if that is asked for, and at last its end. After `cut`
-- bytes it ends otherwise: by how(from, to). What the other direction has closed is no error.
function tls.relay(from, to, options)
  return neap.create_task(pcall, carry, from, to, options or {})
end

-- Ends as those of a pair, with a relay between them in each direction.
function tls.relayed(up, down)
  local first, second = support.pair(), support.pair()
  local relays = {
    tls.relay(first.far, second.near, up),
    tls.relay(second.near, first.far, down),
  }
  return setmetatable({ near = first.near, far = second.far, relays = relays, first = first, second = second }, {
    __close = function()
      for _, relay in ipairs(relays) do relay:cancel() end
      for _, pair in ipairs { first, second } do
        pair.near:abort()
        pair.far:abort()
      end
    end,
  })
end

return tls
