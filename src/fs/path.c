/* What is done to names: making, moving, linking, and what stands beside a name. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/options.h"
#include "fs/call.h"
#include "fs/fs.h"

enum { NS_PER_S = 1000000000 };

/* --- access --- */

static int run_access(struct fs_call *call) { return uv_fs_access(NULL, &call->fs, call->path, call->flags, NULL); }

static const struct fs_kind access_kind = {.op = FS_OP("fs.access"), .paths = 1, .run = run_access};

static int check_access(lua_State *L, int index) {
  int flags = F_OK;
  for (const char *mode = luaL_optstring(L, index, ""); *mode; mode++) {
    luaL_argcheck(L, strchr("rwx", *mode), index, "the mode is not made of 'r', 'w' and 'x'");
    flags |= *mode == 'r' ? R_OK : *mode == 'w' ? W_OK : X_OK;
  }
  return flags;
}

/* access(path, mode): true if it is there and may be read ("r"), written ("w"), executed ("x"). */
static int l_access(lua_State *L) {
  struct fs_arguments a = {.path = fs_check_path(L, 1), .flags = check_access(L, 2)};
  return fs_await(L, &access_kind, &a);
}

/* --- folders --- */

enum { PARENTS = 1 };

static bool is_folder(const char *path) {
  struct stat stat_of;
  return stat(path, &stat_of) == 0 && S_ISDIR(stat_of.st_mode);
}

/* It may be there; what is there and no folder shows in the next step. */
static int make_parent(const char *path) {
  if (mkdir(path, 0777) == 0 || errno == EEXIST) return 0;
  int status = fs_errno();
  return is_folder(path) ? 0 : status;
}

/* Cuts the path at each of its slashes, but for those at its end, for a moment. */
static int make_parents(char *path) {
  int status = 0;
  char *name = path + strspn(path, "/");
  while (status == 0 && (name = strchr(name, '/'))) {
    char *slash = name;
    name += strspn(name, "/");
    if (!*name) break;
    *slash = '\0';
    status = make_parent(path);
    *slash = '/';
  }
  return status;
}

static int run_mkdir(struct fs_call *call) {
  mode_t mode = (mode_t)call->mode;
  if (mkdir(call->path, mode) == 0) return 0;
  if (!(call->flags & PARENTS)) return fs_errno();
  if (errno == ENOENT && *call->path) {
    int status = make_parents(call->path);
    if (status < 0) return status;
    if (mkdir(call->path, mode) == 0) return 0;
  }
  int status = fs_errno();
  return status == UV_EEXIST && is_folder(call->path) ? 0 : status;
}

static const struct fs_kind mkdir_kind = {.op = FS_OP("fs.mkdir"), .paths = 1, .run = run_mkdir};

static const char *const mkdir_options[] = {"mode", "parents", NULL};

/* mkdir(path, {mode = 0x1FF, parents}): makes a folder; with `parents` also those above it, and then it may be
 * there already. */
static int l_mkdir(lua_State *L) {
  struct fs_arguments a = {.path = fs_check_path(L, 1)};
  options_check(L, 2, mkdir_options);
  a.mode = fs_option_mode(L, 2, 0777);
  a.flags = options_boolean(L, 2, "parents", false) ? PARENTS : 0;
  return fs_await(L, &mkdir_kind, &a);
}

/* The second path is the template, which becomes the name. */
static int run_mkdtemp(struct fs_call *call) { return mkdtemp(call->other) ? 0 : fs_errno(); }

static int push_other(lua_State *L, struct fs_call *call) {
  lua_pushstring(L, call->other);
  return 1;
}

static const struct fs_kind mkdtemp_kind = {
    .op = FS_OP("fs.mkdtemp"), .paths = 1, .run = run_mkdtemp, .push = push_other};

/* mkdtemp(prefix): makes a folder for the user alone, whose path begins so, and returns that. */
static int l_mkdtemp(lua_State *L) {
  struct fs_arguments a = {.path = fs_check_path(L, 1)};
  a.other = lua_pushfstring(L, "%sXXXXXX", a.path);
  return fs_await(L, &mkdtemp_kind, &a);
}

/* --- two names --- */

static int run_rename(struct fs_call *call) { return uv_fs_rename(NULL, &call->fs, call->path, call->other, NULL); }
static int run_link(struct fs_call *call) { return uv_fs_link(NULL, &call->fs, call->path, call->other, NULL); }

static int run_symlink(struct fs_call *call) {
  return uv_fs_symlink(NULL, &call->fs, call->path, call->other, 0, NULL);
}

