-- Random programs over all that is of the outside: see spec/support/chaos.lua. For an attack by hand: what they leave
-- depends on the moment, and one in some dozens leaves two handles that are not explained. NEAP_SEEDS=n plays n of
-- them, NEAP_SEED=n the one of that seed.
local certificates = require "spec.support.certificates"
local chaos = require "spec.support.chaos"
local descriptor = require "spec.support.descriptor"
local neap = require "neap"

local only <const> = tonumber(os.getenv "NEAP_SEED")
local seeds <const> = tonumber(os.getenv "NEAP_SEEDS") or 0

local function pid()
  local stat <close> = assert(io.open "/proc/self/stat")
  return stat:read "n"
end

describe("a random program", function()
  local options

  setup(function()
    options = {
      tls = assert(neap.tls.context(certificates.server "good")),
      ca = certificates.file "root.pem",
      pid = pid(),
    }
  end)

  after_each(function()
    neap.get_running_loop():set_exception_handler(nil)
  end)

  for seed = only or 1, only or seeds do
    it("leaves nothing: seed " .. seed, function()
      local fifo <close> = descriptor.fifo()
      options.fd = fifo.fd
      local guard <close> = assert(neap.signal.listen("SIGPIPE"))
      neap.get_running_loop():set_exception_handler(function() end)
      assert.is_nil(chaos.play(seed, options))
    end)
  end
end)
