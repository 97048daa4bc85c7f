-- Where an await works, and where Lua cannot yield: there it raises at once, names the call, and the task goes on.
-- luacheck: ignore 512 (loops that end in their first round)
local neap = require "neap"

-- An await with a result: the value that comes back proves that the task was suspended and woken.
local function wait(value)
  neap.sleep(0)
  return value
end

-- A value whose metamethods are the given ones.
local function with(metamethods)
  return setmetatable({}, metamethods)
end

local allowed = {
  ["pcall"] = function() return select(2, pcall(wait, "ok")) end,
  ["xpcall"] = function() return select(2, xpcall(wait, debug.traceback, "ok")) end,
  ["load"] = function() return load("return (...)('ok')")(wait) end,
  ["dofile"] = function()
    local name = os.tmpname()
    local file <close> = assert(io.open(name, "w"))
    file:write "local neap = require 'neap' neap.sleep(0) return 'ok'"
    file:flush()
    local result = dofile(name)
    os.remove(name)
    return result
  end,
  ["__index"] = function() return with({ __index = function() return wait "ok" end }).x end,
  ["__newindex"] = function()
    local got
    with({ __newindex = function(_, _, value) got = wait(value) end }).x = "ok"
    return got
  end,
  ["__call"] = function() return with { __call = function(_, x) return wait(x) end } "ok" end,
  ["__concat"] = function() return "x" .. with { __concat = function() return wait "ok" end } end,
  ["__len"] = function() return #with { __len = function() return wait "ok" end } end,
  ["__unm"] = function() return -with { __unm = function() return wait "ok" end } end,
  ["__bnot"] = function() return ~with { __bnot = function() return wait "ok" end } end,
  ["__eq"] = function()
    local meta = { __eq = function() return wait(true) end }
    return with(meta) == with(meta) and "ok"
  end,
  ["__lt"] = function() return with { __lt = function() return wait(true) end } < 1 and "ok" end,
  ["__le"] = function() return with { __le = function() return wait(true) end } <= 1 and "ok" end,
  ["require"] = function()
    package.preload["neap.spec.none"] = function() return wait "ok" end
    local value = require "neap.spec.none"
    package.preload["neap.spec.none"] = nil
    package.loaded["neap.spec.none"] = nil
    return value
  end,
  ["a generic for's iterator"] = function()
    for value in function(_, last) return not last and wait "ok" or nil end do return value end
  end,
  ["__pairs"] = function()
    for _, value in pairs(with { __pairs = function() return wait(next), { "ok" } end }) do return value end
  end,
  ["the body of a pairs loop"] = function() for _ in pairs { 1 } do return wait "ok" end end,
  ["the body of an ipairs loop"] = function() for _ in ipairs { 1 } do return wait "ok" end end,
  ["the body of a gmatch loop"] = function() for _ in ("x"):gmatch "." do return wait "ok" end end,
  ["the body of a utf8.codes loop"] = function() for _ in utf8.codes "x" do return wait "ok" end end,
  ["the body of an io.lines loop"] = function()
    for _ in io.lines "spec/core/forbidden_spec.lua" do return wait "ok" end
  end,
}

for _, event in ipairs { "add", "sub", "mul", "div", "mod", "pow", "idiv", "band", "bor", "bxor", "shl", "shr" } do
  local operator = {
    add = "+", sub = "-", mul = "*", div = "/", mod = "%", pow = "^", idiv = "//", band = "&", bor = "|", bxor = "~",
    shl = "<<", shr = ">>",
  }
  allowed["__" .. event] = function()
    local object = with { ["__" .. event] = function() return wait "ok" end }
    return load("local x = ... return x " .. operator[event] .. " 1")(object)
  end
end

-- How a block may end while its <close> variable awaits.
local function closing(log)
  return with { __close = function() log[1] = wait "ok" end }
end

local ends = {
  ["its normal end"] = function(log)
    do local _ <close> = closing(log) end
  end,
  ["break"] = function(log)
    while true do
      local _ <close> = closing(log)
      break
    end
  end,
  ["goto"] = function(log)
    do
      local _ <close> = closing(log)
      goto out
    end
    ::out::
  end,
  ["return"] = function(log)
    (function()
      local _ <close> = closing(log)
      return "x"
    end)()
  end,
  ["an error that a pcall catches"] = function(log)
    pcall(function()
      local _ <close> = closing(log)
      error "wolf"
    end)
  end,
  ["the end of a for with a closing value"] = function(log)
    for _ in next, {}, nil, closing(log) do end
  end,
}

