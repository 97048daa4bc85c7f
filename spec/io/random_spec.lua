-- Random programs over all that is of the outside: see spec/support/chaos.lua. What they do depends on the moment, too:
-- the same seed is not always the same program. NEAP_SEEDS=n plays n of them, NEAP_SEED=n the one of that seed.
local certificates = require "spec.support.certificates"
local chaos = require "spec.support.chaos"
local descriptor = require "spec.support.descriptor"
local neap = require "neap"

local only <const> = tonumber(os.getenv "NEAP_SEED")
local seeds <const> = tonumber(os.getenv "NEAP_SEEDS") or 80

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

  local function play(seed)
    local fifo <close> = descriptor.fifo()
    options.fd = fifo.fd
    local guard <close> = assert(neap.signal.listen "SIGPIPE")
    neap.get_running_loop():set_exception_handler(function() end)
    return chaos.play(seed, options)
  end

  for seed = only or 1, only or seeds do
    it("leaves nothing: seed " .. seed, function()
      assert.is_nil(play(seed))
    end)
  end

  -- What it is blind to it would not find.
  local leaks <const> = {
    { "2 handles", function() return assert(neap.signal.listen("SIGUSR1", "SIGUSR2")) end },
    { "1 handles, 1 fds", function() return assert(neap.open_datagram_socket("127.0.0.1", 0)) end },
    { "1 fds", function() return assert(neap.fs.open "/proc/self/stat") end },
    { "1 tasks", function() return neap.create_task(neap.sleep, 3600) end },
  }
  for _, leak in ipairs(leaks) do
    it("is found to leave " .. leak[1], function()
      local left
      options.leak = function() left = leak[2]() end
      local told = play(1)
      options.leak = nil
      local _ <const> = (left.close or left.kill)(left)
      assert.equal(leak[1], told:match "^[^\n]*")
    end)
  end
end)
