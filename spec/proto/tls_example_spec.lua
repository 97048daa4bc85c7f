-- examples/tls_client.lua, and TLS where the library is not there.
local certificates = require "spec.support.certificates"
local neap = require "neap"
local program = require "spec.support.program"

local function answer(stream)
  stream:readuntil "\r\n\r\n"
  stream:write "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"
end

-- What the example says to a server with that certificate.
local function fetch(name)
  local server <close> = assert(neap.start_server(answer, "127.0.0.1", 0, { tls = certificates.server(name) }))
  local url = "https://127.0.0.1:" .. server.port .. "/page"
  local result = neap.subprocess.run {
    program.neap, "examples/tls_client.lua", url, certificates.file "root.pem", stdout = "pipe", stderr = "pipe",
  }
  return result.stdout, result.stderr, result.returncode
end

describe("examples/tls_client.lua", function()
  it("fetches a page", function()
    local stdout, stderr, status = fetch "good"
    assert.equal("hello\n", stdout)
    assert.equal("TLS 1.3, TLS_AES_256_GCM_SHA384, issued by CN=root,O=neap specs\n", stderr)
    assert.equal(0, status)
  end)

  it("says what is wrong with the server", function()
    local stdout, stderr, status = fetch "wrong"
    assert.equal("", stdout)
    assert.matches("^open_connection 127.0.0.1:%d+: the certificate is for other.org, more.org, not for 127.0.0.1\n$",
      stderr)
    assert.equal(1, status)
  end)
end)

describe("neap", function()
  it("does not load OpenSSL before it is used", function()
    local code = [[
      local neap = require "neap"
      local function loaded() return io.open("/proc/self/maps"):read("a"):find("libssl", 1, true) ~= nil end
      local before = loaded()
      neap.tls.context()
      print(before, loaded())
    ]]
    local result = program.run { program.neap, "-e", code }
    assert.equal("false\ttrue\n", result.stdout, result.stderr)
  end)
end)
