#include "io/stat.h"

#include <sys/stat.h>

enum { NS_PER_S = 1000000000, PERMISSIONS = 07777, FIELDS = 14 };

void stat_push_type(lua_State *L, unsigned bits) {
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

void stat_push(lua_State *L, const uv_stat_t *stat) {
  lua_createtable(L, 0, FIELDS);
  stat_push_type(L, (unsigned)stat->st_mode);
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
