-- What a terminal shows after the bytes that were written to it, as far as neap uses one.
local screen = {}
screen.__index = screen

function screen.new(columns, rows)
  return setmetatable({ columns = columns, height = rows, row = 1, column = 0, rows = { {} }, rest = "" }, screen)
end

local function down(self)
  self.row = self.row + 1
  self.rows[self.row] = self.rows[self.row] or {}
end

local function put(self, character)
  if self.column >= self.columns then
    self.column = 0
    down(self)
  end
  self.column = self.column + 1
  local row = self.rows[self.row]
  for i = #row + 1, self.column - 1 do row[i] = " " end
  row[self.column] = character
end

local function top(self) return math.max(1, #self.rows - self.height + 1) end

local controls = {
  ["\r"] = function(self) self.column = 0 end,
  ["\n"] = down,
  ["\b"] = function(self) self.column = math.max(0, self.column - 1) end,
  ["\t"] = function(self)
    repeat put(self, " ") until self.column % 8 == 0
  end,
  ["\a"] = function() end,
  ["\0"] = function() end,
}

local sequences = {
  A = function(self, count) self.row = math.max(top(self), self.row - count) end,
  C = function(self, count) self.column = math.min(self.columns - 1, self.column + count) end,
  H = function(self) self.row, self.column = top(self), 0 end,
  J = function(self, _, argument)
    if argument == "2" then
      for i = top(self), #self.rows do self.rows[i] = {} end
      return
    end
    for i = #self.rows, self.row + 1, -1 do self.rows[i] = nil end
    local row = self.rows[self.row]
    for i = #row, self.column + 1, -1 do row[i] = nil end
  end,
  m = function() end, h = function() end, l = function() end,
}

-- Shows the bytes; a sequence that has come in part waits for its rest.
function screen:write(bytes)
  bytes = self.rest .. bytes
  local at = 1
  while at <= #bytes do
    local argument, final, behind = bytes:match("^\27%[([?%d;]*)(%a)()", at)
    local character = bytes:match("^[%z\1-\127\194-\244][\128-\191]*", at) or bytes:sub(at, at)
    if final then
      assert(sequences[final], final)(self, tonumber(argument) or 1, argument)
      at = behind
    elseif character == "\27" then
      break
    else
      local act = controls[character]
      if act then act(self) else put(self, character) end
      at = at + #character
    end
  end
  self.rest = bytes:sub(at)
end

-- The lines, without spaces at their ends.
function screen:lines()
  local lines = {}
  for i, row in ipairs(self.rows) do lines[i] = (table.concat(row):gsub(" +$", "")) end
  return lines
end

function screen:text() return table.concat(self:lines(), "\n") end

return screen
