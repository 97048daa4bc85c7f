--- Names and addresses. Written in C (src/net/names.c); this is what they offer.
local core = require "neap.core"

local M = {}

---@class neap.AddressInfo
---@field address string numeric, with its scope where there is one ("fe80::1%eth0")
---@field port integer
---@field family "inet"|"inet6"
---@field socktype "stream"|"dgram"

---@class neap.AddressOptions
---@field family "inet"|"inet6"? both
---@field socktype "stream"|"dgram"? what the service is looked up for ("stream")
---@field passive boolean? without a host: addresses to listen on, not this machine's own (false)

---@class neap.NameOptions
---@field numeric_host boolean? ask for no host's name (false)
---@field numeric_service boolean? ask for no service's name (false)
---@field name_required boolean? no name is a failure, not its address (false)
---@field socktype "stream"|"dgram"? what the service is for ("stream")

--- The addresses of a host, in the order in which to try them. The service is a port or a name ("http").
---@type fun(host: string?, service: integer|string?, opts: neap.AddressOptions?): neap.AddressInfo[]?, neap.OSError?
M.getaddrinfo = core.getaddrinfo

--- The name of a numeric host, and of the service at a port of it.
---@type fun(host: string, port: integer, opts: neap.NameOptions?): string?, string|neap.OSError, string?
M.getnameinfo = core.getnameinfo

return M
