-- The types of neap for lua-language-server: lua types.lua docs/types/neap.lua lua/neap directory module ...
-- What is written in C stands in the first file; to its sections is added what the public modules of lua/neap have in
-- comments with three dashes: classes, aliases, and functions without their bodies.

local SECTIONS <const> = {
  tasks = "Tasks and futures", interval = "Tasks and futures", group = "Scopes", locks = "Sharing", context = "Sharing",
  thread = "Threads", run = "The loop", graph = "The loop", stream = "Network", server = "Network", names = "Network",
  datagram = "Network",
}

local files <const> = dofile "cmake/files.lua"

--- What a line declares to a user: a declaration, or nil. `classes` are those known in its file, `title` is the
--- public module's name in the types.
local function declared(line, comment, classes, title)
  local class = comment:find "%-%-%-@class" and line:match "^local ([%a_]+) = "
  if class == "M" then return nil end -- the module itself
  if class then
    classes[class] = true
    return ("local %s = {}"):format(class)
  end
  local name, arguments = line:match "^function M%.([%a_]+)(%b())"
  if name then return ("function %s.%s%s end"):format(title, name, arguments) end
  local owner, method
  owner, method, arguments = line:match "^function ([%a_]+):([%a_]+)(%b())"
  if owner and classes[owner] and not method:find "^__" then
    return ("function %s:%s%s end"):format(owner, method, arguments)
  end
  local constant, value = line:match '^M%.([%u_]+) = (".*")$'
  if constant then return ("%s.%s = %s"):format(title, constant, value) end
  local typed = comment:find "%-%-%-@type" and line:match "^M%.([%a_]+) = core%."
  if typed then return ("%s.%s = nil"):format(title, typed) end
  if line == "" and (comment:find "%-%-%-@class" or comment:find "%-%-%-@alias") then return "" end
  return nil
end

--- What a module's file says of it in its first lines.
local function introduction(file)
  local lines = {}
  for line in io.lines(file) do
    if not line:find "^%-%-%-" or line:find "^%-%-%-@" then break end
    lines[#lines + 1] = line .. "\n"
  end
  return table.concat(lines)
end

local function extract(file, title)
  local found, classes, comment = {}, {}, ""
  for line in (files.read(file) .. "\n"):gmatch "(.-)\n" do
    if line:find "^%-%-%-" then
      comment = comment .. line .. "\n"
    else
      local declaration = declared(line, comment, classes, title)
      if declaration then found[#found + 1] = comment .. declaration .. (declaration ~= "" and "\n" or "") end
      comment = ""
    end
  end
  return found
end

--- The modules whose functions are neap's own, as its first module names them.
local function public_modules(folder)
  local list = files.read(folder .. "/init.lua"):match "for _, module in ipairs (%b{}) do"
  return assert(list, "init.lua has no list of modules"):gmatch '"(.-)"'
end

--- The sections of a text, in order and by title; what stands before the first has the title "".
local function split(text)
  local list, by_title = {}, {}
  local title, start = "", 1
  repeat
    local first, last, following = text:find("\n%-%- (%u[%l ,]+)\n", start)
    local section = { text:sub(start, first) }
    list[#list + 1], by_title[title] = section, section
    title, start = following, first and first + 1
  until not first
  return list, by_title
end

local by_hand, sources, directory = ...
local sections, section_of = split(files.read(by_hand))
for module in public_modules(sources) do
  local section = assert(section_of[SECTIONS[module]], module .. " has no section")
  for _, part in ipairs(extract(("%s/%s.lua"):format(sources, module), "neap")) do section[#section + 1] = part end
end
local texts = {}
for i, section in ipairs(sections) do texts[i] = table.concat(section, "\n") end
files.write(directory .. "/neap.lua", table.concat(texts, "\n") .. "\nreturn neap\n")

for _, module in ipairs { select(4, ...) } do
  local file = ("%s/%s.lua"):format(sources, module)
  local head = ("---@meta neap.%s\n\n%s---@class neap.%s\nlocal %s = {}\n\n")
    :format(module, introduction(file), module, module)
  local found = extract(file, module)
  local text = head .. table.concat(found, "\n") .. ("\nreturn %s\n"):format(module)
  files.write(("%s/neap/%s.lua"):format(directory, module), text)
end
