-- Every kind of stream does what spec/support/stream_conformance.lua asks of it.
local claims_about = require "spec.support.stream_conformance"
local folder = require "spec.support.folder"
local neap = require "neap"
local needs = require "spec.support.needs"
local program = require "spec.support.program"
local pty = assert(package.loadlib(program.neap:gsub("[^/]*$", "module/neap_probe.so"), "luaopen_neap_pty"))()
local support = require "spec.support.stream"
local tls = require "spec.support.tls"

local function conforms(kind)
  describe("a stream over " .. kind.name, function()
    for _, claim in ipairs(claims_about(kind)) do it(claim[1], claim[2]) end
  end)
end

conforms {
  name = "TCP",
  pair = support.pair,
  two_way = true,
  half_close = true,
  resets = true,
}

conforms {
  name = "Unix sockets",
  pair = support.unix_pair,
  two_way = true,
  half_close = true,
  resets = true,
}

local function ends(near, far, close)
  return setmetatable({ near = near, far = far }, { __close = function()
    near:close()
    far:close()
    if close then close() end
  end })
end

conforms {
  name = "pipes",
  pair = function(options)
    local far, near = assert(neap.pipe(options))
    return ends(near, far)
  end,
}

conforms {
  name = "files",
  sent = function(text, options)
    local dir = folder.new()
    dir:write("file", text)
    local far = assert(neap.fs.open(dir:file "file", "r", options))
    return ends(far, far, function()
      far:wait_closed()
      dir:remove()
    end)
  end,
}

conforms {
  name = "the standard streams of a process",
  pair = function(options)
    local limit = options and options.limit
    local child = assert(neap.subprocess.exec { "cat", stdin = "pipe", stdout = "pipe", limit = limit })
    return ends(child.stdin, child.stdout, function()
      child:kill()
      child:wait()
    end)
  end,
}

if require("spec.support.terminal").is_possible then
  conforms {
    name = "terminals",
    pair = function()
      local near, far = pty.pair()
      return ends(assert(neap.open_fd(near)), assert(neap.open_fd(far)))
    end,
    two_way = true,
    endless = true,
  }
end

-- What is below TLS may notice a reset before TLS has said good-bye.
local tls_codes <const> = { TLS_TRUNCATED = true, TLS_CLOSED = true, EPIPE = true, ECONNRESET = true }

local function conforms_over_tls(name, below)
  conforms {
    name = "TLS over " .. name,
    pair = function(options) return tls.pair(nil, nil, below(options)) end,
    two_way = true,
    half_close = true,
    resets = true,
    codes = tls_codes,
  }
end

if not needs.lacks "openssl" then
  conforms_over_tls("TCP", support.pair)
  conforms_over_tls("Unix sockets", support.unix_pair)
  conforms_over_tls("TLS", function(options) return tls.pair(nil, nil, support.pair(options)) end)
end
