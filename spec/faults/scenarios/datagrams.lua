-- Names, datagram sockets, intervals, and descriptors that are watched.
local descriptor = require "spec.support.descriptor"
local neap = require "neap"
local scenario = require "spec.faults.scenario"

local start <const>, raises <const>, done <const> = scenario.start, scenario.raises, scenario.done
local limited <const>, noted <const> = scenario.limited, scenario.noted

local HOST <const> = "127.0.0.1"

local function open(options)
  return done(neap.open_datagram_socket(HOST, 0, options))
end

-- Two sockets, closed at the end of a block.
local function with_sockets(fn)
  return limited(function()
    local near <close> = open()
    local far <close> = open { limit = 2 }
    fn(near, far)
  end)
end

return {
  { name = "datagrams: there and back", run = with_sockets(function(near, far)
    assert(tostring(near) and near:local_address() == HOST)
    done(near:send_to("ping", far:local_address()))
    local data, host, port = done(far:receive())
    assert(data == "ping")
    done(far:send_to("pong", host, port))
    assert(done(near:receive()) == "pong")
    assert(not noted(near:send_to(("x"):rep(70000), far:local_address())))
  end) },

  { name = "datagrams: more than there is room for", run = with_sockets(function(near, far)
    for i = 1, 10 do done(near:send_to("datagram " .. i, far:local_address())) end
    for i = 1, 10 do
      local data = done(far:receive())
      assert(scenario.told or data == "datagram " .. i)
    end
  end) },

  { name = "datagrams: in a loop, until the socket is closed", run = with_sockets(function(near, far)
    local count = 0
    local reader = start(function()
      for data in far:datagrams() do
        assert(data == "x")
        count = count + 1
        if count == 3 then far:close() end
      end
    end)
    for _ = 1, 3 do done(near:send_to("x", far:local_address())) end
    reader:await()
    assert(count == 3)
  end) },

  { name = "datagrams: connected", run = limited(function()
    local far <close> = open()
    local near <close> = done(neap.open_datagram_socket(nil, nil, { remote_addr = { far:local_address() } }))
    done(near:send "x")
    assert(done(far:receive()) == "x")
    done(near:connect(far:local_address()))
    assert(near:peer_address() == HOST)
    done(far:connect(near:local_address()))
    done(far:send "y")
    assert(done(near:receive()) == "y")
  end) },

  { name = "datagrams: cancelled, killed and closed", run = with_sockets(function(near, far)
    local receiver = start(far.receive, far)
    receiver:cancel()
    raises(neap.CancelledError, neap.await, receiver)
    start(far.receive, far):kill()
    receiver = start(far.receive, far)
    near:close()
    far:close()
    assert(noted(receiver:await()) == nil)
  end) },

  { name = "datagrams: collected unclosed", run = limited(function()
    for _ = 1, 3 do open() end
    collectgarbage()
    collectgarbage()
  end) },

  -- No time limit: virtual time does not wait for a look-up.
  { name = "names: looked up", run = function()
    assert(done(neap.getaddrinfo(HOST, 80))[1].port == 80)
    noted(neap.getaddrinfo("localhost", 80))
    noted(neap.getnameinfo(HOST, 80))
    local socket <close> = open()
    noted(socket:send_to("x", "localhost", 9))
  end },

  { name = "interval: ticks", run = limited(function()
    local last = 0
    for tick in neap.interval(0.5) do
      assert(tick == last + 1)
      last = tick
      if tick == 3 then break end
    end
  end) },

  { name = "watchers: callbacks and tasks", run = limited(function()
    local loop, fifo <close> = neap.get_running_loop(), descriptor.fifo()
    local _ <close> = scenario.closer(function()
      loop:remove_reader(fifo.fd)
      loop:remove_writer(fifo.fd)
    end)
    local called = neap.Future()
    local reader = start(neap.wait_readable, fifo.fd)
    done(loop:add_writer(fifo.fd, function()
      loop:remove_writer(fifo.fd)
      called:set_result(true)
    end))
    called:await()
    done(loop:add_reader(fifo.fd, print))
    done(loop:add_reader(fifo.fd, function() loop:remove_reader(fifo.fd) end))
    fifo.file:write "x"
    done(reader:await())
    done(neap.wait_writable(fifo.fd))
    loop:remove_reader(fifo.fd)
  end) },
}
