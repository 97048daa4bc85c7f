/* Streams over whatever carries bytes, and descriptors that are waited for. */
#ifndef NEAP_IO_IO_H
#define NEAP_IO_IO_H

#include <lua.h>

struct neap;

/* Registers the kinds of object of this room and sets its functions as fields of the table on top. */
void io_open(lua_State *L, struct neap *rt);

#endif
