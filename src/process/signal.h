#ifndef NEAP_PROCESS_SIGNAL_H
#define NEAP_PROCESS_SIGNAL_H

#include <lua.h>

struct neap;

/* Sets signal_wait, signal_listen and signal_send as fields of the table on top, and adds the loop's methods
 * for signal handlers. */
void signal_open(lua_State *L, struct neap *rt);

#endif
