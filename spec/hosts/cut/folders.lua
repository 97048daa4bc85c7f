-- Folders being read, walked and watched.
local forever = require "spec.hosts.forever"
local fs = require "neap.fs"
local neap = require "neap"

local hosts <const>, own <const> = "spec/hosts", folder .. "/own"

local function walk(options)
  local count = 0
  for _ in assert(fs.walk(hosts, options)) do
    count = count + 1
    if count == 20 then return end
  end
end

local kept
forever(walk)
forever(function() walk { follow = true } end)
forever(function() fs.scandir(hosts) end)
forever(function() assert(fs.scandir(hosts)):next() end)
forever(function() kept = kept and kept:next() and kept or assert(fs.scandir(hosts)) end)
forever(function() pcall(neap.wait_for, function() walk() end, 0.0001) end)

local watches = {}
local function watch(path)
  watches[path] = watches[path] or assert(fs.watch(path))
  return watches[path]
end
forever(function() watch(folder):next() end)
forever(function() watch(hosts):next() end)
forever(function() pcall(neap.wait_for, function() watch("README.md"):next() end, 0.0001) end)
forever(function() fs.watch(hosts) end)
forever(function()
  fs.mkdir(own)
  fs.remove(own)
end)
neap.sleep(60)
