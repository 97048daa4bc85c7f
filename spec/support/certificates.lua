-- Certificates of every kind for specs of TLS, made once for a run by spec/support/certificates.sh.
local registry <const> = debug.getregistry()

local certificates = {}

local Folder = {}
Folder.__index = Folder

function Folder:__gc()
  os.execute("rm -rf " .. self.path)
end

-- Busted forgets modules from file to file; this stays.
local function folder()
  if registry.neap_certificates then return registry.neap_certificates end
  local made <close> = io.popen "mktemp -d /tmp/neap-XXXXXX"
  local self = setmetatable({ path = made:read "l" }, Folder)
  local script <close> = assert(io.open "spec/support/certificates.sh")
  local run <close> = assert(io.popen(("cd %s && sh 2>log"):format(self.path), "w"))
  run:write(script:read "a")
  assert(run:close(), "no certificates could be made: see " .. self.path .. "/log")
  registry.neap_certificates = self
  return self
end

-- The path of a file there.
function certificates.file(name)
  return folder().path .. "/" .. name
end

function certificates.text(name)
  local file <close> = assert(io.open(certificates.file(name)))
  return file:read "a"
end

-- Options of a server whose certificate is of that name.
function certificates.server(name, more)
  local options = { cert = certificates.file((name or "good") .. ".pem"), key = certificates.file "key.pem" }
  for option, value in pairs(more or {}) do options[option] = value end
  return options
end

-- Options of a client that trusts the root alone.
function certificates.client(more)
  local options = { ca_file = certificates.file "root.pem", server_hostname = "localhost" }
  for option, value in pairs(more or {}) do options[option] = value end
  return options
end

return certificates
