/* os.exit in a state of neap's own: every task is ended, its <close> variables run, what is open is closed. It
 * ends the run; whether the process ends then is the host's affair. */
#ifndef NEAP_CORE_EXIT_H
#define NEAP_CORE_EXIT_H

#include <lua.h>

/* Replaces os.exit, if there is one. */
void exit_install(lua_State *L);

#endif
