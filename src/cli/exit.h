/* os.exit in a program that uses neap: every task is ended, its <close> variables run, what is open is
 * closed, and only then the process ends. */
#ifndef NEAP_CLI_EXIT_H
#define NEAP_CLI_EXIT_H

#include <lua.h>
#include <stdbool.h>

/* Replaces os.exit. In a program that never loaded neap it closes only when asked to, as in Lua. */
void exit_install(lua_State *L);

bool exit_asked(lua_State *L);
int exit_code(lua_State *L);

#endif
