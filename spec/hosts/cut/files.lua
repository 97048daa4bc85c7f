-- Files as streams, and functions on files, whose work is done by libuv's threads.
local forever = require "spec.hosts.forever"
local fs = require "neap.fs"
local neap = require "neap"

local path <const> = folder .. "/file"

-- The same with a stream of its own, on the same file.
local function with_file(mode, fn)
  local file
  forever(function()
    file = file or assert(fs.open(path, mode))
    fn(file)
  end)
end

local much = ("line\n"):rep(50000)
do
  local file <close> = assert(io.open(path, "w"))
  file:write(much)
end

with_file("r", function(file) file:read "L" end)
with_file("r", function(file) file:seek("set", 0) file:read "a" end)
with_file("r+", function(file) file:write "line" file:sync() end)
with_file("a", function(file) file:write(much) file:truncate(100000) end)
with_file("r+", function(file) pcall(neap.wait_for, function() file:sync() end, 0.0001) file:stat() end)
with_file("a", function(file) file:set_write_limits(10) file:write "a few" file:drain() file:truncate(5) end)
forever(function()
  local zero = assert(fs.open "/dev/zero")
  zero:read(100000)
end)
forever(function() fs.open(path) end)
forever(function() fs.write_file(path, much) fs.read_file(path) end)
forever(function() fs.stat(path) fs.copy(path, path .. ".copy") fs.rename(path .. ".copy", path) end)
forever(function() pcall(neap.wait_for, fs.read_file, 0.0001, path) end)
forever(function()
  local out <close> = assert(fs.open("/dev/null", "w"))
  out:write(much)
end)
neap.sleep(60)
