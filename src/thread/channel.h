/* Channels: queues between tasks of any number of threads. */
#ifndef NEAP_THREAD_CHANNEL_H
#define NEAP_THREAD_CHANNEL_H

#include <lua.h>

struct neap;

void channel_open(lua_State *L, struct neap *rt);

#endif
