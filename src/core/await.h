#ifndef NEAP_CORE_AWAIT_H
#define NEAP_CORE_AWAIT_H

#include <lua.h>

struct neap;

void await_open(lua_State *L, struct neap *rt);

#endif
