-- What a runtime's end met when it freed what was left.
local program = require "spec.support.program"

describe("the end of a program", function()
  it("finds a generator that was left inside a time limit", function()
    local result = program.code [[
      local neap = require "neap"
      generator = coroutine.create(function()
        local limit <close> = neap.timeout(3600)
        coroutine.yield "left"
      end)
      print(coroutine.resume(generator))
    ]]
    assert.equal("", result.stderr)
    assert.equal("true\tleft\n", result.stdout)
    assert.equal(0, result.status)
  end)
end)
