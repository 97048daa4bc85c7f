-- Clients and servers on Unix sockets.
local cell = require "spec.faults.system.cell"
local neap = require "neap"

local ok <const>, noted <const> = cell.ok, cell.noted

local function echo(stream)
  while true do
    local bytes = noted(stream:read_some(1000))
    if not bytes or not noted(stream:write(bytes)) then return end
  end
end

return {
  { name = "unix: echo", run = function()
    local server <close> = ok(neap.start_unix_server(echo, cell.path()))
    local stream <close> = ok(neap.open_unix_connection(cell.path()))
    ok(stream:write "hello\n")
    assert(ok(stream:readline()) == "hello\n")
    ok(stream:shutdown())
    assert(ok(stream:read "a") == "")
  end },

  -- What stands in the way is told when it cannot be looked at, or removed.
  { name = "unix: over a file that is left", instead = { EADDRINUSE = true }, run = function()
    ok(neap.start_unix_server(echo, cell.path(), { cleanup_socket = false })):close()
    local server <close> = ok(neap.start_unix_server(echo, cell.path()))
    local stream <close> = ok(neap.open_unix_connection(cell.path()))
    ok(stream:write "x")
    assert(ok(stream:readexactly(1)) == "x")
  end },
}
