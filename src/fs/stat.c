/* What the system knows of a file. */
#include <lauxlib.h>

#include "fs/call.h"
#include "fs/fs.h"
#include "io/stat.h"

static int run_stat(struct fs_call *call) { return uv_fs_stat(NULL, &call->fs, call->path, NULL); }
static int run_lstat(struct fs_call *call) { return uv_fs_lstat(NULL, &call->fs, call->path, NULL); }

static int push_stat(lua_State *L, struct fs_call *call) {
  stat_push(L, &call->fs.statbuf);
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
