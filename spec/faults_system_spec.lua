-- Each scenario of spec/faults/system while the calls that it makes of the C library fail in turn, and the specs of io
-- while each call transfers a byte: see the README in spec/faults.
local folder = require "spec.support.folder"
local program = require "spec.support.program"

local CELLS_LEAST <const> = 1000

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
