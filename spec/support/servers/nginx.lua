-- nginx. Options: `pages`, how many files page1.html ... of 1,500 bytes it has; `server` and `http`, lines for these
-- blocks of its configuration. In them DIR and PORT are the server's folder and port.
local nginx = { package = "nginx-light", signal = "TERM", methods = {} }

local CONFIG = [[
daemon off;
master_process off;
pid DIR/nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
  access_log DIR/access.log;
  client_body_temp_path DIR/tmp; proxy_temp_path DIR/tmp; fastcgi_temp_path DIR/tmp;
  uwsgi_temp_path DIR/tmp; scgi_temp_path DIR/tmp;
  HTTP
  server {
    listen 127.0.0.1:PORT;
    root DIR/www;
    SERVER
  }
}
]]

local function with(text, values)
  return (text:gsub("%u+", values))
end

function nginx.prepare(self, options)
  assert(os.execute(("mkdir %s/www %s/tmp"):format(self.dir, self.dir)))
  for i = 1, options.pages or 0 do self:write(("www/page%d.html"):format(i), ("x"):rep(1500)) end
  local config = with(CONFIG, { HTTP = options.http or "", SERVER = options.server or "" })
  self:write("conf", with(config, { DIR = self.dir, PORT = tostring(self.port) }))
  self.url = "http://127.0.0.1:" .. self.port
  return { "nginx", "-e", "stderr", "-c", self:file "conf" }
end

-- It writes the file when it listens.
function nginx.is_ready(self)
  return self:read "nginx.pid":find "%d"
end

-- How many requests have been answered.
function nginx.methods:answered()
  return select(2, self:read "access.log":gsub("\n", ""))
end

return nginx
