-- Contexts: what they are made of, and what is wrong with that.
local certificates = require "spec.support.certificates"
local neap = require "neap"
local program = require "spec.support.program"
local support = require "spec.support.stream"
local tls = require "spec.support.tls"

local file <const>, text <const>, raised <const> = certificates.file, certificates.text, support.raised

local function write(bytes)
  local path = os.tmpname()
  local out <close> = assert(io.open(path, "w"))
  out:write(bytes)
  return path
end

describe("OpenSSL", function()
  it("that could not be loaded for want of descriptors is loaded later", function()
    local result = program.run { "sh", "-c", 'ulimit -n 30; exec "$0" -e "$1"', program.neap, [[
      local neap = require "neap"
      local tls, hogs = neap.tls, {}
      repeat hogs[#hogs + 1] = io.open "/dev/null" until not io.open "/dev/null"
      print(select(2, pcall(tls.context)))
      hogs = nil
      collectgarbage()
      print(tls.context())]] }
    assert.equal("", result.stderr)
    assert.matches("OpenSSL 3 cannot be loaded: .*\nneap.TLSContext: ", result.stdout)
  end)
end)

describe("a context", function()
  it("is made of files or of text", function()
    for _, options in ipairs {
      { cert = file "good.pem", key = file "key.pem" },
      { cert = file "both.pem" },
      { cert_pem = text "good.pem", key_pem = text "key.pem" },
      { cert_pem = text "both.pem" },
      { cert = file "good.pem", key_pem = text "key.pem" },
      { cert = file "good.pem", key = file "locked.key", password = "secret" },
      { cert = file "chain.pem", key = file "key.pem" },
    } do
      local context = assert(neap.tls.context(options))
      assert.matches("^neap.TLSContext: ", tostring(context))
      local ends <close> = tls.pair(nil, { context = context })
      assert.is_truthy(ends.near:tls_info().peer_certificate)
    end
  end)

  it("is made of nothing for clients", function()
    assert(neap.tls.context())
    assert(neap.tls.context {})
  end)

  it("says which file is wrong, and how", function()
    local garbage = write "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"
    for _, case in ipairs {
      { { ca_file = "/no/such" }, "ENOENT", "/no/such: no such file or directory" },
      { { cert = "/no/such" }, "ENOENT", "/no/such: no such" },
      { { cert = file "good.pem", key = "/no/such" }, "ENOENT", "/no/such: no such" },
      { { ca_path = "/no/such" }, "ENOENT", "/no/such: no such" },
      { { ca_path = file "root.pem" }, "ENOTDIR", "root.pem: not a directory" },
      { { ca_file = "/tmp" }, "EISDIR", "/tmp: illegal operation on a directory" },
      { { ca_file = file "key.pem" }, "TLS_CONTEXT", "key%.pem: there is no certificate in it" },
      { { ca_file = garbage }, "TLS_CONTEXT", garbage .. ": a certificate in it cannot be read" },
      { { ca_file = "/dev/null" }, "TLS_CONTEXT", "/dev/null: there is no certificate in it" },
      { { cert = file "key.pem" }, "TLS_CONTEXT", "key%.pem: there is no certificate in it" },
      { { cert = file "good.pem" }, "TLS_CONTEXT", "good%.pem: there is no key in it" },
      { { cert = file "good.pem", key = file "root.key" }, "TLS_CONTEXT", "root%.key: the key does not belong to the" },
      { { cert = file "good.pem", key = file "locked.key" }, "TLS_CONTEXT", "locked%.key: the key needs a password" },
      { { cert = file "good.pem", key = file "locked.key", password = "public" }, "TLS_CONTEXT", "password wrong" },
      { { ca = "text" }, "TLS_CONTEXT", "^tls.context ca: there is no certificate in it" },
      { { cert_pem = text "good.pem", key_pem = "x" }, "TLS_CONTEXT", "^tls.context key_pem: there is no key in it" },
    } do
      local context, err, code = neap.tls.context(case[1])
      assert.is_nil(context)
      assert.equal(case[2], code, tostring(err))
      assert.matches(case[3], tostring(err))
      assert.matches("^tls.context ", tostring(err))
      assert.is_true(neap.is(err, neap.OSError))
    end
    os.remove(garbage)
  end)

  it("refuses options that are none", function()
    for _, case in ipairs {
      { 1, "table expected, got number" },
      { { certs = "x" }, "there is no option 'certs'" },
      { { server_hostname = "x" }, "there is no option 'server_hostname'" },
      { { ca_file = 1 }, "the option 'ca_file' is not a string" },
      { { ca_file = "a\0b" }, "the option 'ca_file' contains a zero byte" },
      { { ca = 1 }, "the option 'ca' is not a string" },
      { { key = file "key.pem" }, "the option 'key' needs 'cert'" },
      { { verify = "maybe" }, "the option 'verify' is not true, false, 'none', 'optional' or 'required'" },
      { { verify = 1 }, "the option 'verify' is not true" },
      { { min_version = "1.1" }, "the option 'min_version' is neither '1.2' nor '1.3'" },
      { { min_version = "1.3", max_version = "1.2" }, "the option 'min_version' is above 'max_version'" },
      { { max_version = 1.2 }, "the option 'max_version' is not a string" },
      { { ciphers = "no such cipher" }, "the option 'ciphers' names no cipher" },
      { { ciphersuites = "no such cipher" }, "the option 'ciphersuites' names an unknown cipher" },
      { { alpn = { "a", 1 } }, "the option 'alpn' is not a list of names" },
      { { sni = 1 }, "the option 'sni' is not a table of contexts" },
      { { sni = { ["a.org"] = {} } }, "the option 'sni' is not a table of contexts by name" },
    } do
      local err = raised(neap.tls.context, case[1])
      assert.matches(case[2], err, 1, true)
      assert.matches("bad argument #1 to '", err, 1, true)
    end
  end)

  it("has the ciphers and versions that it is told", function()
    local ends <close> = tls.pair({ server_hostname = "localhost", ca_file = file "root.pem", max_version = "1.2" },
      { ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305" })
    assert.equal("ECDHE-ECDSA-CHACHA20-POLY1305", ends.near:tls_info().cipher)
    local others <close> = tls.pair(nil, { ciphersuites = "TLS_CHACHA20_POLY1305_SHA256" })
    assert.equal("TLS_CHACHA20_POLY1305_SHA256", others.near:tls_info().cipher)
  end)

  it("outlives its object while connections use it", function()
    local ends <close> = tls.pair()
    collectgarbage()
    collectgarbage()
    ends.near:write "still\n"
    assert.equal("still", ends.far:read "l")
  end)

  it("trusts the folder it is told", function()
    local folder = os.tmpname()
    os.remove(folder)
    os.execute(("mkdir %s && cp %s %s && openssl rehash %s"):format(folder, file "root.pem", folder, folder))
    local ends <close> = tls.pair { ca_path = folder, server_hostname = "localhost" }
    assert.equal("CN=good,O=neap specs", ends.near:tls_info().peer_certificate.subject)
    os.execute("rm -r " .. folder)
  end)
end)
