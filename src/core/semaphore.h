#ifndef NEAP_CORE_SEMAPHORE_H
#define NEAP_CORE_SEMAPHORE_H

#include <lua.h>

struct neap;

void semaphore_open(lua_State *L, struct neap *rt);

#endif
