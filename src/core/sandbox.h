/* What a restricted script gets in place of functions of Lua that could harm its host. What is left out, and
 * what the script sees, is written in lua/neap/sandbox.lua. */
#ifndef NEAP_CORE_SANDBOX_H
#define NEAP_CORE_SANDBOX_H

#include <lua.h>

struct neap;

/* Opens those of Lua's libraries that a restricted script may have something of. */
void sandbox_open_libraries(lua_State *L);

/* Pushes the table of functions that sandbox.lua gets; hides the metatables of neap's objects. */
void sandbox_push_tools(lua_State *L, struct neap *rt);

#endif
