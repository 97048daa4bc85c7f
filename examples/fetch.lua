-- Fetches many pages over HTTP, some of them at the same time, and ends with a table of what came of each.
--
--   neap examples/fetch.lua [-n 20] [--limit 5] [-i FILE] URL...
--
-- -n: how many at once; --limit: seconds for each; -i: a file of URLs, one a line.
-- A URL may hold a range: 'http://127.0.0.1:8080/page{1..200}.html'.
local neap = require "neap"

local loop = neap.get_running_loop()
local on_terminal = os.execute "test -t 2"
local at_once, limit = 20, 5
local pages, begun, ended = {}, 0, 0

local function add(url)
  local before, first, last, after = url:match "^(.-){(%d+)%.%.(%d+)}(.*)$"
  if not before then
    pages[#pages + 1] = { url = url, bytes = 0 }
    return
  end
  for i = tonumber(first), tonumber(last) do add(before .. i .. after) end
end

local options = {
  ["-n"] = function(value) at_once = math.tointeger(tonumber(value)) end,
  ["--limit"] = function(value) limit = tonumber(value) end,
  ["-i"] = function(file) for url in io.lines(file) do add(url) end end,
}

local function read_arguments()
  local i = 1
  while arg[i] do
    local option = options[arg[i]]
    if option then
      i = i + 1
      option(arg[i])
    else
      add(arg[i])
    end
    i = i + 1
  end
  return at_once and at_once > 0 and limit and #pages > 0
end

-- Reads the answer: the status is kept in `page`, the bytes are counted. Returns an error, if there was one.
local function read_page(stream, page)
  local head, err = stream:readuntil "\r\n\r\n"
  page.status = head and head:match "^HTTP/%d%.%d (%d%d%d)"
  if not page.status then return err or "no HTTP answer" end
  local length = tonumber(head:lower():match "\ncontent%-length:%s*(%d+)") or 0
  local part
  repeat
    page.bytes = page.bytes + #(part or "")
    part, err = stream:read_some(65536)
  until not part
  return err or page.bytes < length and "the connection was closed early" or nil
end

local function get(page)
  local host, port, path = page.url:match "^http://([^/:]+):?(%d*)(/?.*)$"
  if not host then return "not an http:// address" end
  local stream <close>, err = neap.open_connection(host, tonumber(port) or 80)
  if not stream then return err end
  if path == "" then path = "/" end
  stream:write("GET ", path, " HTTP/1.0\r\nHost: ", host, "\r\nConnection: close\r\n\r\n")
  return read_page(stream, page) -- which also tells if the write has failed
end

local function fetch(page)
  local start = loop:time()
  local ok, err = pcall(neap.wait_for, function() return get(page) end, limit)
  page.seconds, page.error = loop:time() - start, err
  if not ok and not neap.is(err, neap.TimeoutError) then error(err, 0) end
end

local function worker()
  while begun < #pages do
    begun = begun + 1
    fetch(pages[begun])
    ended = ended + 1
    if on_terminal then io.stderr:write(("\r%d of %d pages"):format(ended, #pages)) end
  end
end

local function fetch_all()
  local workers <close> = neap.TaskGroup()
  for _ = 1, at_once do workers:create_task(worker) end
end

local function print_table()
  if on_terminal then io.stderr:write "\r\27[K" end
  print "status      bytes  seconds  page"
  local failed = 0
  for i = 1, begun do
    local page = pages[i]
    local problem = page.error and "  " .. tostring(page.error) or ""
    print(("%6s %10d %8.3f  %s%s"):format(page.status or "-", page.bytes, page.seconds or 0, page.url, problem))
    if page.error then failed = failed + 1 end
  end
  print(("%d of %d pages, %d failed"):format(begun, #pages, failed))
end

if not read_arguments() then
  io.stderr:write "usage: neap examples/fetch.lua [-n 20] [--limit 5] [-i FILE] URL...\n"
  os.exit(1)
end
local ok, err = pcall(fetch_all)
print_table()
if not ok then error(err, 0) end -- Ctrl-C comes here too
