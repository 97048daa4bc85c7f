/* Callbacks: what call_soon, call_later, call_at and add_done_callback queue. */
#ifndef NEAP_CORE_HANDLE_H
#define NEAP_CORE_HANDLE_H

#include <lua.h>

#include "core/future.h"
#include "core/runtime.h"

enum handle_state { HANDLE_PENDING, HANDLE_CALLED, HANDLE_CANCELLED };

/* User values: the function, then its arguments, then its context where there are any, then the place where
 * it was made in debug mode. */
enum { HANDLE_FUNCTION = 1 };

/* It is anchored while a queue, the heap or a future holds it. */
struct handle {
  struct runnable runnable; /* must be first */
  struct timer timer;
  struct waiter waiter; /* for a future's end */
  int slot;             /* 0: not anchored */
  int nargs;
  uint8_t state;
  bool has_context;
  bool has_place;
  bool repeats;   /* called again and again: it stays anchored until it is retired */
  unsigned calls; /* of one that repeats: that are due, one of them in a turn */
};

void handle_open(lua_State *L, struct neap *rt);

/* Pushes a handle for the function at [index] and the values above it, and pops those. */
struct handle *handle_new(lua_State *L, struct neap *rt, int index);

/* Checks that what lies at [index] can be called. */
void handle_check_function(lua_State *L, int index);

/* These take the handle on top of the stack, which they leave there. */
void handle_anchor(lua_State *L, struct neap *rt, struct handle *handle);
void handle_repeat(lua_State *L, struct neap *rt, struct handle *handle);
void handle_call_soon(lua_State *L, struct neap *rt, struct handle *handle);
void handle_call_at(lua_State *L, struct neap *rt, struct handle *handle, int64_t deadline);

/* Takes the handle at [index] from where it waits, and lets go of function and arguments at once. */
void handle_cancel(lua_State *L, struct neap *rt, struct handle *handle, int index);

/* One that repeats is to be called so many times more, unless it was cancelled. */
void handle_call_again(struct neap *rt, struct handle *handle, unsigned times);

/* Cancels one that repeats, which goes once it is neither queued nor being called. */
void handle_retire(lua_State *L, struct neap *rt, struct handle *handle);

/* Pushes the place where the handle at [index] was made, or nil. */
void handle_push_place(lua_State *L, int index);

/* Calls it. From the loop alone. */
void handle_run(struct neap *rt, struct handle *handle);

/* Pushes the handle that is being called, if one is. */
bool handle_push_running(lua_State *L, struct neap *rt);

#endif
