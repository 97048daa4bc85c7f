--- Files and folders. Every function waits, and other tasks run meanwhile: the work is done by libuv's threads. What
--- fails comes back as `nil, err, code`. A call that is cancelled while it is at work may have its effect all the same.
---@class neap.fs
local M = {}

local check = require "neap.check"
local core = require "neap.core"

---@alias neap.FileType
---| "file" | "directory" | "link" | "fifo" | "socket" | "char" | "block" | "unknown"

---@class neap.FileStat
---@field type neap.FileType
---@field size integer in bytes
---@field mode integer the permission bits
---@field uid integer
---@field gid integer
---@field nlink integer how many names it has
---@field ino integer
---@field dev integer
---@field blocks integer of 512 bytes, that it takes up
---@field atime number the last access; this and the next in seconds since 1970
---@field mtime number the last change of what it holds
---@field ctime number the last change of this
---@field birthtime number

--- What the system knows of a file.
---@type fun(path: string): neap.FileStat?, neap.OSError?, string?
M.stat = core.fs_stat

--- The same; of a link, not of where it leads.
---@type fun(path: string): neap.FileStat?, neap.OSError?, string?
M.lstat = core.fs_lstat

--- Whether it is there, and may be read ("r"), written ("w"), executed ("x"): all that the mode names.
---@type fun(path: string, mode: string?): true?, neap.OSError?, string?
M.access = core.fs_access

---@class neap.MkdirOptions
---@field mode integer? permission bits (511), less the process's mask
---@field parents boolean? make those above it, too; and it may be there already

--- Makes a folder.
---@type fun(path: string, options: neap.MkdirOptions?): true?, neap.OSError?, string?
M.mkdir = core.fs_mkdir

--- Makes a folder for this user alone, with a new name that begins with the prefix. Returns its path.
---@type fun(prefix: string): string?, neap.OSError?, string?
M.mkdtemp = core.fs_mkdtemp

---@class neap.RemoveOptions
---@field recursive boolean? remove what is in a folder, too; links in it are not followed

--- Removes a file, a link, or an empty folder. A recursive removal that is cancelled, or fails, has removed a part.
---@type fun(path: string, options: neap.RemoveOptions?): true?, neap.OSError?, string?
M.remove = core.fs_remove

--- Moves a file or a folder within its file system. A file that has the new name is replaced.
---@type fun(from: string, to: string): true?, neap.OSError?, string?
M.rename = core.fs_rename

---@class neap.CopyOptions
---@field exclusive boolean? a file that is there already is an error ("EEXIST")

--- Copies what a file holds, and its permissions. A copy that fails, or is cancelled, does not stay, unless there was
--- a file in its place.
---@type fun(from: string, to: string, options: neap.CopyOptions?): true?, neap.OSError?, string?
M.copy = core.fs_copy

--- Gives a file a second name.
---@type fun(path: string, name: string): true?, neap.OSError?, string?
M.link = core.fs_link

--- Makes a link that leads to `target`, which is looked for from the link's own folder.
---@type fun(target: string, path: string): true?, neap.OSError?, string?
M.symlink = core.fs_symlink

--- Where a link leads, as it was given.
---@type fun(path: string): string?, neap.OSError?, string?
M.readlink = core.fs_readlink

--- The path of the same place from the root, without links, "." and "..".
---@type fun(path: string): string?, neap.OSError?, string?
M.realpath = core.fs_realpath

--- Sets the permission bits.
---@type fun(path: string, mode: integer): true?, neap.OSError?, string?
M.chmod = core.fs_chmod

--- Sets the times of the last access and the last change, in seconds since 1970.
---@type fun(path: string, atime: number, mtime: number): true?, neap.OSError?, string?
M.utime = core.fs_utime

--- All that a file holds.
---@type fun(path: string): string?, neap.OSError?, string?
M.read_file = core.fs_read_file

---@class neap.WriteOptions
---@field append boolean? add to what the file holds
---@field mode integer? permission bits of a new file (438), less the process's mask

--- Makes a file that holds the data, or replaces what one holds. Once begun it goes to its end, cancelled or not.
---@type fun(path: string, data: string, options: neap.WriteOptions?): true?, neap.OSError?, string?
M.write_file = core.fs_write_file

---@class neap.OpenOptions
---@field limit integer? bytes of a line (any number)
---@field mode integer? permission bits of a new file (438), less the process's mask
---@field exclusive boolean? a file that is there already is an error ("EEXIST")

