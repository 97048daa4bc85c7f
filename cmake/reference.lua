-- The pages of docs/reference, one for each module: lua reference.lua library directory module ...
-- They are made of the types for lua-language-server, so that a reader and an editor are told the same.

local files <const> = dofile "cmake/files.lua"

--- Where the type ends that a text begins with: brackets are closed there, and so are `fun(...)` and unions.
local function split_type(text)
  local depth, at = 0, 1
  while at <= #text do
    local char = text:sub(at, at)
    if char:find "[%(%[{<]" then depth = depth + 1 end
    if char:find "[%)%]}>]" then depth = depth - 1 end
    if char == " " and depth == 0 and not text:sub(1, at - 1):find "[:,|]$" then break end
    at = at + 1
  end
  return text:sub(1, at - 1), text:sub(at + 1)
end

-- A block is the comment above a line: what it says, and its tags in order, each with the lines that go on with it.
local function read_block(lines)
  local block = { text = {}, tags = {} }
  for _, line in ipairs(lines) do
    local tag, rest = line:match "^%-%-%-@(%l+) ?(.*)$"
    local choice, more = line:match "^%-%-%-| ?(.*)$", line:match "^%-%-%- ?(.*)$"
    if tag then
      block.tags[#block.tags + 1] = { name = tag, text = rest }
    elseif #block.tags > 0 then
      local last = block.tags[#block.tags]
      last.text = last.text .. " " .. (choice or more)
    elseif more then
      block.text[#block.text + 1] = more
    end
  end
  return block
end

local function each_block(text, visit)
  local comment = {}
  for line in text:gmatch "[^\n]*" do
    if line:find "^%-%-%-" then
      comment[#comment + 1] = line
    else
      visit(read_block(comment), line)
      comment = {}
    end
  end
end

local function tags(block, name)
  local found = {}
  for _, tag in ipairs(block.tags) do
    if tag.name == name then found[#found + 1] = tag.text end
  end
  return found
end

-- In a table a bar would begin the next column.
local function cell(text)
  return (text:gsub("|", "\\|"))
end

local function code(text)
  return "`" .. text .. "`"
end

local Page = {}
Page.__index = Page

function Page:add(format, ...)
  self.lines[#self.lines + 1] = format:format(...)
end

function Page:add_text(block)
  if #block.text > 0 then self:add("%s\n", table.concat(block.text, "\n")) end
end

function Page:add_fields(fields)
  local methods, others = {}, {}
  for _, field in ipairs(fields) do
    local name, rest = field:match "^(%S+) (.*)$"
    local kind, text = split_type(rest)
    local list = kind:find "^fun%(self" and methods or others
    list[#list + 1] = { name = name, kind = kind, text = text }
  end
  if #others > 0 then
    self:add "| field | type | |\n| --- | --- | --- |"
    for _, field in ipairs(others) do
      self:add("| %s | %s | %s |", code(field.name), code(cell(field.kind)), cell(field.text))
    end
    self:add ""
  end
  for _, method in ipairs(methods) do
    local signature = method.kind:gsub("^fun%(self,? ?", ":" .. method.name .. "(")
    self:add("- %s%s", code(signature), method.text ~= "" and ": " .. method.text or "")
  end
  if #methods > 0 then self:add "" end
end

function Page:add_class(block)
  local name, parent = tags(block, "class")[1]:match "^([%w_.]+):? ?(.*)$"
  if name == self.class then
    self:add_text(block)
    self:add_fields(tags(block, "field"))
    return
  end
  self:add("### %s%s\n", name, parent ~= "" and " (a " .. parent .. ")" or "")
  self:add_text(block)
  self:add_fields(tags(block, "field"))
end

function Page:add_alias(block)
  local name, text = tags(block, "alias")[1]:match "^(%S+) ?(.*)$"
  self:add("### %s\n", name)
  self:add_text(block)
  self:add("%s\n", code(text))
end

function Page:add_parameters(block)
  local parameters, results = tags(block, "param"), tags(block, "return")
  for _, parameter in ipairs(parameters) do
    local name, rest = parameter:match "^(%S+) (.*)$"
    local kind, text = split_type(rest)
    self:add("- %s: %s%s", code(name), code(kind), text ~= "" and ", " .. text or "")
  end
  for _, result in ipairs(results) do self:add("- returns %s", code(result)) end
  if #parameters + #results > 0 then self:add "" end
end

function Page:add_function(block, owner, mark, name, arguments)
  self:add("### %s%s%s%s\n", owner, mark, name, arguments)
  self:add_text(block)
  self:add_parameters(block)
end

function Page:add_typed(block, name)
  local kind = tags(block, "type")[1]
  if not kind then return end
  self:add("### %s\n", name .. (kind:match "^fun(%b())" or ""):gsub(":[^,)]+", ""))
  self:add_text(block)
  self:add("%s\n", code(kind))
end

function Page:visit(block, line)
  local section = line:match "^%-%- (%u[%l ,]+)$"
  local owner, mark, name, arguments = line:match "^function ([%w_]+)([.:])([%w_]+)(%b())"
  if section then
    self:add("## %s\n", section)
  elseif tags(block, "class")[1] then
    self:add_class(block)
  elseif tags(block, "alias")[1] then
    self:add_alias(block)
  elseif owner then
    self:add_function(block, owner, mark, name, arguments)
  elseif line:find "^[%w_]+%.[%w_]+ = " then
    self:add_typed(block, line:match "^[%w_.]+")
  end
end

local function make_page(class, text)
  local page = setmetatable({ class = class, lines = {} }, Page)
  page:add("# %s\n", class)
  each_block(text, function(block, line) page:visit(block, line) end)
  return table.concat(page.lines, "\n")
end

local library, directory = ...
files.write(directory .. "/neap.md", make_page("neap", files.read(library .. "/neap.lua")))
for _, module in ipairs { select(3, ...) } do
  local types = files.read(("%s/neap/%s.lua"):format(library, module))
  files.write(("%s/%s.md"):format(directory, module), make_page("neap." .. module, types))
end
