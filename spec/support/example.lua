-- What an example says, in its last lines, that it prints.
local assert = require "luassert"

local example = {}

-- The lines after `-- expect: `, or nil. In them `...` stands for any text within a line.
function example.expectation(file)
  local lines = {}
  for line in io.lines(file) do
    lines[#lines + 1] = line:match "^%-%- expect: (.*)$"
  end
  return #lines > 0 and table.concat(lines, "\n") .. "\n" or nil
end

local function as_pattern(expected)
  return "^" .. expected:gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", "[^\n]*") .. "$"
end

function example.assert_prints(expected, result, name)
  if not result.stdout:find(as_pattern(expected)) then assert.equal(expected, result.stdout, name) end
  assert.equal("", result.stderr, name)
  assert.equal(0, result.status, name)
end

return example
