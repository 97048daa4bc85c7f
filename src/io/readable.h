#ifndef NEAP_IO_READABLE_H
#define NEAP_IO_READABLE_H

#include <lua.h>

/* wait_readable(fd): see readable.c. */
int l_wait_readable(lua_State *L);

#endif
