/* A program in one file, as `neap compile` makes it: a copy of the neap executable, at whose end stand the
 * sources of a script and its modules.
 *
 *     executable | file ... | "neap end"
 *     file = module's name, file's name, source; each a 32-bit length in the machine's order, and bytes
 *
 * The first file is the script, with no module's name. The executable has a slot in its constants that tells
 * where the files begin and how long they are; in neap itself it is empty, so that its start looks at no file.
 * Being apart from what it tells of, the slot also knows when that is gone: `strip` drops it.
 * Sources are text, never binary chunks. */
#ifndef NEAP_CLI_BUNDLE_H
#define NEAP_CLI_BUNDLE_H

#include <lua.h>
#include <stdbool.h>

/* Whether this process runs such a program. */
bool bundle_is_here(void);

/* Loads the script of this program, and lets `require` find its modules before those of package.path. Pushes
 * the script as a function and returns LUA_OK, or a message and what luaL_loadbuffer returns. */
int bundle_load(lua_State *L);

/* (output, files, sources): writes the program `output`, of a string of files, unless it is one of the files
 * that are named in the list `sources`. Raises what stands against it. */
int bundle_write(lua_State *L);

#endif
