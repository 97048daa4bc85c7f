-- The types of neap for lua-language-server: neap types.lua directory types/neap.lua lua/neap/*.lua
-- What is written in C stands in the first file; to it is added what the others have in comments with three
-- dashes: classes, aliases, and functions without their bodies.

local function read(file)
  local input <close> = assert(io.open(file))
  return input:read "a"
end

local function write(file, text)
  local output <close> = assert(io.open(file, "w"))
  assert(output:write(text))
end

--- What a line declares to a user: a declaration, or nil. `classes` are those known in its file, `exported` the
--- module's public table, `title` its name in the types.
local function declared(line, comment, classes, exported, title)
  local class = comment:find "%-%-%-@class" and line:match "^local ([%a_]+) = "
  if class then
    classes[class] = true
    return ("local %s = {}"):format(class)
  end
  local name, arguments = line:match "^function M%.([%a_]+)(%b())"
  if name then return exported[name] ~= nil and ("function %s.%s%s end"):format(title, name, arguments) or nil end
  local owner, method
  owner, method, arguments = line:match "^function ([%a_]+):([%a_]+)(%b())"
  if owner and classes[owner] and not method:find "^__" then
    return ("function %s:%s%s end"):format(owner, method, arguments)
  end
  local constant, value = line:match '^M%.([%u_]+) = (".*")$'
  if constant and exported[constant] then return ("%s.%s = %s"):format(title, constant, value) end
  if line == "" and (comment:find "%-%-%-@class" or comment:find "%-%-%-@alias") then return "" end
  return nil
end

local function extract(file, exported, title)
  local found, classes, comment = {}, {}, ""
  for line in (read(file) .. "\n"):gmatch "(.-)\n" do
    if line:find "^%-%-%-" then
      comment = comment .. line .. "\n"
    else
      local declaration = declared(line, comment, classes, exported, title)
      if declaration then found[#found + 1] = comment .. declaration .. (declaration ~= "" and "\n" or "") end
      comment = ""
    end
  end
  return found
end

local function append(list, more)
  table.move(more, 1, #more, #list + 1, list)
end

local directory, first = ...
local neap, testing = { read(first) }, { "---@meta neap.testing\n\n---@class neap.testing\nlocal testing = {}\n" }
for _, file in ipairs { select(3, ...) } do
  if file:find "/testing%.lua$" then
    append(testing, extract(file, require "neap.testing", "testing"))
  elseif not file:find "/init%.lua$" then
    append(neap, extract(file, require "neap", "neap"))
  end
end
neap[#neap + 1], testing[#testing + 1] = "return neap\n", "return testing\n"
write(directory .. "/neap.lua", table.concat(neap, "\n"))
write(directory .. "/neap/testing.lua", table.concat(testing, "\n"))
