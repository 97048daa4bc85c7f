-- A real nginx as an ordinary child process on 127.0.0.1, with its files in a folder of its own.
local program = require "spec.support.program"

local nginx = {}
nginx.__index = nginx

local PATH = "PATH=$PATH:/usr/sbin:/sbin "

-- Pages come quickly under /, in about a second under /steady20/ and /steady19/ (which refuse a 21st and a 20th
-- client with 503), and hardly at all under /slow/.
local CONFIG = [[
daemon off;
master_process off;
pid DIR/pid;
error_log DIR/error.log;
events { worker_connections 256; }
http {
  access_log DIR/access.log;
  client_body_temp_path DIR/tmp; proxy_temp_path DIR/tmp; fastcgi_temp_path DIR/tmp;
  uwsgi_temp_path DIR/tmp; scgi_temp_path DIR/tmp;
  limit_conn_zone $server_port zone=clients:1m;
  reset_timedout_connection on;
  server {
    listen 127.0.0.1:PORT;
    root DIR/www;
    location / { limit_conn clients 20; }
    location /steady20/ { alias DIR/www/; limit_rate 1000; limit_conn clients 20; }
    location /steady19/ { alias DIR/www/; limit_rate 1000; limit_conn clients 19; }
    location /slow/ { alias DIR/www/; limit_rate 10; }
    location /reset { return 444; }
  }
}
]]

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function read(path)
  local file = io.open(path)
  if not file then return "" end
  local text = file:read "a"
  file:close()
  return text
end

function nginx.installed()
  return os.execute(PATH .. "command -v nginx >/dev/null")
end

-- Makes the folder, with `count` pages of 1,500 bytes each.
local function make_folder(count)
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute(("mkdir -p %s/www %s/tmp"):format(dir, dir)))
  for i = 1, count do write(("%s/www/page%d.html"):format(dir, i), ("x"):rep(1500)) end
  return dir
end

-- Starts nginx on a port that may be in use; true when it listens.
function nginx:listen(port)
  self.port, self.url = port, "http://127.0.0.1:" .. port
  write(self.dir .. "/conf", (CONFIG:gsub("DIR", self.dir):gsub("PORT", port)))
  self.pipe = io.popen(("%s exec timeout --foreground 300 nginx -e %s/error.log -c %s/conf 2>&1")
    :format(PATH, self.dir, self.dir))
  local failed
  program.wait_until(function()
    failed = read(self.dir .. "/error.log"):find "still could not bind"
    return failed or read(self.dir .. "/pid"):find "%d"
  end)
  if failed then self.pipe:close() end
  return not failed
end

function nginx.start(count)
  local self = setmetatable({ dir = make_folder(count) }, nginx)
  for _ = 1, 5 do
    if self:listen(math.random(20000, 32000)) then return self end
    os.remove(self.dir .. "/error.log")
  end
  error("nginx found no free port: see " .. self.dir)
end

-- How many requests have been answered.
function nginx:answered()
  return select(2, read(self.dir .. "/access.log"):gsub("\n", ""))
end

function nginx:stop()
  if not self.pipe then return end
  os.execute("kill " .. read(self.dir .. "/pid"))
  self.pipe:close()
  self.pipe = nil
end

function nginx:remove()
  self:stop()
  os.execute("rm -r " .. self.dir)
end

return nginx
