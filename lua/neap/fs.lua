--- Files and folders. Every function waits, and lets other tasks run meanwhile: the work is done by libuv's threads.
--- What fails comes back as `nil, err, code`. A call that is cancelled while it is at work may still have its effect.
local core = require "neap.core"

local fs = {}

for _, name in ipairs {
  "access", "mkdir", "mkdtemp", "rename", "link", "symlink", "readlink", "realpath", "chmod", "utime",
  "stat", "lstat", "read_file", "write_file", "copy", "remove",
} do
  fs[name] = core["fs_" .. name]
end

return fs
