/* The terminal as the interactive mode uses it: keys one by one, and a line that stays whole while others
 * print. Module "neap.terminal" of the command. */
#ifndef NEAP_CLI_TERMINAL_H
#define NEAP_CLI_TERMINAL_H

#include <lua.h>

int terminal_open_library(lua_State *L);

/* Gives the terminal its modes back. Safe in a signal handler. */
void terminal_restore_modes(void);

#endif
