-- Which certificates are good, and what is said of those that are not.
local certificates = require "spec.support.certificates"
local tls = require "spec.support.tls"

local file <const> = certificates.file

-- What differs from a client that trusts the root and asks for localhost, and from a server that has good.pem; then
-- what the client is told: nothing, or a code and a pattern of the message.
local CASES <const> = {
  { "a good certificate" },
  { "another of its names", { server_hostname = "example.org" } },
  { "a name in capitals", { server_hostname = "EXAMPLE.Org" } },
  { "a name with the root's dot", { server_hostname = "example.org." } },
  { "a name under a wildcard", { server_hostname = "a.wild.org" } },
  { "two labels under a wildcard", { server_hostname = "a.b.wild.org" }, nil, "TLS_HOSTNAME", "not for a%.b%.wild" },
  { "the name above a wildcard", { server_hostname = "wild.org" }, nil, "TLS_HOSTNAME", "not for wild%.org" },
  { "an address", { server_hostname = "127.0.0.1" } },
  { "an address of IPv6", { server_hostname = "::1" } },
  { "another address", { server_hostname = "127.0.0.2" }, nil, "TLS_HOSTNAME", "not for 127%.0%.0%.2" },
  { "an address where it is for a name", { server_hostname = "10.0.0.1" }, "wrong", "TLS_HOSTNAME", "not for 10%.0" },
  { "a name where it is for an address", nil, "address", "TLS_HOSTNAME", "is for 10%.0%.0%.1, not for localhost" },
  { "another name", nil, "wrong", "TLS_HOSTNAME", "the certificate is for other%.org, more%.org, not for localhost" },
  { "another name, unchecked", { check_hostname = false }, "wrong" },
  { "a part of a name", { server_hostname = "ocalhost" }, nil, "TLS_HOSTNAME" },
  { "no name but in the subject", { server_hostname = "nameless" }, "nameless", "TLS_HOSTNAME", "names no host" },
  { "one that has expired", nil, "expired", "TLS_CERTIFICATE", "the certificate has expired %(on 2021%-06%-15%)" },
  { "one that is not valid yet", nil, "future", "TLS_CERTIFICATE", "is not valid yet %(before 2050%-01%-01%)" },
  { "one of an unknown issuer", nil, "strange", "TLS_CERTIFICATE", "issuer is unknown: CN=stranger,O=neap specs" },
  { "one that is self-signed", nil, "alone", "TLS_CERTIFICATE", "is self%-signed: CN=alone,O=neap specs" },
  { "one that is self-signed and trusted", { ca_file = file "alone.pem" }, "alone" },
  { "a chain", nil, "chain" },
  { "a chain without its middle", nil, "under", "TLS_CERTIFICATE", "issuer is unknown: CN=middle" },
  { "one that is for clients", nil, "purpose", "TLS_CERTIFICATE", "purpose" },
  { "nothing that is verified", { verify = false }, "expired" },
  { "nothing that is verified, in a word", { verify = "none" }, "alone" },
  { "nobody trusted but by the system", { ca_file = false }, nil, "TLS_CERTIFICATE", "unknown: CN=root" },
  { "trusted by text", { ca_file = false, ca = certificates.text "root.pem" } },
  { "trusted by several", { ca_file = false, ca = certificates.text "stranger.pem" .. certificates.text "root.pem" } },
}

-- The same for certificates of clients: what the server has, the client's certificate, what the server is told.
local CLIENTS <const> = {
  { "none, where it is not asked for", nil, nil },
  { "one, where it is not asked for", nil, "client" },
  { "a good one", "required", "client" },
  { "a good one that need not be", "optional", "client" },
  { "none that need not be", "optional", nil },
  { "none", "required", nil, "TLS_CERTIFICATE", "the peer has given no certificate" },
  { "one of an unknown issuer", "required", "intruder", "TLS_CERTIFICATE", "issuer is unknown: CN=stranger" },
  { "one of an unknown issuer that need not be", "optional", "intruder", "TLS_CERTIFICATE", "issuer is unknown" },
  { "one that has expired", "required", "outdated", "TLS_CERTIFICATE", "has expired %(on 2021%-06%-15%)" },
  { "one that is for servers", "required", "server", "TLS_CERTIFICATE", "the certificate was refused: .*purpose" },
}

local function client_options(changes)
  local options = {}
  for name, value in pairs(changes or {}) do options[name] = value end
  local all = certificates.client(options)
  for name, value in pairs(all) do
    if value == false and name ~= "verify" and name ~= "check_hostname" then all[name] = nil end
  end
  return all
end

local function client_with(name, more)
  local options = certificates.client(more)
  if name then options.cert, options.key = file(name .. ".pem"), file "key.pem" end
  return options
end

local function assert_told(message, code, expected_code, pattern)
  assert.equal(expected_code, code, message)
  if pattern then assert.matches(pattern, message) end
  if expected_code then assert.matches("^start_tls 127%.0%.0%.1:%d+: ", message) end
end

describe("a server's certificate", function()
  for _, version in ipairs { "1.2", "1.3" } do
    for _, case in ipairs(CASES) do
      local name, client, server, code, pattern = table.unpack(case, 1, 5)
      it(("of TLS %s: %s"):format(version, name), function()
        local options = client_options(client)
        local told = tls.try(options,
          certificates.server(server, { max_version = version, min_version = version }))
        assert_told(told.near, told.near_code, code, pattern)
        if code then assert.equal("TLS_ALERT", told.far_code) else assert.is_nil(told.far) end
      end)
    end
  end
end)

describe("a client's certificate", function()
  for _, case in ipairs(CLIENTS) do
    local name, verify, client, code, pattern = table.unpack(case, 1, 5)
    it(name, function()
      local server = { verify = verify, ca_file = verify and file "root.pem" }
      local told = tls.try(client_with(client), certificates.server("good", server))
      assert_told(told.far, told.far_code, code, pattern)
    end)
  end

  it("refused in TLS 1.2 shows in the handshake", function()
    local server = { verify = "required", ca_file = file "root.pem", max_version = "1.2" }
    local told = tls.try(client_with "intruder", certificates.server("good", server))
    assert.equal("TLS_ALERT", told.near_code)
    assert.matches("the peer refused it: unknown CA %(alert 48%)", told.near)
  end)

  it("refused in TLS 1.3 shows at the first read", function()
    local support = require "spec.support.stream"
    local ends <close> = support.pair()
    local server = certificates.server("good", { verify = "required", ca_file = file "root.pem", server = true })
    local near, far = tls.shake(ends, client_with "intruder", server)
    assert.equal(ends.near, near[1])
    assert.equal("TLS_CERTIFICATE", far[3])
    local line, err, code = ends.near:read "l"
    assert.is_nil(line)
    assert.equal("TLS_ALERT", code)
    assert.matches("^read 127%.0%.0%.1:%d+: the peer refused it: unknown CA", tostring(err))
  end)
end)
