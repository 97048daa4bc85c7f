-- A small store over TCP: `set KEY VALUE`, `get KEY`, `quit`. All connections share one table, without a lock.
--
--   neap examples/store.lua [PORT]       and then: nc 127.0.0.1 7001
local neap = require "neap"

local values = {}
local commands = {}

function commands.set(key, value)
  values[key] = value
  return "ok"
end

function commands.get(key)
  return values[key] or "nothing"
end

local function serve(stream)
  for line in stream:lines() do
    local name, key, value = line:match "^(%w+)%s*(%S*)%s*(.-)%s*$"
    if name == "quit" then return end
    local command = commands[name]
    stream:write(command and command(key, value) or "what?", "\n")
  end
end

local server <close> = assert(neap.start_server(serve, "127.0.0.1", tonumber(arg[1]) or 7001))
print("listening on port " .. server.port)
io.stdout:flush()
server:serve_forever()
