/* What scripts may use. Memory is the business of ceiling.h; here are steps, tasks, handles, addresses.
 *
 * A step is what runs from where a task is resumed to where it waits or ends, or one callback. Its time and
 * instructions are looked at by a hook that counts instructions, which makes Lua code take about twice as
 * long; there is none without such a limit. A step that is over its limit gets a LimitError at every further
 * instruction until control is back in the loop, whatever catches it; a task that goes on catching it is made
 * to yield, and ended. */
#ifndef NEAP_CORE_LIMITS_H
#define NEAP_CORE_LIMITS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/runtime.h"

/* 0 and NULL: no limit. */
struct limit_options {
  size_t memory;
  double step_seconds;
  long long step_instructions;
  unsigned tasks;
  unsigned handles;
  int (*allow_address)(void *user, const struct sockaddr *address, int listens);
  void *user;
  bool restricted;
};

/* Sets the limits, which is to be done before anything runs. May raise for want of memory. */
void limits_open(lua_State *L, struct neap *rt, const struct limit_options *options);

void limits_close(struct neap *rt);

/* From here on, or no longer, the limits bind. Returns whether they did. */
bool limits_bind(struct neap *rt, bool bind);

/* The time is looked at with the next instruction. Safe inside an allocator. */
void limits_look_soon(struct neap *rt);

/* Raises if there may not be one task more. Where there are limits. */
void limits_check_task(lua_State *L, struct neap *rt);

/* 0, or UV_EMFILE if there may not be one handle more. */
int limits_handle(struct neap *rt);

/* 0, or UV_EACCES if a script may not connect to this address, or listen at it. */
int limits_address(struct neap *rt, const struct sockaddr *address, bool listens);

/* The same for a name that is still to be resolved: refused where no address can be allowed. */
int limits_name(struct neap *rt);

bool limits_restricted(struct neap *rt);

/* Raises in a restricted script: [call] is not for it. */
void limits_refuse_restricted(lua_State *L, struct neap *rt, const char *call);

/* Whether the only hook of [L] is the one that counts. */
bool limits_hooked(lua_State *L);

/* Where steps have a limit: the function on top, which a coroutine is to run, is replaced by one that runs it
 * so that it can be stopped. */
void limits_guard(lua_State *L, struct neap *rt);

/* Raises if the step is over its limit. */
void limits_check_step(lua_State *L, struct neap *rt);

/* Whether the step that has just yielded is over its limit, and would not end: then pushes its error. */
bool limits_struck(lua_State *L, struct neap *rt);

/* The running step gets its whole limit again. */
void limits_begin_anew(struct neap *rt);

#endif
