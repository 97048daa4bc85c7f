/* What the system tells of a file, as a table. */
#ifndef NEAP_IO_STAT_H
#define NEAP_IO_STAT_H

#include <lua.h>
#include <uv.h>

/* Pushes the name of the type of a file with these bits. */
void stat_push_type(lua_State *L, unsigned bits);

/* Pushes the table that fs.stat returns. */
void stat_push(lua_State *L, const uv_stat_t *stat);

#endif