static const struct fs_kind rename_kind = {.op = FS_OP("fs.rename"), .paths = 2, .run = run_rename};
static const struct fs_kind link_kind = {.op = FS_OP("fs.link"), .paths = 2, .run = run_link};
static const struct fs_kind symlink_kind = {.op = FS_OP("fs.symlink"), .paths = 2, .run = run_symlink};

static int await_two(lua_State *L, const struct fs_kind *kind) {
  struct fs_arguments a = {.path = fs_check_path(L, 1), .other = fs_check_path(L, 2)};
  return fs_await(L, kind, &a);
}

/* rename(from, to): a file that is there is replaced. */
static int l_rename(lua_State *L) { return await_two(L, &rename_kind); }

/* link(path, new): a second name of the same file. */
static int l_link(lua_State *L) { return await_two(L, &link_kind); }

/* symlink(target, path): a link that leads to `target`, which is looked for from where the link is. */
static int l_symlink(lua_State *L) { return await_two(L, &symlink_kind); }

/* --- where names lead --- */

/* Both have room for a path. */
static int run_readlink(struct fs_call *call) {
  ssize_t length = readlink(call->path, call->bytes, call->capacity);
  if (length < 0) return fs_errno();
  call->length = (size_t)length;
  return 0;
}

static int run_realpath(struct fs_call *call) {
  if (!realpath(call->path, call->bytes)) return fs_errno();
  call->length = strlen(call->bytes);
  return 0;
}

static int push_bytes(lua_State *L, struct fs_call *call) {
  lua_pushlstring(L, call->bytes, call->length);
  return 1;
}

static const struct fs_kind readlink_kind = {
    .op = FS_OP("fs.readlink"), .paths = 1, .run = run_readlink, .push = push_bytes};
static const struct fs_kind realpath_kind = {
    .op = FS_OP("fs.realpath"), .paths = 1, .run = run_realpath, .push = push_bytes};

static int await_path(lua_State *L, const struct fs_kind *kind) {
  struct fs_arguments a = {.path = fs_check_path(L, 1), .room = PATH_MAX};
  return fs_await(L, kind, &a);
}

/* readlink(path): what a link holds. */
static int l_readlink(lua_State *L) { return await_path(L, &readlink_kind); }

/* realpath(path): the same place without links, "." and "..". */
static int l_realpath(lua_State *L) { return await_path(L, &realpath_kind); }

/* --- what is written beside a name --- */

static int run_chmod(struct fs_call *call) { return uv_fs_chmod(NULL, &call->fs, call->path, call->mode, NULL); }

static struct timespec to_timespec(double time) {
  double seconds = floor(time);
  long ns = lround((time - seconds) * NS_PER_S);
  if (ns == NS_PER_S) return (struct timespec){.tv_sec = (time_t)seconds + 1};
  return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = ns};
}

/* uv_fs_utime cuts off what is below a microsecond, so that a time that fs.stat gave would come back as another. */
static int run_utime(struct fs_call *call) {
  struct timespec times[] = {to_timespec(call->atime), to_timespec(call->mtime)};
  return utimensat(AT_FDCWD, call->path, times, 0) ? uv_translate_sys_error(errno) : 0;
}

static const struct fs_kind chmod_kind = {.op = FS_OP("fs.chmod"), .paths = 1, .run = run_chmod};
static const struct fs_kind utime_kind = {.op = FS_OP("fs.utime"), .paths = 1, .run = run_utime};

/* chmod(path, mode): sets the permission bits. */
static int l_chmod(lua_State *L) {
  struct fs_arguments a = {.path = fs_check_path(L, 1), .mode = fs_check_mode(L, 2)};
  return fs_await(L, &chmod_kind, &a);
}

/* What a struct timespec can be made of. */
static double check_time(lua_State *L, int index) {
  double seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, isfinite(seconds) && fabs(seconds) < 0x1p53, index, "the time is out of range");
  return seconds;
}

/* utime(path, atime, mtime): sets the times of the last access and change, in seconds since 1970. */
static int l_utime(lua_State *L) {
  struct fs_arguments a = {.path = fs_check_path(L, 1)};
  a.atime = check_time(L, 2);
  a.mtime = check_time(L, 3);
  return fs_await(L, &utime_kind, &a);
}

static const luaL_Reg functions[] = {
    {"fs_access", l_access},     {"fs_mkdir", l_mkdir},       {"fs_mkdtemp", l_mkdtemp},
    {"fs_rename", l_rename},     {"fs_link", l_link},         {"fs_symlink", l_symlink},
    {"fs_readlink", l_readlink}, {"fs_realpath", l_realpath}, {"fs_chmod", l_chmod},
    {"fs_utime", l_utime},       {NULL, NULL},
};

void fs_path_open(lua_State *L, struct neap *rt) {
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
