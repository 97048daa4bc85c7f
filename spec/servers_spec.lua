-- The real servers that specs talk to: each of them answers, and nothing stays of it.
local neap = require "neap"
local program = require "spec.support.program"
local servers = require "spec.support.servers"

local function is_running(pid)
  return (os.execute("kill -0 " .. pid .. " 2>/dev/null"))
end

-- Sends the text to a port and returns the next line.
local function ask(port, text)
  local stream <close> = assert(neap.open_connection("127.0.0.1", port))
  assert(stream:write(text))
  return stream:read "L"
end

-- Starts a server, calls fn(server), and sees that neither process nor file stays.
local function with(name, options, fn)
  local pid, dir
  do
    local server <close> = servers.start(name, options)
    pid, dir = server:read "pid":match "%d+", server.dir
    assert.is_true(is_running(pid))
    fn(server)
  end
  assert.is_nil(is_running(pid))
  assert.is_nil(io.open(dir))
end

-- Specs of a server, or that it is missing.
local function describe_server(name, fn)
  describe(name, function()
    if not servers.lack(name) then fn() end
  end)
end

describe_server("nginx", function()
  it("serves its pages, and what the spec configures", function()
    local options = { pages = 1, server = "location /name { return 200 'DIR PORT'; }" }
    with("nginx", options, function(server)
      assert.equal("HTTP/1.1 200 OK\r\n", ask(server.port, "GET /page1.html HTTP/1.0\r\n\r\n"))
      local result = program.run { "curl", "-s", server.url .. "/name" }
      program.assert_printed(server.dir .. " " .. server.port, result)
      assert.equal(2, server:answered())
    end)
  end)

  it("tells why it does not start", function()
    assert.error_matches(function() servers.start("nginx", { http = "surprise;" }) end,
      'nginx%-light did not start: it ended\n.*unknown directive "surprise"')
  end)

  it("takes another port when one is in use, unless it was told which", function()
    with("nginx", {}, function(first)
      assert.error_matches(function() servers.start("nginx", { port = first.port }) end, "Address already in use")
      local any_port = servers.any_port
      finally(function() servers.any_port = any_port end)
      servers.any_port = function()
        servers.any_port = any_port
        return first.port
      end
      with("nginx", {}, function(second) assert.not_equal(first.port, second.port) end)
    end)
  end)
end)

describe_server("redis", function()
  it("answers on its port, by the arguments it was given", function()
    with("redis", {}, function(server) assert.equal("+PONG\r\n", ask(server.port, "PING\r\n")) end)
    with("redis", { args = { "--requirepass", "wool" } }, function(server)
      assert.equal("+OK\r\n", ask(server.port, "AUTH wool\r\n"))
    end)
  end)
end)

describe_server("postgres", function()
  -- The first message of the protocol: length, version, parameters.
  local START = string.pack(">I4I4zzz", 4 + 4 + 5 + 9 + 1, 0x30000, "user", "postgres", "")

  local function first_answer(server)
    local stream <close> = assert(neap.open_connection("127.0.0.1", server.port))
    assert(stream:write(START))
    return string.unpack(">c1I4I4", stream:readexactly(9))
  end

  it("lets its user in, and asks for the password if there is one", function()
    with("postgres", {}, function(server)
      local kind, _, code = first_answer(server)
      assert.same({ "R", 0 }, { kind, code })
    end)
    with("postgres", { password = "wool", auth = "md5" }, function(server)
      local kind, _, code = first_answer(server)
      assert.same({ "R", 5 }, { kind, code })
    end)
  end)
end)

describe_server("openssl", function()
  it("speaks TLS by a certificate that its file confirms", function()
    with("openssl", { args = { "-www" } }, function(server)
      local url = ("https://localhost:%d/"):format(server.port)
      local words = { "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", server.certificate, url }
      program.assert_printed("200", program.run(words))
    end)
  end)
end)

describe("a server", function()
  if servers.lack "redis" then return end

  it("ends with the process that started it, also when that is killed", function()
    local result = program.run { "sh", "-c", [[
      "$0" -e 'local server = require("spec.support.servers").start "redis"
        print(server.dir, server:read "pid")
        os.execute("kill -KILL " .. io.open("/proc/self/stat"):read "n")' ]], program.neap }
    local dir, pid = result.stdout:match "^(%S+)\t(%d+)"
    program.wait_until(function() return not is_running(pid) and not io.open(dir) end)
  end)
end)

describe("a spec that needs what is not installed", function()
  local folder = require "spec.support.folder"

  local SPEC = [[
    local needs = require "spec.support.needs"
    needs.has = function(package) return package == "curl" end
    describe("a feature", function()
      if needs.lacks("curl", "redis-server") then return end
      it("works", function() error "it ran" end)
    end)
  ]]

  -- The summary of its run with this environment.
  local function run(setting)
    local place <close> = folder.new()
    place:write("some_spec.lua", SPEC)
    return program.run { "env", setting, program.neap, "test", place:file "some_spec.lua" }.stdout
  end

  it("is pending, and says what it needs; where nothing may be missing it fails", function()
    local text = run "NEAP_REQUIRE_ALL="
    assert.matches("0 successes / 0 failures / 0 errors / 1 pending", text, 1, true)
    assert.matches("a feature needs redis-server, which is not installed", text, 1, true)
    text = run "NEAP_REQUIRE_ALL=1"
    assert.matches("0 successes / 0 failures / 1 error / 0 pending", text, 1, true)
    assert.matches("needs redis-server, which is not installed", text, 1, true)
  end)
end)
