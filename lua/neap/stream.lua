--- Connections. Streams are written in C (src/io/stream.c); this is what they offer.
local core = require "neap.core"

--- Reads like one of Lua's files, from one task at a time. What the outside does is returned as
--- `nil, err, code`, the end of file as nil; what the program does wrong is raised. A `<close>` value.
---
--- The last line may lack its newline. The end of a file is not for ever: what is written to it later can be read then.
---
--- Two failures have no code, but a kind. A stream that ends before what `readexactly` or `readuntil` asks for gives
--- an IncompleteReadError, whose `partial` is what there was. A line, or separator, that does not come within `limit`
--- bytes gives a LimitOverrunError and takes nothing, so that the next call does the same: close the stream, or take
--- the bytes with `read_some`.
---@class neap.Stream
---@field read fun(self, ...: string|integer): ... "l" (the default), "L", "n", "a", or a count of bytes
---@field lines fun(self, ...: string|integer): fun(): ... raises what fails, and leaves the stream open
---@field readline fun(self): string?, neap.OSError?, string? a line with its newline, as `read "L"`
---@field readexactly fun(self, n: integer): string?, neap.Error?, string? so many bytes
---@field readuntil fun(self, separator: string|string[]): string?, neap.Error?, string? up to a separator, with it
---@field read_some fun(self, max: integer?): string?, neap.OSError?, string? what is there, or comes next
---@field at_eof fun(self): boolean whether it has ended and all was read
---@field write fun(self, ...: string|number): neap.Stream?, neap.OSError?, string? waits above the high-water mark
---@field drain fun(self): neap.Stream?, neap.OSError?, string? waits while `write` would; there is no `flush`
---@field set_write_limits fun(self, high: integer?, low: integer?) in bytes (65536, a quarter of `high`)
---@field shutdown fun(self): true?, neap.OSError?, string? ends the sending side
---@field close fun(self): true sends what was written, then closes; waits for nothing; a task that reads gets nil
---@field abort fun(self) closes at once, and drops what was not sent; the peer of a socket hears of a reset
---@field is_closing fun(self): boolean
---@field wait_closed fun(self): true?, neap.OSError?, string? waits until all was sent
---@field seek fun(self, whence: "set"|"cur"|"end"?, offset: integer?): integer?, neap.OSError?, string? of a file
---@field truncate fun(self, size: integer?): neap.Stream?, neap.OSError?, string? of a file; by default to the position
---@field sync fun(self): neap.Stream?, neap.OSError?, string? waits until what was written is on the disk
---@field stat fun(self): neap.FileStat?, neap.OSError?, string? of a file: what `neap.fs.stat` tells
---@field isatty fun(self): boolean whether it leads to a terminal
---@field set_mode fun(self, mode: "normal"|"raw"): neap.Stream?, neap.OSError?, string? of a terminal
---@field winsize fun(self): integer?, integer|neap.OSError, string? columns and rows of a terminal
---@field peer_address fun(self): string, integer? host and port, or the path of a Unix socket
---@field local_address fun(self): string, integer?
---@field start_tls fun(self, o: neap.TLSOptions|neap.TLSContext|nil): neap.Stream?, neap.OSError?, string?
---@field tls_info fun(self): neap.TLSInfo? what TLS has found out and agreed on; nil without TLS
---@field tls_session fun(self): neap.TLSSession? to begin the next connection with, once the server has given it

---@class neap.ConnectionOptions
---@field limit integer? bytes of a line (65536)
---@field nodelay boolean? send small writes at once (true)
---@field keepalive number|boolean? seconds of silence before the connection is tested (true: 60); none
---@field local_addr { [1]: string, [2]: integer? }? numeric host and port to connect from
---@field happy_eyeballs_delay number? the head start of each address on the next, in seconds (0.25; math.huge: none is)
---@field tls true|neap.TLSContext|neap.TLSOptions? TLS over it; `server_hostname` is the host unless it is given

---@class neap.UnixConnectionOptions
---@field limit integer? bytes of a line (65536)
---@field tls neap.TLSContext|neap.TLSOptions|nil TLS over it; it has to say `server_hostname`, or not to check it

core.set_tls_opener(function(call, ...) return require("neap.tls_streams")[call](...) end)

return {
  open_connection = core.open_connection, open_unix_connection = core.open_unix_connection,
  open_fd = core.open_fd, pipe = core.pipe,
}
