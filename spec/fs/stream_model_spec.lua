-- The same calls, at random, on a file of io.open's and on one of neap.fs.open's: equal results, equal files.
local neap = require "neap"
local folder = require "spec.support.folder"

local RUNS <const> = 150

local function pieces(random, most, long)
  local list = {}
  for i = 1, random(0, most) do
    local kind = random(5)
    list[i] = kind == 1 and "\n" or kind == 2 and tostring(random(10000)) or kind == 3 and ("x"):rep(random(0, long))
      or kind == 4 and " " or "\r\n"
  end
  return table.concat(list)
end

-- A call as a list: its name, arguments.
local function reading(random)
  return { "read", ({ "l", "L", "n", "a", random(0, 100), random(0, 30000) })[random(6)] }
end

local function seeking(random, length)
  local whence = ({ "set", "cur", "end", "tell" })[random(4)]
  if whence == "tell" then return { "seek", "cur", 0 } end
  local offset = whence == "set" and random(0, length + 20) or whence == "cur" and random(-20, 20) or random(-100, 10)
  return { "seek", whence, offset }
end

local function next_call(random, mode, length)
  local kind = random(10)
  if kind <= 3 then return seeking(random, length) end
  local reads = mode == "r" or (mode:find "[r+]" and kind <= 6)
  if reads then return reading(random) end
  return { "write", ("w"):rep(random(0, random(20) == 1 and 30000 or 40)) .. "\n" }
end

local function make(call, file)
  local result, err = file[call[1]](file, table.unpack(call, 2))
  if result == file then result = "the file" end
  return result, err and "failed"
end

-- stdio wants a seek between reading and writing.
local function prepare(file, before, call)
  if before and before ~= call[1] and before ~= "seek" then file:seek("cur", 0) end
end

describe("a file beside one of io's", function()
  local function play(seed, place)
    math.randomseed(seed)
    local random = math.random
    local text = pieces(random, 200, seed % 7 == 0 and 20000 or 30)
    local mode = ({ "r", "r+", "w+", "a+", "a", "w" })[random(6)]
    place:write("theirs", text)
    place:write("ours", text)
    local theirs <close> = assert(io.open(place:file "theirs", mode))
    local ours <close> = assert(neap.fs.open(place:file "ours", mode))
    local before
    for step = 1, random(60) do
      local call = next_call(random, mode, #text)
      prepare(theirs, before, call)
      before = call[1]
      assert.same({ make(call, theirs) }, { make(call, ours) },
        ("seed %d, step %d, mode %s: %s %s"):format(seed, step, mode, call[1], call[2]))
    end
    theirs:close()
    ours:close()
    assert.is_true(ours:wait_closed())
    assert.equal(place:read "theirs", place:read "ours", "seed " .. seed)
  end

  local function play_all(place)
    local first = os.time() * 1000
    for seed = first, first + RUNS - 1 do play(seed, place) end
  end

  it("answers as that does", function()
    local place <close> = folder.new()
    play_all(place)
  end)

  -- Its file system does not tell what is in memory: threads read, and read ahead.
  it("answers as that does where threads read ahead", function()
    local pipe <close> = io.popen "mktemp -d -p /dev/shm 2>&-"
    local path = pipe:read "l"
    if not path then return pending "needs /dev/shm" end
    local place <close> = setmetatable({ path = path }, folder)
    play_all(place)
  end)
end)
