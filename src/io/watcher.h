#ifndef NEAP_IO_WATCHER_H
#define NEAP_IO_WATCHER_H

#include <lua.h>

struct neap;

/* Sets wait_readable and wait_writable as fields of the table on top, and adds to loops what watches descriptors. */
void watcher_open(lua_State *L, struct neap *rt);

#endif
