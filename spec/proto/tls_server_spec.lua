-- Servers and connections with the option tls, and other programs at the other end.
local certificates = require "spec.support.certificates"
local neap = require "neap"
local program = require "spec.support.program"
local servers = require "spec.support.servers"
local support = require "spec.support.stream"

local raised <const> = support.raised
local file <const> = certificates.file

local function echo(stream)
  for line in stream:lines "L" do stream:write(line) end
end

local function serve(handler, tls, more)
  local options = { tls = tls or certificates.server() }
  for name, value in pairs(more or {}) do options[name] = value end
  return assert(neap.start_server(handler, "127.0.0.1", 0, options))
end

local function connect(server, tls)
  return neap.open_connection("127.0.0.1", server.port, { tls = tls or { ca_file = file "root.pem" } })
end

describe("a server with TLS", function()
  it("gives its handler what has shaken hands", function()
    local seen
    local server <close> = serve(function(stream, of)
      seen = { stream:tls_info().version, of }
      echo(stream)
    end)
    local stream <close> = assert(connect(server))
    stream:write "hello\n"
    assert.equal("hello", stream:read "l")
    assert.same({ "1.3", server }, seen)
  end)

  it("takes a context, made once, for many connections at once", function()
    local context = assert(neap.tls.context(certificates.server()))
    local client = assert(neap.tls.context { ca_file = file "root.pem" })
    local server <close> = serve(echo, context)
    local calls = {}
    for i = 1, 30 do
      calls[i] = function()
        local stream <close> = assert(connect(server, client))
        stream:write(i, "\n")
        return stream:read "n"
      end
    end
    local got = neap.gather(calls)
    for i = 1, 30 do assert.equal(i, got[i]) end
  end)

  it("tells of a handshake that failed where it was asked to, and of nothing else", function()
    local told = neap.Queue()
    local options = certificates.server("good", { on_handshake_error = function(...) told:put { ... } end })
    local server <close> = serve(echo, options)
    local stream, err, code = connect(server, true)
    assert.is_nil(stream)
    assert.equal("TLS_CERTIFICATE", code)
    assert.equal(("open_connection 127.0.0.1:%d: the certificate's issuer is unknown: CN=root,O=neap specs")
      :format(server.port), tostring(err))
    local failure, host, port = table.unpack(told:get())
    assert.equal("TLS_ALERT", failure.code)
    assert.equal("127.0.0.1", host)
    assert.equal("integer", math.type(port))
    do
      local plain <close> = assert(neap.open_connection("127.0.0.1", server.port))
      plain:write "GET / HTTP/1.0\r\n\r\n"
      assert.equal("TLS_PROTOCOL", told:get()[1].code)
    end
    local good <close> = assert(connect(server))
    good:write "on it goes\n"
    assert.equal("on it goes", good:read "l")
  end)

  it("is silent about handshakes that nobody asks about", function()
    local server <close> = serve(echo)
    assert.is_nil((connect(server, true)))
    local good <close> = assert(connect(server))
    good:write "x\n"
    assert.equal("x", good:read "l")
  end)

  it("accepts others while a handshake takes its time", function()
    local server <close> = serve(echo)
    local slow <close> = assert(neap.open_connection("127.0.0.1", server.port))
    slow:write "\22\3\1"
    local quick <close> = assert(connect(server))
    quick:write "quick\n"
    assert.equal("quick", quick:read "l")
  end)

  it("gives up on a handshake after a time", function()
    local clock <close> = require("neap.testing").virtual_clock()
    local told = neap.Future()
    local server <close> = serve(echo, certificates.server("good", {
      handshake_timeout = 3, on_handshake_error = function(err) told:set_result(err) end,
    }))
    local slow <close> = assert(neap.open_connection("127.0.0.1", server.port))
    assert.equal("ETIMEDOUT", told:await().code)
    assert.is_nil((slow:read "l"))
  end)

  it("has other contexts for other names", function()
    local sni = {
      ["second.org"] = assert(neap.tls.context(certificates.server "second")),
      ["*.second.org"] = assert(neap.tls.context(certificates.server "wrong")),
    }
    local server <close> = serve(echo, certificates.server("good", { sni = sni }))
    local function subject(name)
      local stream <close> = assert(connect(server, { verify = false, server_hostname = name }))
      return stream:tls_info().peer_certificate.subject:match "CN=(%w+)"
    end
    assert.equal("second", subject "second.org")
    assert.equal("second", subject "SECOND.org")
    assert.equal("wrong", subject "a.second.org")
    assert.equal("good", subject "a.b.second.org")
    assert.equal("good", subject "localhost")
    assert.equal("good", subject "127.0.0.1")
  end)

  it("closes its handshakes with the rest", function()
    local server = serve(echo)
    local slow <close> = assert(neap.open_connection("127.0.0.1", server.port))
    support.settle(function() return server.connections == 1 end)
    server:close()
    server:wait_closed()
    assert.is_nil((slow:read "l"))
  end)

  it("says what is wrong with its options, and listens nowhere", function()
    local path <const> = os.tmpname()
    os.remove(path)
    local function refused(what, tls)
      what = "^[^:]*tls_server_spec.lua:%d+: bad argument #%d to '%s' %(" .. what .. "%)$"
      local err = raised(function() assert(neap.start_server(echo, "127.0.0.1", 0, { tls = tls })) end)
      assert.matches(what:gsub("#%%d", "#4"):gsub("%%s", "start_server"), err)
      err = raised(function() assert(neap.start_unix_server(echo, path, { tls = tls })) end)
      assert.matches(what:gsub("#%%d", "#3"):gsub("%%s", "start_unix_server"), err)
    end
    refused("the option 'tls' is neither true nor a table of options nor a context", 1)
    refused("the option 'tls' is neither true nor a table of options nor a context", io.stdout)
    refused("a server needs the options 'cert' and 'key', or a context with them", true)
    refused("there is no option 'certificate'", { certificate = "x" })
    refused("a server needs the options 'cert' .*", neap.tls.context())
    refused("a server needs the options 'cert' .*",
      certificates.server("good", { sni = { ["second.org"] = neap.tls.context() } }))
    refused("there are options of 'tls' that belong into the context", { context = neap.tls.context(), cert = "x" })
    local server, err, code = neap.start_server(echo, "127.0.0.1", 0, { tls = { cert = "/no/such/file" } })
    assert.is_nil(server)
    assert.equal("ENOENT", code)
    assert.matches("/no/such/file: no such file or directory", tostring(err))
  end)
end)

