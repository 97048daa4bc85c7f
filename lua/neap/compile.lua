--- `neap compile`: a script and its modules in one executable. src/cli/bundle.h has the format.

local USAGE <const> = "usage: neap compile script -o program [-l module ...]"

--- What a user did wrong: a line without a traceback.
local function refuse(message)
  error({ message = message })
end

local function read(file)
  local input <close>, message = io.open(file, "rb")
  if not input then refuse("cannot open " .. message) end
  local source
  source, message = input:read "a"
  if not source then refuse(("cannot read %s: %s"):format(file, message)) end
  return source
end

--- As Lua reads a file: without a mark of UTF-8, and without the text of a first line that begins with `#`.
local function without_first_comment(source)
  return (source:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", ""))
end

-- Scanning

--- What stands at `at` and is no code: the position behind a comment or string, and a string's content.
local function skip(source, at)
  local level = source:match("^%-%-%[(=*)%[", at)
  if level then return (select(2, source:find("%]" .. level .. "%]", at)) or #source) + 1 end
  if source:find("^%-%-", at) then return (source:find("\n", at, true) or #source) + 1 end
  level = source:match("^%[(=*)%[", at)
  if level then
    local _, last, content = source:find("^%[=*%[\r?\n?(.-)%]" .. level .. "%]", at)
    return (last or #source) + 1, content
  end
  local quote = source:match("^[\"']", at)
  if not quote then return nil end
  local from = at + 1
  repeat
    local stop = source:find("[\\" .. quote .. "]", from)
    from = (stop or #source) + (stop and source:sub(stop, stop) == "\\" and 2 or 1)
  until not stop or source:sub(stop, stop) == quote
  return from, source:sub(at + 1, from - 2)
end

--- Lua's words and signs from `at` on, comments aside: an iterator of position, kind and text.
local function tokens(source)
  local at = 1
  return function()
    while true do
      at = source:find("%S", at)
      if not at then return nil end
      local start = at
      local behind, content = skip(source, at)
      if not behind then
        local text = source:match("^[%a_][%w_]*", at) or source:match("^%.?%d[%w.]*", at) or source:sub(at, at)
        at = at + #text
        return start, "code", text
      end
      at = behind
      if content then return start, "string", content end
    end
  end
end

local function line_of(source, at)
  return select(2, source:sub(1, at):gsub("\n", "")) + 1
end

--- Calls `found(name)` for each module that a source requires by a literal name, and `computed(line)` for each
--- other call of `require`.
local function scan(source, found, computed)
  local list = {}
  for at, kind, text in tokens(source) do list[#list + 1] = { at = at, kind = kind, text = text } end
  local function is(i, text)
    return list[i] and list[i].kind == "code" and list[i].text == text
  end
  for i, token in ipairs(list) do
    local before <const> = list[i - 1]
    local is_name = before and before.kind == "code" and before.text:find "^[.:]$" and not is(i - 2, ".")
      or is(i - 1, "function") or is(i - 1, "local")
    if is(i, "require") and not is_name then
      local called = is(i + 1, "(") or is(i + 1, ",") and is(i - 1, "(") and is(i - 2, "pcall")
      local argument <const> = list[i + (called and 2 or 1)]
      if argument and argument.kind == "string" and (not called or is(i + 3, ")") or is(i + 3, ",")) then
        found(argument.text)
      elseif called then
        computed(line_of(source, token.at))
      end
    end
  end
end

-- Collecting

local Program = {}
Program.__index = Program

local function note(...)
  io.stderr:write("neap: ", string.format(...), "\n")
end

--- Takes a file in, and what it requires: "" is the module of the script.
function Program:add(module, file)
  local source <const> = without_first_comment(read(file))
  if source:find "^\27" then refuse(file .. " is a binary chunk, not text") end
  local chunk, message = load(source, "@" .. file, "t")
  if not chunk then refuse(message) end
  self.modules[module] = true
  self.sources[#self.sources + 1] = file
  self.parts[#self.parts + 1] = string.pack("s4s4s4", module, file, source)
  scan(source, function(name)
    if not self:add_module(name) and not self.missing[name] then
      self.missing[name] = true
      note("%s requires '%s', which is not found as a Lua file: it is left to run time", file, name)
    end
  end, function(line)
    note("%s:%d: a module whose name is computed: name it with -l to include it", file, line)
  end)
end

--- Returns whether it is in the program, or in neap itself.
function Program:add_module(name)
  if self.modules[name] or package.loaded[name] or package.preload[name] then return true end
  local file <const> = package.searchpath(name, package.path)
  if file then self:add(name, file) end
  return file ~= nil
end

local function compile(options, write)
  local program = setmetatable({ modules = {}, sources = {}, parts = {}, missing = {} }, Program)
  program:add("", options.script)
  for _, name in ipairs(options.modules) do
    if not program:add_module(name) then refuse(("module '%s' is not found as a Lua file"):format(name)) end
  end
  local written, message = pcall(write, options.output, table.concat(program.parts), program.sources)
  if not written then refuse(message) end
end

-- The command

local function parse(arguments)
  local options <const> = { modules = {} }
  local i = 1
  local function value(argument)
    if #argument > 2 then return argument:sub(3) end
    i = i + 1
    return arguments[i] or refuse(("'%s' needs argument\n%s"):format(argument, USAGE))
  end
  while arguments[i] do
    local argument <const> = arguments[i]
    if argument:find "^%-o" then
      options.output = value(argument)
    elseif argument:find "^%-l" then
      table.insert(options.modules, value(argument))
    elseif argument:find "^%-." then
      refuse(("unrecognized option '%s'\n%s"):format(argument, USAGE))
    elseif options.script then
      refuse(("one script makes a program, but there is '%s', too\n%s"):format(argument, USAGE))
    else
      options.script = argument
    end
    i = i + 1
  end
  if not options.script or not options.output then refuse(USAGE) end
  return options
end

return function(write)
  local done, err = pcall(function() compile(parse(arg), write) end)
  if done then return end
  if type(err) ~= "table" then error(err, 0) end
  io.stderr:write(err.message == USAGE and "" or "neap: ", err.message, "\n")
  os.exit(1)
end
