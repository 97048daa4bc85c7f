#ifndef NEAP_IO_OPEN_H
#define NEAP_IO_OPEN_H

#include <lua.h>

struct neap;

/* Sets the functions that open files and descriptors as fields of the table on top: see open.c. */
void open_open(lua_State *L, struct neap *rt);

#endif
