-- Streams over files and pipes.
local cell = require "spec.faults.system.cell"
local neap = require "neap"

local ok <const> = cell.ok

return {
  { name = "files: written, sought, read", real = true, run = function()
    local file <close> = ok(neap.fs.open(cell.path(), "w+"))
    ok(file:write(("line\n"):rep(10000)))
    ok(file:seek("set", 5))
    assert(ok(file:readline()) == "line\n")
    assert(#ok(file:read "a") == 49990)
    ok(file:sync())
    ok(file:truncate(10))
    assert(ok(neap.fs.stat(cell.path())).size == 10)
    file:close()
    ok(file:wait_closed())
  end },

  { name = "files: added to", real = true, run = function()
    do
      local file <close> = ok(neap.fs.open(cell.path(), "a"))
      ok(file:write "one\n")
      ok(file:write "two\n")
      file:close()
      ok(file:wait_closed())
    end
    local file <close> = ok(neap.fs.open(cell.path(), "r"))
    assert(ok(file:read "a") == "one\ntwo\n")
  end },

  { name = "pipes: there and back", pipes = true, nameless = true, run = function()
    local reader <close>, writer = ok(neap.pipe())
    local _ <close> = writer
    ok(writer:write "hello\n")
    assert(ok(reader:readline()) == "hello\n")
    ok(writer:shutdown())
    assert(ok(reader:read "a") == "")
  end },
}
