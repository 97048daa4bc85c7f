/* What the system knows of a file. */
#include <lauxlib.h>
#include <sys/stat.h>

#include "io/fs.h"

enum { NS_PER_S = 1000000000, PERMISSIONS = 07777, FIELDS = 14 };

static int run_stat(struct fs_call *call) { return uv_fs_stat(NULL, &call->fs, call->path, NULL); }
static int run_lstat(struct fs_call *call) { return uv_fs_lstat(NULL, &call->fs, call->path, NULL); }

void fs_push_type(lua_State *L, unsigned bits) {
  switch (bits & S_IFMT) {
    case S_IFREG: lua_pushliteral(L, "file"); return;
    case S_IFDIR: lua_pushliteral(L, "directory"); return;
    case S_IFLNK: lua_pushliteral(L, "link"); return;
    case S_IFIFO: lua_pushliteral(L, "fifo"); return;
    case S_IFSOCK: lua_pushliteral(L, "socket"); return;
    case S_IFCHR: lua_pushliteral(L, "char"); return;
    case S_IFBLK: lua_pushliteral(L, "block"); return;
    default: lua_pushliteral(L, "unknown");
  }
}

static void set_integer(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, uv_timespec_t time) {
  lua_pushnumber(L, (double)time.tv_sec + (double)time.tv_nsec / NS_PER_S);
  lua_setfield(L, -2, name);
}

void fs_push_stat(lua_State *L, const uv_stat_t *stat) {
  lua_createtable(L, 0, FIELDS);
  fs_push_type(L, (unsigned)stat->st_mode);
  lua_setfield(L, -2, "type");
  set_integer(L, "mode", stat->st_mode & PERMISSIONS);
  set_integer(L, "size", stat->st_size);
  set_integer(L, "uid", stat->st_uid);
  set_integer(L, "gid", stat->st_gid);
  set_integer(L, "nlink", stat->st_nlink);
  set_integer(L, "ino", stat->st_ino);
  set_integer(L, "dev", stat->st_dev);
  set_integer(L, "blocks", stat->st_blocks);
  set_time(L, "atime", stat->st_atim);
  set_time(L, "mtime", stat->st_mtim);
  set_time(L, "ctime", stat->st_ctim);
  set_time(L, "birthtime", stat->st_birthtim);
}

static int push_stat(lua_State *L, struct fs_call *call) {
  fs_push_stat(L, &call->fs.statbuf);
  return 1;
}

static const struct fs_kind stat_kind = {.op = FS_OP("fs.stat"), .paths = 1, .run = run_stat, .push = push_stat};
static const struct fs_kind lstat_kind = {.op = FS_OP("fs.lstat"), .paths = 1, .run = run_lstat, .push = push_stat};

static int await_stat(lua_State *L, const struct fs_kind *kind) {
  struct fs_arguments a = {.path = fs_check_path(L, 1)};
  return fs_await(L, kind, &a);
}

/* stat(path): a table of what the system knows of it. */
static int l_stat(lua_State *L) { return await_stat(L, &stat_kind); }

/* lstat(path): the same; of a link, not of where it leads. */
static int l_lstat(lua_State *L) { return await_stat(L, &lstat_kind); }

static const luaL_Reg functions[] = {
    {"fs_stat", l_stat},
    {"fs_lstat", l_lstat},
    {NULL, NULL},
};

void fs_stat_open(lua_State *L, struct neap *rt) {
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
