-- Libraries that were written for LuaSocket and for OpenResty, as they are packaged.
local neap = require "neap"
local needs = require "spec.support.needs"
local servers = require "spec.support.servers"
local socket = require "socket"

describe("socket.http", function()
  if needs.lacks "lua-socket" then return end

  it("has a hundred requests under way at once", function()
    local http = require "socket.http"
    local waiting, all_there = 0, neap.Event()
    local server <close> = assert(neap.start_server(function(stream)
      for line in stream:lines() do
        if line == "\r" or line == "" then break end
      end
      waiting = waiting + 1
      if waiting == 100 then all_there:set() end
      all_there:wait()
      stream:write "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    end, "127.0.0.1", 0, { backlog = 512 }))
    local requests = {}
    for i = 1, 100 do
      requests[i] = function()
        local body, status = http.request(("http://127.0.0.1:%d/"):format(server.port))
        return body .. status
      end
    end
    local limit <close> = neap.timeout(20)
    local answers = neap.gather(requests)
    assert.equal(100, answers.n)
    for _, answer in ipairs(answers) do assert.equal("hello200", answer) end
  end)

  it("reads chunks, and sends what a source gives", function()
    local http, ltn12 = require "socket.http", require "ltn12"
    local sent
    local server <close> = assert(neap.start_server(function(stream)
      local length
      for line in stream:lines() do
        length = line:lower():match "content%-length: (%d+)" or length
        if line == "\r" or line == "" then break end
      end
      sent = stream:read(tonumber(length))
      stream:write "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      for _, chunk in ipairs { "3\r\none\r\n", "5\r\n two \r\n", "0\r\n\r\n" } do
        stream:write(chunk)
        neap.sleep(0)
      end
    end, "127.0.0.1", 0))
    local pieces = {}
    local ok, status = http.request {
      url = ("http://127.0.0.1:%d/x"):format(server.port), method = "POST", sink = ltn12.sink.table(pieces),
      source = ltn12.source.string(("y"):rep(5000)), headers = { ["content-length"] = 5000 },
    }
    assert.equal(1, ok)
    assert.equal(201, status)
    assert.equal("one two ", table.concat(pieces))
    assert.equal(5000, #sent)
  end)

  it("gives the reason when nobody answers", function()
    local http = require "socket.http"
    local server = assert(neap.start_server(function() end, "127.0.0.1", 0))
    local port = server.port
    server:close()
    server:wait_closed()
    local ok, err = http.request(("http://127.0.0.1:%d/"):format(port))
    assert.is_nil(ok)
    assert.equal("connection refused", err)
  end)
end)

describe("socket.smtp", function()
  if needs.lacks "lua-socket" then return end

  it("speaks with a server, line by line", function()
    local smtp, said = require "socket.smtp", {}
    local server <close> = assert(neap.start_server(function(stream)
      stream:write "220 tide\r\n"
      for line in stream:lines() do
        said[#said + 1] = line:gsub("\r", "")
        local data = line:find "^DATA"
        stream:write(data and "354 go on\r\n" or line:find "^QUIT" and "221 bye\r\n" or "250 ok\r\n")
        if data then
          repeat line = stream:read "l" until line == ".\r" or line == "."
          stream:write "250 kept\r\n"
        end
      end
    end, "127.0.0.1", 0))
    assert.equal(1, (smtp.send {
      from = "<a@example.org>", rcpt = "<b@example.org>", server = "127.0.0.1", port = server.port, domain = "here",
      source = smtp.message { headers = { subject = "tide" }, body = "It rises.\r\n" },
    }))
    assert.same({ "EHLO here", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA", "QUIT" }, said)
  end)
end)

describe("Redis", function()
  if servers.lack "redis" then return end
  local server
  lazy_setup(function() server = servers.start "redis" end)
  lazy_teardown(function() server:stop() end)

  -- redis-lua leaves that to the collector.
  local function quit(client)
    client:quit()
    client.network.socket:close()
  end

  local function blocked_count(client)
    return tonumber(client:info().clients.blocked_clients)
  end

  it("wakes a task that waits in redis-lua's blpop by a push of another", function()
    package.path = package.path .. ";/usr/share/lua/5.3/?.lua;/usr/share/lua/5.1/?.lua"
    local found, redis = pcall(require, "redis")
    if not found then return pending "needs lua-redis" end
    local client = assert(redis.connect("127.0.0.1", server.port))
    local waiter = neap.create_task(function()
      local other <const> = redis.connect("127.0.0.1", server.port)
      local answer = other:blpop("tide", 20)
      quit(other)
      return answer
    end)
    while blocked_count(client) == 0 do neap.sleep(0) end
    client:rpush("tide", "rises")
    assert.same({ "tide", "rises" }, waiter:await())
    local path = redis.connect("unix://" .. server.socket)
    assert.is_true(path:ping())
    quit(path)
    quit(client)
  end)

  it("answers resty.redis, whose connections are pooled", function()
    local file = "/usr/share/lua/5.1/nginx/redis.lua"
    if not needs.has "lua-nginx-redis" then return pending "needs lua-nginx-redis" end
    local environment = setmetatable({ ngx = require "neap.ngx" }, { __index = _G })
    local redis = assert(loadfile(file, "t", environment))()
    redis.add_commands("blpop", "rpush", "info")
    local function connect()
      local client = redis:new()
      client:set_timeout(20000)
      assert(client:connect("127.0.0.1", server.port))
      return client
    end
    local client = connect()
    assert.equal("OK", client:set("moon", "full"))
    assert.equal(1, client:set_keepalive(60000, 4))
    client = connect()
    assert.equal(1, client:get_reused_times())
    assert.equal("full", client:get "moon")
    assert.equal(environment.ngx.null, client:get "sun")
    assert.equal("OK", client:hmset("sea", { low = 1, high = 2 }))
    local waiter = neap.create_task(function()
      local other = connect()
      local answer = other:blpop("ebb", 20)
      other:close()
      return answer
    end)
    repeat neap.sleep(0) until client:info("clients"):find "blocked_clients:1"
    client:rpush("ebb", "falls")
    assert.same({ "ebb", "falls" }, waiter:await())
    client:init_pipeline()
    client:set("a", 1)
    client:get "a"
    assert.same({ "OK", "1" }, client:commit_pipeline())
    client:close()
  end)
end)

describe("PostgreSQL", function()
  if servers.lack "postgres" then return end
  local server
  lazy_setup(function() server = servers.start "postgres" end)
  lazy_teardown(function() server:stop() end)

  -- The protocol's messages, version 3.0: a letter, the length that counts itself, the contents.
  local function receive_message(client)
    local kind, length = string.unpack(">c1I4", assert(client:receive(5)))
    return kind, length > 4 and assert(client:receive(length - 4)) or ""
  end

  local function wait_until_ready(client)
    local rows = {}
    while true do
      local kind, contents = receive_message(client)
      if kind == "D" then rows[#rows + 1] = contents:sub(7) end -- of one column: its count and length stand before it
      if kind == "Z" then return rows end
      assert(kind ~= "E", contents)
    end
  end

  local function connect()
    local client = assert(socket.connect("127.0.0.1", server.port))
    assert(client:send(string.pack(">I4I4zzz", 4 + 4 + 5 + 9 + 1, 0x30000, "user", "postgres", "")))
    wait_until_ready(client)
    return client
  end

  local function query(client, text)
    assert(client:send(string.pack(">c1I4z", "Q", 4 + #text + 1, text)))
    return wait_until_ready(client)
  end

  it("sleeps for eight tasks at once", function()
    local watcher, tasks = connect(), {}
    for i = 1, 8 do
      tasks[i] = neap.create_task(function()
        local client <close> = setmetatable({ connect() }, { __close = function(self) self[1]:close() end })
        return #query(client[1], "SELECT pg_sleep(0.5)")
      end)
    end
    local most = 0
    while not tasks[8]:done() do
      local count = query(watcher, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
      most = math.max(most, tonumber(count[1]))
    end
    for _, task in ipairs(tasks) do assert.equal(1, task:await()) end
    assert.equal(8, most)
    watcher:close()
  end)
end)
