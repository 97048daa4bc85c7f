-- Child processes that are waited for, talked to, ended and left.
local forever = require "spec.hosts.forever"
local neap = require "neap"
local subprocess = neap.subprocess

local kept = assert(subprocess.exec { "cat", stdin = "pipe", stdout = "pipe" })
for _ = 1, 2 do forever(function() kept:wait() end) end
forever(function() kept.stdout:read "l" end)
forever(function() kept.stdin:write "line\n" end)
forever(function() subprocess.run { "cat", input = ("x"):rep(100000) } end)
forever(function() subprocess.exec { "true", stdout = "pipe" } neap.sleep(0.001) end)
forever(function() local _ <close> = assert(subprocess.exec { "sleep", "60" }) end)
forever(function() pcall(neap.wait_for, subprocess.run, 0.0005, { "sleep", "60" }) end)
forever(function() assert(not subprocess.exec { "/no/such" }) neap.sleep(0.0005) end)
neap.sleep(60)
