-- What neap offers, read from its modules: the functions of the public ones, and the methods of every class that
-- can be reached from them or from the registry, also of those that no module exports; and what of Lua's neap replaces.
local api = {}

-- The modules beside neap itself.
api.modules = { "fs", "signal", "subprocess", "testing", "tls" }


local function each_upvalue(fn, visit)
  local i = 1
  while true do
    local name, value = debug.getupvalue(fn, i)
    if not name then return end
    visit(value)
    i = i + 1
  end
end

local function add_functions(found, title, map)
  for key, value in next, map do
    if type(value) == "function" then found[title .. key] = value end
  end
end

local function add_class(found, class)
  local name = rawget(class, "__name"):match "^neap%.(.*)"
  if not name then return end
  add_functions(found, name .. ":", class)
  local index = rawget(class, "__index")
  if type(index) == "table" then add_functions(found, name .. ":", index) end
end

local function find_classes(found)
  local seen = {}
  local function visit(value)
    local kind = type(value)
    if kind ~= "table" and kind ~= "function" and kind ~= "userdata" or seen[value] then return end
    seen[value] = true
    if kind == "function" then
      each_upvalue(value, visit)
    elseif kind == "table" then
      if type(rawget(value, "__name")) == "string" then add_class(found, value) end
      for key, held in next, value do
        visit(key)
        visit(held)
      end
    end
    visit(debug.getmetatable(value))
  end
  for name, module in pairs(package.loaded) do
    if name:find "^neap" then visit(module) end
  end
  for key, value in next, debug.getregistry() do
    if math.type(key) == "integer" then visit(value) end
  end
end

-- A table from names ("neap.sleep", "Queue:get", "Lock:__close") to functions.
function api.functions()
  local found = {}
  add_functions(found, "neap.", require "neap")
  for _, module in ipairs(api.modules) do add_functions(found, module .. ".", require("neap." .. module)) end
  add_functions(found, "coroutine.", coroutine)
  found.require = require
  find_classes(found)
  return found
end

-- The keys of a table, sorted.
function api.names(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return api