describe("open_connection with TLS", function()
  it("asks for the host, and verifies it", function()
    local server <close> = serve(function(stream)
      stream:write(stream:tls_info().server_hostname or "nobody", "\n")
      stream:read "l"
    end)
    if support.has_localhost() then
      local tls <const> = { ca_file = file "root.pem" }
      local stream <close> = assert(neap.open_connection("localhost", server.port, { tls = tls }))
      assert.equal("localhost", stream:read "l")
    end
    local stream <close> = assert(connect(server))
    assert.equal("nobody", stream:read "l")
    local other, err, code = connect(server, { ca_file = file "root.pem", server_hostname = "other.org" })
    assert.is_nil(other)
    assert.equal("TLS_HOSTNAME", code)
    assert.matches("^open_connection 127.0.0.1:%d+: the certificate is for localhost, .*, not for other.org$",
      tostring(err))
    assert.equal("open_connection", err.operation)
  end)

  it("says what is wrong with its options at the caller's line", function()
    local server <close> = serve(echo)
    local function refused(what, tls)
      local err = raised(function() assert(neap.open_connection("127.0.0.1", server.port, { tls = tls })) end)
      assert.matches("^[^:]*tls_server_spec.lua:%d+: bad argument #3 to 'open_connection' %(" .. what .. "%)$", err)
    end
    refused("the option 'ca' is not a string", { ca = 1 })
    refused("the option 'tls' is neither true .*", 1)
    refused("the option 'session' is not what .*", { session = 1 })
  end)

  it("is cancelled as a whole", function()
    local listener = support.listen()
    local port = select(2, listener:address())
    local task = support.start_waiting("start_tls", neap.open_connection, "127.0.0.1", port, { tls = true })
    support.cancel(task)
    listener:close()
  end)
end)

describe("TLS over what is no TCP", function()
  it("goes over Unix sockets", function()
    local path = os.tmpname()
    os.remove(path)
    local server <close> = assert(neap.start_unix_server(echo, path, { tls = certificates.server() }))
    local stream <close> = assert(neap.open_unix_connection(path, { tls = certificates.client() }))
    stream:write "by path\n"
    assert.equal("by path", stream:read "l")
    local elsewhere <const> = certificates.client { server_hostname = "x.org" }
    local refused, failure = neap.open_unix_connection(path, { tls = elsewhere })
    assert.is_nil(refused)
    assert.matches("^open_unix_connection " .. path .. ": the certificate is for localhost, .*, not for x.org$",
      tostring(failure))
    assert.matches("^[^:]*tls_server_spec.lua:%d+: bad argument #2 to 'open_unix_connection' %(a client needs .*%)$",
      raised(function() assert(neap.open_unix_connection(path, { tls = true })) end))
    local other <close> = assert(neap.open_unix_connection(path))
    local _, err, code = other:start_tls { server_hostname = "localhost" }
    assert.equal("TLS_CERTIFICATE", code)
    assert.equal(("start_tls %s: the certificate's issuer is unknown: CN=root,O=neap specs"):format(path),
      tostring(err))
  end)

  it("does not go over what has one direction", function()
    local reader, writer = neap.pipe()
    assert.matches("start_tls: the stream is only for", raised(reader.start_tls, reader, certificates.client()))
    assert.matches("start_tls: the stream is only for", raised(writer.start_tls, writer, certificates.client()))
    reader:close()
    writer:close()
  end)
end)

