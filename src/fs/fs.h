/* Files and folders, and descriptors of the program's. */
#ifndef NEAP_FS_FS_H
#define NEAP_FS_FS_H

#include <lua.h>

struct neap;

/* Sets the functions of this room as fields of the table on top. */
void fs_open(lua_State *L, struct neap *rt);

/* What each file of it has. */
void fs_path_open(lua_State *L, struct neap *rt);
void fs_stat_open(lua_State *L, struct neap *rt);
void fs_file_open(lua_State *L, struct neap *rt);
void fs_remove_open(lua_State *L, struct neap *rt);
void fs_scandir_open(lua_State *L, struct neap *rt);
void fs_watch_open(lua_State *L, struct neap *rt);
void fs_descriptors_open(lua_State *L, struct neap *rt);

#endif
