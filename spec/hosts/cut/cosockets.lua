-- The sockets of LuaSocket and of OpenResty: connecting, waiting, kept for the next.
local base = require "neap.socket"
local cosocket = require "neap.cosocket"
local forever = require "spec.hosts.forever"
local neap = require "neap"

local server = assert(neap.start_server(function(stream)
  local _ <close> = guard()
  for line in stream:lines "L" do stream:write(line) end
end, "127.0.0.1", 0))

forever(function()
  local tcp = cosocket.tcp()
  if not tcp:connect("127.0.0.1", server.port) then return end
  tcp:send "line\n"
  tcp:receive()
  tcp:setkeepalive(0)
end)
forever(function()
  local tcp = cosocket.tcp()
  tcp:settimeout(1)
  tcp:connect("localhost", server.port)
  tcp:receive()
end)
forever(function()
  local tcp = base.tcp()
  tcp:connect("127.0.0.1", server.port)
  tcp:send "line\n"
  tcp:receive()
end)
forever(function()
  local udp = base.udp()
  udp:settimeout(0.0005)
  udp:setsockname("127.0.0.1", 0)
  udp:sendto("one", "127.0.0.1", select(2, udp:getsockname()))
  udp:receive()
  udp:receive()
end)
forever(function()
  local listener = base.tcp()
  listener:bind("127.0.0.1", 0)
  listener:listen()
  listener:settimeout(0.0005)
  listener:accept()
  base.select({ listener }, { listener }, 0.0001)
end)
neap.sleep(60)
