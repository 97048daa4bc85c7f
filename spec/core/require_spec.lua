-- require, whose modules may await.
local neap = require "neap"
local program = require "spec.support.program"

local preload, loaded = package.preload, package.loaded

-- Makes a module for this spec, which runs `body` for its value.
local function module(name, body) preload[name] = body end

-- One that waits for `gate` before it returns or fails; counts its loads.
local function gated(name, finish)
  local state = { gate = neap.Future(), loads = 0 }
  module(name, function(...)
    state.loads = state.loads + 1
    state.gate:await()
    return finish(...)
  end)
  return state
end

-- Tasks that require the module, each of which has begun.
local function requiring(name, count)
  local tasks = {}
  for i = 1, count do tasks[i] = neap.create_task(function() return require(name) end) end
  neap.sleep(0)
  return table.unpack(tasks)
end

local function packed(fn, ...) return table.pack(pcall(fn, ...)) end

-- What is noted as being loaded: of the registry's tables with weak values, the entries of our kind.
local function loading()
  local names = {}
  for _, t in pairs(debug.getregistry()) do
    local meta = type(t) == "table" and debug.getmetatable(t)
    for name, value in pairs(meta and meta.__mode == "v" and t or {}) do
      local kind = debug.getmetatable(value)
      if kind and kind.__name == "neap.Load" then names[#names + 1] = name end
    end
  end
  return names
end

before_each(function() require("neap.testing").virtual_clock() end)

after_each(function()
  for name in pairs(preload) do
    if name:find "^wolf" then preload[name] = nil end
  end
  for name in pairs(loaded) do
    if name:find "^wolf" then loaded[name] = nil end
  end
  assert.same({}, loading())
end)

describe("a module", function()
  it("may await in its body, and is loaded once", function()
    local count = 0
    module("wolf", function(...)
      neap.sleep(1)
      count = count + 1
      return { ... }
    end)
    local value, data = require "wolf"
    assert.same({ "wolf", ":preload:" }, value)
    assert.equal(":preload:", data)
    assert.same({ n = 1, value }, table.pack(require "wolf"))
    assert.equal(1, count)
  end)

  it("may await in what it requires, and in a coroutine", function()
    module("wolf.a", function() return "a" .. coroutine.wrap(require)("wolf.b") end)
    module("wolf.b", function() return "b" .. select(2, pcall(require, "wolf.c")) end)
    module("wolf.c", function()
      neap.sleep(1)
      return "c"
    end)
    assert.equal("abc", (require "wolf.a"))
  end)

  it("may be found by a searcher that awaits", function()
    local searchers = package.searchers
    table.insert(searchers, 1, function(name)
      neap.sleep(1)
      if name ~= "wolf.found" then return "no wolf" end
      return function(...)
        neap.sleep(1)
        return table.concat({ ... }, " ")
      end, "by scent"
    end)
    local found, missing = packed(require, "wolf.found"), packed(require, "wolf.missing")
    table.remove(searchers, 1)
    assert.same({ n = 3, true, "wolf.found by scent", "by scent" }, found)
    assert.matches("module 'wolf.missing' not found:\n\tno wolf\n\tno field package.preload['wolf.missing']",
      missing[2], 1, true)
  end)

  it("that fails after an await raises what it raised, and is loaded again the next time", function()
    local err = {}
    module("wolf", function()
      neap.sleep(1)
      error(err)
    end)
    for _ = 1, 2 do
      local ok, got = pcall(require, "wolf")
      assert.is_false(ok)
      assert.equal(err, got)
      assert.is_nil(loaded.wolf)
      assert.same({}, loading())
    end
  end)

  it("that returns nothing after an await is true, or what it has set", function()
    module("wolf.a", function() neap.sleep(1) end)
    module("wolf.b", function()
      neap.sleep(1)
      loaded["wolf.b"] = "set"
    end)
    assert.is_true((require "wolf.a"))
    assert.equal("set", (require "wolf.b"))
  end)

  it("that awaits shows require in its traceback, as plain Lua does", function()
    local trace
    module("wolf", function()
      neap.sleep(1)
      trace = debug.traceback()
    end)
    require "wolf"
    assert.matches("in function <spec/core/require_spec.lua:%d+>\n%s+%[C%]: in function 'require'\n"
      .. "%s+spec/core/require_spec.lua:%d+: in", trace)
  end)

  it("that is missing is told at the caller's place, also after an await", function()
    table.insert(package.searchers, 1, function() neap.sleep(1) end)
    local ok, err = pcall(function() require "wolf" end)
    table.remove(package.searchers, 1)
    assert.is_false(ok)
    assert.matches("^spec/core/require_spec.lua:%d+: module 'wolf' not found:\n\tno field", err)
  end)
end)

describe("a module that another task is loading", function()
  it("is waited for: all get the value of the one load", function()
    local wolf = gated("wolf", function() return {} end)
    local a, b, c = requiring("wolf", 3)
    assert.same({ "wolf" }, loading())
    wolf.gate:set_result()
    local value = a:await()
    assert.equal(value, b:await())
    assert.equal(value, c:await())
    assert.equal(1, wolf.loads)
  end)

  it("may turn out to be false, which is no reason to load it again", function()
    local wolf = gated("wolf", function() return false end)
    local a, b = requiring("wolf", 2)
    wolf.gate:set_result()
    assert.is_false((a:await()))
    assert.is_false((b:await()))
    assert.equal(1, wolf.loads)
  end)

  for _, value in ipairs { "a string", {}, "nil" } do
    it("may fail: all get the same error: " .. type(value) .. " " .. tostring(value):gsub("0x.*", ""), function()
      local err = value
      if err == "nil" then err = nil end
      local wolf = gated("wolf", function() error(err, 0) end)
      local a, b = requiring("wolf", 2)
      wolf.gate:set_result()
      assert.same({ n = 2, false, err }, packed(a.await, a))
      local got = packed(b.await, b)
      assert.is_false(got[1])
      assert.equal(err, got[2])
      assert.equal(1, wolf.loads)
      pcall(require, "wolf")
      assert.equal(2, wolf.loads)
    end)
  end

  it("goes on when a waiter is cancelled", function()
    local wolf = gated("wolf", function() return "value" end)
    local a, b, c = requiring("wolf", 3)
    b:cancel()
    pcall(b.await, b)
    assert.is_true(b:cancelled())
    wolf.gate:set_result()
    assert.equal("value", (a:await()))
    assert.equal("value", (c:await()))
  end)

  for _, stop in ipairs { "cancel", "kill" } do
    it("is loaded by the first waiter when the loading task is stopped by " .. stop, function()
      local wolf = gated("wolf", function() return neap.current_task() end)
      local a, b, c = requiring("wolf", 3)
      a[stop](a)
      pcall(a.await, a)
      assert.is_true(a:cancelled())
      neap.sleep(0)
      assert.equal(2, wolf.loads)
      wolf.gate:set_result()
      assert.equal(b, (b:await()))
      assert.equal(b, (c:await()))
      assert.equal(2, wolf.loads)
    end)
  end

  it("is loaded by the first waiter also when a <close> variable fails as the loading task is killed", function()
    local wolf = gated("wolf", function() return "value" end)
    local plain = preload.wolf
    module("wolf", function(...)
      local _ <close> = setmetatable({}, { __close = function() if wolf.loads == 1 then error "closing" end end })
      return plain(...)
    end)
    local a, b = requiring("wolf", 2)
    a:kill()
    wolf.gate:set_result()
    assert.equal("value", (b:await()))
  end)

  it("is loaded by a waiter when the loader's time is over", function()
    local wolf = gated("wolf", function() return "value" end)
    local a = neap.create_task(neap.wait_for, function() return require "wolf" end, 1)
    local b = neap.create_task(require, "wolf")
    local _, err = pcall(a.await, a)
    assert.is_true(neap.is(err, neap.TimeoutError))
    wolf.gate:set_result()
    assert.equal("value", (b:await()))
    assert.equal(2, wolf.loads)
  end)

  it("is loaded by a waiter when the coroutine that loaded it is closed or has failed", function()
    for _, finish in ipairs { coroutine.close, function(co) coroutine.resume(co, "wolf") end } do
      local calls = 0
      module("wolf", function()
        calls = calls + 1
        if calls == 1 then error(coroutine.yield()) end
        return "value"
      end)
      local co = coroutine.create(require)
      coroutine.resume(co, "wolf")
      local task = neap.create_task(require, "wolf")
      neap.sleep(0)
      finish(co)
      assert.equal("value", (task:await()))
      loaded.wolf = nil
    end
  end)

  it("is not touched by other coroutines that fail", function()
    local wolf = gated("wolf", function() return "value" end)
    local a, b = requiring("wolf", 2)
    coroutine.resume(coroutine.create(error))
    assert.same({ "wolf" }, loading())
    local c = requiring("wolf", 1)
    wolf.gate:set_result()
    neap.gather(a, b, c)
    assert.equal(1, wolf.loads)
  end)

  it("is waited for though an older load of it, by a task that required it in a circle, fails meanwhile", function()
    local gates, loads = { neap.Future(), false, neap.Future() }, 0
    module("wolf", function()
      loads = loads + 1
      local mine = loads
      if mine == 2 then return false end
      if mine == 1 then require "wolf" end
      gates[mine]:await()
      assert(mine == 3)
      return "value"
    end)
    local a, b = requiring("wolf", 2)
    gates[1]:set_result()
    assert.is_false(pcall(a.await, a))
    local c = requiring("wolf", 1)
    gates[3]:set_result()
    assert.equal("value", (b:await()))
    assert.equal("value", (c:await()))
    assert.equal(3, loads)
  end)

  it("raises the error of a coroutine.wrap that fails", function()
    local wolf = gated("wolf", function() error("wolf", 0) end)
    local a = neap.create_task(coroutine.wrap(require), "wolf")
    local b = neap.create_task(require, "wolf")
    neap.sleep(0)
    wolf.gate:set_result()
    assert.is_false(pcall(a.await, a))
    assert.same({ n = 2, false, "wolf" }, packed(b.await, b))
    assert.equal(1, wolf.loads)
  end)

  it("is no wait for the task that loads it: as in Lua, the loader runs again", function()
    local depth = 0
    module("wolf", function()
      depth = depth + 1
      neap.sleep(1)
      if depth < 3 then return { depth, require "wolf" } end
      return "inner"
    end)
    require "wolf"
    assert.equal(3, depth)
    assert.equal(1, loaded.wolf[1])
    assert.equal("inner", loaded.wolf[2][2])
  end)

  it("is no wait for a coroutine of the task that loads it", function()
    module("wolf", function()
      neap.sleep(1)
      return loaded.wolf or coroutine.wrap(function()
        module("wolf", function() return "inner" end)
        return (require "wolf")
      end)()
    end)
    assert.equal("inner", (require "wolf"))
  end)

  it("is no wait for the task whose coroutine has begun to load it, and yields", function()
    module("wolf", function()
      module("wolf", function() return "again" end)
      coroutine.yield()
    end)
    local begun = coroutine.wrap(require)
    begun "wolf"
    assert.equal("again", (require "wolf"))
    assert.equal("again", (begun()))
  end)

  it("cannot be waited for in a callback", function()
    local wolf, ok, err = gated("wolf", function() return 1 end)
    local a = requiring("wolf", 1)
    neap.get_running_loop():call_soon(function() ok, err = pcall(require, "wolf") end)
    neap.sleep(0)
    assert.is_false(ok)
    assert.matches("require: cannot wait outside a task", err, 1, true)
    wolf.gate:set_result()
    a:await()
  end)

  it("names require as what is waited for", function()
    local wolf = gated("wolf", function() return 1 end)
    local a, b = requiring("wolf", 2)
    assert.matches("waits in require at spec/core/require_spec.lua:%d+", tostring(b))
    wolf.gate:set_result()
    neap.gather(a, b)
  end)
end)

describe("modules that wait for each other", function()
  -- Modules each of which awaits and then requires the next; a task for each, and what these got.
  local function circle(names)
    local tasks, results = {}, {}
    for i, name in ipairs(names) do
      module(name, function()
        neap.sleep(i)
        return require(names[i % #names + 1])
      end)
      tasks[i] = neap.create_task(packed, require, name)
    end
    for i, task in ipairs(tasks) do results[i] = task:await() end
    return results
  end

  for _, names in ipairs { { "wolf.a", "wolf.b" }, { "wolf.a", "wolf.b", "wolf.c" } } do
    it(("end with an error in the task that would close the circle of %d"):format(#names), function()
      local results = circle(names)
      local last = names[#names]
      for _, result in ipairs(results) do
        assert.is_false(result[1])
        assert.matches(("^spec/core/require_spec.lua:%%d+: require: modules 'wolf.a' and '%s' wait for each other$")
          :format(last), result[2])
      end
    end)
  end

  it("may do so without a circle", function()
    module("wolf.a", function()
      neap.sleep(1)
      return "a" .. require "wolf.b"
    end)
    module("wolf.b", function()
      neap.sleep(5)
      return "b"
    end)
    local b, a, c = requiring("wolf.b", 1), requiring("wolf.a", 2)
    assert.equal("b", (b:await()))
    assert.equal("ab", (a:await()))
    assert.equal("ab", (c:await()))
  end)
end)

describe("require in the stock lua5.4", function()
  local here = program.neap:match "^(.*)/neap$"

  local function stock(code)
    return program.run { "env", "LUA_CPATH=" .. here .. "/module/?.so;;", "lua5.4", "-e", code }
  end

  it("awaits once neap.install() was called, and is plain before", function()
    if os.getenv "NEAP_PRESET" == "asan" then return end -- whose runtime lua5.4 does not have
    local result = stock [[
      local neap = require "neap"
      package.preload.wolf = function() neap.sleep(0) return "value" end
      print(select(2, neap.run(function() return pcall(require, "wolf") end)))
      neap.install()
      local installed = require
      neap.install()
      print(require == installed, neap.run(function() return require "wolf" end))
      package.loaded.wolf = nil
      print(select(2, pcall(require, "wolf")))]]
    assert.equal("", result.stderr)
    assert.equal(table.concat({
      '(command line):2: sleep: cannot wait here: Lua cannot yield across require',
      "true\tvalue\t:preload:",
      '(command line):2: sleep: cannot wait outside a task (start one with neap.run)',
    }, "\n") .. "\n", result.stdout)
  end)

  it("is no wait for the main program that loads it, and runs the loop meanwhile", function()
    if os.getenv "NEAP_PRESET" == "asan" then return end
    local result = stock [[
      local neap = require "neap"
      neap.install()
      package.preload.wolf = function()
        package.preload.wolf = function() neap.sleep(0) return "inner" end
        return neap.run(function() return require "wolf" end) .. " and outer"
      end
      print(require "wolf")]]
    assert.equal("", result.stderr)
    assert.equal("inner and outer\t:preload:\n", result.stdout)
  end)

  it("stays what a program has made of it", function()
    if os.getenv "NEAP_PRESET" == "asan" then return end
    local result = stock [[
      local neap, plain = require "neap", require
      function require(...) return plain(...) end
      local own = require
      neap.install()
      print(require == own)]]
    assert.equal("true\n", result.stdout)
  end)
end)
