/* Callbacks that are called as long as a descriptor is ready. */
#ifndef NEAP_IO_WATCHER_H
#define NEAP_IO_WATCHER_H

#include <lua.h>

struct neap;

/* Adds add_reader and its like to loops. */
void watcher_open(lua_State *L, struct neap *rt);

#endif
