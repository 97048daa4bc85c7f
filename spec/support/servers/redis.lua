-- Redis, on a port and on the Unix socket `socket`, with no file to keep its data in. Options: `args`, more arguments.
local redis = { package = "redis-server", signal = "TERM" }

function redis.prepare(self, options)
  self.socket = self:file "redis.sock"
  local words = {
    "redis-server", "--port", tostring(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket,
    "--dir", self.dir, "--save", "", "--appendonly", "no", "--daemonize", "no",
  }
  return table.move(options.args or {}, 1, #(options.args or {}), #words + 1, words)
end

function redis.is_ready(self)
  return self:log():find("Ready to accept connections", 1, true)
end

return redis
