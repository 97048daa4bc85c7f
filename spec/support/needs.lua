-- What specs need that may not be there: programs and libraries, called by the names of Debian's packages.
local api = require "busted"

local needs = {}

-- Where servers are installed for root alone, or beside other versions of themselves.
needs.PATH = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/postgresql/15/bin; "

-- What tells that a package is there.
local CHECKS = {
  ["nginx-light"] = "command -v nginx",
  ["redis-server"] = "command -v redis-server",
  ["postgresql-15"] = "command -v initdb && command -v postgres",
  ["openssl"] = "command -v openssl",
  ["curl"] = "command -v curl",
  ["lua-socket"] = [[lua5.4 -e 'require "socket"']],
  ["lua-redis"] = [[lua5.4 -e 'require "redis"']],
  ["lua-nginx-redis"] = "test -e /usr/share/lua/5.1/nginx/redis.lua",
}

local has = {}

-- Whether the package is there.
function needs.has(package)
  if has[package] == nil then
    local line = needs.PATH .. "{ " .. assert(CHECKS[package], package) .. "; } >/dev/null 2>&1"
    has[package] = os.execute(line) == true
  end
  return has[package]
end

-- In a describe: whether one of the packages is missing, which is said in place of the specs that follow. Where
-- nothing may be missing, that is a failure.
function needs.lacks(...)
  for _, package in ipairs { ... } do
    if not needs.has(package) then
      local message = ("needs %s, which is not installed"):format(package)
      if (os.getenv "NEAP_REQUIRE_ALL" or "") ~= "" then
        api.it(message, function() error(message, 0) end)
      else
        api.pending(message)
      end
      return true
    end
  end
  return false
end

return needs
