-- Hosts in C: the examples, each of which says in its last lines how it is run and what it prints.
local program = require "spec.support.program"

local directory = program.neap:gsub("[^/]*$", "hosts/")

local function files()
  local list = {}
  local pipe = io.popen "ls examples/hosts/*.c"
  for file in pipe:lines() do list[#list + 1] = file end
  pipe:close()
  return list
end

-- The words after `// run: `, and the lines after `// expect: `.
local function statement(file)
  local words, lines = {}, {}
  for line in io.lines(file) do
    local command = line:match "^// run: (.*)$"
    for word in (command or ""):gmatch "%S+" do words[#words + 1] = word end
    lines[#lines + 1] = line:match "^// expect: (.*)$"
  end
  words[1] = directory .. words[1]
  return words, table.concat(lines, "\n") .. "\n"
end

describe("a host", function()
  for _, file in ipairs(files()) do
    it(file .. " prints what it says", function()
      local words, expected = statement(file)
      program.assert_printed(expected, program.run(words))
    end)
  end
end)
