--- The file that the interactive mode's history is kept in: a line for each text, whose own newlines are written "\n".
local history = {}

local KEPT <const> = 1000

--- Where it is: NEAP_HISTORY (`named`) says so, and that there is none if it is empty. nil if there is none.
function history.path(named)
  local home, state = os.getenv "HOME", os.getenv "XDG_STATE_HOME"
  if named then return named ~= "" and named or nil end
  if state and state:sub(1, 1) == "/" then return state .. "/neap/history" end
  return home and home ~= "" and home .. "/.local/state/neap/history" or nil
end

local ESCAPES <const> = { ["\\"] = "\\\\", ["\n"] = "\\n" }
local UNESCAPES <const> = { ["\\\\"] = "\\", ["\\n"] = "\n" }

--- A text as a line of the file.
function history.line(text)
  return text:gsub("[\\\n]", ESCAPES) .. "\n"
end

local function unescape(line)
  return (line:gsub("\\[\\n]", UNESCAPES))
end

--- The last texts, in order, and whether the file holds so many more that it should be written anew.
function history.read(path)
  local file <close> = io.open(path)
  local texts, lines = {}, {}
  if not file then return texts, false end
  for line in file:lines() do
    if line ~= "" then lines[#lines + 1] = line end
  end
  for i = math.max(1, #lines - KEPT + 1), #lines do texts[#texts + 1] = unescape(lines[i]) end
  return texts, #lines > 2 * KEPT
end

--- The file that holds these texts.
function history.whole(texts)
  local lines = {}
  for i, text in ipairs(texts) do lines[i] = history.line(text) end
  return table.concat(lines)
end

return history
