/* Debug hooks across coroutines. A new one gets its creator's hook by itself only when that was set in
 * C: those of debug.sethook are kept for each coroutine in a table of the debug library. */
#ifndef NEAP_CORE_HOOK_H
#define NEAP_CORE_HOOK_H

#include <lua.h>

struct neap;

void hook_open(lua_State *L, struct neap *rt);

/* Sets the hook of [from], or none, on [to], which is not running Lua. Neither sees a call of it. */
void hook_copy(lua_State *from, lua_State *to);

/* The same, for a new coroutine that has no hook yet or what Lua gave it. */
static inline void hook_inherit(lua_State *from, lua_State *to) {
  if (lua_gethook(from)) hook_copy(from, to);
}

#endif
