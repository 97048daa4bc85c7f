--- The functions of LuaJIT's module `bit`: 32 bits, signed results.
local M = {}

local function signed(value)
  value = value & 0xFFFFFFFF
  return value >= 0x80000000 and value - 0x100000000 or value
end

local function whole(value)
  local number = tonumber(value)
  if not number then error(("number expected, got %s"):format(type(value)), 3) end
  return math.tointeger(number) or math.tointeger(number // 1) or 0
end

function M.tobit(value) return signed(whole(value)) end
function M.bnot(value) return signed(~whole(value)) end

function M.band(value, ...)
  local result = whole(value)
  for i = 1, select("#", ...) do result = result & whole((select(i, ...))) end
  return signed(result)
end

function M.bor(value, ...)
  local result = whole(value)
  for i = 1, select("#", ...) do result = result | whole((select(i, ...))) end
  return signed(result)
end

function M.bxor(value, ...)
  local result = whole(value)
  for i = 1, select("#", ...) do result = result ~ whole((select(i, ...))) end
  return signed(result)
end

function M.lshift(value, count) return signed(whole(value) << (whole(count) & 31)) end
function M.rshift(value, count) return signed((whole(value) & 0xFFFFFFFF) >> (whole(count) & 31)) end
function M.arshift(value, count) return signed(signed(whole(value)) // (1 << (whole(count) & 31))) end

function M.rol(value, count)
  local bits <const>, by <const> = whole(value) & 0xFFFFFFFF, whole(count) & 31
  return signed(bits << by | bits >> (32 - by))
end

function M.ror(value, count) return M.rol(value, -whole(count)) end

function M.bswap(value)
  return signed((string.unpack(">I4", string.pack("<I4", whole(value) & 0xFFFFFFFF))))
end

--- Hexadecimal digits, 8 or so many; capitals for a negative count.
function M.tohex(value, digits)
  digits = digits and whole(digits) or 8
  local text = ((digits < 0 and "%08X" or "%08x"):format(whole(value) & 0xFFFFFFFF))
  return digits == 0 and "" or text:sub(-math.min(math.abs(digits), 8))
end

return M