--- Opens a file as a stream. The modes are those of `io.open`: "r" (the default), "w", "a", "r+", "w+", "a+", with a
--- "b" if you like; "wx" is "w" for a file that is not there yet. A write returns when the kernel has it, so that its
--- error is its own; many small ones are quicker joined, or behind `set_write_limits()`, where the next call tells the
--- error. A fifo opens to read at once, and to write when somebody reads it.
---@type fun(path: string, mode: string?, options: neap.OpenOptions?): neap.Stream?, neap.OSError?, string?
M.open = core.fs_open

--- A folder that is being read; `for name, type in directory` does it, too.
---@class neap.Directory
---@field next fun(self): string?, neap.FileType? the next entry, nil behind the last; raises what fails
---@field close fun(self) also done when it is collected
---@overload fun(): string?, neap.FileType?

--- `for name, type in fs.scandir(path) do`: the entries of a folder, but for "." and "..", in no order. It is closed at
--- the loop's end, however that comes. A folder that cannot be opened is `nil, err, code`, so that
--- `for name in assert(fs.scandir(path)) do` raises a clear error.
---@type fun(path: string): neap.Directory?, neap.OSError?, any
M.scandir = core.fs_scandir

local function check_path(call, path)
  if type(path) ~= "string" then check.bad_argument(call, 1, "string", path) end
  if path:find("\0", 1, true) then
    core.misuse(("bad argument #1 to '%s' (the path contains a zero byte)"):format(call))
  end
end

-- --- walking ---

-- A walk is a list of levels: folders that are being read, each in the one before. From so many on they are read whole
-- before it goes on into them, so that deep trees do not use up the descriptors.
local OPEN_MOST <const> = 64

local Walk <const> = {}

