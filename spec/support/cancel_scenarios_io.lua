-- Calls of streams and servers that wait, for spec.support.cancel_matrix. All is played on 127.0.0.1, in real time;
-- what the other side does comes after some turns.
local assert = require "luassert"
local neap = require "neap"
local stream = require "spec.support.stream"

local scenarios = {}

local TURNS <const> = 4

local function turns(count)
  for _ = 1, count do neap.sleep(0) end
end

-- A task that calls fn(...) after some turns.
local function soon(fn, ...)
  return neap.create_task(function(...)
    turns(TURNS)
    fn(...)
  end, ...)
end

-- --- reading ---

-- The far side sends the pieces, one after the other. What the call got, and then what is left, is all of them.
local function read_scene(pieces, read)
  local pair, got = stream.pair(), {}
  local sender = neap.create_task(function()
    for _, piece in ipairs(pieces) do
      turns(TURNS)
      assert(pair.far:write(piece))
    end
    pair.far:shutdown()
  end)
  return {
    wait = function() read(pair.near, got) end,
    intact = function()
      sender:await()
      got[#got + 1] = pair.near:read "a"
      assert.equal(table.concat(pieces), table.concat(got))
    end,
    close = function() pair.near:close() pair.far:close() end,
  }
end

local function read_with(method, ...)
  local arguments = table.pack(...)
  return function(near, got)
    got[#got + 1] = assert(near[method](near, table.unpack(arguments, 1, arguments.n)))
  end
end

local readers = {
  ["Stream:read a line"] = { "read", "L" },
  ["Stream:read a number"] = { "read", "n" },
  ["Stream:read bytes"] = { "read", 6 },
  ["Stream:read all"] = { "read", "a" },
  ["Stream:readline"] = { "readline" },
  ["Stream:readuntil"] = { "readuntil", "ne" },
  ["Stream:readexactly"] = { "readexactly", 6 },
  ["Stream:read_some"] = { "read_some" },
  ["Stream:read_some of a byte"] = { "read_some", 1 },
}

for name, call in pairs(readers) do
  scenarios[name] = {
    of = { "Stream:" .. call[1] },
    real = true,
    make = function() return read_scene({ "12", "34on", "e\n5\n" }, read_with(table.unpack(call))) end,
  }
end
scenarios["Stream:read a number"].make = function()
  return read_scene({ "12", "34", "x\n" }, read_with("read", "n"))
end

scenarios["Stream:read twice"] = {
  of = { "Stream:read" },
  real = true,
  make = function()
    return read_scene({ "on", "e\n", "tw", "o\n" }, function(near, got)
      for _ = 1, 2 do got[#got + 1] = near:read "L" end
    end)
  end,
}

scenarios["Stream:lines"] = {
  real = true,
  make = function()
    return read_scene({ "on", "e\n", "tw", "o\n" }, function(near, got)
      for line in near:lines "L" do got[#got + 1] = line end
    end)
  end,
}

scenarios["Stream:read that is reset"] = {
  of = { "Stream:read" },
  real = true,
  make = function()
    local pair = stream.pair()
    pair.near:write "never read"
    local breaker = soon(function() pair.far:abort() end)
    return {
      wait = function() assert.is_nil(pair.near:read "l") end,
      intact = function() breaker:await() end,
      close = function() pair.near:close() end,
    }
  end,
}

-- --- writing ---

local BLOCK <const> = ("x"):rep(64 * 1024)

-- The near side is full; after some turns the far side reads all. `act` is the call; what has come is whole blocks,
-- one for each write that returned, and perhaps the one that was cancelled.
local function write_scene(act)
  local pair, written = stream.pair(), 0
  local filler = neap.create_task(function()
    while pair.near:write(BLOCK) do written = written + 1 end
  end)
  stream.settle(function() return stream.waits(filler, "write") end)
  filler:cancel()
  pcall(filler.await, filler)
  local received = 0
  local reader = soon(function()
    for piece in function() return pair.far:read_some() end do received = received + #piece end
  end)
  local function note() written = written + 1 end
  return {
    wait = function() act(pair.near, note) end,
    intact = function(cell)
      pair.near:close()
      reader:await()
      assert.equal(0, received % #BLOCK)
      local unsure = received // #BLOCK - written -- the filler's last, and the one that was cancelled
      assert.is_true(unsure >= 0 and unsure <= (cell.went_on and 1 or 2), unsure)
    end,
    close = function() pair.far:close() end,
  }
end

scenarios["Stream:write"] = {
  real = true,
  make = function()
    return write_scene(function(near, note)
      assert(near:write(BLOCK))
      note()
    end)
  end,
}

scenarios["Stream:drain"] = {
  real = true,
  make = function() return write_scene(function(near) assert(near:drain()) end) end,
}

scenarios["Stream:shutdown"] = {
  real = true,
  make = function() return write_scene(function(near) assert(near:shutdown()) end) end,
}

scenarios["Stream:wait_closed"] = {
  real = true,
  make = function()
    return write_scene(function(near)
      near:close()
      assert(near:wait_closed())
    end)
  end,
}

-- --- connections ---

scenarios["open_connection"] = {
  of = { "neap.open_connection" },
  real = true,
  make = function()
    local listener = stream.listen()
    local _, port = listener:address()
    return {
      wait = function()
        local near <close> = assert(neap.open_connection("127.0.0.1", port))
      end,
      intact = function() -- the listener has room, and works
        local near <close> = assert(neap.open_connection("127.0.0.1", port))
        local far <close> = assert(listener:accept())
      end,
      close = function() listener:close() end,
    }
  end,
}

scenarios["open_connection that is refused"] = {
  of = { "neap.open_connection" },
  real = true,
  make = function()
    local listener = stream.listen()
    local _, port = listener:address()
    listener:close()
    return { wait = function()
      assert.equal("ECONNREFUSED", select(3, neap.open_connection("127.0.0.1", port)))
    end }
  end,
}

scenarios["open_connection to a name"] = {
  of = { "neap.open_connection" },
  real = true,
  make = function()
    local listener = stream.listen()
    local _, port = listener:address()
    return {
      wait = function() -- whether the name is known or not
        local near <close> = neap.open_connection("localhost", port)
      end,
      close = function() listener:close() end,
    }
  end,
}

for name, host in pairs { ["start_server"] = "127.0.0.1", ["start_server on a name"] = "localhost" } do
  scenarios[name] = {
    of = { "neap.start_server" },
    real = true,
    at_once = true,
    make = function()
      return { wait = function() -- whether the name is known or not
        local server = neap.start_server(print, host, 0)
        if server then server:close() end
      end }
    end,
  }
end

scenarios["start_server on several names"] = {
  of = { "neap.start_server" },
  real = true,
  at_once = true,
  make = function()
    return { wait = function()
      local server = neap.start_server(print, { "localhost", "127.0.0.2", "localhost" }, 0)
      if server then server:close() end
    end }
  end,
}

local function socket_path()
  local path = os.tmpname()
  os.remove(path)
  return path
end

scenarios["start_unix_server"] = {
  of = { "neap.start_unix_server" },
  real = true,
  at_once = true,
  make = function()
    local path = socket_path()
    return {
      wait = function() assert(neap.start_unix_server(print, path)):close() end,
      intact = function() assert.is_nil(os.rename(path, path)) end,
    }
  end,
}

-- The queue of the server is full, and then it begins to accept.
scenarios["open_unix_connection"] = {
  of = { "neap.open_unix_connection" },
  real = true,
  cancels = true,
  make = function()
    local path, first = socket_path(), {}
    local server = assert(neap.start_unix_server(function(far) far:read "a" end, path,
      { backlog = 1, start_serving = false }))
    for i = 1, 2 do first[i] = assert(neap.open_unix_connection(path)) end
    local starter = soon(server.start_serving, server)
    return {
      wait = function() first[3] = assert(neap.open_unix_connection(path)) end,
      intact = function() starter:await() end,
      close = function()
        for _, near in pairs(first) do near:close() end
        server:close()
        server:wait_closed()
      end,
    }
  end,
}

scenarios["Listener:accept"] = {
  real = true,
  make = function()
    local listener, accepted = stream.listen(), nil
    local near
    local connector = soon(function()
      near = assert(neap.open_connection("127.0.0.1", select(2, listener:address())))
    end)
    return {
      wait = function() accepted = assert(listener:accept()) end,
      intact = function()
        connector:await()
        accepted = accepted or assert(listener:accept()) -- the connection is there in any case
        accepted:write "hello\n"
        assert.equal("hello", near:read())
      end,
      close = function()
        near:close()
        accepted:close()
        listener:close()
      end,
    }
  end,
}

-- --- servers ---

-- A server with one handler that goes on until its stream ends.
local function server_scene(wait)
  local ended = 0
  local server = assert(neap.start_server(function(far)
    local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
    far:read "a"
  end, "127.0.0.1", 0))
  local near = assert(neap.open_connection("127.0.0.1", server.port))
  stream.settle(function() return next(server.streams) end)
  return {
    wait = function() wait(server, near, function() return ended end) end,
    intact = function()
      if server.serving then assert.is_false(server:is_serving()) end -- serve_forever has closed it
      server:close()
      server:wait_closed()
      assert.equal(1, ended)
      assert.is_nil(near:read "l")
    end,
    close = function() near:close() end,
  }
end

scenarios["Server:serve_forever"] = {
  real = true,
  cancels = true,
  make = function()
    return server_scene(function(server)
      soon(server.close, server)
      server:serve_forever()
    end)
  end,
}

scenarios["Server:wait_closed"] = {
  real = true,
  cancels = true,
  make = function()
    return server_scene(function(server)
      soon(server.close, server)
      server:wait_closed()
    end)
  end,
}

scenarios["Server:wait_closing"] = {
  real = true,
  cancels = true,
  make = function()
    return server_scene(function(server)
      soon(server.close, server)
      server:wait_closing()
    end)
  end,
}

scenarios["Server:wait_closed, with grace"] = {
  of = { "Server:wait_closed" },
  real = true,
  cancels = true,
  make = function()
    return server_scene(function(server, near)
      server:close(3600)
      soon(near.shutdown, near)
      server:wait_closed()
    end)
  end,
}

scenarios["Server:__close"] = {
  real = true,
  cancels = true,
  refuses = true,
  shielded = true,
  make = function()
    return server_scene(function(server, _, ended)
      do
        local _ <close> = server
      end
      assert.equal(1, ended())
      neap.sleep(0)
    end)
  end,
}

scenarios["the end of a handler"] = {
  of = { "Stream:read" },
  real = true,
  cancels = true,
  make = function()
    return server_scene(function(_, near)
      near:shutdown()
      assert.is_nil(near:read "l")
    end)
  end,
}

scenarios["Stream:read in a generator"] = {
  of = { "coroutine.wrap", "Stream:read" },
  real = true,
  make = function()
    return read_scene({ "on", "e\n", "tw", "o\n" }, function(near, got)
      local next_line = coroutine.wrap(function()
        for line in near:lines "L" do coroutine.yield(line) end
      end)
      for _ = 1, 2 do got[#got + 1] = next_line() end
    end)
  end,
}

return scenarios
