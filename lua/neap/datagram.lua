--- Datagrams over UDP. Sockets are written in C (src/net/datagram.c); this is what they offer.
local core = require "neap.core"

local M = {}

--- What the outside does is returned as `nil, err, code`, and breaks nothing: a peer that is not there ("ECONNREFUSED")
--- may be there later. One task at a time may receive. A `<close>` value.
---@class neap.DatagramSocket
---@field send fun(self, data: string): true?, neap.OSError?, string? to the peer; may wait for room in the kernel
---@field send_to fun(self, data: string, host: string, port: integer): true?, neap.OSError?, string?
---@field receive fun(self): string?, string|neap.OSError|nil, integer|string|nil data, host, port; nil when closed
---@field datagrams fun(self): fun(): string?, string?, integer? until it is closed; raises failures
---@field connect fun(self, host: string, port: integer): true?, neap.OSError?, string? sends there, receives from there
---@field join_group fun(self, group: string, interface: string?): true?, neap.OSError?, string? a multicast group
---@field leave_group fun(self, group: string, interface: string?): true?, neap.OSError?, string?
---@field set_broadcast fun(self, on: boolean): true?, neap.OSError?, string?
---@field set_ttl fun(self, hops: integer): true?, neap.OSError?, string?
---@field set_multicast_ttl fun(self, hops: integer): true?, neap.OSError?, string?
---@field set_multicast_loop fun(self, on: boolean): true?, neap.OSError?, string? whether this machine hears itself
---@field set_multicast_interface fun(self, address: string?): true?, neap.OSError?, string?
---@field local_address fun(self): string, integer
---@field peer_address fun(self): string?, integer|neap.OSError, string?
---@field is_closing fun(self): boolean
---@field close fun(self): true whoever waits to receive gets nil

---@class neap.DatagramOptions
---@field remote_addr { [1]: string, [2]: integer }? host and port to connect to
---@field limit integer? datagrams that wait unasked for (64); the others wait in the kernel
---@field reuse_addr boolean? at an address that is in use (false)
---@field reuse_port boolean? side by side with others that say so (false)
---@field broadcast boolean? may send to all of a network (false)
---@field ipv6_only boolean? at an IPv6 address: no IPv4 (false)

--- Opens a UDP socket at an address of its own: without a host at all of this machine, without a port at a free one.
---@type fun(host: string?, port: integer?, opts: neap.DatagramOptions?): neap.DatagramSocket?, neap.OSError?, string?
M.open_datagram_socket = core.open_datagram_socket

return M
