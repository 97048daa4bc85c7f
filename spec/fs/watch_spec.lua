-- Being told of changes.
local fails = require "spec.support.fails"
local folder = require "spec.support.folder"
local fs = require "neap.fs"
local neap = require "neap"
local program = require "spec.support.program"
local tasks = require "spec.support.tasks"
local testing = require "neap.testing"

describe("fs.watch", function()
  local dir

  before_each(function() dir = folder.new() end)
  after_each(function() dir:remove() end)

  local function path(name) return dir:file(name) end

  -- What comes, until that event does, each once.
  local function until_event(watcher, name, change)
    local seen = {}
    repeat
      local got, what = watcher:next()
      seen[#seen + 1] = ("%s %s"):format(got, what)
    until got == name and what == change
    return seen
  end

  it("tells of what appears, changes and goes away in a folder", function()
    local limit <close> = neap.timeout(10)
    local watcher <close> = fs.watch(dir.path)
    fs.write_file(path "new", "x")
    assert.same({ "new rename", "new change" }, until_event(watcher, "new", "change"))
    fs.rename(path "new", path "old")
    until_event(watcher, "old", "rename")
    fs.chmod(path "old", 384)
    until_event(watcher, "old", "change")
    fs.remove(path "old")
    until_event(watcher, "old", "rename")
    fs.mkdir(path "folder")
    until_event(watcher, "folder", "rename")
  end)

  it("tells of a file, until it is removed", function()
    local limit <close> = neap.timeout(10)
    fs.write_file(path "f", "")
    local watcher <close> = fs.watch(path "f")
    local seen, told = {}, neap.Event()
    local reader = neap.create_task(function()
      for name, change in watcher:events() do
        seen[#seen + 1] = change
        assert.equal("f", name)
        told:set()
      end
    end)
    fs.write_file(path "f", "x", { append = true })
    told:wait()
    assert.equal("change", seen[1])
    fs.remove(path "f")
    reader:await()
    assert.equal("rename", seen[#seen])
    assert.is_nil((watcher:next()))
  end)

  it("ends when another file takes its path, or it is moved", function()
    local limit <close> = neap.timeout(10)
    for _, name in ipairs { "f", "g" } do fs.write_file(path(name), name) end
    local watcher <close> = fs.watch(path "f")
    fs.rename(path "g", path "f")
    for _ in watcher:events() do end
    local again <close> = fs.watch(path "f")
    fs.rename(path "f", path "g")
    for _ in again:events() do end
  end)

  it("goes on where something in a folder has the folder's own name", function()
    local limit <close> = neap.timeout(10)
    fs.mkdir(path "x/y", { parents = true })
    local watcher <close> = fs.watch(path "x")
    fs.write_file(path "x/x", "")
    until_event(watcher, "x", "rename")
    fs.remove(path "x/x")
    fs.remove(path "x/y")
    until_event(watcher, "y", "rename")
  end)

  it("keeps what comes while nobody waits, and the same in a row as one", function()
    local limit <close> = neap.timeout(10)
    local watcher <close> = fs.watch(dir.path)
    local other <close> = fs.watch(dir.path)
    fs.write_file(path "f", "x")
    for _ = 1, 50 do fs.write_file(path "f", "x", { append = true }) end
    fs.write_file(path "end", "")
    until_event(other, "end", "rename")
    assert.same({ "f rename", "f change", "end rename" }, until_event(watcher, "end", "rename"))
  end)

  it("tells that changes were lost", function()
    local limit <close> = neap.timeout(20)
    local watcher <close> = fs.watch(dir.path)
    local name = ("n"):rep(200)
    for _ = 1, 3 do
      for i = 1, 500 do fs.write_file(path(name .. i), "") end
      local seen = until_event(watcher, "", "overflow")
      assert.is_true(#seen > 200 and #seen < 500, #seen)
      fs.write_file(path "more", "")
      until_event(watcher, "more", "rename")
      for i = 1, 500 do os.remove(path(name .. i)) end
      fs.remove(path "more")
      until_event(watcher, "", "overflow")
    end
  end)

  it("wakes the one who waits when it is closed", function()
    local watcher = fs.watch(dir.path)
    local reader = tasks.start(function() return watcher:next() end)
    assert.error_matches(function() watcher:next() end, "^fs.watch: another task is waiting for changes")
    watcher:close()
    assert.is_nil((reader:await()))
    watcher:close()
    assert.is_nil((watcher:next()))
    for _ in watcher:events() do error "closed" end
  end)

  it("loses nothing to a cancel", function()
    local limit <close> = neap.timeout(10)
    local watcher <close> = fs.watch(dir.path)
    for i = 1, 20 do
      local name, got = tostring(i), nil
      local reader = tasks.start(function() got = watcher:next() end)
      if i % 2 == 0 then fs.write_file(path(name), "") end
      reader:cancel()
      pcall(reader.await, reader)
      if i % 2 == 0 and not got then assert.same({ name .. " rename" }, until_event(watcher, name, "rename")) end
    end
  end)

  it("does not hide a deadlock", function()
    local result = program.run { "env", "DIR=" .. dir.path, program.neap, "-e", [[
      local neap = require "neap"
      local watcher <close> = neap.fs.watch(os.getenv "DIR")
      print(neap.is(select(2, pcall(neap.await, neap.Future())), neap.DeadlockError))]] }
    assert.equal("", result.stderr)
    assert.equal("true\n", result.stdout)
  end)

  it("is closed when it is collected", function()
    local before = testing.census().handles
    local watcher = fs.watch(dir.path)
    assert.equal(before + 1, testing.census().handles)
    assert.is_table(watcher)
    watcher = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal(before, testing.census().handles)
  end)

  it("says what it cannot do", function()
    local watcher, err, code = fs.watch(dir.path, { recursive = true })
    if watcher then return watcher:close() end
    fails("ENOSYS", ("fs.watch %s: function not implemented"):format(dir.path), watcher, err, code)
    local other <close> = fs.watch(dir.path, { recursive = false })
    assert.error_matches(function() other.next(1) end,
      "bad argument #1 to 'next' %(neap.Watcher expected, got number%)")
  end)
end)
