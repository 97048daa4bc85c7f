-- One server on all processors: each thread listens on the same port, and the kernel spreads the connections. This
-- program is its own client.
local neap = require "neap"

local THREADS <const> = 2

local function echo(stream)
  for line in stream:lines "L" do stream:write(line) end
end

-- In each thread. The first one takes a free port, the others the same.
local function serve(port, ports)
  local server <close> = assert(neap.start_server(echo, "127.0.0.1", port, { reuse_port = true }))
  ports:send(server.port)
  server:serve_forever()
end

local ports <const> = neap.Channel()
local threads <const>, port = {}, 0
for i = 1, THREADS do
  threads[i] = neap.thread(serve, port, ports)
  port = ports:receive()
end

local function say(line)
  local stream <close> = assert(neap.open_connection("127.0.0.1", port))
  stream:write(line .. "\n")
  return stream:read "l"
end

local answers <const> = neap.gather(
  function() return say "one" end, function() return say "two" end, function() return say "three" end)
print(table.concat(answers, " "))

for _, thread in ipairs(threads) do
  thread:stop()
  pcall(thread.join, thread)
end

-- expect: one two three
