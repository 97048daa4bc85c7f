-- An echo server and clients, with connections that come and go, and more written than is read.
local neap = require "neap"

local function echo(stream)
  local _ <close> = guard()
  for line in stream:lines "L" do stream:write(line) end
end

local much = ("x"):rep(1000):rep(1000)
local server = assert(neap.start_server(echo, "127.0.0.1", 0))

local function client(number)
  local _ <close> = guard()
  while true do
    local stream = neap.open_connection("127.0.0.1", server.port)
    if stream then
      for _ = 1, number do
        stream:write("line " .. number .. "\n")
        stream:read "l"
      end
      if number == 4 then stream:write(much) end
      if number > 1 then stream:close() end
    end
  end
end

for number = 1, 5 do neap.create_task(client, number) end
neap.sleep(60)