local function read_all(directory)
  local _ <close> = directory
  local entries, at = {}, -1
  for name, kind in directory do
    entries[#entries + 1] = name
    entries[#entries + 1] = kind
  end
  return function()
    at = at + 2
    return entries[at], entries[at + 1]
  end
end

local function close_level(level)
  if level.directory then level.directory:close() end
end

local function enter(walk, path, id)
  local directory, err, code = core.fs_scandir(path)
  if not directory then return nil, err, code end
  local level = { base = path:find "/$" and path or path .. "/", id = id, next = directory, directory = directory }
  if #walk >= OPEN_MOST then level.next, level.directory = read_all(directory), nil end
  walk[#walk + 1] = level
  return true
end

local function tell(walk, err)
  if not walk.on_error then error(err, 0) end
  walk.on_error(err)
end

local function identity(stat)
  return stat.dev .. ":" .. stat.ino
end

local LEADS_NOWHERE <const> = { ENOENT = true, ENOTDIR = true, ELOOP = true }

--- Where links are followed: what it really is, and which folder; or why that cannot be told. A link that leads
--- nowhere, or to a folder around it, stays a link.
local function follow(walk, path, kind)
  if kind ~= "link" and kind ~= "directory" then return kind end
  local stat, err, code = core.fs_stat(path)
  if not stat then return kind, nil, not (kind == "link" and LEADS_NOWHERE[code]) and err or nil end
  local id = identity(stat)
  for _, level in ipairs(walk) do
    if level.id == id then return kind end
  end
  return stat.type, id
end

--- The entry that was returned last is a folder, and the walk goes on in it.
local function enter_next(walk)
  local path, id = walk.path, walk.id
  local entered, err = enter(walk, path, id)
  walk.path = nil
  if not entered then tell(walk, err) end
end

--- The next entry of the innermost folder, or nothing when there is none.
local function read_next(walk, level)
  local ok, name, kind = pcall(level.next)
  if ok and name then return name, kind end
  if not ok and not core.is(name, core.OSError) then error(name, 0) end
  walk[#walk] = nil
  close_level(level)
  if not ok then tell(walk, name) end
end

--- Kept until it is returned: what comes in between may be cancelled.
local function take_entry(walk)
  while not walk.found do
    local level = walk[#walk]
    if not level then return nil end
    local name, kind = read_next(walk, level)
    if name then walk.found, walk.kind = level.base .. name, kind end
  end
  return walk.found, walk.kind
end

function Walk.__call(walk)
  if walk.path then enter_next(walk) end
  local path, kind = take_entry(walk)
  if not path then return nil end
  local id, err
  if walk.follow then kind, id, err = follow(walk, path, kind) end
  walk.found = nil
  if err then tell(walk, err) end
  local depth = #walk
  local inward = kind == "directory" and (not walk.follow or id)
  if inward and depth < walk.depth then walk.path, walk.id = path, id end
  return path, kind, depth
end

function Walk.__close(walk)
  walk.path, walk.found = nil, nil
  for i = #walk, 1, -1 do
    close_level(walk[i])
    walk[i] = nil
  end
end

local WALK_OPTIONS <const> = { follow = true, depth = true, on_error = true }

local function check_walk(path, options)
  check_path("walk", path)
  if options == nil then return {} end
  if type(options) ~= "table" then check.bad_argument("walk", 2, "table", options) end
  check.options("walk", 2, options, WALK_OPTIONS)
  check.count("walk", 2, options.depth, 1)
  if options.on_error ~= nil then check.callable("walk", 2, options.on_error) end
  return options
end

--- The failure of a call on the way, as one of the walk.
local function fail(err, code)
  err.message = err.message:gsub("^" .. err.operation, "fs.walk", 1)
  err.operation = "fs.walk"
  return nil, err, code
end

---@class neap.WalkOptions
---@field follow boolean? go into the folders that links lead to; a link to a folder around it stays a link
---@field depth integer? how deep: 1 is the folder itself
---@field on_error fun(err: neap.OSError)? is told of what cannot be read or followed, which is raised otherwise

--- `for path, type, depth in fs.walk(path) do`: all that is in a folder, and in those in it; a folder comes before what
--- is in it. A link is a "link", whatever it leads to, unless `follow` is set.
---@param path string
---@param options neap.WalkOptions?
---@return (fun(): string?, neap.FileType?, integer?)?, neap.OSError?, any
function M.walk(path, options)
  options = check_walk(path, options)
  local walk = { follow = options.follow, depth = options.depth or math.huge, on_error = options.on_error }
  local id
  if walk.follow then
    local stat, err, code = core.fs_stat(path)
    if not stat then return fail(err, code) end
    id = identity(stat)
  end
  local entered, err, code = enter(walk, path, id)
  if not entered then return fail(err, code) end
  setmetatable(walk, Walk)
  return walk, nil, nil, walk
end

-- --- watching ---

--- Tells of changes to a file, or to what is in a folder. A `<close>` value.
---@class neap.Watcher
local Watcher = { __name = "neap.Watcher" }
Watcher.__index = Watcher

--- The path no longer leads to what is watched.
local function is_gone(watcher)
  local stat = core.fs_stat(watcher.path)
  return not stat or identity(stat) ~= watcher.id
end

--- Waits for the next change: a name, and "rename" where it appeared or went away, or "change". The name is one in the
--- folder, or the last part of the path itself. "" and "overflow" say that changes were lost, since nobody asked for
--- them. nil when it is closed, or its path was removed or given to another file.
---@return string? name
---@return "rename"|"change"|"overflow"|neap.OSError? change
---@return string? code
function Watcher:next()
  if self.suspect then
    if is_gone(self) then self.watch:stop() end
    self.suspect = false
  end
  local name, change, code = self.watch:next()
  if name == self.name then self.suspect = true end
  return name, change, code
end

local function next_event(watcher)
  local name, change = watcher:next()
  if name == nil and change then error(change, 0) end
  return name, change
end

--- `for name, change in watcher:events() do`: the same, until the end; raises what fails.
---@return fun(): string?, string?
---@return neap.Watcher
function Watcher:events()
  return next_event, self
end

--- Whoever waits for a change gets nil. May be called twice.
function Watcher:close()
  self.watch:close()
end

Watcher.__close = Watcher.close

check.class(Watcher)

local WATCH_OPTIONS <const> = { recursive = true }

---@class neap.WatchOptions
---@field recursive boolean? also what is deeper down: "ENOSYS" where the system cannot, as on Linux

--- Begins to watch a file or a folder.
---@param path string
---@param options neap.WatchOptions?
---@return neap.Watcher?, neap.OSError?, string?
function M.watch(path, options)
  check_path("watch", path)
  if options ~= nil then
    if type(options) ~= "table" then check.bad_argument("watch", 2, "table", options) end
    check.options("watch", 2, options, WATCH_OPTIONS)
  end
  local stat = core.fs_stat(path) -- before it is watched: what is put in its place meanwhile ends the watch
  local watch, err, code = core.fs_watch(path, options and options.recursive)
  if not watch then return nil, err, code end
  local id = stat and identity(stat)
  return setmetatable({ watch = watch, path = path, id = id, name = path:match "[^/]*$" }, Watcher)
end

return M
