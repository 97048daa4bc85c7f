-- Each scenario of spec/faults/system while the calls that it makes of the C library fail in turn, and the specs of io
-- while each call transfers a byte: see the README in spec/faults.
local folder = require "spec.support.folder"
local program = require "spec.support.program"

local CELLS_LEAST <const> = 3000

local modules <const> = os.getenv "NEAP_CPATH" or "build/release/module/?.so"
local library <const> = modules:gsub("?", "sysfaults")

-- Words that run neap with the library.
local function preloaded(...)
  return { "env", "NEAP_CPATH=" .. modules, "LD_PRELOAD=" .. library, ... }
end

-- Runs it with a folder for what the scenarios make, and for the name of the cell that is being played.
local function run(dir, ...)
  local settings <const> = { "FAULTS_DIR=" .. dir, "FAULTS_NOW=" .. dir .. "/now" }
  return program.run(preloaded(settings[1], settings[2], program.neap, "spec/faults/system/run.lua", ...))
end

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

local function files(pattern)
  local pipe <close> = io.popen("ls " .. pattern)
  return lines(pipe:read "a")
end

local function is_built()
  local file <close> = io.open(library)
  return file ~= nil
end

describe("a system call that fails", function()
  if not is_built() then return pending "is not played beside a sanitizer, which stands between the same calls" end

  local cells, wanted, ran = 0, 0, 0

  local function names(list)
    local dir <close> = folder.new()
    return lines(run(dir.path, list).stdout)
  end

  -- The sums of a scenario. A crash or a hang is told by the cell that was being played.
  local function play(list, name)
    local dir <close> = folder.new()
    local result = run(dir.path, list, name)
    assert.equal(0, result.status, result.status ~= 0 and result.stderr .. "while playing " .. dir:read "now")
    local told, handled, bad = result.stdout:match ": (%d+) told, (%d+) handled, %d+ absent, (%d+) bad\n$"
    assert.equal("0", bad, result.stdout)
    assert.equal("", result.stderr)
    ran, cells = ran + 1, cells + told + handled
  end

  for _, path in ipairs(files "spec/faults/system/scenarios/*.lua") do
    local list = path:match "([^/]+)%.lua$"
    for _, name in ipairs(names(list)) do
      wanted = wanted + 1
      it("is told or made good, and leaves nothing broken: " .. name, function() play(list, name) end)
    end
  end

  it("happens often enough", function()
    if ran < wanted then return pending "some scenarios did not run" end
    assert.is_true(cells >= CELLS_LEAST, cells)
  end)
end)

describe("NEAP_FAULT", function()
  if not is_built() then return end

  -- What a program prints that sends three bytes to itself and reads some of them.
  local function talk(fault)
    return program.run(preloaded("NEAP_FAULT=" .. fault, program.neap, "-e", [[
      local neap = require "neap"
      local server <close> = assert(neap.start_server(function(stream) print(stream:read_some()) end, "127.0.0.1", 0))
      local stream, _, code = neap.open_connection("127.0.0.1", server.port)
      if not stream then return print(code) end
      stream:write "abc"
      stream:shutdown()
      stream:read "a"
    ]]))
  end

  it("says which call fails, or how much is transferred", function()
    program.assert_printed("abc\n", talk "")
    program.assert_printed("ETIMEDOUT\n", talk "connect:ETIMEDOUT:1")
    program.assert_printed("abc\n", talk "connect:ETIMEDOUT:2")
    program.assert_printed("a\n", talk "partial:1")
    assert.equal(2, talk("connect:EVERY:1").status)
  end)
end)

describe("a byte at a time, with EINTR and EAGAIN between", function()
  if not is_built() then return end

  -- What stands on whole transfers: that what was written at once comes at once, is in the kernel at once, or leaves
  -- it no room. (Thousands of small pieces take the kernel more room than one big one, and more time.)
  local WHOLE <const> = {
    "may be ended in one direction alone",
    "V3 gives with read_some what is there",
    "V7 does not suspend for what is in the buffer",
    "does not jump while bytes arrive",
    "by close gives up on a peer that does not read",
    "waits while the peer does not read, and goes on",
    "keeps what is queued bounded when cancelled writes",
    "V11 V22 V24 W2 is told to a reader",
  }

  -- ./dev runs them all: see the README. Of TLS one is played here: its handshakes take a while in this way.
  local RUNS <const> = {
    { "io/conformance", "--filter-out=over TLS" }, { "io/conformance", "--filter=over TLS over Unix" },
    { "io/stream_read" }, { "io/stream" }, { "io/stream_write" }, { "net/unix" },
  }
  for _, each in ipairs(RUNS) do
    local name, filter = table.unpack(each)
    it(("nothing changes for spec/%s_spec.lua %s"):format(name, filter or ""), function()
      local words = preloaded("NEAP_FAULT=partial:1", program.neap, "test")
      for _, text in ipairs(WHOLE) do words[#words + 1] = "--filter-out=" .. text end
      words[#words + 1] = filter
      words[#words + 1] = "spec/" .. name .. "_spec.lua"
      local result = program.run(words)
      assert.matches("[1-9]%d* success.- / 0 failures / 0 errors", result.stdout)
      assert.equal(0, result.status, result.stdout .. result.stderr)
    end)
  end
end)
