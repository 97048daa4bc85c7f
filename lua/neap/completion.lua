--- What a name that has been begun may become: globals, fields, methods, keywords. Looks at values without calling
--- anything of theirs.
local KEYWORDS <const> = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not",
  "or", "repeat", "return", "then", "true", "until", "while",
}

local rawget, type, getmetatable = rawget, type, debug.getmetatable

--- The table in which the fields of a value are looked up when it has none of that name itself.
local function fallback_of(value)
  local meta = getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__index") or nil
end

local DEEPEST <const> = 20

local function field_of(value, name, lazy)
  for _ = 1, DEEPEST do
    if value == lazy then return value[name] end
    if type(value) == "table" then
      local field = rawget(value, name)
      if field ~= nil then return field end
    end
    value = fallback_of(value)
    if value == nil or type(value) == "function" then return nil end
  end
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and rawget(meta, "__call") ~= nil
end

--- The names of the fields that begin so, sorted; of methods alone, if that is wanted.
local function names_in(value, start, methods, found)
  for _ = 1, DEEPEST do
    if type(value) == "table" then
      for key, field in next, value do
        local fits = type(key) == "string" and key:find "^[%a_][%w_]*$" and key:sub(1, #start) == start
        if fits and (not methods or is_callable(field)) and (start ~= "" or key:sub(1, 2) ~= "__") then
          found[key] = true
        end
      end
    end
    value = fallback_of(value)
    if value == nil or type(value) == "function" then return end
  end
end

local function sorted(found)
  local names = {}
  for name in next, found do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- completion(globals, lazy, text, at): how many bytes before `at` begin the name, and the names that it may become.
--- `lazy` is a table whose __index loads what is named there.
return function(globals, lazy, text, at)
  local before = text:sub(1, at)
  local path = before:match "[%a_][%w_%.:]*$"
  if not path or before:find "%.%.[%a_][%w_]*$" and not path:find "[^%w_]" then path = before:match "[%a_][%w_]*$" end
  if not path then return 0, {} end
  local owner, mark, start = path:match "^(.*)([.:])([%w_]*)$"
  local found, value = {}, globals
  if not owner then
    names_in(globals, path, false, found)
    for _, word in ipairs(KEYWORDS) do
      if word:sub(1, #path) == path then found[word] = true end
    end
    return #path, sorted(found)
  end
  for name in owner:gmatch "[^.:]+" do
    value = field_of(value, name, lazy)
    if value == nil then return 0, {} end
  end
  names_in(value, start, mark == ":", found)
  return #start, sorted(found)
end
