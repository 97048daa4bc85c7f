-- Clients and servers on Unix sockets.
local cell = require "spec.faults.system.cell"
local folder = require "spec.support.folder"
local neap = require "neap"

local ok <const>, noted <const> = cell.ok, cell.noted

local function echo(stream)
  while true do
    local bytes = noted(stream:read_some(1000))
    if not bytes or not noted(stream:write(bytes)) then return end
  end
end

-- A scenario in a folder of its own: fn(path) with a path where nothing is.
local function at_path(name, fn, instead)
  local dir
  return {
    name = "unix: " .. name, instead = instead,
    before = function() dir = folder.new() end,
    run = function() fn(dir:file "socket") end,
    after = function() dir:remove() end,
  }
end

return {
  at_path("echo", function(path)
    local server <close> = ok(neap.start_unix_server(echo, path))
    local stream <close> = ok(neap.open_unix_connection(path))
    ok(stream:write "hello\n")
    assert(ok(stream:readline()) == "hello\n")
    ok(stream:shutdown())
    assert(ok(stream:read "a") == "")
  end),

  at_path("over a file that is left", function(path)
    ok(neap.start_unix_server(echo, path, { cleanup_socket = false })):close()
    local server <close> = ok(neap.start_unix_server(echo, path))
    local stream <close> = ok(neap.open_unix_connection(path))
    ok(stream:write "x")
    assert(ok(stream:readexactly(1)) == "x")
  end, { EADDRINUSE = true }), -- what stands in the way when the file cannot be looked at or removed
}
