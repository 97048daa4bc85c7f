#ifndef NEAP_CORE_QUEUE_H
#define NEAP_CORE_QUEUE_H

#include <lua.h>

struct neap;

void queue_open(lua_State *L, struct neap *rt);

#endif
