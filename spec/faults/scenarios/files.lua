-- Files and folders. Libuv's threads work for one call at a time here, so that the allocations have an order.
local fs = require "neap.fs"
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const>, done <const> = scenario.start, scenario.raises, scenario.done

local REMOVE <const> = "rm -rf '%s'"

-- In a new folder, which goes away at the end, whatever there is memory for.
local function in_folder(fn)
  return function()
    local dir = os.tmpname()
    os.remove(dir)
    local command = REMOVE:format(dir)
    local _ <close> = scenario.closer(function() os.execute(command) end)
    done(fs.mkdir(dir))
    fn(dir)
  end
end

-- What must fail so, or for want of memory.
local function fails(code, value, err, got)
  if value == nil and scenario.note(err) then return end
  assert(value == nil and got == code, err)
end

return {
  { name = "files: write, read, stat", run = in_folder(function(dir)
    local path = dir .. "/a"
    done(fs.write_file(path, "data"))
    assert(done(fs.read_file(path)) == "data")
    assert(done(fs.stat(path)).size == 4 and done(fs.lstat(path)).type == "file")
    done(fs.access(path, "r"))
    done(fs.chmod(path, 384))
    done(fs.utime(path, 1, 1))
    fails("ENOENT", fs.stat(dir .. "/none"))
  end) },

  { name = "files: a large one", run = in_folder(function(dir)
    local path = dir .. "/a"
    done(fs.write_file(path, ("x"):rep(100000)))
    assert(#done(fs.read_file(path)) == 100000)
    done(fs.copy(path, dir .. "/b"))
    assert(done(fs.stat(dir .. "/b")).size == 100000)
  end) },

  { name = "files: names", run = in_folder(function(dir)
    done(fs.write_file(dir .. "/a", ""))
    done(fs.link(dir .. "/a", dir .. "/b"))
    done(fs.symlink("b", dir .. "/c"))
    assert(done(fs.readlink(dir .. "/c")) == "b")
    assert(done(fs.realpath(dir .. "/c")) == done(fs.realpath(dir .. "/b")))
    done(fs.rename(dir .. "/b", dir .. "/d"))
    fails("ENOENT", fs.rename(dir .. "/b", dir .. "/d"))
  end) },

  { name = "files: folders made and removed", run = in_folder(function(dir)
    done(fs.mkdir(dir .. "/x/y/z", { parents = true }))
    done(fs.mkdtemp(dir .. "/t-"))
    done(fs.write_file(dir .. "/x/y/file", ""))
    done(fs.remove(dir .. "/x", { recursive = true }))
    fails("ENOENT", fs.lstat(dir .. "/x"))
  end) },

  { name = "files: folders read", run = in_folder(function(dir)
    for i = 1, 3 do done(fs.write_file(dir .. "/" .. i, "")) end
    local count = 0
    for _, kind in done(fs.scandir(dir)) do
      assert(kind == "file")
      count = count + 1
    end
    assert(count == 3)
    for _ in done(fs.scandir(dir)) do
      if count then break end
    end
    local dropped = done(fs.scandir(dir))
    assert(dropped())
  end) },

  { name = "files: walks", run = in_folder(function(dir)
    done(fs.mkdir(dir .. "/x/y", { parents = true }))
    done(fs.symlink("..", dir .. "/x/up"))
    for _, follow in ipairs { false, true } do
      local count = 0
      for _ in done(fs.walk(dir, { follow = follow, on_error = scenario.note })) do count = count + 1 end
      assert(count == 3 or scenario.told)
    end
  end) },

  { name = "files: watches", run = in_folder(function(dir)
    local watcher <close> = done(fs.watch(dir))
    local reader = start(watcher.next, watcher)
    done(fs.write_file(dir .. "/a", ""))
    local name, change = reader:await()
    scenario.note(change)
    assert(name == "a" and change == "rename" or change == "overflow" or scenario.told)
  end) },

  { name = "files: cancelled", run = in_folder(function(dir)
    local path = dir .. "/a"
    done(fs.write_file(path, "data"))
    local reader = start(fs.read_file, path)
    reader:cancel()
    raises(neap.CancelledError, neap.await, reader)
    assert(done(fs.read_file(path)) == "data")
  end) },
}