-- Each calls the function it gets in a place where Lua cannot yield.
local refused = {
  ["a message handler of xpcall"] = function(fn) xpcall(error, fn) end,
  ["arithmetic whose first operand is a string"] = function(fn) return "10" + with { __add = fn } end,
  ["ipairs over an __index"] = function(fn) for _ in ipairs(with { __index = fn }) do break end end,
  ["table.concat"] = function(fn) table.concat(with { __len = function() return 1 end, __index = fn }) end,
  ["table.insert"] = function(fn) table.insert(with { __len = fn }, 1) end,
  ["table.remove"] = function(fn) table.remove(with { __len = fn }) end,
  ["table.move"] = function(fn) table.move({ 1 }, 1, 1, 1, with { __newindex = fn }) end,
  ["table.unpack"] = function(fn) table.unpack(with { __index = fn }, 1, 1) end,
  ["table.sort's comparator"] = function(fn) table.sort({ 1, 2 }, fn) end,
  ["table.sort by __lt"] = function(fn)
    local meta = { __lt = fn }
    table.sort { with(meta), with(meta) }
  end,
  ["string.gsub's callback"] = function(fn) ("x"):gsub(".", fn) end,
  ["string.gsub's table"] = function(fn) ("x"):gsub(".", with { __index = fn }) end,
  ["tostring"] = function(fn) tostring(with { __tostring = fn }) end,
  ["print"] = function(fn) print(with { __tostring = fn }) end,
  ["string.format"] = function(fn) ("%s"):format(with { __tostring = fn }) end,
  ["the reader of load"] = function(fn) load(fn) end,
  ["a finalizer"] = function(fn)
    with { __gc = fn }
    collectgarbage()
    collectgarbage()
  end,
  ["a hook"] = function(fn)
    debug.sethook(function()
      debug.sethook()
      fn()
    end, "", 1)
    for _ = 1, 10 do end
    debug.sethook()
  end,
  ["coroutine.close"] = function(fn)
    local co = coroutine.create(function()
      local _ <close> = with { __close = fn }
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
  end,
  ["a <close> variable after an error has left its coroutine"] = function(fn)
    pcall(coroutine.wrap(function()
      local _ <close> = with { __close = fn }
      error "wolf"
    end))
  end,
  ["a generator called by table.sort's comparator"] = function(fn)
    table.sort({ 1, 2 }, coroutine.wrap(function()
      fn()
      while true do coroutine.yield(false) end
    end))
  end,
  ["a generator within a generator there"] = function(fn)
    ("x"):gsub(".", coroutine.wrap(function() coroutine.wrap(function() fn() end)() end))
  end,
  ["a callback of the loop"] = function(fn)
    neap.get_running_loop():call_soon(fn)
    neap.sleep(0)
  end,
  ["a done callback"] = function(fn)
    local future = neap.Future()
    future:add_done_callback(fn)
    future:set_result()
    neap.sleep(0)
  end,
}

-- The awaits to be tried in each of those places: the name in the message, and the call.
local awaits = {
  sleep = function() neap.sleep(1) end,
  await = function() neap.Future():await() end,
  acquire = function() neap.Semaphore(0):acquire() end,
}

local function sorted_pairs(map)
  local keys, i = {}, 0
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return function()
    i = i + 1
    return keys[i], map[keys[i]]
  end
end

describe("an await works in", function()
  for name, fn in sorted_pairs(allowed) do
    it(name, function() assert.equal("ok", fn()) end)
  end
end)

describe("an await works in __close at", function()
  for name, fn in sorted_pairs(ends) do
    it(name, function()
      local log = {}
      fn(log)
      assert.same({ "ok" }, log)
    end)
  end

  it("a return, whose values survive", function()
    local function values()
      local _ <close> = closing {}
      return 1, nil, 3
    end
    assert.same({ n = 3, 1, nil, 3 }, table.pack(values()))
  end)

  it("an error of the task's body", function()
    local log = {}
    local task = neap.create_task(function()
      local _ <close> = closing(log)
      error("wolf", 0)
    end)
    assert.same({ false, "wolf" }, { pcall(task.await, task) })
    assert.same({ "ok" }, log)
  end)
end)

describe("an await is refused in", function()
  for place, fn in sorted_pairs(refused) do
    it(place, function()
      for name, call in sorted_pairs(awaits) do
        local tried, message = 0, nil
        pcall(fn, function()
          tried = tried + 1
          if tried == 1 then message = select(2, pcall(call)) end
        end)
        assert.is_true(tried >= 1)
        assert.equal("string", type(message))
        assert.matches(name .. ":", message, 1, true)
        assert.matches("spec/core/forbidden_spec.lua:%d+:", message)
        assert.equal("ok", wait "ok")
      end
    end)
  end
end)

describe("a refused await", function()
  it("law 35: of a free permit takes none", function()
    local semaphore = neap.Semaphore(1)
    pcall(table.sort, { 1, 2 }, function() semaphore:acquire() end)
    assert.is_false(semaphore:locked())
  end)

  it("law 35: calls no function", function()
    local called = false
    pcall(table.sort, { 1, 2 }, function() neap.await(function() called = true end) end)
    assert.is_false(called)
  end)

  it("names the place it knows", function()
    local ok, message = pcall(table.sort, { 1, 2 }, function() neap.sleep(0) end)
    assert.is_false(ok)
    assert.matches("sleep: cannot wait here", message, 1, true)
    assert.matches("sort", message, 1, true)
  end)
end)
