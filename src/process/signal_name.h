/* What signals are called. */
#ifndef NEAP_PROCESS_SIGNAL_NAME_H
#define NEAP_PROCESS_SIGNAL_NAME_H

#include <lua.h>

/* The number of the signal at [index], which is a name or a number; raises a bad argument if there is none. */
int signal_check(lua_State *L, int index);

/* The same; also for one that can be caught, and whose handler may run later. */
int signal_check_caught(lua_State *L, int index);

/* Pushes the name: "SIGINT", "SIGRTMIN+2", or "signal 99". Returns it. */
const char *signal_push_name(lua_State *L, int number);

#endif
