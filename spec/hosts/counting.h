/* How much memory and how many descriptors there are: what neap, Lua and libuv allocate is counted. */
#ifndef HOSTS_COUNTING_H
#define HOSTS_COUNTING_H

#include <lua.h>

/* Has libuv allocate here. To be called before libuv is used. */
void counting_take_libuv(void);

/* A state whose memory is counted. The linker gives neap's luaL_newstate for this too. */
lua_State *counting_newstate(void);

int counting_blocks(void);

/* Open descriptors. */
int counting_fds(void);

#endif
