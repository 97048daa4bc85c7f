/* The loop object that scripts see. A runtime has one loop; closing a loop object ends the use of
 * that object, and new_event_loop gives another one on the same runtime. */
#ifndef NEAP_CORE_LOOP_H
#define NEAP_CORE_LOOP_H

#include <lua.h>

struct neap;

void loop_open(lua_State *L, struct neap *rt);

/* Pushes the loop object in use. */
void loop_push(lua_State *L, struct neap *rt);

/* The runtime of the open loop object that is the first argument; raises if it is closed. */
struct neap *loop_check_open(lua_State *L, const char *call);

#endif
