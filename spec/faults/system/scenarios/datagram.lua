-- Datagrams over 127.0.0.1, and looking names up.
local cell = require "spec.faults.system.cell"
local neap = require "neap"

local ok <const> = cell.ok

local HOST <const> = "127.0.0.1"

return {
  { name = "datagrams: there and back", run = function()
    local server <close> = ok(neap.open_datagram_socket(HOST, 0))
    local _, port = ok(server:local_address())
    local client <close> = ok(neap.open_datagram_socket(HOST, 0))
    ok(client:send_to("one", HOST, port))
    local data, host, from = ok(server:receive())
    assert(data == "one")
    ok(server:send_to("two", host, from))
    assert(ok(client:receive()) == "two")
  end },

  { name = "datagrams: connected", run = function()
    local server <close> = ok(neap.open_datagram_socket(HOST, 0, { reuse_addr = true, limit = 4 }))
    local _, port = ok(server:local_address())
    local client <close> = ok(neap.open_datagram_socket(nil, nil, { remote_addr = { HOST, port } }))
    for i = 1, 3 do ok(client:send(tostring(i))) end
    for i = 1, 3 do assert(ok(server:receive()) == tostring(i)) end
    assert(ok(client:peer_address()) == HOST)
  end },

  { name = "datagrams: options", run = function()
    local socket <close> = ok(neap.open_datagram_socket(HOST, 0, { reuse_port = true, broadcast = true }))
    ok(socket:set_ttl(3))
    ok(socket:set_multicast_ttl(2))
    ok(socket:set_multicast_loop(true))
    ok(socket:set_broadcast(false))
    ok(socket:connect(HOST, 9))
  end },

  { name = "names: getaddrinfo", real = true, run = function()
    assert(ok(neap.getaddrinfo("localhost", "http"))[1].port == 80)
  end },

  { name = "names: getnameinfo", real = true, run = function()
    ok(neap.getnameinfo(HOST, 80, { name_required = false }))
  end },
}
