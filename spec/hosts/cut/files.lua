-- Files as streams, and functions on files, whose work is done by libuv's threads.
local fs = require "neap.fs"
local neap = require "neap"

local folder = assert(fs.mkdtemp "/tmp/neap-cut-")

-- Nothing of ours runs behind a cut: the folder is gone, and what is in it has no names.
local function forever(number, fn)
  local path = folder .. "/" .. number
  neap.create_task(function()
    local _ <close> = guard()
    while true do
      fn(path)
      neap.sleep(0)
    end
  end)
end

local much = ("line\n"):rep(50000)
local one = folder .. "/one"
assert(fs.write_file(one, much))
local kept = {} -- streams open at the end
for i = 1, 3 do kept[i] = assert(fs.open(one, "r+")) end
for i = 4, 6 do kept[i] = assert(fs.open(folder .. "/gone", "w+")) end
local zero = assert(fs.open "/dev/zero")
assert(fs.remove(folder, { recursive = true }))

forever(1, function() kept[1]:read "L" end)
forever(2, function() kept[2]:seek("set", 0) kept[2]:read "a" end)
forever(3, function() kept[3]:write "line" kept[3]:sync() end)
forever(4, function() kept[4]:write(much) kept[4]:truncate(0) kept[4]:seek "set" end)
forever(5, function() pcall(neap.wait_for, function() kept[5]:sync() end, 0.0001) kept[5]:stat() end)
forever(6, function() kept[6]:set_write_limits(10) kept[6]:write "a few" kept[6]:drain() kept[6]:truncate(5) end)
forever(7, function() zero:read(100000) end)
forever(8, function()
  local file = fs.open "/proc/self/stat"
  if file then file:read "a" end
end)
forever(9, function(path) fs.open(path, "w") fs.write_file(path, much) fs.read_file "/proc/self/stat" end)
forever(10, function(path) fs.stat(path) fs.copy("/proc/self/stat", path) fs.rename(path, path) end)
forever(11, function() pcall(neap.wait_for, function() fs.read_file "/proc/self/maps" end, 0.0001) end)
forever(12, function()
  local file <close> = assert(fs.open "/dev/null" or fs.open("/dev/null", "w"))
  local out <close> = assert(fs.open("/dev/null", "w"))
  out:write(much)
end)
neap.sleep(60)
