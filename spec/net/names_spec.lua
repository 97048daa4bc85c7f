-- getaddrinfo and getnameinfo.
local core = require "neap.core"
local neap = require "neap"
local network = require "spec.support.network"
local support = require "spec.support.stream"

local raised <const> = support.raised

local function fails(code, ...)
  local value, err, got = neap.getaddrinfo(...)
  assert.is_nil(value)
  assert.equal(code, got)
  assert.equal(code, err.code)
  return tostring(err)
end

describe("getaddrinfo", function()
  it("answers for a numeric host without a thread", function()
    local limit <close> = neap.timeout(5)
    local before = core.census().handles
    local task = neap.create_task(neap.getaddrinfo, "127.0.0.1", 80)
    neap.sleep(0)
    assert.is_true(task:done())
    assert.same({ { address = "127.0.0.1", port = 80, family = "inet", socktype = "stream" } }, task:result())
    assert.same({ { address = "::1", port = 99, family = "inet6", socktype = "dgram" } },
      neap.getaddrinfo("::1", "99", { socktype = "dgram" }))
    assert.equal(before, core.census().handles)
  end)

  it("leaves an address in IPv6's clothes in them", function()
    assert.equal("::ffff:1.2.3.4", neap.getaddrinfo("::ffff:1.2.3.4", 1)[1].address)
  end)

  it("keeps the scope of a link-local address", function()
    assert.equal("fe80::1%lo", neap.getaddrinfo("fe80::1%lo", 1)[1].address)
    assert.equal("fe80::1%lo", neap.getaddrinfo("fe80::1%1", 1)[1].address)
    assert.matches("fe80::1%nowhere", fails("EAI_NONAME", "fe80::1%nowhere", 1), 1, true)
  end)

  it("finds names", function()
    if not support.has_localhost() then return pending "localhost is not known here" end
    for _, found in ipairs(assert(neap.getaddrinfo("localhost", 7))) do
      assert.equal(7, found.port)
      assert(found.address == "127.0.0.1" or found.address == "::1", found.address)
    end
    for _, found in ipairs(assert(neap.getaddrinfo("localhost", nil, { family = "inet" }))) do
      assert.same({ address = "127.0.0.1", port = 0, family = "inet", socktype = "stream" }, found)
    end
  end)

  it("gives all addresses, in their order", function()
    local result = network.run({ NETWORK_ADDRESSES = "127.0.0.3 ::2 127.0.0.2" }, [[
      local neap = require "neap"
      for _, found in ipairs(neap.getaddrinfo("several.invalid", 80)) do print(found.address, found.port) end]])
    if not result then return pending "needs a C compiler" end
    assert.equal("", result.stderr)
    assert.equal("127.0.0.3\t80\n::2\t80\n127.0.0.2\t80\n", result.stdout)
  end)

  it("finds services", function()
    local found = neap.getaddrinfo("127.0.0.1", "http")
    if not found then return pending "there is no /etc/services" end
    assert.equal(80, found[1].port)
    assert.equal(69, neap.getaddrinfo("127.0.0.1", "tftp", { socktype = "dgram" })[1].port)
    assert.matches("127.0.0.1:no-such-service", fails("EAI_SERVICE", "127.0.0.1", "no-such-service"), 1, true)
  end)

  it("finds this machine's own addresses, and those to listen on", function()
    local function has(address, options)
      for _, found in ipairs(assert(neap.getaddrinfo(nil, 80, options))) do
        assert.equal(80, found.port)
        if found.address == address then return true end
      end
    end
    assert.is_true(has "127.0.0.1")
    assert.is_true(has("0.0.0.0", { passive = true }))
  end)

  it("tells what it was asked for when that is not there", function()
    assert.equal("getaddrinfo no.such.invalid:80: unknown node or service", fails("EAI_NONAME", "no.such.invalid", 80))
    assert.equal("getaddrinfo [::1]:80: address family not supported",
      fails("EAI_ADDRFAMILY", "::1", 80, { family = "inet" }))
    fails("EAI_NONAME", "", 80)
    fails("EAI_NONAME", ("x"):rep(10000), 80)
    fails("EAI_NONAME", ("a."):rep(200), 80)
    fails("EAI_SERVICE", "127.0.0.1", "70000")
    fails("EAI_SERVICE", "127.0.0.1", "")
    fails("EAI_SERVICE", "127.0.0.1", ("9"):rep(1000))
    fails("EAI_SERVICE", "127.0.0.1", ("x"):rep(10000))
  end)

  it("refuses bad arguments", function()
    local function refuses(what, ...)
      assert.matches(what, raised(neap.getaddrinfo, ...), 1, true)
    end
    refuses("the host contains a zero byte", "a\0b", 80)
    refuses("the service contains a zero byte", "a", "ht\0tp")
    refuses("the port is not in the range 0 to 65535", "127.0.0.1", 70000)
    refuses("the port is not in the range 0 to 65535", "127.0.0.1", -1)
    refuses("number has no integer representation", "127.0.0.1", 1.5)
    refuses("neither a host nor a service", nil, nil)
    refuses("string expected", {}, 80)
    refuses("there is no option 'famly'", "127.0.0.1", 80, { famly = "inet" })
    refuses("the option 'family' cannot be 'ipx'", "127.0.0.1", 80, { family = "ipx" })
    refuses("the option 'family' cannot be 'number'", "127.0.0.1", 80, { family = 2 })
    refuses("table expected", "127.0.0.1", 80, "inet")
  end)

  it("can be cancelled while it looks", function()
    support.cancel(support.start_waiting("getaddrinfo", neap.getaddrinfo, "localhost", 80))
  end)
end)

