-- Files as streams, for spec.support.cancel_matrix. What was asked of a file before the cancel may still be done.
local assert = require "luassert"
local fs = require "neap.fs"
local neap = require "neap"

local scenarios = {}

local LINES <const> = "one\ntwo\nthree\n"

-- So long that it is not read at once, though it is in memory.
local LONG <const> = ("x"):rep(2000000) .. "\n"

-- wait(file, got, path) on a file of that text, opened so; intact(file, got, path) behind it.
local function scene(text, mode, wait, intact)
  local path, got = os.tmpname(), {}
  assert(fs.write_file(path, text))
  local file = mode and assert(fs.open(path, mode))
  return {
    wait = function() wait(file, got, path) end,
    intact = function() intact(file, got, path) end,
    close = function()
      if file then file:close() file:wait_closed() end
      os.remove(path)
    end,
  }
end

local function add(name, text, mode, wait, intact, of)
  scenarios[name] = { of = of, real = true, make = function() return scene(text, mode, wait, intact) end }
end

-- What the call got, and then what is left, is all.
local function add_reader(name, text, ...)
  local arguments <const> = table.pack(...)
  add("of a file, Stream:" .. name, text, "r", function(file, got)
    got[1] = assert(file[name](file, table.unpack(arguments, 1, arguments.n)))
  end, function(file, got)
    assert.equal(text, (got[1] or "") .. file:read "a")
  end, { "Stream:" .. name })
end

add_reader("read", LONG, "L")
add_reader("readline", LONG)
add_reader("readuntil", LONG, "x\n")
add_reader("readexactly", LONG, 1500000)

-- What only a thread can tell.
add("of a device, Stream:read_some", LINES, "r", function()
  local zero <close> = assert(fs.open "/dev/zero")
  assert(zero:read_some(10))
end, function(file) assert.equal(LINES, file:read "a") end, { "fs.open", "Stream:read_some" })

add("of a file, Stream:write", LINES, "r+", function(file) assert(file:write "ONE") end, function(file, _, path)
  assert.equal("\n", assert(file:read "L"):sub(-1))
  file:sync()
  local text = fs.read_file(path)
  assert.is_true(text == LINES or text == "ONE\ntwo\nthree\n", text)
end, { "Stream:write" })

add("Stream:seek", LINES, "r+", function(file, got)
  file:set_write_limits()
  file:write "ONE" -- behind which it waits
  got[1] = assert(file:seek("end", -6))
end, function(file)
  local at = file:seek()
  assert.is_true(at == 0 or at == 3 or at == 8)
  assert.equal(LINES:sub(at + 1), file:read("a"):lower())
end)

add("Stream:truncate", LINES, "r+", function(file) assert(file:truncate(4)) end, function(file, _, path)
  file:sync()
  local text = fs.read_file(path)
  assert.is_true(text == LINES or text == "one\n")
  assert.equal(text, file:read "a")
end)

local function is_usable(file) assert.equal(LINES, file:read "a") end

add("Stream:sync", LINES, "r+", function(file) assert(file:sync()) end, is_usable)
add("Stream:stat", LINES, "r", function(file) assert.equal(#LINES, file:stat().size) end, is_usable)

add("fs.open", LINES, nil, function(_, _, path)
  local file <close> = assert(fs.open(path))
end, function(_, _, path)
  local file <close> = assert(fs.open(path))
  assert.equal(LINES, file:read "a")
end)

add("fs.open of a fifo that nobody reads", LINES, nil, function(_, got, path)
  got.fifo = path .. ".fifo"
  os.execute("mkfifo " .. got.fifo .. " 2>&-")
  local reader = neap.create_task(function()
    for _ = 1, 4 do neap.sleep(0) end
    got.reader = fs.open(got.fifo)
  end)
  local _ <close> = setmetatable({}, { __close = function() reader:cancel() end })
  local file <close> = assert(fs.open(got.fifo, "w"))
end, function(_, got)
  if got.reader then got.reader:close() end
  if got.fifo then os.remove(got.fifo) end
end, { "fs.open" })

return scenarios
