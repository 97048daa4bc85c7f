/* Calling functions in another thread's loop. */
#ifndef NEAP_THREAD_CALL_H
#define NEAP_THREAD_CALL_H

#include <lua.h>

struct neap;

/* Adds call_soon_threadsafe to the methods of threads and of the loop. */
void call_open(lua_State *L, struct neap *rt);

#endif
