-- The types for lua-language-server name what neap has, all of it and nothing else.
local api = require "spec.support.api"
local installed = require "spec.support.installed"
local neap = require "neap"

-- Classes that no program gets hold of.
local INTERNAL <const> = { Failure = true, Job = true, Listener = true, Load = true, RawSocket = true, WaitQueue = true,
  Watch = true }

local library <const> = installed.build .. "/share/library/"

local files <const> = { "neap.lua" }
for _, module in ipairs(api.modules) do files[#files + 1] = "neap/" .. module .. ".lua" end

local function read(file)
  local input <close> = assert(io.open(library .. file))
  return input:read "a"
end

-- Adds what a file declares, by the names that spec.support.api gives: a function's list of parameters, "" for others.
local function add_declared(found, text, module)
  local class
  for line in text:gmatch "[^\n]+" do
    local owner, mark, name, parameters = line:match "^function ([%a_]+)([.:])([%a_]+)%((.-)%) end$"
    local field = line:match "^%-%-%-@field ([%a_]+) fun%(self"
    if owner then
      found[owner .. mark .. name] = parameters
    elseif line:find(("^%s%%.[%%a_]+ = "):format(module)) then
      found[line:match "^[%a_.]+"] = ""
    elseif field then
      found[class .. ":" .. field] = ""
    end
    class = line:match "^%-%-%-@class neap%.(%a+)" or class
  end
end

local function declared()
  local found = {}
  add_declared(found, read "neap.lua", "neap")
  for _, module in ipairs(api.modules) do add_declared(found, read("neap/" .. module .. ".lua"), module) end
  return found
end

local function offered()
  local found = {}
  for name in pairs(api.functions()) do
    local class, method = name:match "^(%a+)[:.](.*)"
    if class and class ~= "coroutine" and not INTERNAL[class] and not method:find "^__" then found[name] = true end
  end
  for name, value in pairs(neap) do -- stdin and the like, once they are opened, are fields of the class
    if type(value) ~= "userdata" then found["neap." .. name] = true end
  end
  for _, module in ipairs(api.modules) do found["neap." .. module] = neap[module] and true end -- loaded when first used
  return found
end

-- The comment above each function of a file, by its line.
local function each_comment(text, visit)
  local comment = ""
  for line in text:gmatch "[^\n]*" do
    if line:find "^%-%-%-" then
      comment = comment .. line .. "\n"
    else
      if line:find "^function" then visit(line, comment) end
      comment = ""
    end
  end
end

describe("the types", function()
  if not installed.is_possible then return end

  it("have all that neap has", function()
    local types = declared()
    for _, name in ipairs(api.names(offered())) do assert(types[name], name .. " has no type") end
  end)

  it("have nothing else", function()
    local real = offered()
    for _, name in ipairs(api.names(declared())) do assert(real[name], name .. " has a type, and is not there") end
  end)

  it("name the parameters that there are", function()
    for _, file in ipairs(files) do
      each_comment(read(file), function(line, comment)
        for name in comment:gmatch "%-%-%-@param ([%w_]+)" do
          assert(line:find("[( ]" .. name .. "[,)]"), ("%s: no parameter %s"):format(line, name))
        end
      end)
    end
  end)

  it("say something of each function, or what it returns", function()
    for _, file in ipairs(files) do
      each_comment(read(file), function(line, comment)
        assert(comment:find "%-%-%- %u" or comment:find "@return" or comment:find "@param", line .. " has no comment")
      end)
    end
  end)

  it("name classes and aliases that there are", function()
    local text = ""
    for _, file in ipairs(files) do text = text .. read(file) end
    local known = { neap = true }
    for name in text:gmatch "%-%-%-@%l+ (neap[.%w]*)" do known[name] = true end
    for line in text:gmatch "%-%-%-@[^\n]*" do
      for name in line:gmatch "%f[%w]neap%.%u%w*" do assert(known[name], line .. ": there is no " .. name) end
    end
  end)

  it("are Lua, and return the modules", function()
    for _, file in ipairs(files) do assert.equal("table", type(assert(load(read(file), "=" .. file, "t"))())) end
  end)
end)
