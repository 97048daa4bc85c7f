-- Which errors a function of the C library is given. Those that libuv takes for a broken system, and ends the process
-- by, are not among them.
local errors = {}

local GENERAL <const> = {
  "EINTR", "EAGAIN", "EIO", "EACCES", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EINVAL", "EPERM", "ETIMEDOUT",
}

local CONNECTION <const> = {
  "EINTR", "EAGAIN", "EIO", "EACCES", "ENOMEM", "ENOBUFS", "EINVAL", "EPIPE", "ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH",
}

local FILE <const> = {
  "EINTR", "EIO", "EACCES", "EMFILE", "ENOMEM", "ENOSPC", "EROFS", "EPERM", "ENOENT", "ELOOP", "EBUSY", "EDQUOT",
}

local ERRORS <const> = {
  accept = {
    "EINTR", "EAGAIN", "ECONNABORTED", "EPROTO", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EPERM", "EIO", "EINVAL",
  },
  bind = {
    "EACCES", "EADDRINUSE", "EADDRNOTAVAIL", "ENOMEM", "EINVAL", "ENOENT", "ENOTDIR", "EROFS", "ELOOP", "EIO", "EPERM",
  },
  connect = {
    "EINTR", "EAGAIN", "EACCES", "EPERM", "EADDRNOTAVAIL", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "EHOSTUNREACH",
    "ETIMEDOUT", "ENOBUFS",
  },
  epoll_ctl = { "ENOMEM", "ENOSPC", "EPERM" },
  exec = { "EACCES", "ENOENT", "EAGAIN", "E2BIG", "ENOMEM", "ENOEXEC", "EIO", "EPERM", "ENOTDIR", "EMFILE", "EINVAL" },
  fork = { "EAGAIN", "ENOMEM" },
  getaddrinfo = {
    "EAI_AGAIN", "EAI_BADFLAGS", "EAI_FAIL", "EAI_FAMILY", "EAI_MEMORY", "EAI_NODATA", "EAI_NONAME", "EAI_OVERFLOW",
    "EAI_SERVICE", "EAI_SOCKTYPE",
  },
  getsockopt = {}, -- libuv and the kernel agree that it does not fail
  pthread_create = { "EAGAIN", "EINVAL", "EPERM" },
  read = CONNECTION,
  kill = { "EPERM", "EINVAL", "EAGAIN" },
  sigaction = { "EINVAL", "EPERM" },
  waitpid = { "EINTR" },
  write = CONNECTION,
}
ERRORS.getnameinfo = ERRORS.getaddrinfo

for _, name in ipairs {
  "access", "chmod", "chown", "copy_file_range", "fchmod", "fstat", "fsync", "fdatasync", "ftruncate", "link", "lseek",
  "lstat", "mkdir", "mkdtemp", "mkstemp", "open", "opendir", "readlink", "realpath", "rename", "rmdir", "scandir",
  "sendfile", "stat", "statfs", "symlink", "unlink", "utime",
} do
  ERRORS[name] = FILE
end

function errors.of(name)
  return ERRORS[name] or GENERAL
end

return errors
