-- Folders being read, walked and watched.
local fs = require "neap.fs"
local neap = require "neap"

local folder <const> = "spec"

local function forever(fn)
  neap.create_task(function()
    local _ <close> = guard()
    while true do
      fn()
      neap.sleep(0)
    end
  end)
end

local function walk(options)
  local count = 0
  for _ in assert(fs.walk(folder, options)) do
    count = count + 1
    if count == 20 then return end
  end
end

local kept = assert(fs.scandir(folder))
forever(walk)
forever(function() walk { follow = true } end)
forever(function() fs.scandir(folder) end)
forever(function() for _ in assert(fs.scandir(folder)) do break end end) -- luacheck: ignore 512
forever(function() kept = kept:next() and kept or assert(fs.scandir(folder)) end)
forever(function() pcall(neap.wait_for, function() walk() end, 0.0001) end)

local first <close>, second, third = assert(fs.watch "/tmp"), assert(fs.watch(folder)), assert(fs.watch "README.md")
forever(function() first:next() end)
forever(function() second:next() end)
forever(function() pcall(neap.wait_for, third.next, 0.0001, third) end)
forever(function() fs.watch(folder) end)
forever(function()
  fs.mkdir "/tmp/neap-cut-folder"
  fs.remove "/tmp/neap-cut-folder"
end)
neap.sleep(60)
