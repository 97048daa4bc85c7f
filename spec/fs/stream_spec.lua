-- Files as streams, opened by neap.fs.open.
local neap = require "neap"
local folder = require "spec.support.folder"

local fs = neap.fs

describe("a file", function()
  local place

  before_each(function() place = folder.new() end)
  after_each(function() place:remove() end)

  local function open(name, ...)
    return assert(fs.open(place:file(name), ...))
  end

  local function close(...)
    for _, stream in ipairs { ... } do
      stream:close()
      assert.is_true(stream:wait_closed())
    end
  end

  local function with(text, mode)
    place:write("file", text)
    return open("file", mode)
  end

  it("is read as by io.open", function()
    local file <close> = with "one\n 12 0x1f\nthree"
    assert.same({ "one", 12, 31, "\n" }, { file:read("l", "n", "n", "L") })
    assert.equal("three", file:read "a")
    assert.equal("", file:read "a")
    assert.is_nil(file:read "l")
    assert.is_true(file:at_eof())
    close(file)
  end)

  it("has lines of any length, unless there is a limit", function()
    local text = ("x"):rep(300000)
    local file <close> = with(text .. "\nend")
    assert.equal(text, file:read "l")
    assert.equal("end", file:read "l")
    local limited <close> = open("file", "r", { limit = 1000 })
    local line, err = limited:read "l"
    assert.is_nil(line)
    assert.is_true(neap.is(err, neap.LimitOverrunError))
    close(file, limited)
  end)

  it("is written, and the kernel has it when write returns", function()
    local file <close> = open("new", "w")
    assert.equal(file, file:write("a", 1, 2.5, "\n"))
    assert.equal("a12.5\n", place:read "new")
    assert.equal(file, file:write(("b"):rep(1000000)))
    assert.equal(1000006, #place:read "new")
    assert.equal(file, file:drain())
    assert.equal(file, file:sync())
    close(file)
  end)

  it("ends, and goes on when it has grown", function()
    local writer <close> = open("log", "a")
    local file <close> = open "log"
    for i = 1, 3 do
      assert.is_nil(file:read "l")
      assert(writer:write("line ", i, "\n"))
      assert.equal("line " .. i, file:read "l")
    end
    close(writer, file)
  end)

  it("has a position", function()
    local file <close> = with "0123456789"
    assert.equal(0, file:seek())
    assert.equal("012", file:read(3))
    assert.equal(3, file:seek())
    assert.equal("3", file:read(1))
    assert.equal(6, file:seek("cur", 2))
    assert.equal("6", file:read(1))
    assert.equal(8, file:seek("end", -2))
    assert.equal("89", file:read "a")
    assert.equal(0, file:seek "set")
    assert.equal(20, file:seek("set", 20))
    assert.is_nil(file:read(1))
    local position, err, code = file:seek("set", -1)
    assert.is_nil(position)
    assert.equal("EINVAL", code)
    assert.equal("seek " .. place:file "file" .. ": invalid argument", tostring(err))
    assert.equal(20, file:seek())
    close(file)
  end)

  it("is overwritten where reading was, whatever was read ahead", function()
    local file <close> = with("one\ntwo\nthree\n", "r+")
    assert.equal("one", file:read "l")
    assert.equal(file, file:write "TWO")
    assert.equal("\nthree\n", file:read "a")
    assert.equal("one\nTWO\nthree\n", place:read "file")
    close(file)
  end)

  it("that is appended to is read from its beginning", function()
    local file <close> = with("one\n", "a+")
    assert.equal("one", file:read "l")
    assert.equal(0, file:seek "set")
    assert.equal(file, file:write "two\n")
    assert.equal(8, file:seek())
    assert.equal(0, file:seek "set")
    assert.equal("one\ntwo\n", file:read "a")
    close(file)
    local other <close> = open("file", "a")
    assert.equal(8, other:seek())
    close(other)
  end)

  it("is truncated", function()
    local file <close> = with("0123456789", "r+")
    assert.equal("01", file:read(2))
    assert.equal(file, file:truncate(5))
    assert.equal("234", file:read "a")
    assert.equal(3, file:seek("set", 3))
    assert.equal(file, file:truncate())
    assert.equal("012", place:read "file")
    assert.equal(file, file:truncate(4))
    assert.equal("012\0", place:read "file")
    local reader <close> = open "file"
    assert.has_error(function() reader:truncate(1) end)
    close(file, reader)
  end)

  it("tells what fs.stat tells", function()
    local file <close> = with "12345"
    assert.same(fs.stat(place:file "file"), file:stat())
    assert.equal(5, file:stat().size)
    close(file)
  end)

  it("is made, or must be new", function()
    local path = place:file "new"
    local file <close> = assert(fs.open(path, "wx"))
    close(file)
    for _, arguments in ipairs { { "wx" }, { "w", { exclusive = true } }, { "a", { exclusive = true } } } do
      local stream, err, code = fs.open(path, table.unpack(arguments))
      assert.is_nil(stream)
      assert.equal("EEXIST", code)
      assert.equal("fs.open " .. path .. ": file already exists", tostring(err))
    end
    local private <close> = open("private", "w", { mode = 384 })
    assert.equal(384, fs.stat(place:file "private").mode)
    close(private)
  end)

  it("that is not there is nil, err, code", function()
    local stream, err, code = fs.open(place:file "no/such")
    assert.is_nil(stream)
    assert.equal("ENOENT", code)
    assert.equal("ENOENT", err.code)
    assert.is_nil(fs.open(place.path, "w"))
    local directory <close> = open ""
    assert.equal("EISDIR", select(3, directory:read()))
    assert.equal("EISDIR", select(3, directory:read()))
    close(directory)
  end)

  it("that is full says so to the write that met with it, and to no other", function()
    local full <close> = assert(fs.open("/dev/full", "w"))
    local stream, err, code = full:write "x"
    assert.is_nil(stream)
    assert.equal("ENOSPC", code)
    assert.equal("write /dev/full: no space left on device", tostring(err))
    assert.equal("ENOSPC", select(3, full:write "x"))
    assert.equal(full, full:drain())
    close(full)
  end)

  it("written behind tells of the error once, at the next call", function()
    local full <close> = assert(fs.open("/dev/full", "w"))
    full:set_write_limits()
    assert.equal(full, full:write "x")
    assert.equal(full, full:write "y")
    full:shutdown()
    assert.equal("ENOSPC", select(3, full:drain()))
    assert.equal(full, full:drain())
    close(full)
  end)

  it("written by several tasks has each piece whole", function()
    local file <close> = open("file", "w")
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = neap.create_task(function() assert(file:write((string.char(64 + i)):rep(10000))) end)
    end
    neap.gather(tasks)
    local pieces = {}
    for i = 1, 20 do pieces[i] = (string.char(64 + i)):rep(10000) end
    assert.equal(table.concat(pieces), place:read "file")
    close(file)
  end)

  it("is written behind in order, and closed behind that", function()
    local file <close> = open("file", "w")
    file:set_write_limits(1 << 20)
    for i = 1, 100 do assert(file:write(("%04d\n"):format(i))) end
    assert.equal(500, file:seek())
    for i = 101, 200 do assert(file:write(("%04d\n"):format(i))) end
    close(file)
    local text, at = place:read "file", 0
    for line in text:gmatch "%d+" do
      at = at + 1
      assert.equal(at, tonumber(line))
    end
    assert.equal(200, at)
  end)

  it("is not read and written at once", function()
    local file <close> = with(("x"):rep(5000000), "r+")
    local task = neap.create_task(file.read, file, "a")
    neap.sleep(0)
    for _, call in ipairs { { "write", "y" }, { "seek", "set" }, { "truncate" } } do
      assert.error_matches(function() file[call[1]](file, call[2]) end, call[1] .. ": another task is reading")
    end
    assert.equal(5000000, #task:await())
    assert.equal(0, file:seek "set")
    close(file)
  end)

  it("N9 loses no byte to a cancelled read", function()
    local text = {}
    for i = 1, 60000 do text[i] = ("%05d\n"):format(i) end
    local file <close> = with(table.concat(text))
    local got = {}
    while true do
      local task = neap.create_task(function() return file:read_some(5000) end)
      if #got % 3 == 0 then neap.sleep(0) end
      task:cancel()
      pcall(task.await, task)
      local bytes = not task:cancelled() and task:result() or file:read_some(7000)
      if not bytes then break end
      got[#got + 1] = bytes
    end
    assert.equal(table.concat(text), table.concat(got))
    close(file)
  end)

  it("that was cancelled while it was opened is closed", function()
    for turns = 0, 5 do
      local task = neap.create_task(fs.open, place:file "file", "w")
      for _ = 1, turns do neap.sleep(0) end
      task:cancel()
      local ok, stream = pcall(task.await, task)
      if ok then close(stream) end
    end
  end)

  it("that nobody closes is closed when it is collected", function()
    local file = with "text"
    assert.equal("te", file:read(2))
    file = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    neap.sleep(0.01)
  end)

  it("can be a device, or made up by the kernel", function()
    local zero <close> = assert(fs.open "/dev/zero")
    assert.equal(("\0"):rep(200000), zero:read(200000))
    local null <close> = assert(fs.open("/dev/null", "r+"))
    assert.equal(null, null:write "gone")
    assert.equal("", null:read "a")
    local status <close> = assert(fs.open "/proc/self/status")
    assert.matches("^Name:", status:read "l")
    assert.equal(0, status:seek "set")
    assert.matches("^Name:", status:read "a")
    local random <close> = assert(fs.open "/dev/urandom")
    assert.equal(16, #random:read(16))
    close(zero, null, status, random)
  end)

  it("can be a fifo: reading waits for a writer, and opening to write for a reader", function()
    local path = place:file "fifo"
    assert(os.execute("mkfifo " .. path))
    local opening = neap.create_task(fs.open, path, "w")
    neap.sleep(0.03)
    assert.is_false(opening:done())
    local reader <close> = assert(fs.open(path))
    local first = neap.create_task(reader.read, reader)
    local writer <close> = assert(opening:await())
    assert.equal("ESPIPE", select(3, reader:seek()))
    assert.equal(writer, writer:write "hello\n")
    assert.equal("hello", first:await())
    close(writer)
    assert.is_nil(reader:read())
    close(reader)
    local never = neap.create_task(fs.open, path, "w")
    neap.sleep(0.02)
    never:cancel()
    assert.is_false((pcall(never.await, never)))
  end)

  it("is refused with wrong arguments", function()
    local path = place:file "file"
    for _, mode in ipairs { "", "x", "rx", "ax", "rw", "r++", "+r", "wxy", "w ", "B" } do
      assert.error_matches(function() fs.open(path, mode) end, "bad argument #2 to '[%w.]*open' %(invalid mode%)")
    end
    for _, mode in ipairs { "r", "rb", "r+b", "r+", "w", "wb", "w+", "w+b", "a", "a+", "ab", "w+bx", "wbx" } do
      os.remove(path)
      place:write("file", "")
      if mode:find "x" then os.remove(path) end
      close((assert(fs.open(path, mode))))
    end
    assert.has_error(function() fs.open() end)
    assert.has_error(function() fs.open {} end)
    assert.error_matches(function() fs.open "a\0b" end, "zero byte")
    assert.error_matches(function() fs.open(path, "r", { limits = 1 }) end, "there is no option 'limits'")
    assert.has_error(function() fs.open(path, "r", { limit = 0 }) end)
    assert.has_error(function() fs.open(path, "w", { mode = 4096 }) end)
    assert.has_error(function() fs.open(path, "w", { mode = "rw" }) end)
    assert.equal("ENAMETOOLONG", select(3, fs.open(("x"):rep(100000))))
    local file <close> = open("file", "w+")
    assert.has_error(function() file:seek "middle" end)
    assert.has_error(function() file:seek("set", "x") end)
    assert.has_error(function() file:truncate(-1) end)
    close(file)
    for _, method in ipairs { "seek", "sync", "truncate", "isatty", "winsize" } do
      assert.error_matches(function() file[method](file) end, method .. ": the stream is closed")
    end
  end)
end)
