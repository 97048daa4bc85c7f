/* Error objects: tables whose metatable is their kind, and what libuv's codes become. */
#ifndef NEAP_CORE_ERROR_H
#define NEAP_CORE_ERROR_H

#include <lua.h>
#include <stdbool.h>

struct neap;
struct task;

enum error_kind {
  ERROR_ANY, /* "Error", the kind above all */
  ERROR_CANCELLED,
  ERROR_TIMEOUT,
  ERROR_INVALID_STATE,
  ERROR_DEADLOCK,
  ERROR_OS,
  ERROR_INCOMPLETE_READ,
  ERROR_LIMIT_OVERRUN,
  ERROR_QUEUE_EMPTY,
  ERROR_QUEUE_FULL,
  ERROR_QUEUE_SHUT_DOWN,
  ERROR_BROKEN_BARRIER,
  ERROR_LIMIT,
  ERROR_KINDS
};

/* Makes the kinds and sets them as fields of the table on top. */
void error_open(lua_State *L, struct neap *rt);

/* Pushes a new error of [kind] whose message is the value on top, which it pops. */
void error_new(lua_State *L, enum error_kind kind);

/* Pushes "file:line: " of the innermost Lua function that is not neap's own, or "". */
void error_where(lua_State *L);

/* Pushes "file:line" of that function, or "?". */
void error_push_place(lua_State *L);

/* Whether the function that [ar] tells of (with "S") is one of neap's own in Lua. */
bool error_is_own(const lua_Debug *ar);

/* Raises a string with that position: misuse. */
int error_misuse(lua_State *L, const char *format, ...);

/* Raises an error of [kind]; the message begins with the caller's position. */
int error_raise(lua_State *L, enum error_kind kind, const char *format, ...);

/* Remembers the failed task at [index] as where the error that is about to be raised comes from. */
void error_note_origin(lua_State *L, int index);

/* The same for the error at [index] that came from another thread with the traceback at [traceback], or nil. */
void error_note_copied(lua_State *L, int index, int traceback, const char *name);

/* Pushes the traceback of [thread] for the error at [index], followed by those of the tasks that it
 * came through. */
void error_push_traceback(lua_State *L, lua_State *thread, int index, int level);

bool error_is(lua_State *L, int index, enum error_kind kind);

/* The name and the meaning of a code of libuv; of an error of the system that libuv does not know, the C library's. */
const char *error_code(int status);
const char *error_reason(int status);

/* Pushes nil, an OSError and the code's name: what a call that failed in the outside world
 * returns. [operation] and [target] tell what was tried; [target] may be NULL. Returns 3. */
int error_return(lua_State *L, int status, const char *operation, const char *target);

/* The same for a failure that libuv has no code for. */
int error_return_as(lua_State *L, const char *code, const char *reason, const char *operation, const char *target);

/* Pushes what __tostring makes of the value, if it has one that gives a string. */
bool error_push_own_string(lua_State *L, int index);

/* Pushes a readable string for any error value; never raises but for want of memory. */
const char *error_tostring(lua_State *L, int index);

/* Raises CancelledError in the running task, with the message it was cancelled with. */
int error_raise_cancelled(lua_State *L, struct neap *rt);

/* Pushes the CancelledError that names the task or future at [index]; its message is the value at
 * [message]. */
void error_push_cancelled(lua_State *L, int index, int message);

/* Whether the value at [index] is a CancelledError that began in [task]. */
bool error_began_in(lua_State *L, int index, const struct task *task);

#endif
