#ifndef NEAP_IO_CENSUS_H
#define NEAP_IO_CENSUS_H

#include <lua.h>

struct neap;

/* Sets census as a field of the table on top. */
void census_open(lua_State *L, struct neap *rt);

#endif
