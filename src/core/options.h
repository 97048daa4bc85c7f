/* Checks of a table of options, an argument that may be left out. */
#ifndef NEAP_CORE_OPTIONS_H
#define NEAP_CORE_OPTIONS_H

#include <lua.h>
#include <stdbool.h>

/* Raises for an option of the table at [index], if there is one, that is not among [names], nor among [more] where
 * there are two lists; NULL ends each. */
void options_check(lua_State *L, int index, const char *const names[]);
void options_check_of_two(lua_State *L, int index, const char *const names[], const char *const more[]);

/* Pushes an option. Returns false, with nothing pushed, if it is not given. */
bool options_get(lua_State *L, int index, const char *name);

/* An option of the table at [index], if there is one, or its default: a boolean; a positive integer; a number of
 * seconds, not negative. */
bool options_boolean(lua_State *L, int index, const char *name, bool otherwise);
int options_integer(lua_State *L, int index, const char *name, int otherwise);
double options_seconds(lua_State *L, int index, const char *name, double otherwise);

#endif