describe("a restricted script", function()
  it("may use TLS, but names no files", function()
    local host <const> = program.neap:gsub("[^/]*$", "limited_host")
    local code <const> = [[
      local neap = require "neap"
      local server = assert(neap.start_server(function(stream) stream:read "a" end, "127.0.0.1", 0))
      for _, name in ipairs { "ca_file", "ca_path", "cert", "key" } do
        local options = { tls = { [name] = "/etc/passwd" } }
        local ok, err = pcall(neap.open_connection, "127.0.0.1", server.port, options)
        assert(not ok and err:find("the option '" .. name .. "' is not for restricted scripts", 1, true), err)
      end
      local tls = { handshake_timeout = 0.1 }
      print(neap.tls, select(3, neap.open_connection("127.0.0.1", server.port, { tls = tls })))
      server:close()
    ]]
    local result = program.run { host, "--restricted", "--allow=127.0.0.1", code }
    assert.matches("nil\tETIMEDOUT\n", result.stdout, result.stderr)
  end)
end)

describe("TLS with other programs", function()
  if servers.lack "openssl" then return end

  it("talks to a server of theirs", function()
    local server <close> = servers.start "openssl"
    local stream <close> = assert(connect(server, { ca_file = server.certificate }))
    stream:write "drawer\n"
    assert.equal("reward", stream:read "l")
    assert.equal("CN=localhost", stream:tls_info().peer_certificate.subject)
  end)

  it("does not let their server begin again", function()
    local server <close> = servers.start("openssl", { args = { "-rev", "-tls1_2" } })
    local stream <close> = assert(connect(server, { ca_file = server.certificate }))
    assert.equal("1.2", stream:tls_info().version)
    stream:write "on\n"
    assert.equal("no", stream:read "l")
  end)

  local function s_client(server, arguments, input)
    local command = ("(%s; sleep 1) 2>/dev/null | openssl s_client -quiet -connect 127.0.0.1:%d -CAfile %s %s 2>&1")
      :format(input, server.port, file "root.pem", arguments)
    return neap.to_thread(function(words)
      local pipe <close> = io.popen(words)
      return pipe:read "a"
    end, command)
  end

  it("talks to clients of theirs", function()
    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
      local server <close> = serve(function(stream) stream:write("got ", stream:read "l", "\n") end)
      assert.matches("got word\n", s_client(server, version .. " -verify_return_error", "echo word"))
    end
  end)

  it("resumes no session of one context in another, whose certificates it has not asked for", function()
    for _, version in ipairs { "1.2", "1.3" } do
      local strict <const> = assert(neap.tls.context(certificates.server("second", {
        verify = "required", ca_file = file "root.pem",
      })))
      local server <close> = serve(function(stream)
        local info <const> = stream:tls_info()
        stream:write(info.server_hostname, info.session_reused and " resumed" or " begun", "\n")
        stream:read "l"
      end, certificates.server("good", { sni = { ["second.org"] = strict }, max_version = version }))
      local session <const> = os.tmpname()
      assert.matches("localhost begun", s_client(server, "-servername localhost -sess_out " .. session, "echo"))
      assert.matches("localhost resumed", s_client(server, "-servername localhost -sess_in " .. session, "echo"))
      local output <const> = s_client(server, "-servername second.org -sess_in " .. session, "echo")
      assert.not_matches("resumed", output)
      assert.matches("alert", output)
      os.remove(session)
    end
  end)

  it("refuses versions below 1.2", function()
    local told = neap.Queue()
    local server <close> = serve(echo, certificates.server("good", {
      on_handshake_error = function(err) told:put(err) end,
    }))
    assert.matches("alert protocol version", s_client(server, "-tls1_1 -cipher ALL:@SECLEVEL=0", "true"))
    assert.matches("no version of TLS that is allowed here", tostring(told:get()))
  end)

  it("refuses to shake hands again", function()
    local server <close> = serve(function(stream)
      stream:write "ready\n"
      stream:write(tostring(stream:read "l"), " after that\n")
    end)
    local output = s_client(server, "-tls1_2 -no_ign_eof", "sleep 0.3; echo R; sleep 0.3; echo word")
    assert.matches("no renegotiation", output)
  end)
end)
