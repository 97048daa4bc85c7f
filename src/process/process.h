/* Child processes as scripts see them: neap.Process. What is as good in Lua is in lua/neap/subprocess.lua. */
#ifndef NEAP_PROCESS_PROCESS_H
#define NEAP_PROCESS_PROCESS_H

#include <lua.h>

struct neap;

/* Registers the kind of object, and sets the functions of this file as fields of the table on top. */
void process_open(lua_State *L, struct neap *rt);

#endif
