-- Calls of neap.fs, for spec.support.cancel_matrix. What libuv's threads have begun when it is cancelled goes on, or
-- has not begun: each thing has happened or has not.
local assert = require "luassert"
local fs = require "neap.fs"
local neap = require "neap"

local scenarios = {}

-- A cancelled call may still be making something in it.
local function remove(dir)
  repeat
    local removed, err, code = fs.remove(dir, { recursive = true })
    if not removed and code ~= "ENOTEMPTY" then assert.equal("ENOENT", code, tostring(err)) end
  until removed or code == "ENOENT"
end

-- wait(path), in a folder with what prepare(path) has made; intact(path, cell) looks at it behind that.
local function scene(prepare, wait, intact)
  local dir = assert(fs.mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/neap-"))
  local function path(name) return dir .. "/" .. (name or "") end
  if prepare then prepare(path) end
  return {
    wait = function() wait(path) end,
    intact = intact and function(cell) intact(path, cell) end,
    close = function() remove(dir) end,
  }
end

local function add(name, of, prepare, wait, intact)
  scenarios[name] = { of = of, real = true, make = function() return scene(prepare, wait, intact) end }
end

local function file(path) assert(fs.write_file(path "a", "data")) end
local function data_is_kept(path) assert.equal("data", fs.read_file(path "a")) end

local function is_there(path, name) return fs.lstat(path(name)) ~= nil end

local with_file <const> = {
  stat = function(path) assert.equal(4, assert(fs.stat(path "a")).size) end,
  lstat = function(path) assert.equal(4, assert(fs.lstat(path "a")).size) end,
  access = function(path) assert(fs.access(path "a", "r")) end,
  realpath = function(path) assert(fs.realpath(path "a")) end,
  read_file = function(path) assert.equal("data", fs.read_file(path "a")) end,
  chmod = function(path) assert(fs.chmod(path "a", 384)) end,
  utime = function(path) assert(fs.utime(path "a", 1, 1)) end,
}
for name, wait in pairs(with_file) do add("fs." .. name, nil, file, wait, data_is_kept) end

add("fs.read_file of a large one", { "fs.read_file" }, function(path)
  assert(fs.write_file(path "a", ("x"):rep(100000)))
end, function(path) assert.equal(100000, #fs.read_file(path "a")) end)

add("fs.write_file", nil, file, function(path) fs.write_file(path "a", "else") end, function(path, cell)
  local text = fs.read_file(path "a")
  if cell.went_on then
    assert.equal("else", text)
  else
    assert.is_true(text == "data" or text == "" or text == "else") -- it may be at it right now
  end
end)

add("fs.copy", nil, file, function(path) fs.copy(path "a", path "b") end, data_is_kept)

add("fs.rename", nil, file, function(path) fs.rename(path "a", path "b") end, function(path)
  assert.is_true(is_there(path, "a") ~= is_there(path, "b") or is_there(path, "b"))
end)

add("fs.link", nil, file, function(path) fs.link(path "a", path "b") end, data_is_kept)
add("fs.symlink", nil, file, function(path) fs.symlink("a", path "b") end, data_is_kept)
add("fs.readlink", nil, function(path) fs.symlink("there", path "l") end, function(path)
  assert.equal("there", fs.readlink(path "l"))
end)
add("fs.mkdir", nil, nil, function(path) fs.mkdir(path "x/y/z", { parents = true }) end)
add("fs.mkdtemp", nil, nil, function(path) assert(fs.mkdtemp(path "t-")) end)
add("fs.remove", nil, file, function(path) fs.remove(path "a") end)
add("fs.remove of a tree", { "fs.remove" }, function(path)
  assert(fs.mkdir(path "x/y/z", { parents = true }))
  for i = 1, 5 do assert(fs.write_file(path("x/y/" .. i), "")) end
  file(path)
end, function(path) fs.remove(path "x", { recursive = true }) end, data_is_kept)

-- --- folders ---

local FILES <const> = 20

local function files(path)
  for i = 1, FILES do assert(fs.write_file(path(tostring(i)), "")) end
end

add("fs.scandir", nil, files, function(path)
  local count = 0
  for _ in assert(fs.scandir(path())) do count = count + 1 end
  assert.equal(FILES, count)
end)

for name, advance in pairs {
  next = function(directory) return directory:next() end,
  __call = function(directory) return directory() end,
} do
  scenarios["Directory:" .. name] = { real = true, make = function()
    local directory, seen, count
    local made = scene(function(path)
      for i = 1, FILES do assert(fs.write_file(path(("x"):rep(240) .. i), "")) end
      for i = 1, 3 * FILES do assert(fs.write_file(path(("y"):rep(240) .. i), "")) end
      directory, seen, count = assert(fs.scandir(path())), {}, 0
    end, function()
      for each in function() return advance(directory) end do
        assert.is_nil(seen[each])
        seen[each] = true
        count = count + 1
      end
    end)
    function made.intact() -- the rest is there; but the one that was on its way to a task that is no more
      local left = 0
      for _ in directory do left = left + 1 end
      assert.is_true(count + left == 4 * FILES or count + left == 4 * FILES - 1, count + left)
      directory:close()
    end
    return made
  end }
end

local function tree(path)
  assert(fs.mkdir(path "x/y", { parents = true }))
  file(function(name) return path("x/y/" .. name) end)
  fs.symlink("..", path "x/y/up")
end

for name, options in pairs { ["fs.walk"] = {}, ["fs.walk along links"] = { follow = true } } do
  add(name, { "fs.walk" }, tree, function(path)
    local count = 0
    for _ in assert(fs.walk(path(), options)) do count = count + 1 end
    assert.equal(4, count)
  end)
end

-- --- watching ---

add("fs.watch", nil, nil, function(path)
  local watcher <close> = assert(fs.watch(path()))
end)

-- What appears is told to whoever asks next.
local function watch_scene(wait)
  local watcher, writer, got
  local made = scene(function(path)
    watcher = assert(fs.watch(path()))
    writer = neap.create_task(function()
      for _ = 1, 4 do neap.sleep(0) end
      assert(fs.write_file(path "new", ""))
    end)
  end, function() got = wait(watcher) end)
  function made.intact(cell)
    writer:await()
    if not got and not cell.killed then assert.equal("new", (watcher:next())) end
    watcher:close()
  end
  return made
end

scenarios["Watcher:next"] = {
  real = true,
  make = function() return watch_scene(function(watcher) return (watcher:next()) end) end,
}
scenarios["Watch:next"] = {
  real = true,
  make = function() return watch_scene(function(watcher) return (watcher.watch:next()) end) end,
}

return scenarios
