-- LuaSec's `ssl`, over neap's TLS.
local certificates = require "spec.support.certificates"
local neap = require "neap"
local needs = require "spec.support.needs"
local socket = require "neap.socket"
local ssl = require "neap.ssl"

describe("ssl", function()
  if needs.lacks "openssl" then return end

  local function connect(config, handler)
    local server <const> = assert(neap.start_server(handler, "127.0.0.1", 0, {
      tls = { cert = certificates.file "good.pem", key = certificates.file "key.pem" },
    }))
    local client <const> = assert(socket.connect("127.0.0.1", server.port))
    local wrapped <const> = assert(ssl.wrap(client, config))
    assert.equal(-1, client:getfd())
    return wrapped, server
  end

  local PLAIN <const> = { mode = "client", protocol = "any", verify = "none" }

  it("encrypts what a socket sends and receives", function()
    local client, server = connect(PLAIN, function(stream)
      for line in stream:lines "L" do stream:write(line) end
    end)
    client:sni "localhost"
    assert.is_true(client:dohandshake())
    assert.equal(6, client:send "hello\n")
    assert.equal("hello", client:receive())
    client:settimeout(0.02)
    assert.same({ n = 3, nil, "wantread", "" }, table.pack(client:receive()))
    client:settimeout(nil)
    client:send "again\n"
    assert.equal("again", client:receive "*l")
    assert.matches("^TLSv1", client:info "protocol")
    client:close()
    assert.same({ n = 3, nil, "closed", "" }, table.pack(client:receive()))
    server:close()
  end)

  it("says why a certificate is refused", function()
    local client, server = connect({ mode = "client", protocol = "any", verify = "peer" }, function() end)
    assert.same({ n = 2, false, "certificate verify failed" }, table.pack(client:dohandshake()))
    client:close()
    server:close()
  end)

  it("has errors for what is no context", function()
    local context, err = ssl.newcontext { mode = "client", protocol = "foo" }
    assert.is_nil(context)
    assert.equal("invalid protocol (foo)", err)
    assert.is_nil((ssl.newcontext { mode = "half", protocol = "any" }))
    assert.is_nil((ssl.newcontext { mode = "client", protocol = "any", cafile = "/no/such/file" }))
  end)
end)
