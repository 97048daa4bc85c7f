-- Calls of LuaSocket's objects that wait, for spec.support.cancel_matrix. All is played on 127.0.0.1, in real time.
local assert = require "luassert"
local neap = require "neap"
local socket = require "neap.socket"

local scenarios = {}

local function soon(fn, ...)
  return neap.create_task(function(...)
    for _ = 1, 4 do neap.sleep(0) end
    fn(...)
  end, ...)
end

local function pair()
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local near = assert(socket.connect("127.0.0.1", port))
  local far = assert(server:accept())
  server:close()
  return near, far
end

-- The far side sends the pieces one after the other: what the call got, and then what is left, is all of them.
local function receiving(pieces, ...)
  local arguments = table.pack(...)
  return function()
    local near, far = pair()
    local got = {}
    local sender = soon(function()
      for _, piece in ipairs(pieces) do
        assert(far:send(piece))
        for _ = 1, 4 do neap.sleep(0) end
      end
      far:shutdown "send"
    end)
    return {
      wait = function() got[1] = assert(near:receive(table.unpack(arguments, 1, arguments.n))) end,
      intact = function()
        sender:await()
        local rest, _, part = near:receive "*a"
        assert.equal(table.concat(pieces), (got[1] or "") .. (rest or part))
      end,
      close = function() near:close() far:close() end,
    }
  end
end

scenarios["RawSocket:recv a count"] = {
  of = { "RawSocket:recv", "RawSocket:wait" }, real = true, make = receiving({ "one", "two", "three" }, 9),
}
scenarios["RawSocket:recv all"] = { of = { "RawSocket:recv" }, real = true, make = receiving({ "one", "two" }, "*a") }

scenarios["RawSocket:send"] = {
  real = true,
  make = function()
    local near, far = pair()
    local got = {}
    soon(function()
      repeat
        local data, err, part = far:receive(1000000)
        got[#got + 1] = data or part
      until err
      far:close()
    end)
    return {
      wait = function() assert(near:send(("x"):rep(12000000))) end,
      intact = function(cell)
        near:shutdown "send"
        while far:getfd() >= 0 do neap.sleep(0) end
        if cell.went_on then assert.equal(12000000, #table.concat(got)) end
      end,
      close = function() near:close() far:close() end,
    }
  end,
}

scenarios["RawSocket:accept"] = {
  real = true,
  make = function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client, accepted
    local caller = soon(function() client = assert(socket.connect("127.0.0.1", port)) end)
    return {
      wait = function() accepted = assert(server:accept()) end,
      intact = function()
        caller:await()
        accepted = accepted or assert(server:accept())
        client:send "hello\n"
        assert.equal("hello", accepted:receive())
      end,
      close = function()
        server:close()
        if client then client:close() end
        if accepted then accepted:close() end
      end,
    }
  end,
}

scenarios["RawSocket:sendto"] = {
  real = true, at_once = true,
  make = function()
    local near, far = socket.udp4(), socket.udp4()
    assert(far:setsockname("127.0.0.1", 0))
    local _, port = far:getsockname()
    return {
      wait = function() assert(near:sendto("datagram", "127.0.0.1", port)) end,
      intact = function(cell)
        if cell.went_on then assert.equal("datagram", far:receive()) end
      end,
      close = function() near:close() far:close() end,
    }
  end,
}

scenarios["socket.select"] = {
  of = {}, real = true,
  make = function()
    local near, far = pair()
    soon(function() far:send "x" end)
    return {
      wait = function() assert.equal(near, socket.select({ near, far }, nil, 5)[1]) end,
      intact = function() assert.equal("x", near:receive(1)) end,
      close = function() near:close() far:close() end,
    }
  end,
}

return scenarios
