local neap = require "neap"

describe("servers of two threads on one port", function()
  it("both get connections", function()
    local ports <const>, count <const> = neap.Channel(), 64
    local function serve(port)
      local name <const> = neap.current_thread().name
      local function tell(stream) stream:write(name .. "\n") end
      local server <close> = assert(neap.start_server(tell, "127.0.0.1", port, { reuse_port = true }))
      ports:send(server.port)
      server:serve_forever()
    end
    local first <const> = neap.thread(serve, 0)
    local port <const> = ports:receive()
    local second <const> = neap.thread(serve, port)
    assert.equal(port, ports:receive())
    local served = {}
    for _ = 1, count do
      local stream <close> = assert(neap.open_connection("127.0.0.1", port))
      local name <const> = stream:read "l"
      served[name] = (served[name] or 0) + 1
    end
    for _, thread in ipairs { first, second } do
      thread:stop()
      pcall(thread.join, thread)
    end
    assert.is_true(served[first.name] > 0 and served[second.name] > 0)
    assert.equal(count, served[first.name] + served[second.name])
  end)

  it("refuse it without the option", function()
    local server <close> = assert(neap.start_server(print, "127.0.0.1", 0, { reuse_port = true }))
    local none, _, code = neap.start_server(print, "127.0.0.1", server.port)
    assert.is_nil(none)
    assert.equal("EADDRINUSE", code)
  end)
end)
