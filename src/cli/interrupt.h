/* Ctrl-C while a chunk of the interactive mode runs: it ends the chunk. Module "neap.interrupt" of the
 * command. */
#ifndef NEAP_CLI_INTERRUPT_H
#define NEAP_CLI_INTERRUPT_H

#include <lua.h>
#include <stdbool.h>

int interrupt_open_library(lua_State *L);

/* In the signal handler: whether the signal is for the chunk. Then the loop must be woken. */
bool interrupt_take(int number);

/* In the loop, when it was woken: cancels the chunk, if that is to be done. */
void interrupt_cancel(void);

#endif
