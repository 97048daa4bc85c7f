local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local chunk_bytes, limit_s = 64 * 1024, 120
local loop = cqueues.new()

local function echo(conn)
  conn:setmode("bn", "bn") -- bytes as they are, no output buffer
  for chunk in conn:lines(-chunk_bytes) do
    if not conn:write(chunk) then break end
  end
  conn:close()
end

loop:wrap(function()
  local server = assert(socket.listen {host = "127.0.0.1", port = 0})
  local _, _, port = server:localname()
  print(port)
  io.stdout:flush()
  while true do loop:wrap(echo, (assert(server:accept {nodelay = true}))) end
end)
loop:wrap(function()
  cqueues.sleep(limit_s)
  os.exit(0)
end)
assert(loop:loop())
