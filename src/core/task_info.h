/* What tasks tell of themselves: their names, and where they were made, run and wait. */
#ifndef NEAP_CORE_TASK_INFO_H
#define NEAP_CORE_TASK_INFO_H

#include <lauxlib.h>
#include <lua.h>

struct task;

/* The methods that tell it. */
extern const luaL_Reg task_info_methods[];

/* Pushes the name of the task at [index]. */
void task_push_name(lua_State *L, int index);

/* Pushes one line on where an unended task waits: "sleep at x.lua:3", "preempted at x.lua:3". */
void task_push_place(lua_State *L, struct task *task);

/* Pushes the function that made the task; nil or false where that is not known. */
void task_push_creator(lua_State *L, struct task *task);

/* Replaces the function on top, which made the task, by the place where it did. */
void task_creator_to_place(lua_State *L, const struct task *task);

#endif
