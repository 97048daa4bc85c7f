/* A place for values or an error that come later, and the header that every task begins with. */
#ifndef NEAP_CORE_FUTURE_H
#define NEAP_CORE_FUTURE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct neap;
struct op;
struct task;

enum future_state { FUTURE_PENDING, FUTURE_FINISHED, FUTURE_FAILED, FUTURE_CANCELLED };

/* User values of the userdata. RESULT holds the one value, the table of several, or the error;
 * DETAILS is a table made on demand: name, cancel message, traceback, place. */
enum { FUTURE_RESULT = 1, FUTURE_DETAILS = 2, FUTURE_USER_VALUES = 2 };

struct future {
  struct neap *rt;
  struct list waiters; /* of struct waiter, in order of registration */
  uint8_t state;
  bool is_task;
  bool retrieved; /* somebody has seen the error */
  uint8_t values; /* finished: 0, 1, or PACKED for a table with n */
};

/* Someone to be told when a future is done. [fire] runs inside the completing call: it may queue
 * or wake, not run Lua. */
struct waiter {
  struct list link;
  void (*fire)(struct neap *rt, struct waiter *waiter, struct future *future);
  struct op *op; /* that waits by it; NULL for a callback */
};

void future_open(lua_State *L, struct neap *rt);

void future_init(struct neap *rt, struct future *future, bool is_task);

/* Pushes a new pending future. */
struct future *future_new(lua_State *L, struct neap *rt);

/* The future or task at [index], or NULL. */
struct future *future_test(lua_State *L, int index);
struct future *future_check(lua_State *L, struct neap *rt, int index);

static inline bool future_done(const struct future *future) {
  return future->state != FUTURE_PENDING;
}

/* Completes with the values at [first] to the top of the stack, which it pops; the future's userdata
 * is at [index]. May raise for want of memory, with nothing changed. */
void future_finish(lua_State *L, struct neap *rt, int index, int first);

/* Completes with the error on top of the stack, which it pops. [state] is FAILED or CANCELLED. May
 * raise for want of memory, with nothing changed. */
void future_fail(lua_State *L, struct neap *rt, int index, enum future_state state);

/* The same where nothing may raise: the error is reported only when the future is collected. */
void future_fail_quietly(lua_State *L, struct neap *rt, int index, enum future_state state);

/* Completes it as cancelled, without an error object: for a runtime that is being freed. Cannot raise. */
void future_abandon(struct neap *rt, struct future *future);

/* Pushes the values and returns their count, or raises the error: what an awaiter gets. */
int future_push_result(lua_State *L, int index);

/* Suspends the running task until the future at [index] is done, and pushes its values or raises
 * its error. To be returned. */
int future_await(lua_State *L, int index, const char *name);

/* The task that [task] awaits, or NULL. */
struct task *future_awaited_task(struct task *task);

/* Pushes one detail, or nil. */
void future_push_detail(lua_State *L, int index, const char *name);

/* Sets a detail to the value on top of the stack, and pops it. May raise for want of memory. */
void future_set_detail(lua_State *L, int index, const char *name);

/* Reports the errors of futures that were collected unread; with [all] also those of futures that
 * still live. May raise for want of memory. */
void future_report_failures(lua_State *L, struct neap *rt, bool all);

/* Future(): a new pending one. */
int l_future(lua_State *L);

/* The methods that futures and tasks share. */
extern const luaL_Reg future_shared_methods[];

#endif
