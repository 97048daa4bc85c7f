-- Virtual time and handshakes, which take longer than it waits for I/O and wake nobody on the way.
local certificates = require "spec.support.certificates"
local neap = require "neap"
local support = require "spec.support.stream"
local testing = require "neap.testing"

it("virtual time stands still while bytes come, however long libuv's callbacks take", function()
  local server_options = certificates.server("good", { server = true, handshake_timeout = 3 })
  server_options.cert, server_options.cert_pem = nil, certificates.text "good.pem"
  server_options.key, server_options.key_pem = nil, certificates.text "key.pem"
  local client_options = { ca = certificates.text "root.pem", server_hostname = "localhost", handshake_timeout = 3 }
  testing.virtual_clock()
  for _ = 1, 30 do
    local pair <close> = support.pair()
    local server = neap.create_task(pair.far.start_tls, pair.far, server_options)
    assert(pair.near:start_tls(client_options))
    assert(server:await())
  end
end)
