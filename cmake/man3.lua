-- neap(3) from the public header: lua man3.lua neap.h directory. Besides neap.3 each function gets a page
-- that refers to it.
--
-- What the header must keep to: a comment that begins a line is prose, and belongs to the declarations that
-- follow it without an empty line; paragraphs are parted by empty lines; text that is indented by four is shown as
-- it stands; [name] is a parameter; `/* --- words --- */` is a heading.

local header, directory = ...

local files <const> = dofile "cmake/files.lua"

-- Reading

--- Whether a line is for the compiler alone.
local function is_plumbing(line)
  return line:find '^extern "C"' or line:find "^}%s*$" or line:find "^#%s*define%s+[%w_]+%s*$"
    or line:find "^#%s*define%s+NEAP_API" or line:find "^#" and not line:find "^#%s*define"
end

--- A comment without its frame.
local function prose(comment)
  local lines = {}
  for line in (comment:sub(3, -3) .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line:gsub("^%s*%*", "", 1):gsub("%s+$", "")
  end
  return (table.concat(lines, "\n"):gsub("^%s*\n", ""):gsub("%s+$", ""))
end

--- A declaration from the line at `i` on, to its semicolon; returns the next line's number, too.
local function declaration(lines, i)
  local parts, depth = {}, 0
  local is_macro = lines[i]:find "^#"
  repeat
    local line = lines[i]
    parts[#parts + 1] = line
    local code = line:gsub("/%*.-%*/", "")
    depth = depth + select(2, code:gsub("{", "")) - select(2, code:gsub("}", ""))
    i = i + 1
    local ends = is_macro and not line:find "\\$" or not is_macro and depth == 0 and code:find ";%s*$"
  until ends or not lines[i]
  local text = table.concat(parts, "\n")
  if text:find "^NEAP_API " then text = text:gsub("\n         ", "\n") end -- so that they stay aligned
  return text:gsub("^NEAP_API%s+", ""), i
end

--- The header as a list of { prose = text?, declarations = list }.
local function parse(text)
  local lines, items = {}, {}
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do lines[#lines + 1] = line end
  local item
  local i = 1
  while lines[i] do
    local line = lines[i]
    if line:find "^/%*" then
      local comment = line
      while not comment:find "%*/%s*$" and lines[i + 1] do
        i = i + 1
        comment = comment .. "\n" .. lines[i]
      end
      item = { prose = prose(comment:gsub("%s+$", "")), declarations = {} }
      items[#items + 1] = item
      i = i + 1
    elseif line == "" or is_plumbing(line) then
      item = nil
      i = i + 1
    else
      if not item then
        item = { declarations = {} }
        items[#items + 1] = item
      end
      item.declarations[#item.declarations + 1], i = declaration(lines, i)
    end
  end
  return items
end

-- Writing

local function escape(text)
  return (text:gsub("\\", "\\e"):gsub("\n([.'])", "\n\\&%1"):gsub("^([.'])", "\\&%1"))
end

local function literal(text)
  return ".Bd -literal -offset indent\n" .. escape(text) .. "\n.Ed\n"
end

--- What is no code: parameters are set apart, a sentence begins a line, as roff wants it.
local function paragraph(text)
  text = text:gsub("\n%s*%-%s+", "\0"):gsub("^%s*%-%s+", "\0"):gsub("%s*\n%s*", " "):gsub("^%s+", "")
  text = escape(text:gsub("([.?!]%)?) +(%u)", "%1\n%2"))
  text = text:gsub("%[([%a_][%w_]*)%]", "\\fI%1\\fR"):gsub("%z", "\n.br\n- ")
    :gsub("^\n.br\n", "")
  return ".Pp\n" .. text .. "\n"
end

local function body(text)
  local parts = {}
  for block in (text .. "\n\n"):gmatch "(.-)\n%s*\n" do
    if block:find "^     ? ?%S" and not block:find "^%s+%-" then
      parts[#parts + 1] = literal(block:gsub("^     ?", ""):gsub("\n     ?", "\n"))
    elseif block:find "%S" then
      parts[#parts + 1] = paragraph(block)
    end
  end
  return table.concat(parts)
end

local function names_of_functions(items)
  local names, prototypes = {}, {}
  for _, item in ipairs(items) do
    for _, text in ipairs(item.declarations) do
      local is_other = text:find "^typedef" or text:find "^#" or text:find "{"
      local name = not is_other and text:match "([%a_][%w_]*)%s*%("
      if name then
        names[#names + 1] = name
        prototypes[#prototypes + 1] = text
      end
    end
  end
  return names, prototypes
end

local function section(item)
  local declared = #item.declarations > 0 and literal(table.concat(item.declarations, "\n")) or ""
  local heading, text = (item.prose or ""):match "^%s*%-%-%- ([^\n]-) %-%-%-(.*)$"
  if not heading then return declared .. body(item.prose or "") end
  heading = heading:gsub("^%l", string.upper)
  return ".Ss " .. escape(heading) .. "\n" .. (declared .. body(text)):gsub("^%.Pp\n", "")
end

local TITLE <const> = [[
.\" Made of neap.h.
.Dd November 21, 2026
.Dt NEAP 3
.Os neap %s
.Sh NAME
.Nm neap
.Nd async runtime for Lua 5.4 in C programs
.Sh LIBRARY
pkg-config --cflags --libs neap
.Sh SYNOPSIS
.In neap.h
%s.Sh DESCRIPTION
%s.Sh SEE ALSO
.Xr neap 1
]]

local function page(text)
  local items = parse(text)
  local names, prototypes = names_of_functions(items)
  local parts = {}
  for i, item in ipairs(items) do parts[i] = section(item) end
  local version = text:match '#define NEAP_VERSION "(.-)"' or ""
  local described = table.concat(parts):gsub("^%.Pp\n", "")
  return TITLE:format(version, literal(table.concat(prototypes, "\n")), described), names
end

local text, names = page(files.read(header))
files.write(directory .. "/neap.3", text)
for _, name in ipairs(names) do files.write(("%s/%s.3"):format(directory, name), ".so man3/neap.3\n") end
