-- `openssl s_server`, whose self-signed certificate for localhost and 127.0.0.1 is the file `certificate`, its key the
-- file `key`. Options: `args`, what it does in place of sending each line back reversed ({ "-rev" }).
local openssl = { package = "openssl", signal = "TERM" }

local START = [[
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out certificate.pem -days 2 \
  -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>req.log
exec openssl s_server -accept "127.0.0.1:$0" -key key.pem -cert certificate.pem "$@"
]]

function openssl.prepare(self, options)
  self.certificate, self.key = self:file "certificate.pem", self:file "key.pem"
  return { "sh", "-ec", START, tostring(self.port), table.unpack(options.args or { "-rev" }) }
end

function openssl.is_ready(self)
  return self:log():find "ACCEPT"
end

return openssl
