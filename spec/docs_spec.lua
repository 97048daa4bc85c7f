-- The pages keep their word: each block of Lua in them runs and prints what stands behind its `-->`, and each name that
-- they give is there.
local api = require "spec.support.api"
local folder = require "spec.support.folder"
local installed = require "spec.support.installed"
local neap = require "neap"
local program = require "spec.support.program"

local FIRST_LINE <const> = 'local neap = require "neap"\n'

local function read(file)
  local input <close> = assert(io.open(file))
  return input:read "a"
end

local function files_of(pattern)
  local files = {}
  local names <close> = io.popen("ls " .. pattern)
  for file in names:lines() do files[#files + 1] = file end
  return files
end

local function pages()
  return files_of "README.md docs/*.md"
end

-- The blocks of a page: `name` is the line where one stands, `code` a program.
local function blocks_of(file)
  local blocks = {}
  local text = read(file)
  for start, code in text:gmatch "()```lua\n(.-)```" do
    local _, lines_before = text:sub(1, start):gsub("\n", "")
    if code:sub(1, #FIRST_LINE) ~= FIRST_LINE then code = FIRST_LINE .. code end
    blocks[#blocks + 1] = { name = ("%s:%d"):format(file, lines_before + 1), code = code }
  end
  return blocks
end

local function all_blocks(files)
  local blocks = {}
  for _, file in ipairs(files or pages()) do
    table.move(blocks_of(file), 1, #blocks_of(file), #blocks + 1, blocks)
  end
  return blocks
end

local function uses_network(block)
  return block.code:find("start_server", 1, true) or block.code:find("open_connection", 1, true)
end

-- A block with specs is a file for neap test.
local function is_spec(block)
  return block.code:find "%f[%w]it%("
end

local function find_block(words)
  for _, block in ipairs(all_blocks()) do
    if block.code:find(words, 1, true) and not is_spec(block) then return block.code end
  end
  error("no block has " .. words)
end

local function plain_spaces(text)
  return (text:gsub("[ \t]+", " "))
end

-- What a block says it prints must be among the lines that it does print, in the same order.
local function assert_prints_what_it_says(block, stdout)
  local from = 1
  local printed = "\n" .. plain_spaces(stdout)
  for said in block.code:gmatch "%-%->%s*([^\n]*)" do
    local _, last = printed:find("\n" .. plain_spaces(said) .. "\n", from, true)
    assert(last, ("%s says that it prints '%s', and prints:\n%s"):format(block.name, said, stdout))
    from = last
  end
end

local function runs(block)
  return function()
    local result = program.code(block.code)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    assert_prints_what_it_says(block, result.stdout)
  end
end

local function passes(block)
  return function()
    local path = os.tmpname() .. "_spec.lua"
    local file = assert(io.open(path, "w"))
    file:write(block.code)
    file:close()
    local result = program.run { program.neap, "test", path }
    os.remove(path)
    os.remove((path:gsub("_spec.lua$", "")))
    assert.equal("", result.stderr)
    assert.matches("[1-9]%d* success%a* / 0 failures / 0 errors / 0 pending", result.stdout)
    assert.equal(0, result.status)
  end
end

local function free_port()
  local server <close> = assert(neap.start_server(function() end, "127.0.0.1", 0))
  return server.port
end

-- A block as a function, with another port in place of the one it names.
local function on_port(code, port)
  return "(function()\n" .. code:gsub("7000", port) .. "\nend)"
end

describe("a block of the pages", function()
  for _, block in ipairs(all_blocks()) do
    if is_spec(block) then
      it(block.name .. " has specs that pass", passes(block))
    elseif uses_network(block) then
      it(block.name .. " loads", function() assert(load(block.code, "=" .. block.name, "t")) end)
    else
      it(block.name .. " runs, and prints what it says", runs(block))
    end
  end

  it("that is a client talks to the one that is a server", function()
    local port = free_port()
    local result = program.code(FIRST_LINE
      .. "local server = neap.create_task" .. on_port(find_block "start_server", port)
      .. "\nneap.sleep(0);\n" .. on_port(find_block "open_connection", port) .. "()\nserver:cancel()")
    assert.equal("", result.stderr)
    assert.equal("hello\n", result.stdout)
  end)

  it("that is a client says what stands against it when there is no server", function()
    local port = free_port()
    local code = find_block("open_connection"):gsub("7000", port)
    assert_prints_what_it_says({ name = "the client", code = code }, program.code(code).stdout)
  end)
end)

describe("a block of the reference", function()
  for _, block in ipairs(all_blocks(files_of "docs/reference/*.md")) do
    it(block.name .. " loads", function() assert(load(block.code, "=" .. block.name, "t")) end)
  end

  it("on TLS makes a certificate that its client trusts", function()
    local code = blocks_of("docs/reference/tls.md")[1].code
    local command = assert(code:match "%-%- (openssl .-\n)local"):gsub("\n%-%-", "\n")
    local place <close> = folder.new()
    assert.equal(0, place:shell(command).status)
    place:write("page.lua", "local function handler(stream) stream:write 'over TLS' end\n"
      .. code:gsub("7000", free_port()) .. "\nprint(stream:read 'a')")
    local result = place:shell "$NEAP page.lua"
    assert.equal("", result.stderr)
    assert.equal("over TLS\n", result.stdout)
  end)
end)

describe("README.md on embedding", function()
  it("shows the smallest host as it is among the examples", function()
    local code = assert(read("README.md"):match "```c\n(.-)```")
    assert(read("examples/hosts/smallest.c"):find(code, 1, true), "examples/hosts/smallest.c has no such main")
  end)

  it("names every host that is among the examples, and no other", function()
    local named, there = {}, {}
    for name in read("README.md"):gmatch "| `(%w+[%w_]*%.c)` |" do named[#named + 1] = name end
    local list <close> = io.popen "ls examples/hosts"
    for name in list:lines() do there[#there + 1] = name end
    table.sort(named)
    table.sort(there)
    assert.same(there, named)
  end)

  it("names functions and settings that the header has", function()
    local section = assert(read("README.md"):match "\n## Embedding it\n(.-)\n## ")
    local header = read "src/neap.h"
    for name in section:gmatch "neap_[%w_]+" do
      assert(header:find("%f[%w_]" .. name .. "%f[^%w_]"), "neap.h has no " .. name)
    end
    local settings = assert(header:match "struct neap_config (%b{})")
    for name in section:gmatch "`config%.([%w_]+)`" do
      assert(settings:find("%f[%w_]" .. name .. "%f[^%w_]"), "neap_config has no " .. name)
    end
  end)
end)

-- The methods of the classes for which the pages have a word.
local CLASSES <const> = {
  barrier = "Barrier", context = "Context", future = "Future", lock = "Lock", loop = "Loop", queue = "Queue",
  server = "Server", stream = "Stream", task = "Task",
}

-- What stands in a table of README.md after a title, in its row and those without a title below it.
local function row(title)
  local text = read("README.md"):gsub(" |\n| | ", " ")
  local cells = text:match("\n| " .. title .. " | ([^\n]*) |\n")
  return assert(cells, "README.md has no row '" .. title .. "'")
end

local function all_text()
  local texts = {}
  for _, file in ipairs(pages()) do texts[#texts + 1] = read(file) end
  return table.concat(texts, "\n")
end

describe("a name that the pages give", function()
  local functions = api.functions()

  local function assert_method(class, name)
    assert(functions[class .. ":" .. name], ("the pages have %s:%s, neap does not"):format(class, name))
  end

  it("after neap and a dot is in the module", function()
    for before, name in all_text():gmatch "(.?)%f[%w]neap%.([%a_]+)" do
      local is_file = before == "/" or name == "testing" or name == "busted" or name == "ngx"
      assert(is_file or neap[name] ~= nil, "the pages have neap." .. name .. ", neap does not")
    end
  end)

  it("after a thing and a colon is a method of it", function()
    local without_first_cells = all_text():gsub("\n| [^|\n]* |", "\n|")
    for word, name in without_first_cells:gmatch "%f[%w](%a+):([%a_]+)" do
      if CLASSES[word] then assert_method(CLASSES[word], name) end
    end
  end)

  it("in the lists of README.md is there", function()
    for _, title in ipairs { "tasks", "scopes", "sharing", "network", "errors" } do
      for names in row(title):gmatch "`(.-)`" do
        for name in names:gsub("%b()", ""):gmatch "[%w_]+" do
          assert(neap[name], "README.md lists " .. name .. ", neap does not have it")
        end
      end
    end
    local methods, functions_of_neap = row("the loop"):match "`loop:(.-)`; `(.-)`"
    for name in methods:gmatch "[%w_]+" do assert_method("Loop", name) end
    for name in functions_of_neap:gmatch "[%w_]+" do assert(neap[name], name) end
  end)

  it("is missing for nothing that neap.testing has", function()
    local text = read "docs/testing.md"
    for name in pairs(require "neap.testing") do
      assert(text:find("testing." .. name, 1, true), "docs/testing.md does not name testing." .. name)
    end
  end)

  it("is missing for nothing that the module has", function()
    local text = all_text()
    for name in pairs(neap) do
      assert(name == "_VERSION" or text:find("%f[%w_]" .. name .. "%f[^%w_]"), "no page names neap." .. name)
    end
  end)
end)

describe("the reference", function()
  if not installed.is_possible then return end

  local made <const> = installed.build .. "/share/reference/"

  it("has a page for each module, and says what the types say", function()
    for _, module in ipairs { "neap", table.unpack(api.modules) } do
      local page = module .. ".md"
      assert(read(made .. page) == read("docs/reference/" .. page), page .. " is not up to date: ./dev docs")
    end
  end)

  it("says of each module what it is for", function()
    for _, module in ipairs { "neap", table.unpack(api.modules) } do
      assert.matches("^# [%l.]+\n\n%u", read("docs/reference/" .. module .. ".md"))
    end
  end)
end)
