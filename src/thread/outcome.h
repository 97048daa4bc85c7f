/* How a task has ended, for another state. */
#ifndef NEAP_THREAD_OUTCOME_H
#define NEAP_THREAD_OUTCOME_H

#include <lua.h>

struct message;

enum outcome_kind { OUTCOME_GONE, OUTCOME_VALUES, OUTCOME_FAILED, OUTCOME_CANCELLED };

struct outcome {
  enum outcome_kind kind;  /* GONE: it did not come to its end */
  struct message *message; /* values; or an error and its traceback; NULL: there was no memory for it */
};

/* Keeps how the task at [index], which is done, has ended. Cannot raise. [call] is for error messages. */
void outcome_keep(lua_State *L, struct outcome *outcome, int index, const char *call);

/* Keeps the error at the top, which it pops. */
void outcome_keep_error(lua_State *L, struct outcome *outcome, const char *call);

/* Pushes the values and returns their count, or raises the error. [name] is who ended. */
int outcome_push(lua_State *L, const struct outcome *outcome, const char *name);

/* Pushes the error and its traceback or nil. */
void outcome_push_error(lua_State *L, const struct outcome *outcome, const char *name);

#endif
