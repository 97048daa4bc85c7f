-- Streams over TLS: what goes through them, how they end, and what breaks them.
local certificates = require "spec.support.certificates"
local neap = require "neap"
local support = require "spec.support.stream"
local tls = require "spec.support.tls"

local raised <const> = support.raised
local VERSIONS <const> = { "1.2", "1.3" }

local function noise(length)
  local words, n = {}, 0
  while n < length do
    words[#words + 1] = string.pack("<I8", math.random(0))
    n = n + 8
  end
  return table.concat(words):sub(1, length)
end

local function server_with(options) return certificates.server("good", options) end

local function abort_both(from, to)
  from:abort()
  to:abort()
end

local function close_both(from, to)
  from:close()
  to:close()
end

describe("a stream over TLS", function()
  for _, version in ipairs(VERSIONS) do
    it("of version " .. version .. " reads and writes like any other", function()
      local ends <close> = tls.pair(nil, server_with { max_version = version })
      assert.equal(version, ends.near:tls_info().version)
      assert.equal(ends.near, ends.near:write("one\n", 2, "\nthree"))
      assert.equal("one\n", ends.far:readline())
      assert.equal(2, ends.far:read "n")
      assert.equal("\nth", ends.far:readexactly(3))
      ends.far:write(("x"):rep(50000), "y")
      assert.equal(("x"):rep(50000) .. "y", ends.near:readuntil "y")
      ends.near:shutdown()
      assert.equal("ree", ends.far:read "a")
    end)

    it("of version " .. version .. " carries much both ways at once, bytes as they were", function()
      local ends <close> = tls.pair(nil, server_with { max_version = version })
      local up, down = noise(4 << 20), noise(3 << 20)
      local got = neap.gather(
        function() return ends.near:readexactly(#down) end,
        function() return ends.far:readexactly(#up) end,
        function()
          for i = 1, #up, 70001 do ends.near:write(up:sub(i, i + 70000)) end
        end,
        function() ends.far:write(down) end)
      assert.is_true(got[1] == down and got[2] == up)
    end)

    it("of version " .. version .. " takes one byte at a time", function()
      local ends <close> = tls.relayed({ piece = 1 }, { piece = 1 })
      tls.pair(nil, server_with { max_version = version }, ends)
      ends.near:write "hello\n"
      assert.equal("hello", ends.far:read "l")
      ends.far:write "good day\n"
      assert.equal("good day", ends.near:read "l")
      ends.far:shutdown()
      assert.is_nil(ends.near:read "l")
    end)
  end

  it("sends nothing in the clear", function()
    local ends <close> = support.pair()
    local starting = support.start_waiting("start_tls", ends.near.start_tls, ends.near, certificates.client())
    ends.near:write "secret"
    local hello = ends.far:read_some()
    assert.equal("\22\3\1", hello:sub(1, 3))
    assert.is_nil(hello:find("secret", 1, true))
    support.cancel(starting)
  end)

  it("takes what was received and not read for TLS", function()
    local ends <close> = support.pair()
    local starting = neap.create_task(function() return ends.near:start_tls(certificates.client()) end)
    ends.far:set_write_limits()
    local reading = neap.create_task(function() return ends.far:read(0) end) -- it has arrived, and is not taken
    neap.await(reading)
    assert.equal(ends.far, (ends.far:start_tls(server_with { server = true })))
    assert.equal(ends.near, (neap.await(starting)))
  end)

  it("upgrades what was spoken in the clear before", function()
    local ends <close> = support.pair()
    ends.near:write "STARTTLS\n"
    assert.equal("STARTTLS", ends.far:read "l")
    ends.far:write "GO\n"
    assert.equal("GO", ends.near:read "l")
    tls.pair(nil, nil, ends)
    ends.near:write "quiet\n"
    assert.equal("quiet", ends.far:read "l")
  end)

  it("goes over TLS over TLS", function()
    local ends <close> = tls.pair()
    tls.pair(nil, server_with { max_version = "1.2" }, ends)
    local text = noise(1 << 20)
    local writer = neap.create_task(function() return ends.near:write(text) and ends.near:shutdown() end)
    assert.is_true(ends.far:read "a" == text)
    assert.is_true(neap.await(writer))
    assert.equal("1.2", ends.near:tls_info().version)
    ends.far:write "bye\n"
    assert.equal("bye", ends.near:read "l")
  end)

  it("tells what was agreed on", function()
    local ends <close> = support.pair()
    assert.is_nil(ends.near:tls_info())
    tls.pair({ alpn = { "h2", "http/1.1" } }, { alpn = { "http/1.1" } }, ends)
    local info = ends.near:tls_info()
    assert.equal("http/1.1", info.alpn)
    assert.equal("1.3", info.version)
    assert.equal("localhost", info.server_hostname)
    assert.equal(false, info.session_reused)
    assert.same({ "localhost", "example.org", "*.wild.org", "127.0.0.1", "::1" }, info.peer_certificate.names)
    assert.equal("CN=good,O=neap specs", info.peer_certificate.subject)
    assert.equal("CN=root,O=neap specs", info.peer_certificate.issuer)
    assert.equal("2099-01-01", os.date("!%Y-%m-%d", info.peer_certificate.not_after))
    assert.matches("^%x+$", info.peer_certificate.serial)
    local told <close> = io.popen("openssl x509 -noout -fingerprint -sha256 -in " .. certificates.file "good.pem")
    local print = told:read("a"):match("=(%S+)"):gsub(":", ""):lower()
    assert.equal(print, info.peer_certificate.fingerprint_sha256)
    local other = ends.far:tls_info()
    assert.equal("localhost", other.server_hostname)
    assert.equal("http/1.1", other.alpn)
    assert.is_nil(other.peer_certificate)
  end)

  for _, version in ipairs(VERSIONS) do
    it("resumes a session of version " .. version, function()
      local client = neap.tls.context { ca_file = certificates.file "root.pem" }
      local server = neap.tls.context(server_with { max_version = version })
      local session
      for round = 1, 3 do
        local ends <close> = tls.pair({ context = client, server_hostname = "localhost", session = session },
          { context = server })
        ends.far:write "x"
        assert.equal("x", ends.near:read(1))
        assert.equal(round > 1, ends.near:tls_info().session_reused)
        assert.equal(round > 1, ends.far:tls_info().session_reused)
        assert.equal("CN=good,O=neap specs", ends.near:tls_info().peer_certificate.subject)
        session = ends.near:tls_session()
        assert.equal("neap.TLSSession", tostring(session):match "^[^:]+")
      end
      local ends <close> = support.pair()
      local err = raised(ends.near.start_tls, ends.near,
        { context = client, server_hostname = "example.org", session = session })
      assert.matches("the session is one with 'localhost'", err)
    end)
  end

  it("does not take a session of an unverified connection for a verified one", function()
    local server = neap.tls.context(certificates.server "alone")
    local session
    do
      local ends <close> = tls.pair({ server_hostname = "localhost", verify = false }, { context = server })
      ends.far:write "x"
      ends.near:read(1)
      session = assert(ends.near:tls_session())
    end
    local ends <close> = support.pair()
    local near = tls.shake(ends, certificates.client { session = session }, { context = server, server = true })
    assert.equal("TLS_CERTIFICATE", near[3])
  end)

  it("gives no session where the server gives none", function()
    local ends <close> = tls.pair(nil, server_with { session_tickets = false })
    ends.far:write "x"
    ends.near:read(1)
    assert.is_nil(ends.near:tls_session())
    assert.is_nil(ends.far:tls_session())
  end)
end)

describe("the end of TLS", function()
  for _, version in ipairs(VERSIONS) do
    it("of version " .. version .. " is the end of file, and in one direction alone", function()
      local ends <close> = tls.pair(nil, server_with { max_version = version })
      ends.near:write "question"
      assert.is_true(ends.near:shutdown())
      assert.equal("question", ends.far:read "a")
      assert.is_true(ends.far:at_eof())
      ends.far:write "answer"
      assert.is_true(ends.far:shutdown())
      assert.equal("answer", ends.near:read "a")
      assert.is_nil(ends.near:read "l")
      assert.matches("write: the stream was shut down", raised(ends.near.write, ends.near, "x"))
    end)

    it("of version " .. version .. " that is missing is told", function()
      local ends <close> = tls.relayed()
      tls.pair(nil, server_with { max_version = version }, ends)
      ends.far:write "all but the end\nor not"
      assert.equal("all but the end", ends.near:read "l")
      ends.first.far:shutdown()
      local rest, err, code = ends.near:read "a"
      assert.is_nil(rest)
      assert.equal("TLS_TRUNCATED", code)
      assert.matches("^read 127.*: the connection ended without TLS's end: bytes may be missing$", tostring(err))
      assert.equal("or no", (ends.near:read(5)))
    end)

    it("of version " .. version .. " is not taken for granted at any byte of the last record but one", function()
      for missing = 0, 80 do
        local ends <close> = tls.relayed(nil, { cut = 0, how = function() end })
        neap.await(ends.relays[2])
        local tail = {}
        ends.relays[2] = neap.create_task(function() -- all at once until the handshake is over, then never
          while true do
            local bytes = ends.second.near:read_some()
            if not bytes then return end
            if tail.begins then tail[#tail + 1] = bytes else ends.first.far:write(bytes) end
          end
        end)
        tls.pair(nil, server_with { max_version = version, session_tickets = false }, ends)
        tail.begins = true
        ends.far:write "what was said"
        ends.far:close()
        neap.await(ends.relays[2])
        local bytes = table.concat(tail)
        ends.first.far:write(bytes:sub(1, math.max(0, #bytes - missing)))
        ends.first.far:shutdown()
        local text = ends.near:read(13)
        local line, _, code = ends.near:read(1)
        assert.is_nil(line)
        assert.equal(missing > 0 and "TLS_TRUNCATED" or nil, code, missing .. " bytes are missing")
        if missing == 0 then assert.equal("what was said", text) end
        if text then assert.equal("what was said", text) end
      end
    end)
  end

  it("is sent behind what was written before close", function()
    local ends <close> = tls.pair()
    local text = noise(300000)
    local reader = neap.create_task(function() return ends.far:read "a" end)
    ends.near:set_write_limits(1 << 20)
    ends.near:write(text)
    ends.near:close()
    assert.is_true(neap.await(reader) == text)
    assert.is_true(ends.near:wait_closed())
  end)

  it("is not sent by abort", function()
    local ends <close> = tls.pair()
    ends.near:write "x"
    assert.equal("x", ends.far:read(1))
    ends.near:abort()
    local _, _, code = ends.far:read "a"
    assert.equal("ECONNRESET", code)
  end)
end)

describe("backpressure through TLS", function()
  it("makes writers wait, and bounds what is kept", function()
    local ends <close> = tls.pair()
    local before = neap.testing and 0 or collectgarbage "count"
    local writer = support.fill(ends.near)
    assert.is_true(support.waits(writer, "write"))
    neap.sleep(0.02)
    assert.is_true(support.waits(writer, "write"))
    assert.is_true(collectgarbage "count" - before < 4096)
    writer:cancel()
    local reader = neap.create_task(ends.far.read, ends.far, "a")
    ends.near:drain()
    ends.near:shutdown()
    assert.matches("^x+$", neap.await(reader))
  end)

  it("stops reading below while nobody reads above, and goes on", function()
    local ends <close> = tls.pair({}, server_with())
    local total = 0
    local writer = neap.create_task(function()
      for _ = 1, 200 do
        ends.near:write(("x"):rep(65536))
        total = total + 65536
      end
      ends.near:shutdown()
    end)
    support.settle(function() return support.waits(writer, "write") end)
    neap.sleep(0.02)
    local stuck = total
    neap.sleep(0.02)
    assert.equal(stuck, total)
    local got = 0
    while true do
      local bytes = ends.far:read_some(1000)
      if not bytes then break end
      got = got + #bytes
      if got % 50 == 0 then neap.sleep(0) end
    end
    assert.equal(200 * 65536, got)
    neap.await(writer)
  end)
end)

describe("a handshake", function()
  it("with what is no TLS says so", function()
    for _, text in ipairs {
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", ("\0"):rep(100),
      ("\255"):rep(100), "220 mail.example.org ESMTP\r\n",
    } do
      local ends <close> = support.pair()
      ends.far:write(text)
      local stream, err, code = ends.near:start_tls(certificates.client())
      assert.is_nil(stream)
      assert.equal("TLS_PROTOCOL", code)
      assert.matches("^start_tls 127%.0%.0%.1:%d+: the peer does not speak TLS %(", tostring(err))
      assert.is_true(ends.near:is_closing())
    end
  end)

  it("with a client that speaks HTTP says so", function()
    local ends <close> = support.pair()
    ends.near:write "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    local _, err, code = ends.far:start_tls(server_with { server = true })
    assert.equal("TLS_PROTOCOL", code)
    assert.matches("the peer does not speak TLS %(http request%)", tostring(err))
  end)

  it("with a peer that closes says so", function()
    for _, server in ipairs { false, true } do
      local ends <close> = support.pair()
      ends.far:close()
      local options = server and server_with { server = true } or certificates.client()
      local _, err, code = ends.near:start_tls(options)
      assert.is_true(code == "TLS_CLOSED" or code == "ECONNRESET" or code == "EPIPE", code)
      assert.matches("^start_tls ", tostring(err))
    end
  end)

  it("without a version, a cipher or a protocol in common says so", function()
    local told = tls.try({ min_version = "1.3" }, { max_version = "1.2" })
    assert.equal("TLS_ALERT", told.near_code)
    assert.matches("no version of TLS that is allowed here", told.far)
    told = tls.try({ max_version = "1.2", ciphers = "AES128-SHA" }, { ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384" })
    assert.matches("no cipher in common", told.far)
    told = tls.try({ alpn = { "h2" } }, { alpn = { "http/1.1" } })
    assert.matches("none of the protocols of 'alpn'", told.far)
    assert.matches("no application protocol %(alert 120%)", told.near)
    assert.equal("TLS_ALERT", told.near_code)
  end)

  it("that takes too long ends", function()
    local clock <close> = require("neap.testing").virtual_clock()
    local ends <close> = support.pair()
    local before = neap.get_running_loop():time()
    local stream, err, code = ends.near:start_tls(certificates.client { handshake_timeout = 5 })
    assert.is_nil(stream)
    assert.equal("ETIMEDOUT", code)
    assert.matches("the handshake took too long$", tostring(err))
    assert.equal(5, neap.get_running_loop():time() - before)
    assert.is_true(ends.near:is_closing())
  end)

  it("that is cancelled closes the stream", function()
    local ends <close> = support.pair()
    local task = support.start_waiting("start_tls", ends.near.start_tls, ends.near, certificates.client())
    support.cancel(task)
    assert.is_true(ends.near:is_closing())
    local _, _, code = ends.far:read "a"
    assert.equal("ECONNRESET", code)
  end)

  it("during which the stream is closed says so", function()
    for _, close in ipairs { "close", "abort" } do
      local ends <close> = support.pair()
      local task = support.start_waiting("start_tls", ends.near.start_tls, ends.near, certificates.client())
      ends.near[close](ends.near)
      local stream, err, code = neap.await(task)
      assert.is_nil(stream)
      assert.equal("TLS_CLOSED", code)
      assert.matches("the stream was closed during the handshake", tostring(err))
    end
  end)

  it("during which somebody writes and reads sends that behind it", function()
    local ends <close> = support.pair()
    local serving = neap.create_task(function() return ends.far:start_tls(server_with { server = true }) end)
    local starting = support.start_waiting("start_tls", ends.near.start_tls, ends.near, certificates.client())
    ends.near:write "early\n"
    local reading = neap.create_task(function() return ends.near:read "l" end)
    neap.await(serving)
    neap.await(starting)
    assert.equal("early", ends.far:read "l")
    ends.far:write "late\n"
    assert.equal("late", neap.await(reading))
  end)

  for _, case in ipairs { { "reset", abort_both }, { "closed", close_both } } do
    local name, how = table.unpack(case)
    for _, direction in ipairs { "up", "down" } do
      it(("%s at a byte of what goes %s ends at both sides"):format(name, direction), function()
        local cut, whole = 0
        repeat
          local options = { cut = cut, how = how }
          local ends <close> = tls.relayed(direction == "up" and options or nil, direction == "down" and options or nil)
          local server = server_with { server = true, session_tickets = false }
          local near, far = tls.shake(ends, certificates.client(), server)
          whole = near[1] and far[1]
          for _, result in ipairs { near, far } do
            if not result[1] then
              assert.is_true(("TLS_CLOSED ECONNRESET EPIPE TLS_TRUNCATED"):find(result[3]) ~= nil, result[3])
            end
          end
          cut = cut + (cut < 20 and 1 or 17)
        until whole or cut > 4000
        assert.is_true(whole and cut > 100, cut)
      end)
    end
  end
end)

describe("start_tls", function()
  it("refuses what it cannot do", function()
    local ends <close> = support.pair()
    local near, client = ends.near, certificates.client()
    local function refused(pattern, options)
      assert.matches(pattern, raised(near.start_tls, near, options))
      assert.is_false(near:is_closing())
    end
    refused("table expected, got number", 1)
    refused("there is no option 'hostname'", { hostname = "x" })
    refused("needs the option 'server_hostname'", {})
    refused("needs the option 'server_hostname'", nil)
    refused("'server_hostname' is not the name of a host", { server_hostname = "" })
    refused("'server_hostname' is not the name of a host", { server_hostname = ("x"):rep(300) })
    refused("'server_hostname' contains a zero byte", { server_hostname = "a\0b" })
    refused("'server_hostname' is not a string", { server_hostname = 1 })
    refused("a server needs the options 'cert' and 'key'", { server = true })
    refused("'context' is not a context of neap.tls", { context = {} })
    refused("options that belong into the context", { context = neap.tls.context(), ca_file = "x" })
    refused("'handshake_timeout' is not a positive number", { server_hostname = "x", handshake_timeout = 0 })
    refused("'session' is not what stream:tls_session", { server_hostname = "x", session = 1 })
    refused("'alpn' is not a list of names", { server_hostname = "x", alpn = "h2" })
    refused("'alpn' is not a list of names", { server_hostname = "x", alpn = {} })
    refused("'alpn' is not a list of names", { server_hostname = "x", alpn = { "" } })
    refused("'alpn' is not a list of names", { server_hostname = "x", alpn = { ("x"):rep(256) } })
    refused("to verify clients a server needs", certificates.server("good", { server = true, verify = "required" }))
    local reader = support.start_waiting("read", near.read, near, "l")
    refused("start_tls: a task waits for the stream", client)
    reader:cancel()
    near:shutdown()
    refused("start_tls: the stream was shut down", client)
    near:close()
    assert.matches("start_tls: the stream is closed", raised(near.start_tls, near, client))
  end)

  it("returns what is wrong with a file, and closes the stream", function()
    local ends <close> = support.pair()
    local stream, err, code = ends.near:start_tls { server_hostname = "x", ca_file = "/no/such/file" }
    assert.is_nil(stream)
    assert.equal("ENOENT", code)
    assert.equal("start_tls /no/such/file: no such file or directory", tostring(err))
    assert.is_true(ends.near:is_closing())
  end)
end)
