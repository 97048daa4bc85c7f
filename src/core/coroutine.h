/* User coroutines inside tasks: an await passes through them to the loop and comes back, while their
 * own yields stay their own. */
#ifndef NEAP_CORE_COROUTINE_H
#define NEAP_CORE_COROUTINE_H

#include <lua.h>

struct neap;

void coroutine_open(lua_State *L, struct neap *rt);

/* Replaces resume, wrap, close, status, running, isyieldable and yield in the global table
 * `coroutine`. May be called twice. */
void coroutine_install(lua_State *L);

/* Puts back what they have replaced, where they still stand. */
void coroutine_uninstall(lua_State *L);

/* Pushes the function (co, ...) that runs a coroutine to its end, in the running task; its own
 * yields are turns. */
void coroutine_push_runner(lua_State *L);

/* Pushes the suspended [co] and the user coroutines that its await has passed through, the outermost first,
 * and returns their count; 0 where a stack has no room. Runs no finalizer. */
int coroutine_push_chain(lua_State *L, lua_State *co);

/* Closes them all, the innermost first. */
void coroutine_close_chain(lua_State *L, lua_State *co);

/* Closes a coroutine: lua_resetthread or lua_closethread, whichever this Lua has. */
int thread_close(lua_State *co, lua_State *from);

#endif
