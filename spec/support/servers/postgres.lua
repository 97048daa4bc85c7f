-- PostgreSQL, on a port and on a Unix socket in its folder, with a cluster of its own; its one user and database are
-- `postgres`. Options: `password`, which is then asked for, by `auth` ("scram-sha-256"); `settings`, a table.
local postgres = { package = "postgresql-15", signal = "INT" } -- which does not wait for clients

-- As root it refuses to run: it is another user then.
local START = [[
as=
if [ "$(id -u)" = 0 ]; then
  user=nobody
  ! id postgres >/dev/null 2>&1 || user=postgres
  chown -R "$user" .
  as="setpriv --reuid=$user --regid=$(id -g $user) --clear-groups"
fi
$as initdb -D data -U postgres -A "$1" --pwfile=password --locale=C -E UTF8 --no-sync --no-instructions >initdb.log
shift
exec $as postgres -D data "$@"
]]

local function arguments(self, options)
  local settings = {
    port = self.port, listen_addresses = "127.0.0.1", unix_socket_directories = self.dir, fsync = "off",
    dynamic_shared_memory_type = "mmap", -- in its folder, so that nothing stays if it is killed
  }
  for name, value in pairs(options.settings or {}) do settings[name] = value end
  local words = {}
  for name, value in pairs(settings) do words[#words + 1] = ("--%s=%s"):format(name, value) end
  return words
end

function postgres.prepare(self, options)
  self:write("password", (options.password or "postgres") .. "\n")
  self.socket = ("%s/.s.PGSQL.%d"):format(self.dir, self.port)
  local auth = options.password and (options.auth or "scram-sha-256") or "trust"
  return { "sh", "-ec", START, "postgres", auth, table.unpack(arguments(self, options)) }
end

function postgres.is_ready(self)
  return self:log():find("database system is ready to accept connections", 1, true)
end

return postgres
