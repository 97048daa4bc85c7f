-- A chat room over TCP. Whoever speaks waits for nobody: each member has a task that writes what others said, from a
-- queue of its own, and who does not read until that is full is shown the door. Ctrl-C, or SIGTERM, leaves the members
-- some seconds to say goodbye.
--
--   neap examples/chat.lua PORT      and then, in several terminals: nc 127.0.0.1 PORT
--
-- Without a port it plays a conversation with itself.
local neap = require "neap"

local BACKLOG <const> = 100 -- lines that a member may be behind
local GRACE <const> = 5 -- seconds

local members = {}

local function tell_all(line, but)
  for name, member in pairs(members) do
    if member.outbox:full() then
      member.scope:cancel()
    elseif name ~= but then
      member.outbox:put_nowait(line)
    end
  end
end

local function names()
  local list = {}
  for name in pairs(members) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, " ")
end

local function ask_name(stream)
  stream:write "your name?\n"
  local line = stream:read "l"
  while line do
    local name = line:match "^%s*([%w_-]+)%s*$"
    if name and not members[name] then return name end
    stream:write(name and "that name is taken\n" or "letters and digits, please\n")
    line = stream:read "l"
  end
end

local function write_lines(stream, outbox)
  while stream:write(outbox:get(), "\n") do end
end

local function converse(stream, name, outbox)
  local group <close> = neap.TaskGroup()
  local writer = group:create_task(write_lines, stream, outbox)
  local line = stream:read "l"
  while line and line ~= "/quit" do
    if line == "/who" then
      outbox:put(names())
    else
      tell_all(name .. ": " .. line, name)
    end
    line = stream:read "l"
  end
  writer:cancel()
end

local function serve(stream)
  local name = ask_name(stream)
  if not name then return end
  local member = { outbox = neap.Queue(BACKLOG), scope = neap.CancelScope() }
  local goodbye = name .. " has left"
  local _ <close> = setmetatable({}, { __close = function()
    members[name] = nil
    tell_all(goodbye)
  end })
  tell_all(name .. " has come")
  members[name] = member
  member.outbox:put("here are: " .. names())
  if not member.scope:run(converse, stream, name, member.outbox) then
    goodbye = name .. " was too slow"
    stream:abort() -- which does not wait until all was sent, as close would
  end
end

local function close(server, grace)
  tell_all(("the room closes in %d s"):format(grace))
  server:close(grace)
end

if arg[1] then
  local server <close> = assert(neap.start_server(serve, nil, tonumber(arg[1])))
  print("listening on port " .. server.port)
  io.stdout:flush()
  neap.create_task(function()
    neap.signal.wait("SIGINT", "SIGTERM") -- the next one ends the program at once
    close(server, GRACE)
  end)
  return server:wait_closed()
end

-- The conversation. To have it in the same order each time, every line is awaited by those who are to hear it.
local server <close> = assert(neap.start_server(serve, "127.0.0.1", 0))
local guests = {}

local function hears(name)
  print(("%s hears  %s"):format(name, guests[name]:read "l" or "(nothing any more)"))
end

local function says(name, line)
  print(("%s says   %s"):format(name, line))
  assert(guests[name]:write(line, "\n"))
end

local function comes(name)
  guests[name] = assert(neap.open_connection("127.0.0.1", server.port))
  hears(name)
  says(name, name)
  hears(name)
end

comes "ann"
comes "bob"
hears "ann"
says("bob", "hello, ann")
hears "ann"
says("ann", "/who")
hears "ann"

guests.cid = assert(neap.open_connection("127.0.0.1", server.port))
hears "cid"
says("cid", "bob")
hears "cid"
says("cid", "cid")
hears "cid"
hears "ann"
hears "bob"

guests.bob:close()
hears "ann"
hears "cid"

close(server, 1)
hears "ann"
hears "cid"
says("ann", "/quit")
hears "ann"
hears "cid"
hears "cid" -- who did not leave in time
server:wait_closed()
print "the room is closed"

-- expect: ann hears  your name?
-- expect: ann says   ann
-- expect: ann hears  here are: ann
-- expect: bob hears  your name?
-- expect: bob says   bob
-- expect: bob hears  here are: ann bob
-- expect: ann hears  bob has come
-- expect: bob says   hello, ann
-- expect: ann hears  bob: hello, ann
-- expect: ann says   /who
-- expect: ann hears  ann bob
-- expect: cid hears  your name?
-- expect: cid says   bob
-- expect: cid hears  that name is taken
-- expect: cid says   cid
-- expect: cid hears  here are: ann bob cid
-- expect: ann hears  cid has come
-- expect: bob hears  cid has come
-- expect: ann hears  bob has left
-- expect: cid hears  bob has left
-- expect: ann hears  the room closes in 1 s
-- expect: cid hears  the room closes in 1 s
-- expect: ann says   /quit
-- expect: ann hears  (nothing any more)
-- expect: cid hears  ann has left
-- expect: cid hears  (nothing any more)
-- expect: the room is closed
