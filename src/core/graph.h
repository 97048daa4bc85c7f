#ifndef NEAP_CORE_GRAPH_H
#define NEAP_CORE_GRAPH_H

#include <lua.h>

struct neap;

void graph_open(lua_State *L, struct neap *rt);

#endif
