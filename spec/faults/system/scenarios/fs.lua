-- Files and folders: all is done by libuv's threads, in real time.
local cell = require "spec.faults.system.cell"
local fs = require "neap.fs"
local neap = require "neap"

local ok <const> = cell.ok

-- In a folder that was made before.
local function scenario(name, run, skip, instead)
  local function before() assert(fs.mkdir(cell.path())) end
  return { name = "fs: " .. name, real = true, before = before, run = run, skip = skip, instead = instead }
end

local function at(name)
  return cell.path() .. "/" .. name
end

local function count(iterator, ...)
  local entries = 0
  for _ in iterator, ... do entries = entries + 1 end
  return entries
end

return {
  scenario("a file is written, read, added to", function()
    ok(fs.write_file(at "a", ("x"):rep(100000)))
    assert(#ok(fs.read_file(at "a")) == 100000)
    ok(fs.write_file(at "a", "tail", { append = true }))
    assert(ok(fs.read_file(at "a")):sub(-5) == "xtail")
  end),

  scenario("what is known of a file", function()
    ok(fs.write_file(at "a", "four"))
    assert(ok(fs.stat(at "a")).size == 4)
    assert(ok(fs.lstat(at "a")).type == "file")
    ok(fs.access(at "a", "rw"))
    ok(fs.chmod(at "a", 384))
    ok(fs.utime(at "a", 1000, 2000))
    local stat = ok(fs.stat(at "a"))
    assert(stat.mode & 511 == 384 and stat.mtime == 2000)
  end),

  scenario("copies", function()
    ok(fs.write_file(at "a", ("x"):rep(100000)))
    ok(fs.copy(at "a", at "b"))
    ok(fs.copy(at "a", at "c", { exclusive = true }))
    assert(ok(fs.read_file(at "b")) == ok(fs.read_file(at "c")))
  end),

  scenario("names and links", function()
    ok(fs.write_file(at "a", "a"))
    ok(fs.rename(at "a", at "b"))
    ok(fs.link(at "b", at "c"))
    ok(fs.symlink("c", at "d"))
    assert(ok(fs.readlink(at "d")) == "c")
    assert(ok(fs.realpath(at "d")):match "/c$")
    assert(ok(fs.stat(at "d")).nlink == 2)
    ok(fs.remove(at "d"))
  end),

  scenario("folders", function()
    ok(fs.mkdir(at "a/b/c", { parents = true }))
    local made = ok(fs.mkdtemp(at "new"))
    ok(fs.write_file(made .. "/file", ""))
    ok(fs.write_file(at "a/file", ""))
    assert(count(ok(fs.scandir(at ""))) == 2)
    assert(count(ok(fs.walk(cell.path()))) == 6)
    ok(fs.remove(at "a", { recursive = true }))
    ok(fs.remove(made, { recursive = true }))
    assert(count(ok(fs.scandir(at ""))) == 0)
  end, nil, { ENOTEMPTY = true }), -- what is not there is left out of what is removed

  -- libuv ends the process when it cannot read what inotify tells.
  scenario("a watch", function()
    local watcher <close> = ok(fs.watch(cell.path()))
    local waiter = neap.create_task(function() return ok(watcher:next()) end)
    neap.sleep(0)
    ok(fs.write_file(at "a", "a"))
    assert(waiter:await() == "a")
  end, { read = true }),
}
