-- Every kind of stream does what spec/support/stream_conformance.lua asks of it.
local claims_about = require "spec.support.stream_conformance"
local folder = require "spec.support.folder"
local neap = require "neap"
local support = require "spec.support.stream"

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
    local child = assert(neap.subprocess.exec { "cat", stdin = "pipe", stdout = "pipe", limit = options and options.limit })
    return ends(child.stdin, child.stdout, function()
      child:kill()
      child:wait()
    end)
  end,
}