describe("getnameinfo", function()
  it("gives numbers without a thread, where those are asked for", function()
    local numeric = { numeric_host = true, numeric_service = true }
    assert.same({ "127.0.0.1", "80" }, { neap.getnameinfo("127.0.0.1", 80, numeric) })
    assert.same({ "fe80::1%lo", "0" }, { neap.getnameinfo("fe80::1%lo", 0, numeric) })
  end)

  it("finds the names of hosts and services", function()
    local host, service = neap.getnameinfo("127.0.0.1", 80)
    assert.is_string(host)
    assert(service == "http" or service == "80", service)
    assert.equal("80", select(2, neap.getnameinfo("127.0.0.1", 80, { numeric_service = true })))
    assert.equal("127.0.0.1", (neap.getnameinfo("127.0.0.1", 80, { numeric_host = true })))
  end)

  it("gives the address of a host without a name, or fails if that was asked for", function()
    assert.equal("240.0.0.1", (neap.getnameinfo("240.0.0.1", 1)))
    local value, err, code = neap.getnameinfo("240.0.0.1", 1, { name_required = true })
    assert.is_nil(value)
    assert(code == "EAI_NONAME" or code == "EAI_AGAIN", code)
    assert.matches("getnameinfo 240.0.0.1: ", tostring(err), 1, true)
  end)

  it("refuses bad arguments", function()
    local function refuses(what, ...)
      assert.matches(what, raised(neap.getnameinfo, ...), 1, true)
    end
    refuses("the host is not a numeric address", "localhost", 80)
    refuses("the host is not a numeric address", ("1"):rep(10000), 80)
    refuses("the host contains a zero byte", "127.0.0.1\0", 80)
    refuses("the port is not in the range 0 to 65535", "127.0.0.1", 70000)
    refuses("number expected, got no value", "127.0.0.1")
    refuses("there is no option 'numeric'", "127.0.0.1", 80, { numeric = true })
  end)

  it("can be cancelled while it looks", function()
    support.cancel(support.start_waiting("getnameinfo", neap.getnameinfo, "127.0.0.1", 80))
  end)
end)
