-- What spec/socket/same.lua prints under the stock lua5.4 with LuaSocket it prints under neap.
local program = require "spec.support.program"

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

local function has_luasocket()
  return program.run { "lua5.4", "-e", "require 'socket' require 'socket.unix'" }.status == 0
end

describe("socket is LuaSocket's", function()
  it("in the classes, values and errors of each call", function()
    if not has_luasocket() then return pending "there is no LuaSocket for lua5.4" end
    local theirs = program.run { "lua5.4", "spec/socket/same.lua" }
    local ours = program.run { program.neap, "spec/socket/same.lua" }
    assert.equal("", theirs.stderr)
    assert.equal("", ours.stderr)
    local expected, lines = lines_of(theirs.stdout), lines_of(ours.stdout)
    for i, line in ipairs(expected) do assert.equal(line, lines[i]) end
    assert.equal(#expected, #lines)
    assert.is_true(#expected > 200)
  end)
end)
