-- Files, pipes and descriptors as streams. Libuv's threads work for one call at a time here.
local fs = require "neap.fs"
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local done <const> = scenario.done

local function with_file(text, fn)
  return function()
    local path = os.tmpname()
    local _ <close> = scenario.closer(function() os.remove(path) end)
    done(fs.write_file(path, text))
    fn(path)
  end
end

return {
  { name = "opened: a file is read", run = with_file("one\n2 three", function(path)
    local file <close> = done(fs.open(path))
    assert(done(file:read "l") == "one")
    assert(done(file:read "n") == 2)
    assert(done(file:read "a") == " three")
  end) },

  { name = "opened: a long one is read", run = with_file(("x"):rep(1000000) .. "\n", function(path)
    local file <close> = done(fs.open(path))
    assert(#done(file:read "l") == 1000000)
  end) },

  { name = "opened: a file is written", run = with_file("one\ntwo\n", function(path)
    local file <close> = done(fs.open(path, "r+"))
    assert(done(file:read "l") == "one")
    done(file:write "TWO")
    assert(done(file:seek "set") == 0)
    assert(done(file:read "a") == "one\nTWO\n")
    done(file:truncate(3))
    done(file:sync())
    assert(done(file:stat()).size == 3)
  end) },

  { name = "opened: written behind", run = with_file("", function(path)
    local file <close> = done(fs.open(path, "w"))
    file:set_write_limits(100000)
    for _ = 1, 5 do done(file:write(("x"):rep(1000))) end
    done(file:sync())
    done(file:drain())
    assert(done(fs.stat(path)).size == 5000)
  end) },

  { name = "opened: a device", run = function()
    local file <close> = done(fs.open "/dev/zero")
    assert(#done(file:read(100000)) == 100000)
  end },

  { name = "opened: a pipe", run = function()
    local reader, writer = neap.pipe()
    if not reader then return scenario.done(nil, writer) end
    local one <close> = reader
    local other <close> = writer
    done(writer:write "hello\n")
    assert(done(reader:read()) == "hello")
  end },

  { name = "opened: a standard stream", run = function()
    local stream <close> = done(neap.open_fd(2))
    done(stream:write "")
  end },
}
