-- What is done to names, and what the system tells of them.
local fails = require "spec.support.fails"
local folder = require "spec.support.folder"
local fs = require "neap.fs"
local neap = require "neap"
local program = require "spec.support.program"

local LONG <const> = ("x"):rep(10000)

describe("neap.fs", function()
  local dir

  before_each(function() dir = folder.new() end)
  after_each(function() dir:remove() end)

  local function path(name) return dir:file(name) end

  it("is the module that require loads", function()
    assert.equal(fs, neap.fs)
    assert.is_nil(neap.no_such_module)
  end)

  -- Calls with one path, and what each says of one that is not there.
  local ONE <const> = {
    stat = {}, lstat = {}, access = {}, remove = {}, readlink = {}, realpath = {}, chmod = { 420 }, utime = { 1, 1 },
    read_file = {}, scandir = {}, walk = {}, watch = {},
  }

  it("tells what was not found, and by whom", function()
    for name, rest in pairs(ONE) do
      fails("ENOENT", ("fs.%s /no/such: no such file or directory"):format(name),
        fs[name]("/no/such", table.unpack(rest)))
    end
    for _, name in ipairs { "mkdir", "write_file" } do
      fails("ENOENT", ("fs.%s /no/such/file: no such file or directory"):format(name),
        fs[name]("/no/such/file", name == "write_file" and "x" or nil))
    end
    fails("ENOENT", "fs.mkdtemp /no/such/dir-: no such file or directory", fs.mkdtemp "/no/such/dir-")
    for _, name in ipairs { "rename", "copy", "link" } do
      fails("ENOENT", ("fs.%s /no/such -> /no/other: no such file or directory"):format(name),
        fs[name]("/no/such", "/no/other"))
    end
    fails("ENOENT", "fs.symlink a -> /no/such/link: no such file or directory", fs.symlink("a", "/no/such/link"))
  end)

  local ALL <const> = {
    stat = 1, lstat = 1, access = 1, remove = 1, readlink = 1, realpath = 1, chmod = 1, utime = 1, read_file = 1,
    scandir = 1, walk = 1, watch = 1, mkdir = 1, mkdtemp = 1, write_file = 1,
    rename = 2, copy = 2, link = 2, symlink = 2,
  }
  local REST <const> = { chmod = { 420 }, utime = { 1, 1 }, write_file = { "data" } }

  local function call(name, ...)
    local words = table.pack(...)
    for _, value in ipairs(REST[name] or {}) do words[#words + 1] = value end
    return fs[name](table.unpack(words))
  end

  it("refuses a zero byte, and what is no path", function()
    for name, paths in pairs(ALL) do
      local good = paths == 2 and { "/no/such" } or {}
      for position = 1, paths do
        local words = { table.unpack(good, 1, position - 1) }
        words[position] = "a\0b"
        if position == 1 and paths == 2 then words[2] = "b" end
        assert.error_matches(function() call(name, table.unpack(words)) end,
          ("bad argument #%d to '[%%a_.?]+' %%(the path contains a zero byte%%)"):format(position))
      end
      assert.error_matches(function() fs[name]() end, "bad argument #1 to '[%a_.?]+' %(string expected, got no value%)")
      assert.error_matches(function() call(name, {}, "b") end,
        "bad argument #1 to '[%a_.?]+' %(string expected, got table%)")
    end
  end)

  it("takes names of any length", function()
    for name, paths in pairs(ALL) do
      local value, err, code = call(name, table.unpack({ LONG, path "other" }, 1, paths))
      if name ~= "symlink" then
        assert.is_nil(value, name)
        assert.equal("ENAMETOOLONG", code, name)
        assert.is_true(tostring(err):find(LONG, 1, true) ~= nil, name)
      end
    end
  end)

  it("fails with an empty name", function()
    for name, paths in pairs(ALL) do
      if name ~= "mkdtemp" then
        local _, _, code = call(name, table.unpack({ "", path "other" }, 1, paths))
        assert.equal("ENOENT", code, name)
      end
    end
    fails("ENOENT", "fs.mkdir : no such file or directory", fs.mkdir("", { parents = true }))
  end)

  it("takes names that are no UTF-8, and one with a newline", function()
    for _, name in ipairs { "\xff\xfe", "a\nb", " ", "-", "'" } do
      assert.is_true(fs.write_file(path(name), "data"))
      assert.equal("file", fs.stat(path(name)).type)
      assert.equal("data", fs.read_file(path(name)))
      assert.equal(name, (fs.scandir(dir.path):next()))
      assert.is_true(fs.remove(path(name)))
    end
  end)

  it("refuses options that there are not", function()
    for name, index in pairs { mkdir = 2, remove = 2, write_file = 3, copy = 3, walk = 2, watch = 2 } do
      local words = { "a", "b" }
      words[index] = { no_such = 1 }
      assert.error_matches(function() fs[name](table.unpack(words)) end,
        ("bad argument #%d to '[%%a_.?]+' %%(there is no option 'no_such'%%)"):format(index))
    end
  end)

  it("raises outside a task", function()
    local result = program.run { program.neap, "-e", [[
      local neap = require "neap"
      neap.get_running_loop():call_soon(function() print(pcall(neap.fs.stat, "/")) end)
      neap.sleep(0)
      print(neap.fs.stat("/").type)]] }
    assert.matches("^false\t.*fs%.stat: cannot wait outside a task[^\n]*\ndirectory\n$", result.stdout)
  end)

  it("raises where nobody may follow a link", function()
    fs.symlink("loop", path "loop")
    for _, name in ipairs { "stat", "access", "realpath", "chmod", "utime", "read_file", "write_file", "scandir",
      "watch" } do
      local _, _, code = call(name, path "loop")
      assert.equal("ELOOP", code, name)
    end
    assert.equal("link", fs.lstat(path "loop").type)
  end)

  it("tells where a file is no folder", function()
    fs.write_file(path "file", "x")
    for name, paths in pairs(ALL) do
      local _, _, code = call(name, table.unpack({ path "file/below", path "file/other" }, 1, paths))
      assert.equal("ENOTDIR", code, name)
    end
    fails("ENOTDIR", ("fs.scandir %s: not a directory"):format(path "file"), fs.scandir(path "file"))
    fails("ENOTDIR", ("fs.mkdir %s: not a directory"):format(path "file/a/b"),
      fs.mkdir(path "file/a/b", { parents = true }))
  end)

  -- --- stat ---

  it("stat tells what a file is", function()
    dir:write("file", ("x"):rep(1234))
    assert(fs.chmod(path "file", 416))
    local stat = fs.stat(path "file")
    assert.equal("file", stat.type)
    assert.equal(1234, stat.size)
    assert.equal(416, stat.mode)
    assert.equal(1, stat.nlink)
    local pipe <close> = io.popen(("stat -c '%%u %%g %%i %%d %%b %%X %%Y %%Z %%W' '%s'"):format(path "file"))
    for _, field in ipairs { "uid", "gid", "ino", "dev", "blocks" } do
      assert.equal(pipe:read "n", stat[field], field)
      assert.equal("integer", math.type(stat[field]))
    end
    for _, field in ipairs { "atime", "mtime", "ctime", "birthtime" } do
      assert.equal(pipe:read "n", stat[field] // 1 | 0, field)
      assert.equal("float", math.type(stat[field]))
    end
  end)

  it("stat tells the types", function()
    dir:shell "mkfifo fifo; mkdir folder; touch file; ln -s file link"
    for _, name in ipairs { "fifo", "file" } do assert.equal(name, fs.stat(path(name)).type) end
    assert.equal("directory", fs.stat(path "folder").type)
    assert.equal("file", fs.stat(path "link").type)
    assert.equal("link", fs.lstat(path "link").type)
    assert.equal("char", fs.stat("/dev/null").type)
  end)

  it("access asks for what its letters say", function()
    fs.write_file(path "file", "", { mode = 420 })
    for _, mode in ipairs { "", "r", "rw", "wr" } do assert.is_true(fs.access(path "file", mode)) end
    assert.is_true(fs.access(path "file"))
    fails("EACCES", ("fs.access %s: permission denied"):format(path "file"), fs.access(path "file", "rx"))
    assert.error_matches(function() fs.access("a", "rq") end,
      "bad argument #2 to '[%a_.?]+' %(the mode is not made of 'r', 'w' and 'x'%)")
  end)

  -- --- making ---

  it("mkdir makes one folder, and says what is in its way", function()
    assert.is_true(fs.mkdir(path "new", { mode = 448 }))
    assert.equal(448, fs.stat(path "new").mode)
    fails("EEXIST", ("fs.mkdir %s: file already exists"):format(path "new"), fs.mkdir(path "new"))
    for _, mode in ipairs { -1, 4096, 1.5, "x", {} } do
      assert.error_matches(function() fs.mkdir("a", { mode = mode }) end,
        "option 'mode' is not in the range 0 to 0xFFF")
    end
  end)

  it("mkdir makes those above it", function()
    local mode = fs.stat(dir.path).mode
    assert.is_true(fs.mkdir(path "a//b/c/", { parents = true, mode = 448 }))
    assert.equal(448, fs.stat(path "a/b/c").mode)
    assert.not_equal(448, mode == 448 and fs.stat(path "a/b").mode)
    assert.is_true(fs.mkdir(path "a/b/c", { parents = true }))
    assert.is_true(fs.mkdir("/", { parents = true }))
    fs.write_file(path "file", "")
    fails("EEXIST", ("fs.mkdir %s: file already exists"):format(path "file"),
      fs.mkdir(path "file", { parents = true }))
  end)

  it("mkdtemp makes a folder of a new name each time", function()
    local one, two = fs.mkdtemp(path "t-"), fs.mkdtemp(path "t-")
    assert.not_equal(one, two)
    assert.equal(path "t-", one:sub(1, -7))
    assert.equal(448, fs.stat(one).mode)
    assert.equal("directory", fs.stat(two).type)
  end)

  -- --- two names ---

  it("rename moves, and replaces", function()
    fs.write_file(path "a", "one")
    fs.write_file(path "b", "two")
    assert.is_true(fs.rename(path "a", path "b"))
    assert.equal("one", fs.read_file(path "b"))
    assert.is_nil((fs.access(path "a")))
    fs.mkdir(path "full/x", { parents = true })
    fs.mkdir(path "other")
    fails("ENOTEMPTY", ("fs.rename %s -> %s: directory not empty"):format(path "other", path "full"),
      fs.rename(path "other", path "full"))
    fails("EISDIR", ("fs.rename %s -> %s: illegal operation on a directory"):format(path "b", path "full"),
      fs.rename(path "b", path "full"))
    local _, _, code = fs.rename(path "full", path "full/x/y")
    assert.equal("EINVAL", code)
  end)

  it("rename and link cannot leave the file system", function()
    if fs.stat("/dev/shm").dev == fs.stat(dir.path).dev then return pending "there is one file system alone" end
    fs.write_file(path "a", "one")
    local other = os.tmpname():gsub("^/tmp", "/dev/shm")
    for _, name in ipairs { "rename", "link" } do
      fails("EXDEV", ("fs.%s %s -> %s: cross-device link not permitted"):format(name, path "a", other),
        fs[name](path "a", other))
    end
    assert.is_true(fs.copy(path "a", other))
    assert.is_true(fs.remove(other))
  end)

  it("link gives a second name", function()
    fs.write_file(path "a", "one")
    assert.is_true(fs.link(path "a", path "b"))
    assert.equal(2, fs.stat(path "b").nlink)
    fails("EEXIST", ("fs.link %s -> %s: file already exists"):format(path "a", path "b"), fs.link(path "a", path "b"))
  end)

  it("symlink leads where it was told", function()
    fs.write_file(path "a", "one")
    assert.is_true(fs.symlink("a", path "s"))
    assert.equal("a", fs.readlink(path "s"))
    assert.equal("one", fs.read_file(path "s"))
    assert.equal(fs.realpath(path "a"), fs.realpath(path "./x/../s" :gsub("x/../", "")))
    fails("EEXIST", ("fs.symlink a -> %s: file already exists"):format(path "s"), fs.symlink("a", path "s"))
    fails("EINVAL", ("fs.readlink %s: invalid argument"):format(path "a"), fs.readlink(path "a"))
    local long = ("y"):rep(4000)
    assert.is_true(fs.symlink(long, path "long"))
    assert.equal(long, fs.readlink(path "long"))
  end)

  -- --- beside a name ---

  it("chmod sets the bits", function()
    fs.write_file(path "a", "")
    for _, mode in ipairs { 0, 420, 511, 4095 } do
      assert.is_true(fs.chmod(path "a", mode))
      assert.equal(mode, fs.stat(path "a").mode)
    end
    for _, mode in ipairs { -1, 4096 } do
      assert.error_matches(function() fs.chmod("a", mode) end,
        "bad argument #2 to '[%a_.?]+' %(the mode is not in the range 0 to 0xFFF%)")
    end
  end)

  it("utime sets a time as it was given, and as stat tells it", function()
    fs.write_file(path "a", "")
    local now = fs.stat(path "a").mtime
    for _, time in ipairs { now, 1700000000.001, 1700000000.003, -1.5, -0.001, 0.9999999999999 } do
      assert.is_true(fs.utime(path "a", time, time))
      assert.near(time, fs.stat(path "a").mtime, 1e-9)
    end
    assert.is_true(fs.utime(path "a", now, now))
    assert.equal(now, fs.stat(path "a").mtime)
  end)

  it("utime sets the times", function()
    fs.write_file(path "a", "")
    assert.is_true(fs.utime(path "a", 1000.5, 2000000000.25))
    local stat = fs.stat(path "a")
    assert.equal(1000.5, stat.atime)
    assert.equal(2000000000.25, stat.mtime)
    for _, time in ipairs { 1 / 0, -1 / 0, 0 / 0, 1e300 } do
      assert.error_matches(function() fs.utime("a", time, 0) end,
        "bad argument #2 to '[%a_.?]+' %(the time is out of range%)")
      assert.error_matches(function() fs.utime("a", 0, time) end, "bad argument #3")
    end
  end)

  it("is refused what the user may not do", function()
    local result = program.run { "sh", "-c", [[
      chmod 755 "$1" && mkdir -m 700 "$1/closed" && touch "$1/closed/x" "$1/owned" && chmod 600 "$1/owned" || exit 1
      [ $(id -u) = 0 ] || chmod 000 "$1/closed"
      as=; [ $(id -u) != 0 ] || as="setpriv --reuid 65534 --regid 65534 --clear-groups"
      DIR=$1 exec $as "$2" -e 'local fs, dir = require("neap").fs, os.getenv "DIR"
        local function code(...) print((select(3, ...))) end
        code(fs.stat(dir .. "/closed/x"))
        code(fs.scandir(dir .. "/closed"))
        code(fs.mkdir(dir .. "/closed/y"))
        code(fs.mkdir(dir .. "/closed/y/z", { parents = true }))
        code(fs.write_file(dir .. "/closed/y", ""))
        code(fs.remove(dir .. "/closed/x"))
        for path in fs.walk(dir, { on_error = function(err) print(err.code) end }) do end
        print(pcall(function() for path in fs.walk(dir) do end end))']], "sh", dir.path, program.neap }
    assert.equal("", result.stderr)
    local path_of = dir.path:gsub("%p", "%%%0")
    assert.matches("^" .. ("EACCES\n"):rep(7) .. "false\tfs%.scandir " .. path_of ..
      "/closed: permission denied\n$", result.stdout)
  end)
end)
