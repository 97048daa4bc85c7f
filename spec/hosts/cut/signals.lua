-- Signals that come, with listeners, handlers and tasks that wait for them; and watched descriptors.
local forever = require "spec.hosts.forever"
local neap = require "neap"

local loop, signal = neap.get_event_loop(), neap.signal
local stat <close> = assert(io.open "/proc/self/stat")
local pid <const> = stat:read "n"
local kept = assert(signal.listen("SIGUSR1", "SIGUSR2"))

loop:add_signal_handler("SIGUSR1", function() end)
forever(function() signal.send(pid, "SIGUSR1") neap.sleep(0.0001) end)
forever(function() signal.send(pid, "SIGUSR2") end)
forever(function() signal.wait "SIGUSR2" end)
forever(function() kept:next() end)
forever(function() assert(signal.listen "SIGUSR2"):next() end)
forever(function() pcall(neap.wait_for, signal.wait, 0.0001, "SIGHUP") end)
forever(function() loop:add_signal_handler("SIGUSR2", guard) neap.sleep(0) loop:remove_signal_handler "SIGUSR2" end)

local reader, writer = neap.pipe()
local fd <const> = 0
forever(function()
  loop:add_reader(fd, function() loop:remove_reader(fd) end)
  neap.sleep(0.0001)
  loop:remove_reader(fd)
end)
forever(function() writer:write(("x"):rep(10000)) end)
forever(function() reader:read(3000) end)
forever(function() local one, other = neap.pipe() other:write 'x' pcall(neap.wait_for, one.read, 0.0001, one) end)
forever(function() neap.pipe() neap.sleep(0.0005) end)
neap.sleep(60)
