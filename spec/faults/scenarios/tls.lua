-- Streams over TLS. What OpenSSL allocates itself does not fail.
local neap = require "neap"
local scenario = require "spec.faults.scenario"
local support = require "spec.support.stream"
local tls_streams = require "neap.tls_streams"

local done <const> = scenario.done

-- For localhost; it trusts itself.
local PEM <const> = [[
-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUPUc6cnKyeiEFmrTBkzKbk5dIbNMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTE5MTY1OFoYDzIxMDAxMDI0
MTkxNjU4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT3mAfRWGhW6kmJh2JB4CNhgfjlMR9tfosZr9tjjs7ycyO87vK7Nsa3
ppEWCc2EFF2hH+uAE+hjLmLDYjAPEDyeo2kwZzAdBgNVHQ4EFgQUdcILnCXEfBRw
56FrrCifDQVmY7YwHwYDVR0jBBgwFoAUdcILnCXEfBRw56FrrCifDQVmY7YwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhAPaLpz0M19zH5Kwhn5LoDLxlXUzziORUADqTvuYjP9rKAiEA0ZFr60yf
WHXMWf1vd+hfGvzNq+rgBQ/wmGnd9mjPBL4=
-----END CERTIFICATE-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIA/+hqohdCzlYLh+EL/lk6P+uYfufApfZgUJEoMafXp7oAoGCCqGSM49
AwEHoUQDQgAE95gH0VhoVupJiYdiQeAjYYH45TEfbX6LGa/bY47O8nMjvO7yuzbG
t6aRFgnNhBRdoR/rgBPoYy5iw2IwDxA8ng==
-----END EC PRIVATE KEY-----
]]

-- Virtual time, which may pass while OpenSSL computes, is not to matter.
local function server_options()
  return { cert_pem = PEM, alpn = { "a", "b" }, server = true, handshake_timeout = math.huge }
end

local function client_options()
  return { ca = PEM, server_hostname = "localhost", alpn = { "b" }, handshake_timeout = math.huge }
end

-- The two ends of a connection over TLS. If one side fails the other is cancelled.
local function with_pair(fn)
  return function()
    local pair <close> = support.pair()
    neap.gather(
      function() return done(pair.near:start_tls(client_options())) end,
      function() return done(pair.far:start_tls(server_options())) end)
    fn(pair.near, pair.far)
  end
end

return {
  { name = "TLS: a context", run = function()
    done(neap.tls.context { cert_pem = PEM, ca = PEM, alpn = { "h2" } })
    local first = done(neap.tls.context { cert_pem = PEM })
    done(neap.tls.context { cert_pem = PEM, sni = { ["a.org"] = first, ["*.b.org"] = first } })
    local _, err = scenario.try(neap.tls.context, { ca_file = "/no/such" })
    assert(err == nil)
  end },

  { name = "TLS: a conversation", run = with_pair(function(near, far)
    done(near:write "hello\n")
    assert(done(far:read "l") == "hello")
    done(far:write(("x"):rep(30000)))
    assert(#done(near:readexactly(30000)) == 30000)
    local info = near:tls_info()
    assert(info.alpn == "b" and info.peer_certificate.names[1] == "localhost")
    near:tls_session()
    done(near:shutdown())
    assert(far:read "l" == nil)
  end) },

  { name = "TLS: more than is taken at once", run = with_pair(function(near, far)
    local text = ("y"):rep(400000)
    neap.gather(
      function() done(near:write(text)) end,
      function()
        local got = 0
        while got < #text do got = got + #done(far:read_some()) end
      end)
  end) },

  { name = "TLS: a certificate that is refused", run = function()
    local pair <close> = support.pair()
    local options = client_options()
    options.server_hostname = "example.org"
    local refused = neap.gather(
      function()
        local stream, err = pair.near:start_tls(options)
        assert(stream == nil)
        if not scenario.note(err) then assert(err.code == "TLS_HOSTNAME", tostring(err)) end
        return true
      end,
      function()
        scenario.try(pair.far.start_tls, pair.far, server_options())
        pair.far:close()
      end)
    assert(refused[1])
  end },

  -- A server's handler on a bare listener: whichever side fails, the other one hears of it.
  { name = "TLS: a server", run = function()
    local tls = { cert_pem = PEM, on_handshake_error = scenario.note, handshake_timeout = math.huge }
    local handler = done(tls_streams.handler("start_server", function(stream)
      done(stream:write((done(stream:read "L"))))
    end, tls))
    local listener = support.listen()
    local closing <close> = setmetatable({}, { __close = function() listener:close() end })
    local port = select(2, listener:address())
    neap.gather(
      function()
        local near <close> = done(neap.open_connection("127.0.0.1", port, { tls = client_options() }))
        done(near:write "x\n")
        assert(done(near:read "l") == "x")
      end,
      function()
        local far <close> = done(listener:accept())
        handler(far)
      end)
  end },
}
