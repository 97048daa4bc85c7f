-- Reading folders, and all that is below them.
local fails = require "spec.support.fails"
local folder = require "spec.support.folder"
local fs = require "neap.fs"
local neap = require "neap"
local tasks = require "spec.support.tasks"
local testing = require "neap.testing"

local MANY <const> = 100000

-- Lua's assert, which raises any value as it is.
local function plain_assert(value, ...)
  if not value then error(..., 0) end
  return value, ...
end

local function collect()
  collectgarbage()
  collectgarbage()
end

describe("fs.scandir", function()
  local dir

  before_each(function() dir = folder.new() end)
  after_each(function() dir:remove() end)

  local function fill(count)
    assert.equal(0, dir:shell("seq " .. count .. " | xargs touch").status)
  end

  local function path(name) return dir:file(name) end

  local function names_in(iterator, ...)
    local names = {}
    for name in iterator, ... do names[#names + 1] = name end
    table.sort(names)
    return names
  end

  it("gives each name once, with its type", function()
    dir:shell "touch file .hidden; ln -s file link; ln -s nowhere dead; mkfifo fifo; mkdir folder folder/below"
    local found = {}
    for name, kind in fs.scandir(dir.path) do
      assert.is_nil(found[name])
      found[name] = kind
    end
    assert.same({ file = "file", [".hidden"] = "file", link = "link", dead = "link", fifo = "fifo",
      folder = "directory" }, found)
    local count = 0
    for _, kind in fs.scandir "/dev" do count = count + (kind == "char" and 1 or 0) end
    assert.is_true(count > 0)
  end)

  it("gives nothing in an empty folder, and goes on giving nothing", function()
    local directory <close> = fs.scandir(dir.path)
    assert.is_nil((directory:next()))
    assert.is_nil((directory()))
  end)

  it("can be asserted in a loop", function()
    assert.same({}, names_in(assert(fs.scandir(dir.path))))
    local err = tasks.raises(neap.OSError, function()
      for _ in plain_assert(fs.scandir(path "none")) do error "none" end
    end)
    assert.equal("ENOENT", err.code)
  end)

  it("reads a hundred thousand names in flat memory", function()
    fill(MANY)
    local seen, count = {}, 0
    for name in fs.scandir(dir.path) do
      seen[name + 0] = true
      count = count + 1
    end
    assert.equal(MANY, count)
    assert.equal(MANY, #seen)
    seen = nil -- luacheck: ignore
    collect()
    collectgarbage "stop"
    local before, most = testing.census(), 0
    count = 0
    for _ in fs.scandir(dir.path) do
      count = count + 1
      if count % 10000 == 0 then
        collect()
        most = math.max(most, testing.census().malloc_bytes - before.malloc_bytes)
      end
    end
    collectgarbage "restart"
    assert.equal(MANY, count)
    assert.is_true(most < 200000, most)
  end)

  it("is closed by a break", function()
    fill(3000)
    local before = testing.census().fds
    for _ in fs.scandir(dir.path) do
      assert.equal(before + 1, testing.census().fds)
      if before then break end
    end
    assert.equal(before, testing.census().fds)
    pcall(function()
      for _ in fs.scandir(dir.path) do error "out" end
    end)
    assert.equal(before, testing.census().fds)
    for _ in fs.scandir(dir.path) do neap.sleep(0) end
    assert.equal(before, testing.census().fds)
  end)

  it("is closed when it is collected", function()
    fill(3000)
    local before = testing.census().fds
    local iterator = fs.scandir(dir.path)
    assert.is_string((iterator()))
    assert.equal(before + 1, testing.census().fds)
    iterator = nil -- luacheck: ignore
    collect()
    assert.equal(before, testing.census().fds)
  end)

  it("raises when it was closed", function()
    local directory = fs.scandir(dir.path)
    directory:close()
    directory:close()
    assert.error_matches(function() directory:next() end, "^fs.scandir: the directory is closed")
    assert.error_matches(function() directory.next(1) end, "neap.Directory expected, got number")
  end)

  it("has one reader at a time; closing it wakes that one", function()
    fill(3000)
    local directory = fs.scandir(dir.path)
    local results
    local reader = neap.create_task(function()
      local count = 0
      for _ in directory do count = count + 1 end
      results = count
    end)
    repeat neap.sleep(0) until reader:done() or not pcall(directory.next, directory)
    if not reader:done() then
      assert.error_matches(function() directory:next() end, "another task is reading the directory")
      directory:close()
    end
    pcall(reader.await, reader)
    assert.is_true(results == nil or results < 3000)
    directory:close()
  end)

  it("loses no name to a cancel", function()
    fill(5000)
    for turns = 0, 12 do
      local directory <close> = assert(fs.scandir(dir.path))
      local seen, count = {}, 0
      local function read()
        for name in directory do
          assert.is_nil(seen[name])
          seen[name] = true
          count = count + 1
          if count % 100 == 0 then neap.sleep(0) end
        end
      end
      local task = neap.create_task(read)
      for _ = 1, turns * 3 do neap.sleep(0) end
      task:cancel()
      pcall(task.await, task)
      read()
      assert.equal(5000, count)
    end
  end)

  it("lets others run", function()
    fill(3000)
    local turns, over = 0, false
    neap.create_task(function()
      while not over do
        turns = turns + 1
        neap.sleep(0)
      end
    end)
    for _ in fs.scandir(dir.path) do end
    over = true
    assert.is_true(turns >= 3000 // 256, turns)
  end)
end)

describe("fs.walk", function()
  local dir

  before_each(function() dir = folder.new() end)
  after_each(function() dir:remove() end)

  local function path(name) return dir:file(name) end

  local function walk(options, root)
    local lines, seen = {}, {}
    for each, kind, depth in assert(fs.walk(root or dir.path, options)) do
      local above = each:match "^(.*)/"
      assert.is_true(above == dir.path or root ~= nil or seen[above]) -- top-down
      seen[each] = true
      lines[#lines + 1] = ("%d %s %s"):format(depth, kind, each:sub(#dir.path + 2))
    end
    table.sort(lines)
    return lines
  end

  before_each(function()
    dir:shell "mkdir -p a/b/c; touch a/1 a/b/2 a/b/c/3 4"
    dir:shell "ln -s .. a/b/up; ln -s 1 a/link; ln -s nowhere dead; ln -s a s"
  end)

  it("gives all that is below, folders first", function()
    assert.same({ "1 directory a", "1 file 4", "1 link dead", "1 link s", "2 directory a/b", "2 file a/1",
      "2 link a/link", "3 directory a/b/c", "3 file a/b/2", "3 link a/b/up", "4 file a/b/c/3" }, walk())
    assert.equal(path "4", select(1, (function()
      for each, kind in fs.walk(dir.path .. "/") do if kind == "file" and each:find "4$" then return each end end
    end)()))
  end)

  it("goes as deep as it is told", function()
    assert.same({ "1 directory a", "1 file 4", "1 link dead", "1 link s" }, walk { depth = 1 })
    assert.equal(7, #walk { depth = 2 })
  end)

  it("follows links when it is told, but not in a circle", function()
    local lines = walk { follow = true }
    local found = {}
    for _, line in ipairs(lines) do found[line] = true end
    for _, line in ipairs { "1 directory s", "2 file s/1", "2 file a/link", "3 link a/b/up", "1 link dead",
      "4 file s/b/c/3", "3 link s/b/up" } do
      assert.is_true(found[line], line)
    end
    assert.equal(18, #lines)
    dir:shell "ln -s . here; ln -s ../.. a/b/c/root"
    for _, line in ipairs(walk { follow = true }) do
      if line:find "here$" or line:find "root$" then assert.matches("^%d link", line) end
    end
  end)

  it("tells of a link that it cannot follow, but not of one that leads nowhere", function()
    assert(fs.symlink(("x"):rep(300), path "long"))
    local errors = {}
    local lines = walk { follow = true, on_error = function(err) errors[#errors + 1] = err end }
    assert.equal(19, #lines)
    assert.equal(1, #errors)
    assert.equal("ENAMETOOLONG", errors[1].code)
    assert.matches(path "long", tostring(errors[1]), 1, true)
    local ok, err = pcall(walk, { follow = true })
    assert.is_false(ok)
    assert.equal("ENAMETOOLONG", err.code)
  end)

  it("walks deeper than there are descriptors", function()
    dir:shell [[cd a && mkdir -p $(yes x/ | head -400 | tr -d '\n') && for i in $(seq 100); do
      seq -f "a-name-that-takes-up-room-%g" 600 | xargs touch && cd x || exit 1; done]]
    local deepest, files = 0, 0
    local before, most = testing.census().fds, 0
    for _, kind, depth in fs.walk(dir.path) do
      deepest = math.max(deepest, depth)
      files = files + (kind == "file" and 1 or 0)
      if depth % 50 == 0 then most = math.max(most, testing.census().fds - before) end
    end
    assert.equal(401, deepest)
    assert.equal(60004, files)
    assert.is_true(most >= 60 and most <= 65, most)
  end)

  it("tells of what it cannot read, or raises it", function()
    local function walk_and_remove(options)
      local count = 0
      for each, kind in fs.walk(dir.path, options) do
        count = count + 1
        if kind == "directory" then assert.is_true(fs.remove(each, { recursive = true })) end
      end
      return count
    end
    local errors = {}
    assert.equal(4, walk_and_remove { on_error = function(err) errors[#errors + 1] = err end })
    assert.equal(1, #errors)
    assert.equal(("fs.scandir %s: no such file or directory"):format(path "a"), tostring(errors[1]))
    fs.mkdir(path "a")
    local err = tasks.raises(neap.OSError, walk_and_remove)
    assert.equal("ENOENT", err.code)
  end)

  it("closes its folders, however it ends", function()
    dir:shell [[for i in . a a/b; do (cd $i && seq -f "a-name-that-takes-up-room-%g" 3000 | xargs touch); done]]
    local before = testing.census().fds
    for _, _, depth in fs.walk(dir.path) do
      if depth == 4 then
        assert.is_true(testing.census().fds > before)
        break
      end
    end
    assert.equal(before, testing.census().fds)
    local iterator = fs.walk(dir.path)
    repeat local _, _, depth = iterator() until depth == 4
    assert.is_true(testing.census().fds > before)
    iterator = nil -- luacheck: ignore
    collect()
    assert.equal(before, testing.census().fds)
  end)

  it("loses nothing to a cancel", function()
    for turns = 0, 30 do
      local iterator <const>, _, _, closing <close> = fs.walk(dir.path, { follow = turns % 2 == 0 })
      local count = 0
      local function read()
        for _ in iterator do count = count + 1 end
      end
      local task = neap.create_task(read)
      for _ = 1, turns do neap.sleep(0) end
      task:cancel()
      pcall(task.await, task)
      read()
      assert.equal(turns % 2 == 0 and 18 or 11, count)
    end
  end)

  it("takes no nonsense", function()
    assert.error_matches(function() fs.walk(1) end, "bad argument #1 to 'walk' %(string expected, got number%)")
    assert.error_matches(function() fs.walk("/", 1) end, "bad argument #2 to 'walk' %(table expected, got number%)")
    assert.error_matches(function() fs.walk("/", { depth = 1.5 }) end, "whole number expected, got number")
    assert.error_matches(function() fs.walk("/", { on_error = 1 }) end, "function expected, got number")
    fails("ENOENT", ("fs.walk %s: no such file or directory"):format(path "none"), fs.walk(path "none"))
    fails("ENOENT", ("fs.walk %s: no such file or directory"):format(path "none"),
      fs.walk(path "none", { follow = true }))
  end)
end)
