-- A port forwarder: connections to one address go on to another. However fast one side and slow the other, what waits
-- to be sent is a few blocks at most. A side that has said all may still listen: its end, and a failure, are passed on.
--
--   neap examples/forward.lua LISTEN HOST PORT       as in: 8080 example.org 80
--   neap examples/forward.lua LISTEN PATH            as in: 8080 /run/app.sock
--
-- LISTEN is a port of this machine, or the path of a Unix socket. Without arguments it forwards a few things to itself.
local neap = require "neap"

local function connect(host, port)
  if port then return neap.open_connection(host, port) end
  return neap.open_unix_connection(host)
end

local function listen(handler, where)
  local port = math.tointeger(tonumber(where))
  if port then return neap.start_server(handler, "127.0.0.1", port) end
  return neap.start_unix_server(handler, where)
end

-- One direction, up to its end.
local function pump(from, to)
  local block, err = from:read_some()
  while block do
    assert(to:write(block)) -- waits while the other side is slow
    block, err = from:read_some()
  end
  assert(not err, err)
  assert(to:shutdown())
end

local function pump_both(here, there)
  return pcall(neap.gather, function() pump(here, there) end, function() pump(there, here) end)
end

-- The handler of a server whose connections go on to an address.
local function forward(host, port)
  return function(here)
    local there <close>, err = connect(host, port)
    if not there then return print(err) end
    local ok, failure = pump_both(here, there)
    if ok then return end
    here:abort() -- so that both hear that this was no good end
    there:abort()
    if not neap.is(failure, neap.OSError) then error(failure, 0) end
  end
end

if arg[1] then
  local server <close> = assert(listen(forward(arg[2], tonumber(arg[3])), arg[1]))
  print("listening on " .. (server.path or server.port))
  io.stdout:flush()
  return server:serve_forever()
end

-- What it is forwarded to counts bytes, and says how many there were when it has heard the end.
local function count(stream)
  local sum = 0
  local block = stream:read_some()
  while block do
    sum = sum + #block
    block = stream:read_some()
  end
  stream:write(sum, " bytes\n")
end

local function ask(data, host, port)
  local stream <close> = assert(connect(host, port))
  assert(stream:write(data))
  stream:shutdown()
  return stream:read "l" or "nothing"
end

local folder = assert(neap.fs.mkdtemp "/tmp/forward-")
local path = folder .. "/socket"

do
  local counter <close> = assert(neap.start_server(count, "127.0.0.1", 0))
  local to_port <close> = assert(listen(forward("127.0.0.1", counter.port), path))
  local to_path <close> = assert(listen(forward(path), 0))
  local to_nowhere <close> = assert(listen(forward("127.0.0.1", 1), 0))

  print("from a path to a port:", ask("wool", path))
  print("from a port to a path, and on:", ask(("wool"):rep(250000), "127.0.0.1", to_path.port))
  print("to a port of nobody:", ask("", "127.0.0.1", to_nowhere.port))
end
assert(neap.fs.remove(folder))

-- expect: from a path to a port:	4 bytes
-- expect: from a port to a path, and on:	1000000 bytes
-- expect: open_connection 127.0.0.1:1: connection refused
-- expect: to a port of nobody:	nothing
