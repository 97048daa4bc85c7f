-- Datagrams that are sent, received, refused and never asked for.
local forever = require "spec.hosts.forever"
local neap = require "neap"

local function socket(options)
  return assert(neap.open_datagram_socket("127.0.0.1", 0, options))
end

local heard, unheard = socket(), socket { limit = 3 }
local gone = socket()
local dead <const> = select(2, gone:local_address())
gone:close()
local refused = assert(neap.open_datagram_socket(nil, nil, { remote_addr = { "127.0.0.1", dead } }))

local function send(to)
  local sender = socket()
  sender:send_to(("x"):rep(1000), to:local_address())
  sender:send_to("to the same", "localhost", select(2, to:local_address()))
end

forever(function() send(heard) end)
forever(function() send(unheard) end)
forever(function() heard:receive() end)
forever(function() refused:send "anybody?" end)
forever(function() refused:receive() end)
forever(function() pcall(neap.wait_for, neap.open_datagram_socket, 0.0001, "localhost", 0) end)
forever(function()
  local once <close> = socket()
  pcall(neap.wait_for, once.receive, 0.0001, once)
end)
forever(function() neap.getaddrinfo("localhost", "http") neap.getnameinfo("127.0.0.1", 80) end)
neap.sleep(60)
