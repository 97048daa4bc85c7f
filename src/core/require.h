/* A `require` whose modules may await. */
#ifndef NEAP_CORE_REQUIRE_H
#define NEAP_CORE_REQUIRE_H

#include <lua.h>

struct neap;

void require_open(lua_State *L, struct neap *rt);

/* Replaces the global `require`, unless a program has put a Lua function there. May be called twice. */
void require_install(lua_State *L);

/* Puts back what it has replaced, where it still stands. */
void require_uninstall(lua_State *L);

/* The user coroutine [co] has failed and stays open: what it was loading is to be loaded by others. */
void require_abandon(lua_State *L, lua_State *co);

#endif
