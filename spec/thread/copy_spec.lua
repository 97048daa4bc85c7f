local core = require "neap.core"
local neap = require "neap"

local copied <const> = core.copied

local function refuses(text, ...)
  local ok, err = pcall(copied, ...)
  assert.is_false(ok)
  assert.equal("copied: cannot copy " .. text, (err:gsub("^[^:]*:%d+: ", "")))
end

describe("a copy", function()
  it("of numbers, strings and the like is the same value", function()
    local values <const> = table.pack(copied(1, 2.5, "x", nil, true, false, math.mininteger, math.huge, "", nil))
    assert.same({ 1, 2.5, "x", nil, true, false, math.mininteger, math.huge, "", nil, n = 10 }, values)
    assert.equal("integer", math.type(values[1]))
    assert.equal("float", math.type((copied(3.0))))
    local zero <const> = copied(-0.0)
    assert.equal(-math.huge, 1 / zero)
    local nan <const> = copied(0 / 0)
    assert.not_equal(nan, nan)
    assert.equal(0, select("#", copied()))
  end)

  it("of strings has every byte, whatever the length", function()
    for _, length in ipairs { 1, 4095, 4096, 4097, 65535, 65536, 1 << 20 } do
      local s <const> = ("\0ab\255"):rep(length // 4 + 1):sub(1, length)
      assert.is_true(copied(s) == s)
      assert.is_true(copied({ s })[1] == s)
    end
  end)

  it("of a table is another one with the same content", function()
    local t <const> = { 1, 2, nil, 4, x = { y = "z" }, [1.5] = "f", [true] = false }
    local u <const> = copied(t)
    assert.not_equal(t, u)
    assert.same(t, u)
  end)

  it("keeps circles and what is shared", function()
    local shared <const> = {}
    local t <const> = { shared, shared, k = { [shared] = 1 } }
    t.self = t
    local u <const>, s <const> = copied(t, shared)
    assert.equal(u, u.self)
    assert.equal(u[1], u[2])
    assert.equal(s, u[1])
    assert.equal(s, next(u.k))
  end)

  it("of a list of a million lists in one another takes no stack", function()
    local deep = {}
    for _ = 1, 1e6 do deep = { deep } end
    local copy, depth = copied(deep), 0
    while copy[1] do copy, depth = copy[1], depth + 1 end
    assert.equal(1e6, depth)
  end)

  it("of a function has copies of its variables, shared as they were", function()
    local n, list = 0, { 1 }
    local function add() n = n + #list return n end
    local function get() return n, list end
    local add2 <const>, get2 <const>, list2 <const> = copied(add, get, list)
    add2()
    list2[2] = true
    add2()
    local m <const>, inner <const> = get2()
    assert.equal(3, m)
    assert.equal(list2, inner)
    assert.equal(0, n)
    assert.same({ 1 }, list)
  end)

  it("of a function that calls itself does so", function()
    local function factorial(k) return k <= 1 and 1 or k * factorial(k - 1) end
    assert.equal(3628800, copied(factorial)(10))
  end)

  it("of a function keeps its lines", function()
    local line <const> = debug.getinfo(1, "l").currentline + 1
    local fails <const> = copied(function() error "here" end)
    local _, err = pcall(fails)
    assert.matches("copy_spec.lua:" .. line .. ": here", err, 1, true)
  end)

  it("of a module, of what it holds and of the globals is the name alone", function()
    for _, value in ipairs { string, string.format, neap, neap.sleep, neap.TimeoutError, _G, print, io.stdout,
                             require } do
      assert.equal(value, (copied(value)))
      assert.equal(value, copied({ value })[1])
      assert.equal(value, copied(function() return value end)())
    end
  end)

  it("sees what a module has got since, and what is its no more", function()
    local class <const> = { made = function() end }
    package.loaded["spec.class"] = class
    assert.equal(class, (copied(class)))
    assert.equal(class.made, getmetatable(copied(setmetatable({}, { f = class.made }))).f)
    package.loaded["spec.class"] = nil
    assert.not_equal(class, (copied(class)))
  end)

  it("of a function sees no global that the script has set", function()
    _G.spec_greeting = "hello"
    local reads <const> = function() return _G.spec_greeting end
    assert.equal("hello", reads())
    local seen = neap.to_thread(reads)
    _G.spec_greeting = nil
    assert.is_nil(seen)
  end)

  it("of a script's own global function is a copy", function()
    function _G.spec_global() return 7 end
    local copy <const> = copied(_G.spec_global)
    assert.not_equal(_G.spec_global, copy)
    _G.spec_global = nil
    assert.equal(7, copy())
  end)

  it("has a copy of the metatable, shared as it was, or the module's", function()
    local mt <const> = { __index = function(_, key) return key end }
    local a <const>, b <const> = copied(setmetatable({}, mt), setmetatable({}, mt))
    assert.equal("foo", a.foo)
    assert.equal(getmetatable(a), getmetatable(b))
    assert.not_equal(mt, getmetatable(a))
    local log <const> = {}
    copied(setmetatable({}, { __gc = function(t) t.log.finalized = true end })).log = log
    collectgarbage()
    assert.is_true(log.finalized)
  end)

  it("of neap's errors keeps the kind", function()
    local err <const> = copied(neap.TimeoutError "too late")
    assert.is_true(neap.is(err, neap.TimeoutError))
    assert.equal("too late", tostring(err))
    local _, refused = neap.open_connection("127.0.0.1", 1)
    refused = copied(refused)
    assert.is_true(neap.is(refused, neap.OSError))
    assert.equal("ECONNREFUSED", refused.code)
  end)

  it("of a CancelledError names the task", function()
    local task <const> = neap.create_task(neap.sleep, 60)
    task:set_name "waiter"
    neap.sleep(0)
    task:cancel "enough"
    local _, err = pcall(task.await, task)
    local copy <const> = copied(err)
    assert.is_true(neap.is(copy, neap.CancelledError))
    assert.equal("waiter was cancelled: enough", tostring(copy))
  end)
end)

describe("what cannot be copied", function()
  local co <const> = coroutine.create(print)

  it("is named, with its place", function()
    refuses("a coroutine (argument 1)", co)
    refuses("a coroutine (argument 2, field 'a.b[3]')", 1, { a = { b = { 1, 2, co } } })
    refuses("a coroutine (argument 1, upvalue 'co')", function() return co end)
    refuses("a coroutine (argument 1, field 'f', upvalue 'co')", { f = function() return co end })
    refuses("a coroutine (argument 1, metatable, field '__index', a key)", setmetatable({}, { __index = { [co] = 1 } }))
    refuses("a neap.Queue (argument 1, field '[\"a b\"][boolean]')", { ["a b"] = { [true] = neap.Queue() } })
    local file <close> = assert(io.open "/dev/null")
    refuses("a FILE* (argument 1)", file)
    refuses("a light userdata (argument 2, field '[1]')", refuses, { debug.upvalueid(refuses, 1) })
    refuses("a function of C that no loaded module has (argument 3)", 1, 2, coroutine.wrap(print))
  end)

  it("has a place in circles too", function()
    local t <const> = { list = {} }
    t.list.back = t
    t.list.list = { t, co }
    refuses("a coroutine (argument 1, field 'list.list[2]')", t)
  end)
end)

-- Whether two graphs have the same form.
local function alike(a, b, met)
  if type(a) ~= type(b) then return false end
  if type(a) ~= "table" then return a == b or (a ~= a and b ~= b) end
  if met[a] or met[b] then return met[a] == b and met[b] == a end
  met[a], met[b] = b, a
  local count = 0
  for key, value in pairs(a) do
    count = count + 1
    if type(key) ~= "table" and not alike(value, b[key], met) then return false end
  end
  for _ in pairs(b) do count = count - 1 end
  return count == 0 and alike(getmetatable(a), getmetatable(b), met)
end

local function random_scalar()
  local choices <const> = {
    function() return math.random(0) end,
    function() return math.random(-9, 9) end,
    function() return math.random() - 0.5 end,
    function() return math.random() < 0.5 end,
    function() return ("%c\0"):format(math.random(255)):rep(math.random(0, 1600)) end,
  }
  return choices[math.random(#choices)]()
end

local function random_graph(size)
  local tables <const> = {}
  for i = 1, size do tables[i] = {} end
  local function random_value()
    return math.random() < 0.5 and tables[math.random(size)] or random_scalar()
  end
  for _, t in ipairs(tables) do
    for i = 1, math.random(0, 5) do t[i] = random_value() end
    for _ = 1, math.random(0, 5) do t[random_scalar()] = random_value() end
    if math.random() < 0.1 then setmetatable(t, { [1] = random_value() }) end
  end
  return tables[1]
end

describe("random graphs", function()
  it("are copied whole", function()
    local seed <const> = os.time()
    math.randomseed(seed)
    for round = 1, 300 do
      local graph <const> = random_graph(math.random(1, 40))
      assert.is_true(alike(graph, copied(graph), {}), ("seed %d, round %d"):format(seed, round))
    end
  end)
end)
