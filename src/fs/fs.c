#include "fs/fs.h"

void fs_open(lua_State *L, struct neap *rt) {
  fs_path_open(L, rt);
  fs_stat_open(L, rt);
  fs_file_open(L, rt);
  fs_remove_open(L, rt);
  fs_scandir_open(L, rt);
  fs_watch_open(L, rt);
  fs_descriptors_open(L, rt);
}
