-- Removing, one and all.
local fails = require "spec.support.fails"
local folder = require "spec.support.folder"
local fs = require "neap.fs"
local neap = require "neap"

local ALL <const> = { recursive = true }

describe("fs.remove", function()
  local dir

  before_each(function() dir = folder.new() end)
  after_each(function() dir:remove() end)

  local function path(name) return dir:file(name) end

  local function is_gone(name)
    return select(3, fs.lstat(path(name))) == "ENOENT"
  end

  it("removes a file, a link, a fifo, an empty folder", function()
    dir:shell "touch file; ln -s file link; ln -s nowhere dead; mkfifo fifo; mkdir empty; ln -s empty to_folder"
    for _, name in ipairs { "link", "dead", "to_folder", "file", "fifo", "empty" } do
      assert.is_true(fs.remove(path(name)))
      assert.is_true(is_gone(name))
    end
  end)

  it("removes no folder that has something in it", function()
    dir:write("full/file", "x")
    fails("ENOTEMPTY", ("fs.remove %s: directory not empty"):format(path "full"), fs.remove(path "full"))
    assert.equal("x", fs.read_file(path "full/file"))
  end)

  it("removes a tree, and nothing that its links lead to", function()
    dir:write("outside/kept", "x")
    dir:write("tree/a/b/c", "x")
    dir:write("tree/a/d", "x")
    dir:shell "ln -s ../outside tree/link"
    dir:shell "ln -s ../../outside/kept tree/a/link; ln -s . tree/a/b/self; mkfifo tree/fifo"
    assert.is_true(fs.remove(path "tree", ALL))
    assert.is_true(is_gone "tree")
    assert.equal("x", fs.read_file(path "outside/kept"))
    fs.symlink("outside", path "link")
    assert.is_true(fs.remove(path "link", ALL))
    assert.equal("x", fs.read_file(path "outside/kept"))
    assert.is_true(fs.remove(path "outside", { recursive = false }) == nil)
    assert.is_true(fs.remove(path "outside/kept", ALL))
    assert.is_true(fs.remove(path "outside", ALL))
    fails("ENOENT", ("fs.remove %s: no such file or directory"):format(path "outside"), fs.remove(path "outside", ALL))
  end)

  it("removes a tree deeper than a path can be long", function()
    dir:shell [[mkdir tree && cd tree && name=$(yes n | head -99 | tr -d '\n')
      way=$(yes $name/ | head -30 | tr -d '\n') && for i in 1 2 3; do
      mkdir -p $way aside/$way && touch file $way/file && cd -P $way || exit 1; done]]
    assert.is_true(fs.remove(path "tree", ALL))
    assert.is_true(is_gone "tree")
  end)

  it("removes a wide tree", function()
    dir:shell [[mkdir tree && cd tree && seq 5000 | xargs touch &&
      for i in $(seq 200); do mkdir -p d/$i && touch d/$i/a d/$i/b; done]]
    assert.is_true(fs.remove(path "tree", ALL))
    assert.is_true(is_gone "tree")
  end)

  it("does not mind if others remove the same", function()
    for _ = 1, 5 do
      dir:shell "for i in $(seq 30); do mkdir -p tree/$i/x/y && touch tree/$i/file tree/$i/x/y/file; done"
      local removals = {}
      for i = 1, 4 do removals[i] = function() return select(3, fs.remove(path "tree", ALL)) or "removed" end end
      for i, result in ipairs(neap.gather(table.unpack(removals))) do
        assert.is_true(result == "removed" or result == "ENOENT", i .. result)
      end
      assert.is_true(is_gone "tree")
    end
  end)

  it("stops when it is cancelled", function()
    dir:shell "mkdir tree && cd tree && seq 40000 | xargs touch"
    local task = neap.create_task(fs.remove, path "tree", ALL)
    neap.sleep(0.002)
    task:cancel()
    local ok = pcall(task.await, task)
    if ok then return end -- in two milliseconds
    local count, before = 0
    repeat
      before = count
      count = 0
      neap.sleep(0.02)
      for _ in fs.scandir(path "tree") or pairs {} do count = count + 1 end
    until count == before
    assert.is_true(count > 0)
  end)

  it("fails where a folder may not be removed", function()
    local _, _, code = fs.remove "/proc/self"
    assert.is_true(code == "EPERM" or code == "EACCES", code)
    _, _, code = fs.remove("/proc", ALL)
    assert.is_string(code)
    _, _, code = fs.remove(dir.path .. "/.")
    assert.equal("EINVAL", code)
  end)
end)
