-- Lua's own tests, where they are: `./dev lua-tests` fetches them.
local program = require "spec.support.program"

local folder = os.getenv "NEAP_LUA_TESTS" or "build/lua-tests"

local function is_there(path)
  return os.rename(path, path) == true
end

-- Runs them, or the one that is named, under the interpreter. Returns the table and the exit status.
local function run(interpreter, name)
  local line = "NEAP_BIN='%s' exec timeout -s KILL 500 lua5.4 spec/support/lua_tests.lua '%s' %s"
  local pipe = io.popen(line:format(interpreter, folder, name or ""))
  local text = pipe:read "a"
  return text, select(3, pipe:close())
end

describe("Lua's own tests", function()
  if not is_there(folder) then
    pending("are not here: ./dev lua-tests fetches them, or NEAP_LUA_TESTS names their folder")
    return
  end

  it("end under neap as under lua5.4, in a script and in a task", function()
    local text, status = run(program.neap)
    assert.matches("(%d+) of %1 files end alike\n$", text)
    assert.equal(0, status, text)
  end)

  it("are seen to fail", function()
    local text, status = run("false", "vararg")
    assert.matches("vararg +ok +ok +fails +fails +DIFFERS", text)
    assert.equal(1, status)
  end)
end)
