-- Whole files: reading, writing, copying.
local fails = require "spec.support.fails"
local folder = require "spec.support.folder"
local fs = require "neap.fs"
local neap = require "neap"
local program = require "spec.support.program"

local SLICE <const> = 8 * 1024 * 1024
local has_full <const> = fs.stat "/dev/full" ~= nil

describe("neap.fs", function()
  local dir

  before_each(function() dir = folder.new() end)
  after_each(function() dir:remove() end)

  local function path(name) return dir:file(name) end

  it("reads what it has written, of each size", function()
    local block = ("0123456789abcdef"):rep((SLICE + 16) // 16)
    for _, size in ipairs { 0, 1, 16383, 16384, 16385, 100000, SLICE, SLICE + 3 } do
      local data = block:sub(1, size)
      assert.is_true(fs.write_file(path "f", data))
      assert.equal(size, fs.stat(path "f").size)
      assert.is_true(fs.read_file(path "f") == data, size)
    end
  end)

  it("reads bytes as they are", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local data = table.concat(bytes):rep(3)
    fs.write_file(path "f", data)
    assert.equal(data, fs.read_file(path "f"))
  end)

  it("reads files whose size is said to be none", function()
    assert.equal(0, fs.stat("/proc/cpuinfo").size)
    local input <close> = io.open "/proc/cpuinfo"
    assert.equal(#input:read "a", #fs.read_file "/proc/cpuinfo")
    local large = fs.read_file "/proc/kallsyms" -- larger than the first block, where it may be read
    if large then assert.equal("\n", large:sub(-1)) end
  end)

  it("reads many files at once", function()
    local names = {}
    for i = 1, 200 do
      names[i] = path(tostring(i))
      fs.write_file(names[i], ("x"):rep(i * 100))
    end
    local before = neap.gather(table.unpack((function()
      local reads = {}
      for i, name in ipairs(names) do reads[i] = function() return fs.read_file(name) end end
      return reads
    end)()))
    for i = 1, 200 do assert.equal(i * 100, #before[i]) end
  end)

  it("reads what comes through a fifo, until its end", function()
    assert(os.execute(("mkfifo '%s'"):format(path "fifo")))
    local read = neap.create_task(fs.read_file, path "fifo")
    assert.is_true(fs.write_file(path "fifo", ("x"):rep(300000)))
    assert.equal(300000, #read:await())
  end)

  it("says what cannot be read or written", function()
    fails("EISDIR", ("fs.read_file %s: illegal operation on a directory"):format(dir.path), fs.read_file(dir.path))
    fails("EISDIR", ("fs.write_file %s: illegal operation on a directory"):format(dir.path),
      fs.write_file(dir.path, "x"))
    if not has_full then return end
    fails("ENOSPC", "fs.write_file /dev/full: no space left on device", fs.write_file("/dev/full", "x"))
    assert.is_true(fs.write_file("/dev/full", ""))
  end)

  it("writes anew, or adds", function()
    fs.write_file(path "f", "long ago")
    fs.write_file(path "f", "now", { mode = 384 })
    assert.equal("now", fs.read_file(path "f"))
    assert.is_true(fs.write_file(path "f", ", and then", { append = true }))
    assert.equal("now, and then", fs.read_file(path "f"))
    fs.write_file(path "g", "", { append = true, mode = 384 })
    assert.equal(384, fs.stat(path "g").mode)
    assert.error_matches(function() fs.write_file(path "g") end,
      "bad argument #2 to .* %(string expected, got no value%)")
  end)

  it("writes to its end also when it is cancelled", function()
    local data = ("x"):rep(4 * SLICE)
    for _ = 1, 5 do
      fs.remove(path "f")
      local task = neap.create_task(fs.write_file, path "f", data)
      repeat neap.sleep(0) until fs.access(path "f")
      task:cancel()
      pcall(task.await, task)
      local size
      for _ = 1, 2000 do
        size = fs.stat(path "f").size
        if size == #data then break end
        neap.sleep(0.005)
      end
      assert.equal(#data, size)
    end
  end)

  it("leaves no descriptor when a read is cancelled", function()
    fs.write_file(path "f", ("x"):rep(4 * SLICE))
    for turns = 1, 20 do
      local task = neap.create_task(fs.read_file, path "f")
      for _ = 1, turns do neap.sleep(0) end
      task:cancel()
      pcall(task.await, task)
    end
  end) -- the census looks

  it("says that there are no descriptors", function()
    fs.write_file(path "f", "x")
    local result = program.run { "sh", "-c", [[ulimit -n 40; DIR=$1 exec "$2" -e '
      local neap, dir = require "neap", os.getenv "DIR"
      local fs, held = neap.fs, {}
      while true do
        local file = io.open(dir .. "/f")
        if not file then break end
        held[#held + 1] = file
      end
      for _, name in ipairs { "read_file", "scandir", "walk" } do print(fs[name](dir)) end
      print(fs.write_file(dir .. "/f", "y"))
      print(fs.copy(dir .. "/f", dir .. "/g"))
      table.remove(held):close()
      print(fs.copy(dir .. "/f", dir .. "/g"))
      print(fs.read_file(dir .. "/f"), fs.stat(dir .. "/f").size)']], "sh", dir.path, program.neap }
    assert.equal("", result.stderr)
    local expected = {}
    for _, call in ipairs {
      "read_file $", "scandir $", "walk $", "write_file $/f", "copy $/f -> $/g", "copy $/f -> $/g",
    } do
      expected[#expected + 1] = ("nil\tfs.%s: too many open files\tEMFILE\n"):format((call:gsub("%$", dir.path)))
    end
    assert.equal(table.concat(expected) .. "x\t1\n", result.stdout)
  end)

  -- --- copying ---

  it("copies bytes and permissions", function()
    for _, size in ipairs { 0, 1, 100000, SLICE + 5 } do
      local data = ("z"):rep(size)
      fs.write_file(path "a", data)
      fs.chmod(path "a", 416)
      fs.remove(path "b")
      assert.is_true(fs.copy(path "a", path "b"))
      assert.is_true(fs.read_file(path "b") == data)
      assert.equal(416, fs.stat(path "b").mode)
    end
    assert.is_true(fs.copy("/proc/cpuinfo", path "c"))
    assert.equal(#fs.read_file "/proc/cpuinfo", fs.stat(path "c").size)
  end)

  it("copies over what is there, unless told not to", function()
    fs.write_file(path "a", "new")
    fs.write_file(path "b", "old, and longer")
    fails("EEXIST", ("fs.copy %s -> %s: file already exists"):format(path "a", path "b"),
      fs.copy(path "a", path "b", { exclusive = true }))
    assert.equal("old, and longer", fs.read_file(path "b"))
    assert.is_true(fs.copy(path "a", path "b"))
    assert.equal("new", fs.read_file(path "b"))
    assert.is_true(fs.copy(path "a", path "c", { exclusive = true }))
  end)

  it("copies nothing onto itself", function()
    fs.write_file(path "a", "data")
    fs.link(path "a", path "b")
    fs.symlink("a", path "s")
    for _, name in ipairs { "a", "b", "s" } do
      fails("EINVAL", ("fs.copy %s -> %s: invalid argument"):format(path "a", path(name)),
        fs.copy(path "a", path(name)))
      assert.equal("data", fs.read_file(path "a"))
    end
    fails("EISDIR", ("fs.copy %s -> %s: illegal operation on a directory"):format(dir.path, path "x"),
      fs.copy(dir.path, path "x"))
    assert.is_nil((fs.access(path "x")))
  end)

  it("leaves a device where it is when it cannot be copied to", function()
    if not has_full then return pending "there is no /dev/full" end
    fs.write_file(path "a", "data")
    fs.symlink("/dev/full", path "full")
    fails("ENOSPC", ("fs.copy %s -> %s: no space left on device"):format(path "a", path "full"),
      fs.copy(path "a", path "full"))
    assert.equal("char", fs.stat("/dev/full").type)
    assert.equal("link", fs.lstat(path "full").type)
  end)

  it("leaves no part of a copy that is cancelled", function()
    fs.write_file(path "a", ("x"):rep(8 * SLICE))
    for turns = 1, 10 do
      local task = neap.create_task(fs.copy, path "a", path "b")
      for _ = 1, turns do neap.sleep(0) end
      if turns > 5 then repeat neap.sleep(0) until fs.access(path "b") or task:done() end
      task:cancel()
      local copied = pcall(task.await, task)
      if not copied then
        for _ = 1, 2000 do
          local stat = fs.stat(path "b")
          if not stat or stat.size == 8 * SLICE then break end
          neap.sleep(0.002)
        end
        local stat = fs.stat(path "b")
        assert.is_true(not stat or stat.size == 8 * SLICE)
      end
      fs.remove(path "b")
    end
  end)
end)
