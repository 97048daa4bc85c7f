-- examples/fetch.lua against a real nginx, and the two example servers against real clients.
local program = require "spec.support.program"
local servers = require "spec.support.servers"

local NOWHERE = "http://127.0.0.1:1/page.html"

-- Pages come quickly under /, in about a second under /steady20/ and /steady19/ (which refuse a 21st and a 20th
-- client with 503), and hardly at all under /slow/.
local NGINX = {
  pages = 200,
  http = "limit_conn_zone $server_port zone=clients:1m; reset_timedout_connection on;",
  server = [[
    location / { limit_conn clients 20; }
    location /steady20/ { alias DIR/www/; limit_rate 1000; limit_conn clients 20; }
    location /steady19/ { alias DIR/www/; limit_rate 1000; limit_conn clients 19; }
    location /slow/ { alias DIR/www/; limit_rate 10; }
    location /reset { return 444; }
  ]],
}

local function fetch(...)
  return program.start { program.neap, "examples/fetch.lua", ... }
end

-- How many rows of the table match.
local function rows(result, pattern)
  local count = 0
  for line in result.stdout:gmatch "[^\n]+" do
    if line:find(pattern) then count = count + 1 end
  end
  return count
end

local function assert_clean(result)
  assert.equal("", result.stderr)
  assert.equal(0, result.status)
end

describe("examples/fetch.lua", function()
  local server

  if servers.lack "nginx" then return end

  before_each(function() server = servers.start("nginx", NGINX) end)
  after_each(function() server:stop() end)

  it("fetches 200 pages, 20 of them at a time", function()
    local result = fetch("-n", "20", server.url .. "/page{1..200}.html"):finish()
    assert_clean(result)
    assert.equal(200, rows(result, "^   200       1500 +%d+%.%d+  http://[%w./:]+$"))
    assert.equal(1, rows(result, "^200 of 200 pages, 0 failed$"))
  end)

  it("has neither more nor less in flight than it was told", function()
    local result = fetch("-n", "20", server.url .. "/steady20/page{1..40}.html"):finish()
    assert_clean(result)
    assert.equal(40, rows(result, "^   200 "))
    result = fetch("-n", "20", server.url .. "/steady19/page{1..20}.html"):finish()
    assert.equal(19, rows(result, "^   200 "))
    assert.equal(1, rows(result, "^   503 "))
  end)

  it("gives each bad page one row, and goes on", function()
    local result = fetch("-n", "2", "--limit", "0.5", "gopher://127.0.0.1", NOWHERE, server.url .. "/reset",
      server.url .. "/slow/page1.html", server.url .. "/missing.html", server.url .. "/page1.html"):finish()
    assert_clean(result)
    assert.equal(1, rows(result, "^     %- .*gopher://127.0.0.1  not an http:// address$"))
    assert.equal(1, rows(result, "^     %- .*:1/page.html  .*refused"))
    assert.equal(1, rows(result, "^     %- .*/reset  .*reset"))
    assert.equal(1, rows(result, "/slow/page1.html  %S"))
    assert.equal(1, rows(result, "^   404 .*/missing.html$"))
    assert.equal(1, rows(result, "^   200 .*/page1.html$"))
    assert.equal(1, rows(result, "^6 of 6 pages, 4 failed$"))
  end)

  -- Fetches 200 pages in about ten seconds, and calls fn(running program) when at least 20 have come.
  local function half_way(fn)
    local running = fetch("-n", "20", server.url .. "/steady20/page{1..200}.html")
    local ok, err = pcall(program.wait_until, function() return server:answered() >= 20 end)
    if ok then fn(running) end
    local result = running:finish()
    if not ok then error(err, 0) end
    return result
  end

  it("turns the rest into rows of errors when the server stops half-way", function()
    local result = half_way(function() server:stop() end)
    assert_clean(result)
    local good = rows(result, "^   200 .*html$")
    assert.is_true(good >= 20)
    assert.equal(200 - good, rows(result, "html  %S"))
    assert.is_true(rows(result, "refused") > 0)
    assert.equal(1, rows(result, "^200 of 200 pages, " .. 200 - good .. " failed$"))
  end)

  it("shows what it has on Ctrl-C, and ends with status 130", function()
    local result = half_way(function(running) running:signal "INT" end)
    assert.equal(130, result.status)
    assert.is_nil(result.stderr:find "traceback")
    assert.is_true(rows(result, "^   200 .*html$") >= 20)
    assert.equal(1, rows(result, "^%d+ of 200 pages, %d+ failed$"))
  end)

  it("reads the pages' names from a file", function()
    local list = os.tmpname()
    local file = assert(io.open(list, "w"))
    file:write(server.url, "/page1.html\n", server.url, "/page2.html\n")
    file:close()
    local result = fetch("-i", list):finish()
    os.remove(list)
    assert_clean(result)
    assert.equal(2, rows(result, "^   200 "))
  end)

  it("counts the pages on a terminal", function()
    if program.run { "script", "-qec", "true", "/dev/null" }.status ~= 0 then
      return pending "there are no terminals here"
    end
    local command = ("%s examples/fetch.lua %s/page{1..3}.html"):format(program.neap, server.url)
    local result = program.run { "script", "-qec", command, "/dev/null" }
    assert.matches("\r3 of 3 pages", result.stdout, 1, true)
    assert.equal(0, result.status)
  end)

  it("tells its usage when there is nothing to fetch", function()
    local result = fetch():finish()
    assert.matches("^usage: ", result.stderr)
    assert.equal(1, result.status)
  end)
end)

describe("an example server", function()
  local CLIENT = [[
    local neap = require "neap"
    local stream <close> = assert(neap.open_connection("127.0.0.1", tonumber(os.getenv "PORT")))
    stream:write(os.getenv "SENT")
    stream:shutdown()
    io.write(stream:read "a")
  ]]

  local function talk(port, sent)
    local result = program.run { "env", "PORT=" .. port, "SENT=" .. sent, program.neap, "-e", CLIENT }
    assert_clean(result)
    return result.stdout
  end

  -- Runs an example server on a port of its own choosing while fn(port) runs.
  local function serve(file, fn)
    local server = program.start { program.neap, file, "0" }
    local port = server.pipe:read "l":match "%d+$"
    local ok, err = pcall(fn, port)
    server:signal "INT"
    local result = server:finish()
    if not ok then error(err, 0) end
    assert.equal(130, result.status)
  end

  it("echoes every line", function()
    serve("examples/echo.lua", function(port)
      assert.equal("one\ntwo\nend", talk(port, "one\ntwo\nend"))
    end)
  end)

  it("stores what one connection sets and another one asks for", function()
    serve("examples/store.lua", function(port)
      assert.equal("ok\nwhat?\n", talk(port, "set wool two bags\nshear\nquit\nget wool\n"))
      assert.equal("two bags\nnothing\n", talk(port, "get wool\nget milk\n"))
    end)
  end)
end)
