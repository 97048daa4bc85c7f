-- Fetches a page over TLS: neap examples/tls_client.lua https://HOST[:PORT]/PATH [CERTIFICATES]
-- CERTIFICATES is a file of those who are trusted, in place of those whom the system trusts.
local neap = require "neap"

local url, trusted = arg[1] or "https://localhost/", arg[2]
local host, port, path = url:match "^https://([^/:]+):?(%d*)(.*)$"
assert(host, "no such URL: " .. url)

local limit <close> = neap.timeout(10)
local stream <close>, err = neap.open_connection(host, tonumber(port) or 443, {
  tls = { ca_file = trusted, alpn = { "http/1.1" } },
})
if not stream then
  io.stderr:write(tostring(err), "\n")
  os.exit(1, true)
end

local info = stream:tls_info()
io.stderr:write(("TLS %s, %s, issued by %s\n"):format(info.version, info.cipher, info.peer_certificate.issuer))

stream:write("GET ", path ~= "" and path or "/", " HTTP/1.1\r\nHost: ", host, "\r\nConnection: close\r\n\r\n")
for line in stream:lines "L" do
  if line == "\r\n" then break end
end
io.write(assert(stream:read "a"))
