--- Editing a line, or several, on a terminal: keys in, drawings out. It reads and writes nothing itself, and waits for
--- nothing, so that a key that has come in part holds up nobody.
---
--- The text is a string of bytes; the cursor stands behind the first `at` of them. What is not UTF-8 is kept, and
--- shown as a question mark in reverse.
local width_of = require "neap.char_width"

local Editor = { __name = "neap.Editor" }
Editor.__index = Editor

local KEPT <const> = 1000 -- texts of the history

--- `is_complete(text)` says whether Enter ends the text, or begins another line of it; `complete(text, at)` returns
--- how many bytes before `at` begin a word, and the list of words that it may become.
local function new(options)
  return setmetatable({
    text = "", at = 0,
    history = options.history or {},
    is_complete = options.is_complete or function() return true end,
    complete = options.complete or function() return 0, {} end,
    bytes = "",    -- of a key that has come in part
    killed = "",   -- what ^Y brings back
    pasting = false,
  }, Editor)
end

--- Begins with an empty text.
function Editor:start()
  self.text, self.at = "", 0
  self.place = #self.history + 1 -- in the history; the last one is the text itself
  self.drafts = {}               -- texts of the history as they are being changed, by place
  self.search = nil
end

--- Adds a text to the history, unless it is the last one there.
function Editor:remember(text)
  local history = self.history
  if text:find "^%s*$" or history[#history] == text then return false end
  if #history >= KEPT then table.remove(history, 1) end
  history[#history + 1] = text
  return true
end

-- --- moving ---

local function is_inner(text, at) -- within a character
  local byte = text:byte(at + 1)
  return byte ~= nil and byte >= 0x80 and byte < 0xC0
end

local function length_after(byte) -- of a character that begins with it
  return byte < 0xC2 and 1 or byte < 0xE0 and 2 or byte < 0xF0 and 3 or byte < 0xF5 and 4 or 1
end

local function length_at(text, at) -- of the character behind `at`; what is no UTF-8 is one byte each
  local byte = text:byte(at + 1)
  local length = byte and length_after(byte) or 0
  if length > 1 and not utf8.len(text:sub(at + 1, at + length)) then return 1 end
  return length
end

local function length_before(text, at)
  local length = 1
  while length < 4 and length < at and is_inner(text, at - length) do length = length + 1 end
  if at == 0 then return 0 end
  return length_at(text, at - length) == length and length or 1
end

local function columns_of(text, at)
  local length = length_at(text, at)
  local byte = text:byte(at + 1)
  if length > 1 then return width_of(utf8.codepoint(text, at + 1)), length end
  if byte == 9 then return 4, 1 end
  return (byte < 32 or byte == 127) and 2 or 1, 1
end

--- A mark has no column of its own: the cursor does not stop before it.
local function forth(text, at)
  if at >= #text then return at end
  at = at + length_at(text, at)
  while at < #text and columns_of(text, at) == 0 do at = at + length_at(text, at) end
  return at
end

local function back(text, at)
  repeat at = at - length_before(text, at) until at <= 0 or columns_of(text, at) > 0
  return math.max(at, 0)
end

local function word_forth(text, at)
  return (select(2, text:find("^[^%w_\x80-\xFF]*[%w_\x80-\xFF]*", at + 1)))
end

local function word_back(text, at)
  return text:sub(1, at):find "[%w_\x80-\xFF]*[^%w_\x80-\xFF]*$" - 1
end

local function space_back(text, at)
  return text:sub(1, at):find "%S*%s*$" - 1
end

local function line_start(text, at)
  return #(text:sub(1, at):match ".*\n" or "")
end

local function line_end(text, at)
  return (text:find("\n", at + 1, true) or #text + 1) - 1
end

-- --- changing ---

function Editor:insert(bytes)
  self.text = self.text:sub(1, self.at) .. bytes .. self.text:sub(self.at + 1)
  self.at = self.at + #bytes
end

--- Takes the bytes between two places out, and returns them.
function Editor:remove(from, to)
  local removed = self.text:sub(from + 1, to)
  self.text = self.text:sub(1, from) .. self.text:sub(to + 1)
  self.at = from
  return removed
end

function Editor:kill(from, to)
  if from < to then self.killed = self:remove(from, to) end
end

function Editor:set(text)
  self.text, self.at = text, #text
end

function Editor:go_to(place)
  if place < 1 or place > #self.history + 1 then return end
  self.drafts[self.place] = self.text
  self.place = place
  self:set(self.drafts[place] or self.history[place])
end

--- To the same column of another line of the text. false if there is no such line.
function Editor:line(step)
  local start = line_start(self.text, self.at)
  local column = utf8.len(self.text:sub(start + 1, self.at)) or self.at - start
  local other
  if step < 0 then
    if start == 0 then return false end
    other = line_start(self.text, start - 1)
  else
    other = line_end(self.text, self.at) + 1
    if other > #self.text then return false end
  end
  local stop = line_end(self.text, other)
  self.at = other
  for _ = 1, column do
    if self.at < stop then self.at = forth(self.text, self.at) end
  end
  return true
end

-- --- completing ---

local function common_start(words)
  local common = words[1]
  for _, word in ipairs(words) do
    while word:sub(1, #common) ~= common do common = common:sub(1, -2) end
  end
  return common
end

--- Adds what all words have in common. Returns the words if there is a choice.
function Editor:complete_word()
  local known, words = self.complete(self.text, self.at)
  if #words == 0 then return end
  local more = common_start(words):sub(known + 1)
  self:insert(more)
  if more == "" and #words > 1 then return words end
end

-- --- searching the history ---

function Editor:search_back(from)
  local search = self.search
  for place = from, 1, -1 do
    local found = self.history[place]:find(search.text, 1, true)
    if found then
      search.place, search.failed = place, false
      self:set(self.history[place])
      self.at = found - 1
      return
    end
  end
  search.failed = true
end

--- A key while the history is searched; returns whether it was used up by that.
function Editor:search_key(key)
  local search = self.search
  if key == "\x12" then
    self:search_back(search.place - 1)
  elseif key == "\x7f" or key == "\b" then
    search.text = search.text:sub(1, #search.text - length_before(search.text, #search.text))
    self:search_back(#self.history)
  elseif key == "\a" or key == "\3" then
    self.search = nil
    self:set(search.before)
  elseif #key > 1 and key:byte() ~= 27 or key:byte() >= 32 and key ~= "\x7f" then
    search.text = search.text .. key
    self:search_back(math.min(search.place, #self.history))
  else
    self.search = nil
    return key == "\27"
  end
  return true
end

-- --- keys ---

local keys = {}

keys["\1"] = function(e) e.at = line_start(e.text, e.at) end
keys["\5"] = function(e) e.at = line_end(e.text, e.at) end
keys["\2"] = function(e) e.at = back(e.text, e.at) end
keys["\6"] = function(e) e.at = forth(e.text, e.at) end
keys["\27b"] = function(e) e.at = word_back(e.text, e.at) end
keys["\27f"] = function(e) e.at = word_forth(e.text, e.at) end
keys["\27<"] = function(e) e:go_to(1) end
keys["\27>"] = function(e) e:go_to(#e.history + 1) end
keys["\x10"] = function(e) if not e:line(-1) then e:go_to(e.place - 1) end end
keys["\x0e"] = function(e) if not e:line(1) then e:go_to(e.place + 1) end end
keys["\x7f"] = function(e) e:remove(back(e.text, e.at), e.at) end
keys["\27[3~"] = function(e) e:remove(e.at, forth(e.text, e.at)) end
keys["\v"] = function(e)
  local stop = line_end(e.text, e.at)
  e:kill(e.at, stop == e.at and math.min(stop + 1, #e.text) or stop)
end
keys["\x15"] = function(e) e:kill(line_start(e.text, e.at), e.at) end
keys["\x17"] = function(e) e:kill(space_back(e.text, e.at), e.at) end
keys["\27\x7f"] = function(e) e:kill(word_back(e.text, e.at), e.at) end
keys["\27d"] = function(e) e:kill(e.at, word_forth(e.text, e.at)) end
keys["\x19"] = function(e) e:insert(e.killed) end
keys["\x14"] = function(e) -- exchanges two characters
  local at = e.at < #e.text and e.at or back(e.text, e.at)
  local before = back(e.text, at)
  if before == at then return end
  e.at = forth(e.text, at)
  local stop, character = e.at, e.text:sub(at + 1, e.at)
  e:remove(at, stop)
  e.at = before
  e:insert(character)
  e.at = stop
end
keys["\3"] = function() return "interrupt" end
keys["\x1a"] = function() return "suspend" end
keys["\f"] = function() return "clear" end
keys["\4"] = function(e)
  if e.text == "" then return "end" end
  e:remove(e.at, forth(e.text, e.at))
end
keys["\r"] = function(e)
  if e.is_complete(e.text) then
    e.at = #e.text
    return "accept"
  end
  if e.text:find("^%s*$", e.at + 1) then e.at = #e.text end
  e:insert "\n"
end
keys["\t"] = function(e)
  if e.text:sub(1, e.at):find "[^\n%s]$" == nil then return e:insert "  " end
  local words = e:complete_word()
  if words then return "choose", words end
end
keys["\x12"] = function(e)
  if #e.history > 0 then e.search = { text = "", before = e.text, place = #e.history } end
end
keys["\27[200~"] = function(e) e.pasting = true end

for other, key in pairs {
  ["\n"] = "\r", ["\b"] = "\x7f", ["\27\b"] = "\27\x7f",
  ["\27[A"] = "\x10", ["\27[B"] = "\x0e", ["\27[C"] = "\6", ["\27[D"] = "\2", ["\27[H"] = "\1", ["\27[F"] = "\5",
  ["\27OA"] = "\x10", ["\27OB"] = "\x0e", ["\27OC"] = "\6", ["\27OD"] = "\2", ["\27OH"] = "\1", ["\27OF"] = "\5",
  ["\27[1~"] = "\1", ["\27[4~"] = "\5", ["\27[7~"] = "\1", ["\27[8~"] = "\5",
  ["\27[1;5C"] = "\27f", ["\27[1;5D"] = "\27b", ["\27[1;3C"] = "\27f", ["\27[1;3D"] = "\27b",
} do
  keys[other] = keys[key]
end

--- Of the character behind `at`; nil if it has not come whole.
local function length_of_whole(bytes, at)
  local length <const> = length_after(bytes:byte(at + 1))
  if #bytes - at < length and not bytes:find("[^\x80-\xBF]", at + 2) then return nil end
  return length_at(bytes, at)
end

--- Of the key that begins with an escape, perhaps: a sequence, or Alt with a character.
local function length_of_escape(bytes)
  local _, stop = bytes:find "^\27%[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]"
  if not stop then _, stop = bytes:find "^\27O." end
  if stop then return stop end
  if #bytes == 1 or bytes:find "^\27[%[O]" and #bytes < 32 then return nil end -- no key is that long
  if bytes:find "^\27[\27%[O]" then return 1 end
  local length <const> = length_of_whole(bytes, 1)
  return length and length + 1
end

--- Takes the next key off the bytes; nil if it has not come whole.
function Editor:next_key()
  local bytes <const> = self.bytes
  if bytes == "" then return nil end
  local length
  if bytes:byte() == 27 then length = length_of_escape(bytes) else length = length_of_whole(bytes, 0) end
  if not length then return nil end
  self.bytes = bytes:sub(length + 1)
  return bytes:sub(1, length)
end

local PASTE_END <const> = "\27[201~"

--- What is pasted is text up to the mark behind it, whose beginning may have come.
function Editor:paste()
  local from, to = self.bytes:find(PASTE_END, 1, true)
  local length = from and from - 1 or #self.bytes
  if not from then
    for count = 1, #PASTE_END - 1 do
      if self.bytes:sub(-count) == PASTE_END:sub(1, count) then length = #self.bytes - count end
    end
  end
  local pasted = self.bytes:sub(1, length):gsub("\r\n?", "\n"):gsub("[^\n\t\x20-\xFF]", "")
  self:insert(pasted)
  self.bytes = self.bytes:sub((to or length) + 1)
  self.pasting = not from
end

--- Runs of plain text go in at once: so a long line costs no more than its length.
function Editor:insert_run()
  local run = self.bytes:match "^[\x20-\x7e]+"
  if not run then return false end
  self:insert(run)
  self.bytes = self.bytes:sub(#run + 1)
  return true
end

function Editor:press(key)
  if self.search and self:search_key(key) then return end
  local action = keys[key]
  if action then return action(self) end
  if #key > 1 and key:byte() ~= 27 or key:byte() >= 128 or key:byte() >= 32 and #key == 1 then self:insert(key) end
end

--- Takes bytes that came. Returns what is to be done, if anything: "accept" (the text is done), "end", "interrupt",
--- "suspend", "clear" (the screen), "choose" (with words to be shown). What came behind that is for the next call.
function Editor:feed(bytes)
  self.bytes = self.bytes .. bytes
  while self.bytes ~= "" do
    if self.pasting then
      self:paste()
      if self.pasting then return end
    elseif self.search or not self:insert_run() then
      local key = self:next_key()
      if not key then return end
      local action, value = self:press(key)
      if action then return action, value end
    end
  end
end

-- --- drawing ---

local function drawing_of(text, at)
  local columns, length = columns_of(text, at)
  local byte = text:byte(at + 1)
  if length > 1 then return text:sub(at + 1, at + length), columns, length end
  if byte == 9 then return "    ", 4, 1 end
  if byte < 32 or byte == 127 then return "^" .. string.char(byte ~ 64), 2, 1 end
  return byte >= 128 and "\27[7m?\27[m" or string.char(byte), 1, 1
end

--- Columns of a prompt, whose colours take none.
local function width_of_prompt(prompt)
  local plain, width, at = prompt:gsub("\27%[[%d;]*m", ""), 0, 0
  while at < #plain do
    local columns, length = columns_of(plain, at)
    width, at = width + columns, at + length
  end
  return width
end

--- The rows of the screen that the text takes, and the cursor's row and column, counted from 1 and 0.
function Editor:rows(prompt, continuation, columns)
  local text, rows, at = self.text, {}, 0
  local row, width = { prompt }, width_of_prompt(prompt)
  local cursor_row, cursor_column
  local function next_row(...)
    rows[#rows + 1] = table.concat(row)
    row, width = { ... }, 0
  end
  local function note_cursor()
    if at ~= self.at or cursor_row then return end
    if width >= columns then next_row() end
    cursor_row, cursor_column = #rows + 1, width
  end
  while at < #text do
    local plain = text:match("^[\x20-\x7e]+", at + 1)
    if text:byte(at + 1) == 10 then
      note_cursor()
      at = at + 1
      next_row(continuation)
      width = width_of_prompt(continuation)
    elseif plain and width < columns then -- as much of it as fits, up to the cursor
      note_cursor()
      local room = math.min(#plain, columns - width)
      if at < self.at then room = math.min(room, self.at - at) end
      row[#row + 1] = plain:sub(1, room)
      at, width = at + room, width + room
    else
      local drawing, wide, length = drawing_of(text, at)
      if width + wide > columns and width > 0 then next_row() end
      note_cursor()
      row[#row + 1] = drawing
      at, width = at + length, width + wide
    end
  end
  note_cursor()
  next_row()
  return rows, cursor_row, cursor_column
end

local function up(count) return count > 0 and ("\27[%dA"):format(count) or "" end
local function right(count) return count > 0 and ("\27[%dC"):format(count) or "" end

--- What puts the text on the screen, as much of it as there is room for; and what takes it away again, from where
--- that leaves the cursor.
function Editor:draw(prompt, continuation, columns, lines)
  if self.search then
    local search = self.search
    prompt = ("(%sreverse-search)`%s': "):format(search.failed and "failed " or "", search.text)
  end
  local rows, row, column = self:rows(prompt, continuation, columns)
  local first = math.max(1, math.min(row - lines // 2, #rows - lines + 1))
  local last = math.min(#rows, first + lines - 1)
  local shown = table.concat(rows, "\r\n", first, last) .. up(last - row) .. "\r" .. right(column)
  return shown, up(row - first) .. "\r\27[J"
end

return new
