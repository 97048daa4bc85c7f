/* A limit on the memory of a runtime: Lua's and neap's own together. Lua's allocator then charges the same
 * account as neap's blocks. It binds only while tasks run: what the host does between runs is counted and
 * not refused, so that a call of its own that is not protected cannot panic. */
#ifndef NEAP_CORE_CEILING_H
#define NEAP_CORE_CEILING_H

#include <lua.h>
#include <stddef.h>

struct neap;

/* Sets the limit. May raise for want of memory. */
void ceiling_open(lua_State *L, struct neap *rt, size_t limit);

/* The tasks are being ended: for that there is some more. */
void ceiling_raise(struct neap *rt);

/* Gives the state the allocator back that it had. */
void ceiling_close(struct neap *rt);

/* Bytes in use: Lua's and neap's own. */
size_t runtime_memory(struct neap *rt);

#endif
