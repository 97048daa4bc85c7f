/* Values that go from one Lua state into another: a message holds copies of them that belong to no state, and
 * may be pushed, and freed, in any thread.
 *
 * Tables and functions keep their identity within a message: shared references stay shared, circles stay
 * circles, and functions that shared a variable share its copy. A loaded module, and what is a field of one,
 * goes by name: the other state requires it. So do the globals, and a function's _ENV. */
#ifndef NEAP_THREAD_COPY_H
#define NEAP_THREAD_COPY_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/object.h"

struct neap;

/* What a message holds beside its bytes: an object that is shared, or, where [kind] is NULL, the block of a
 * long string. */
struct hold {
  const struct copy_kind *kind;
  void *object;
  size_t length;
  bool weak; /* it is not released */
};

struct message {
  struct message *next;    /* for whoever has it */
  uint64_t sequence;       /* the same */
  uint32_t values;
  bool plain;              /* there are no strings or anything else that takes memory */
  uint32_t objects;        /* tables and functions */
  uint32_t hold_count;
  uint32_t hold_capacity;
  struct hold *holds;
  size_t length;
  size_t capacity;
  char bytes[];
};

/* How userdata of a kind that is shared between states crosses. [retain] returns the object behind the one at
 * [index], which the message then has a part in until [release], in any thread. [push] pushes the userdata
 * of the state, and may raise for want of memory. */
struct copy_kind {
  void *(*retain)(lua_State *L, struct neap *rt, int index);
  void (*push)(lua_State *L, struct neap *rt, void *object);
  void (*release)(void *object);
};

/* For what error messages say: "thread: cannot copy a coroutine (argument 2, field 'a.b[3]')". The first value
 * is number [first]; number 0 has no name. */
struct copy_names {
  const char *call;
  const char *noun;
  int first;
};

void copy_open(lua_State *L, struct neap *rt);

/* Both must be static. */
void copy_register(lua_State *L, enum object_kind object_kind, const struct copy_kind *kind);

/* Makes a message of the values at [index] to the top of the stack, which stay there. Raises, with nothing
 * left behind, if one cannot be copied or there is no memory. */
struct message *message_new(lua_State *L, int index, const struct copy_names *names);

/* Pushes the values and returns their count. May raise: for want of memory, or when a module that is
 * required fails. */
int message_push(lua_State *L, const struct message *message);

/* The same, and frees the message, whatever happens. */
int message_take(lua_State *L, struct message *message);

/* On an empty stack, to be returned: calls the function that the message begins with, with the values behind it. */
int message_call(lua_State *L, struct message *message);

/* The message has no part in [object] any more: that has the message itself, and lives as long. */
void message_weaken(struct message *message, const void *object);

/* From any thread. NULL is allowed. */
void message_free(struct message *message);

#endif
