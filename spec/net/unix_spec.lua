-- Unix sockets: connections, servers, and the files that these leave.
local folder = require "spec.support.folder"
local neap = require "neap"
local program = require "spec.support.program"
local support = require "spec.support.stream"

local probe_path <const> = (os.getenv "NEAP_CPATH" or "build/release/module/?.so"):gsub("?", "neap_probe")
local probe = assert(package.loadlib(probe_path, "luaopen_neap_probe"))()

local function echo(stream)
  for line in stream:lines "L" do stream:write(line) end
end

local function exists(path)
  return os.rename(path, path) == true
end

local function path_in(dir)
  return dir.path .. "/socket"
end

local function with_file()
  local dir = folder.new()
  dir:write("plain", "")
  return dir
end

local function ask(path, text)
  local stream <close> = assert(neap.open_unix_connection(path))
  assert(stream:write(text, "\n"))
  return assert(stream:read())
end

describe("a Unix socket", function()
  it("W1 is connected to, written, read by lines and closed", function()
    local dir <close> = folder.new()
    local server <close> = assert(neap.start_unix_server(echo, path_in(dir)))
    local stream = assert(neap.open_unix_connection(path_in(dir), { limit = 100 }))
    assert(stream:write "one\ntwo\n")
    assert.equal("one", stream:read())
    assert.equal("two\n", stream:readline())
    assert.equal(path_in(dir), stream:peer_address())
    assert.equal(path_in(dir), stream:local_address())
    assert.matches("^<Stream to .*/socket>$", tostring(stream))
    stream:close()
    assert.is_true(stream:wait_closed())
  end)

  it("W4 has a server that runs its handler as a task for each connection", function()
    local dir <close> = folder.new()
    local names = {}
    local server <close> = assert(neap.start_unix_server(function(stream, own)
      names[#names + 1] = tostring(neap.current_task()):match "Task%-%d+"
      assert.equal(path_in(dir), own.path)
      echo(stream)
    end, path_in(dir)))
    assert.equal("hello", ask(path_in(dir), "hello"))
    assert.equal("again", ask(path_in(dir), "again"))
    assert.not_equal(names[1], names[2])
    assert.equal(path_in(dir), server:address())
    assert.is_nil(server.port)
    assert.equal(("<Server on %s>"):format(path_in(dir)), tostring(server))
  end)

  it("W15 is served until that is cancelled, and not again", function()
    local dir <close> = folder.new()
    local server = assert(neap.start_unix_server(echo, path_in(dir)))
    local task = neap.create_task(server.serve_forever, server)
    assert.equal("x", ask(path_in(dir), "x"))
    support.cancel(task)
    assert.is_false(exists(path_in(dir)))
    assert.matches("serve_forever: the server is closed", support.raised(server.serve_forever, server))
  end)

  it("W19 leaves no file behind", function()
    local dir <close> = folder.new()
    local server = assert(neap.start_unix_server(echo, path_in(dir)))
    assert.is_true(exists(path_in(dir)))
    server:close()
    assert.is_false(exists(path_in(dir)))
    server:wait_closed()
  end)

  it("W20 leaves no file behind when it was inherited", function()
    local dir <close> = folder.new()
    local server = assert(neap.start_unix_server(echo, nil, { fd = probe.listen(path_in(dir)) }))
    assert.equal(path_in(dir), server.path)
    assert.equal("x", ask(path_in(dir), "x"))
    server:close()
    assert.is_false(exists(path_in(dir)))
    server:wait_closed()
  end)

  it("W21 can be closed when its file is gone", function()
    local dir <close> = folder.new()
    local server = assert(neap.start_unix_server(echo, path_in(dir)))
    os.remove(path_in(dir))
    server:close()
    server:wait_closed()
  end)

  it("W22 leaves a file alone that another one has put into its place", function()
    local dir <close> = folder.new()
    local first = assert(neap.start_unix_server(echo, path_in(dir)))
    os.rename(path_in(dir), path_in(dir) .. ".old")
    local second = assert(neap.start_unix_server(echo, path_in(dir)))
    first:close()
    first:wait_closed()
    assert.equal("x", ask(path_in(dir), "x"))
    second:close()
    second:wait_closed()
  end)

  it("W23 leaves its file if it is told to", function()
    local dir <close> = folder.new()
    local server = assert(neap.start_unix_server(echo, path_in(dir), { cleanup_socket = false }))
    server:close()
    server:wait_closed()
    assert.is_true(exists(path_in(dir)))
  end)

  it("takes the place of one that is gone, not of one that is there, nor of another file", function()
    local dir <close> = with_file()
    local path = path_in(dir)
    local old = assert(neap.start_unix_server(echo, path, { cleanup_socket = false }))
    local none, err, code = neap.start_unix_server(echo, path)
    assert.same({ nil, "EADDRINUSE" }, { none, code })
    assert.equal(("start_unix_server %s: address already in use"):format(path), tostring(err))
    old:close()
    old:wait_closed()
    local new <close> = assert(neap.start_unix_server(echo, path))
    assert.equal("x", ask(path, "x"))
    assert.equal("EADDRINUSE", select(3, neap.start_unix_server(echo, dir.path .. "/plain")))
    assert.is_true(exists(dir.path .. "/plain"))
  end)

  it("has an abstract name where the path begins with a zero byte", function()
    local name = "\0neap-spec-" .. tostring({}):match "0x%x+"
    local server <close> = assert(neap.start_unix_server(echo, name))
    assert.equal("@" .. name:sub(2), server.path)
    assert.equal("x", ask(name, "x"))
  end)

  it("has the mode that is asked for", function()
    local dir <close> = folder.new()
    local server <close> = assert(neap.start_unix_server(echo, path_in(dir), { mode = tonumber("600", 8) }))
    assert.equal("600", program.run({ "stat", "-c", "%a", path_in(dir) }).stdout:match "%d+")
  end)

  it("says what the outside has against it", function()
    local dir <close> = with_file()
    local function check(code, path)
      local stream, err, got = neap.open_unix_connection(path)
      assert.same({ nil, code }, { stream, got })
      assert.matches("^open_unix_connection /", tostring(err))
      assert.equal(code, err.code)
    end
    check("ENOENT", dir.path .. "/none")
    check("ECONNREFUSED", dir.path .. "/plain")
    check("ENOTDIR", dir.path .. "/plain/x")
    check("ENAMETOOLONG", "/" .. ("x"):rep(10000))
    assert.equal("ENAMETOOLONG", select(3, neap.start_unix_server(echo, "/" .. ("x"):rep(107))))
    assert.equal("ENOENT", select(3, neap.start_unix_server(echo, dir.path .. "/no/socket")))
  end)

  it("refuses bad arguments at the caller's line", function()
    local cases = {
      { "bad argument #1 to 'open_unix_connection' %(string expected", function() neap.open_unix_connection() end },
      { "bad argument #1 to 'open_unix_connection' %(the path is empty%)",
        function() neap.open_unix_connection "" end },
      { "bad argument #1 to 'open_unix_connection' %(the path contains a zero byte%)",
        function() neap.open_unix_connection "a\0b" end },
      { "bad argument #2 to 'open_unix_connection' %(there is no option 'port'%)",
        function() neap.open_unix_connection("a", { port = 1 }) end },
      { "bad argument #2 to 'start_unix_server' %(the path contains a zero byte%)",
        function() neap.start_unix_server(echo, "a\0b") end },
      { "bad argument #3 to 'start_unix_server' %(there is no option 'nodelay'%)",
        function() neap.start_unix_server(echo, "a", { nodelay = true }) end },
    }
    for _, case in ipairs(cases) do
      local err = support.raised(case[2])
      assert.matches("^[^:]*unix_spec%.lua:%d+: " .. case[1], err)
    end
  end)

  it("is waited for while the server's queue is full", function()
    local dir <close> = folder.new()
    local server <close> = assert(neap.start_unix_server(echo, path_in(dir), { backlog = 1, start_serving = false }))
    local waiting = {}
    for i = 1, 6 do waiting[i] = neap.create_task(ask, path_in(dir), "x" .. i) end
    neap.sleep(0.02)
    assert.is_true(support.waits(waiting[6], "open_unix_connection"))
    support.cancel(table.remove(waiting))
    server:start_serving()
    for i, task in ipairs(waiting) do assert.equal("x" .. i, neap.await(task)) end
  end)
end)

describe("a server", function()
  it("listens on all of several hosts, on one port", function()
    local server <close> = assert(neap.start_server(echo, { "127.0.0.1", "127.0.0.2", "127.0.0.1" }, 0))
    for _, host in ipairs { "127.0.0.1", "127.0.0.2" } do
      local stream <close> = assert(neap.open_connection(host, server.port))
      assert(stream:write "hello\n")
      assert.equal("hello", stream:read())
    end
    assert.equal("ECONNREFUSED", select(3, neap.open_connection("127.0.0.3", server.port)))
    local none, _, code = neap.start_server(echo, { "127.0.0.1", "no-such-name.invalid" }, 0)
    assert.is_nil(none)
    assert.matches("^EAI_", code)
  end)

  it("runs so many handlers at once as it may", function()
    local running, most, gate = 0, 0, neap.Event()
    local server <close> = assert(neap.start_server(function(stream)
      running = running + 1
      most = math.max(most, running)
      gate:wait()
      stream:write "done\n"
      running = running - 1
    end, { "127.0.0.1", "127.0.0.2" }, 0, { max_connections = 3 }))
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = neap.create_task(function()
        local stream <close> = assert(neap.open_connection("127.0.0." .. i % 2 + 1, server.port))
        return stream:read()
      end)
    end
    support.settle(function() return running == 3 end)
    neap.sleep(0.01)
    assert.equal(3, running)
    gate:set()
    for _, task in ipairs(tasks) do assert.equal("done", neap.await(task)) end
    assert.equal(3, most)
  end)

  it("drops a connection that was accepted, and had no room, when it is closed", function()
    local handlers = 0
    local server = assert(neap.start_server(function()
      handlers = handlers + 1
      neap.sleep(20)
    end, { "127.0.0.1", "127.0.0.2" }, 0, { max_connections = 1 }))
    local streams = neap.gather { -- both are accepted before one is handled
      function() return assert(neap.open_connection("127.0.0.1", server.port)) end,
      function() return assert(neap.open_connection("127.0.0.2", server.port)) end,
    }
    support.settle(function() return handlers == 1 end)
    neap.sleep(0.01)
    server:close()
    server:wait_closed()
    assert.equal(1, handlers)
    for _, stream in ipairs(streams) do
      assert.is_nil((stream:read_some()))
      stream:close()
    end
  end)

  it("tells its handlers that it is closed; they have the grace time to end", function()
    local ended = {}
    local server = assert(neap.start_server(function(stream, server)
      stream:write "ready\n"
      server:wait_closing()
      assert.is_true(server.closing)
      neap.sleep(0.01)
      stream:write "bye\n"
      ended[#ended + 1] = true
    end, "127.0.0.1", 0))
    local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
    assert.equal("ready", stream:read())
    assert.is_false(server.closing)
    server:close(5)
    assert.equal("bye", stream:read())
    server:wait_closed()
    assert.same({ true }, ended)
  end)

  it("serves on a socket that was inherited", function()
    local server <close> = assert(neap.start_server(echo, nil, nil, { fd = probe.listen() }))
    local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
    assert(stream:write "hello\n")
    assert.equal("hello", stream:read())
  end)

  it("refuses a descriptor that is no listening socket, and leaves it open", function()
    for fd, code in pairs { [1] = "ENOTSOCK", [999] = "EBADF" } do
      local server, err, got = neap.start_server(echo, nil, nil, { fd = fd })
      assert.same({ nil, code }, { server, got })
      assert.matches("^start_server descriptor " .. fd .. ": ", tostring(err))
    end
  end)
end)
