-- Datagrams there and back: a server that sends each one back in capitals, and a client.
local neap = require "neap"

local server <close> = assert(neap.open_datagram_socket("127.0.0.1"))
local _, port = server:local_address()

local function serve()
  for data, host, from in server:datagrams() do
    server:send_to(data:upper(), host, from)
  end
  return "closed"
end

local serving = neap.create_task(serve)

do
  local client <close> = assert(neap.open_datagram_socket(nil, nil, { remote_addr = { "127.0.0.1", port } }))
  for _, word in ipairs { "ebb", "flow", "" } do
    assert(client:send(word))
    print(("%q came back as %q"):format(word, (assert(client:receive()))))
  end
end

server:close()
print(serving:await())

-- expect: "ebb" came back as "EBB"
-- expect: "flow" came back as "FLOW"
-- expect: "" came back as ""
-- expect: closed
