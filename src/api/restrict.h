/* From the host's limits to those of the core, and to what a restricted script sees. */
#ifndef NEAP_API_RESTRICT_H
#define NEAP_API_RESTRICT_H

#include "core/runtime.h"
#include "neap.h"

/* Before anything runs. May raise for want of memory. */
void limits_apply(lua_State *L, struct neap *rt, const neap_config *config);

/* Pushes the globals of neap's own files if they are not the scripts', or nothing. */
bool restrict_push_globals(lua_State *L);

#endif
