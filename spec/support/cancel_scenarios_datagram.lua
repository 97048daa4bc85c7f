-- Calls of names, datagram sockets, intervals and descriptors that wait, for spec.support.cancel_matrix.
local assert = require "luassert"
local descriptor = require "spec.support.descriptor"
local neap = require "neap"

local scenarios = {}

local HOST <const> = "127.0.0.1"
local TURNS <const> = 4

-- A task that calls fn(...) after some turns.
local function soon(fn, ...)
  return neap.create_task(function(...)
    for _ = 1, TURNS do neap.sleep(0) end
    fn(...)
  end, ...)
end

-- --- names ---

for name, call in pairs {
  ["neap.getaddrinfo"] = function() neap.getaddrinfo("localhost", 80) end,
  ["neap.getnameinfo"] = function() assert(neap.getnameinfo(HOST, 80)) end,
} do
  scenarios[name] = { real = true, make = function() return { wait = call } end }
end

-- --- datagram sockets ---

local function open(options)
  return assert(neap.open_datagram_socket(HOST, 0, options))
end

scenarios["neap.open_datagram_socket"] = {
  real = true,
  make = function()
    return { wait = function() -- whether the name is known or not
      local socket <close> = neap.open_datagram_socket("localhost", 0, { remote_addr = { "localhost", 9 } })
    end }
  end,
}

-- Some datagrams come, one after the other. What the call got, and then what is left, is all of them.
local function receive_scene(receive)
  local near, far, got = open(), open(), {}
  local host, port = far:local_address()
  local sender = neap.create_task(function()
    for i = 1, 3 do
      for _ = 1, TURNS do neap.sleep(0) end
      assert(near:send_to("datagram " .. i, host, port))
    end
  end)
  return {
    wait = function() receive(far, got) end,
    intact = function()
      sender:await()
      while #got < 3 do got[#got + 1] = assert(far:receive()) end
      assert.same({ "datagram 1", "datagram 2", "datagram 3" }, got)
    end,
    close = function() near:close() far:close() end,
  }
end

scenarios["DatagramSocket:receive"] = {
  real = true,
  make = function()
    return receive_scene(function(far, got) got[#got + 1] = assert(far:receive()) end)
  end,
}

scenarios["DatagramSocket:datagrams"] = {
  real = true,
  make = function()
    return receive_scene(function(far, got)
      for data in far:datagrams() do
        got[#got + 1] = data
        if #got == 3 then break end
      end
    end)
  end,
}

-- The call sends one datagram or none.
local function send_scene(send)
  local near, far = open(), open()
  local _, port = far:local_address()
  local function took(limit)
    local receiver = neap.create_task(far.receive, far)
    local count = neap.move_on_after(limit, neap.await, receiver) and 1 or 0
    return count
  end
  return {
    wait = function() send(near, port) end,
    intact = function(cell)
      if cell.went_on then assert.equal(1, took(5)) end
      if took(0.001) == 1 then assert.equal(0, took(0.001)) end
      near:close()
      local third <close> = open()
      assert(third:send_to("works", HOST, port))
      assert.equal("works", (far:receive()))
    end,
    close = function() far:close() end,
  }
end

scenarios["DatagramSocket:send_to"] = {
  real = true,
  at_once = true,
  make = function()
    return send_scene(function(near, port) assert(near:send_to("x", HOST, port)) end)
  end,
}

scenarios["DatagramSocket:send_to a name"] = {
  of = { "DatagramSocket:send_to" },
  real = true,
  make = function()
    local near = open()
    return {
      wait = function() near:send_to("x", "localhost", 9) end,
      close = function() near:close() end,
    }
  end,
}

scenarios["DatagramSocket:connect"] = {
  of = { "DatagramSocket:connect", "DatagramSocket:send" },
  real = true,
  at_once = true,
  make = function()
    return send_scene(function(near, port)
      assert(near:connect(HOST, port))
      assert(near:send "x")
    end)
  end,
}

-- --- intervals ---

scenarios["Interval:wait"] = {
  of = { "Interval:wait", "Interval:__call" },
  make = function()
    local interval = neap.interval(1)
    return {
      wait = function()
        assert.equal(1, interval:wait())
        assert.equal(2, interval())
      end,
      intact = function(cell)
        if not cell.killed then assert.is_true(interval.tick <= 2) end
      end,
    }
  end,
}

-- --- descriptors ---

scenarios["neap.wait_readable"] = {
  real = true,
  make = function()
    local fifo = descriptor.fifo()
    local writer = soon(function() fifo.file:write "x" end)
    return {
      wait = function() assert(neap.wait_readable(fifo.fd)) end,
      intact = function()
        writer:await()
        assert(neap.wait_readable(fifo.fd))
        assert.equal("x", fifo.file:read(1))
      end,
      close = function() local _ <close> = fifo end,
    }
  end,
}

scenarios["neap.wait_writable"] = {
  real = true,
  make = function()
    local fifo = descriptor.fifo()
    descriptor.fill(fifo)
    local reader = soon(descriptor.empty, fifo)
    return {
      wait = function() assert(neap.wait_writable(fifo.fd)) end,
      intact = function()
        reader:await()
        assert(neap.wait_writable(fifo.fd))
      end,
      close = function() local _ <close> = fifo end,
    }
  end,
}

return scenarios
