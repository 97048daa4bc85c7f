--- TLS. The option `tls` of `neap.open_connection`, `neap.start_server` and their like for Unix sockets takes a table
--- of options (neap.TLSOptions), a context, or, for a client, `true`. `stream:start_tls` goes on over TLS where a
--- connection began without.
---
--- ```lua
--- -- openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost \
--- --   -addext subjectAltName=DNS:localhost
--- local server <close> = assert(neap.start_server(handler, "127.0.0.1", 7000, {
---   tls = { cert = "cert.pem", key = "key.pem" },
--- }))
---
--- local stream <close> = assert(neap.open_connection("localhost", 7000, { tls = { ca_file = "cert.pem" } }))
--- ```
---
--- OpenSSL 3 is loaded when this is first used.
---
--- What fails has one of these codes:
---
--- - TLS_CERTIFICATE: the peer's certificate was refused, or there is none
--- - TLS_HOSTNAME: it is good, but for another host
--- - TLS_ALERT: the peer has refused our certificate, or something else
--- - TLS_PROTOCOL: the peer does not speak TLS, or nothing that both speak, or breaks its rules
--- - TLS_TRUNCATED: the connection ended without TLS's own end, so that bytes may be missing
--- - TLS_CLOSED: it was closed during the handshake
--- - TLS_CONTEXT: a file or text of certificates or keys is not one
---
--- or it is libuv's: ETIMEDOUT is also that of a handshake that took too long.
local core = require "neap.core"

---@class neap.tls
local M = {}

--- What connections have in common: made once, used for many.
---@class neap.TLSContext

--- What a client may begin its next connection to the same host with.
---@class neap.TLSSession

---@class neap.TLSContextOptions
---@field verify boolean|"none"|"optional"|"required"|nil whether the peer's certificate must be good;
--- a client's: true, a server's: "none", that is, it asks for none; "optional": there may be none
---@field ca string? PEM text of those who are trusted, in place of those whom the system trusts
---@field ca_file string? a file of them
---@field ca_path string? a folder of them, as `openssl rehash` makes it
---@field cert string? file of its own certificate, followed by those that it was signed with
---@field cert_pem string? the text itself
---@field key string? file of the key (that of `cert`)
---@field key_pem string? the text itself
---@field password string? of the key
---@field alpn string[]? protocols, the preferred first; a server refuses clients that have others only
---@field min_version "1.2"|"1.3"|nil ("1.2")
---@field max_version "1.2"|"1.3"|nil
---@field ciphers string? of TLS 1.2, as `openssl ciphers` takes them
---@field ciphersuites string? of TLS 1.3
---@field sni { [string]: neap.TLSContext }? other contexts for clients that ask for these names; "*.example.org" is
--- one. Versions, ciphers and tickets stay those of the first
---@field session_tickets boolean? whether clients may resume their sessions (true)

---@class neap.TLSOptions: neap.TLSContextOptions
---@field context neap.TLSContext? in place of the options of a context
---@field server boolean? it is the server's side
---@field server_hostname string? whom a client asks for, and whom the certificate must be for
---@field check_hostname boolean? whether that must be so (true)
---@field session neap.TLSSession? to begin with
---@field handshake_timeout number? in seconds (60)
---@field on_handshake_error fun(err: neap.OSError, host: string, port: integer?)? of start_server: told of those that
--- failed, which harm nobody else

---@class neap.TLSInfo
---@field version string "1.3"
---@field cipher string
---@field alpn string? the protocol that was agreed on
---@field server_hostname string? whom the client has asked for
---@field peer_certificate neap.TLSCertificate?
---@field session_reused boolean

---@class neap.TLSCertificate
---@field subject string "CN=example.org"
---@field issuer string
---@field names string[] hosts and addresses that it is for
---@field not_before integer as os.time gives it
---@field not_after integer
---@field serial string in hexadecimal digits
---@field fingerprint_sha256 string in hexadecimal digits

--- Makes a context. Files are read at once; what is wrong with one is returned.
---@type fun(options: neap.TLSContextOptions?): neap.TLSContext?, neap.OSError?, string?
M.context = core.tls_context

return M
