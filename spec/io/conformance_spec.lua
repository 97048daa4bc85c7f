-- Every kind of stream does what spec/support/stream_conformance.lua asks of it.
local claims_about = require "spec.support.stream_conformance"
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
