-- Hosts in C. The examples say in their last lines how they are run and what they print; the others are in
-- spec/hosts, and say what they do.
local program = require "spec.support.program"
local stream = require "spec.support.stream"

local directory <const> = program.neap:gsub("[^/]*$", "hosts/")
local preset <const> = os.getenv "NEAP_PRESET" or "release"

local function lines_of(command)
  local list = {}
  local pipe = io.popen(command)
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

local function has(command)
  return (os.execute("command -v " .. command .. " >/dev/null"))
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

describe("a host among the examples", function()
  local files = lines_of "ls examples/hosts/*.c"

  for _, file in ipairs(files) do
    it("prints what it says: " .. file, function()
      local words, expected = statement(file)
      program.assert_printed(expected, program.run(words))
    end)
  end

  it("shows each way to embed", function() assert.is_true(#files >= 8) end)

  for _, name in ipairs { "own_loop", "threads" } do
    it("leaves nothing that valgrind sees: " .. name, function()
      if preset ~= "release" then return end -- the sanitizers do not run under it
      if not has "valgrind" then return pending "valgrind is not installed" end
      local words, expected = statement("examples/hosts/" .. name .. ".c")
      local valgrind = { "valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full" }
      local result = program.run(table.move(words, 1, #words, #valgrind + 1, valgrind))
      program.assert_printed(expected, result)
    end)
  end
end)

describe("a busy host whose runtime is freed has nothing left:", function()
  local MODES <const>, TURNS <const> = 6, 50
  local step <const> = ({ release = 1, asan = 2, tsan = 10 })[preset] or 1 -- a sanitizer takes its time
  -- threads end, processes start, the system lets go of what it watched; a sanitizer looks at the ciphers' every byte
  local slow = { threads = true, processes = true, folders = true, tls = preset ~= "release" }
  local least = { operations = "operations", futures = "posts" } -- which must be many

  for _, file in ipairs(lines_of "ls spec/hosts/cut/*.lua") do
    local name = file:match "([^/]*)%.lua$"
    it(name, function()
      if name == "names" and not stream.has_localhost() then return pending "localhost is not known here" end
      local every = slow[name] and step * 5 or step
      local cuts = (TURNS // every + 1) * MODES
      local result = program.run { directory .. "cut", name, tostring(every) }
      assert.equal("", result.stderr)
      assert.matches(", 0 bad\n$", result.stdout)
      assert.equal(cuts, tonumber(result.stdout:match "(%d+) cuts"))
      for _, what in ipairs { least[name] or "spawned", "spawned" } do
        assert.is_true(tonumber(result.stdout:match("(%d+) " .. what)) >= cuts, result.stdout)
      end
      assert.is_true(tonumber(result.stdout:match "(%d+) guards") > 0, result.stdout)
      assert.equal(0, result.status)
    end)
  end
end)

-- Each line of what was expected is a call and a part of its message; those of several threads have no order.
local function assert_said(expected, stderr)
  local said = {}
  for line in stderr:gmatch "[^\n]+" do said[#said + 1] = line end
  local count = 0
  for call, message in expected:gmatch "(%S+)\t([^\n]*)\n" do
    count = count + 1
    assert.matches("neap: " .. call .. ": ", said[count] or "nothing", 1, true)
    assert.matches(message, said[count], 1, true)
  end
  assert.equal(count, #said, stderr)
end

describe("a mistake of a host's is refused, and harms nothing:", function()
  for _, name in ipairs(lines_of(directory .. "misuse list")) do
    it(name, function()
      local result = program.run { directory .. "misuse", name }
      assert.matches("clean\n$", result.stdout, result.stderr)
      assert_said(result.stdout, result.stderr)
      assert.equal(0, result.status)
    end)
  end
end)

describe("the header", function()
  local declared = {}
  do
    local file = assert(io.open "src/neap.h")
    local text = file:read("a"):gsub("/%*.-%*/", "")
    file:close()
    for declaration in text:gmatch "\nNEAP_API ([^;]*);" do
      declared[#declared + 1] = declaration:match "([%w_]+)%("
    end
    table.sort(declared)
  end

  it("declares at most 30 functions", function() assert.is_true(#declared <= 30 and #declared >= 20) end)

  -- But for what `require "neap.busted"` and the like call in the stock interpreter.
  it("declares what the shared library exports, and nothing else", function()
    local exported = lines_of("nm -D --defined-only " .. program.neap:gsub("[^/]*$", "libneap.so")
      .. " | sed -n 's/.* [TDBRVW] //p' | grep -v -e '^_' -e '^luaopen_neap_' | sort")
    assert.same(declared, exported)
  end)

  local function compiles(words)
    return function()
      if not has(words[1]) then return pending(words[1] .. " is not installed") end
      local command = table.concat(words, " ") .. " -Wall -Wextra -pedantic -Werror -fsyntax-only -Isrc"
        .. " $(pkg-config --cflags lua5.4 libuv) 2>&1"
      local said = lines_of(command)
      assert.equal("", table.concat(said, "\n"))
    end
  end

  it("is C++", compiles { "g++", "-std=c++11", "spec/hosts/header.cpp" })
  it("is C", compiles { "gcc", "-std=gnu11", "-x c", "spec/hosts/header.cpp" })
  it("is C++ to clang", compiles { "clang++", "-std=c++17", "spec/hosts/header.cpp" })
end)
