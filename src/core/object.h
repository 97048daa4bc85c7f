/* Kinds of userdata, their metatables, and a check that costs little: the last word of each userdata
 * of ours is the address of its kind, which nobody else can have there. */
#ifndef NEAP_CORE_OBJECT_H
#define NEAP_CORE_OBJECT_H

#include <lauxlib.h>
#include <lua.h>

struct neap;

enum object_kind {
  OBJECT_FUTURE,
  OBJECT_FAILURE,
  OBJECT_TASK,
  OBJECT_SCOPE,
  OBJECT_HANDLE,
  OBJECT_LOOP,
  OBJECT_WAIT_QUEUE,
  OBJECT_SEMAPHORE,
  OBJECT_LOCK,
  OBJECT_QUEUE,
  OBJECT_LOAD,
  OBJECT_STREAM,
  OBJECT_LISTENER,
  OBJECT_DATAGRAM_SOCKET,
  OBJECT_SIGNAL_LISTENER,
  OBJECT_PROCESS,
  OBJECT_RAW_SOCKET,
  OBJECT_CHANNEL,
  OBJECT_THREAD,
  OBJECT_THREAD_CALL,
  OBJECT_JOB,
  OBJECT_DIRECTORY,
  OBJECT_WATCH,
  OBJECT_TLS_CONTEXT,
  OBJECT_TLS_SESSION,
  OBJECT_KINDS
};

/* Pushes a new table with weak keys ("k"), or weak values ("v"). */
void weak_table_new(lua_State *L, const char *mode);

/* Makes the metatable of [kind] (named [name] in errors) from [methods], whose functions get the
 * runtime as their upvalue. Metamethods ("__gc") stand among the methods. Leaves the metatable
 * on the stack: it is its own __index. */
void object_register(lua_State *L, struct neap *rt, enum object_kind kind, const char *name,
                     const luaL_Reg *methods);

/* Adds methods, in the same way, to the metatable on top. */
void object_add_methods(lua_State *L, const luaL_Reg *methods);

/* Pushes a new userdata with the metatable of [kind]. [values] is its count of user values. */
void *object_new(lua_State *L, struct neap *rt, enum object_kind kind, size_t size, int values);

/* Pushes the metatable. */
void object_push_metatable(lua_State *L, struct neap *rt, enum object_kind kind);

/* The userdata at [index] if it is of [kind], or else NULL. */
void *object_test(lua_State *L, int index, enum object_kind kind);

/* The same for a finalizer, which a program may call, too: it is of no kind from then on. */
void *object_end(lua_State *L, int index, enum object_kind kind);

/* As object_test, but raises a bad argument if it is not. */
void *object_check(lua_State *L, struct neap *rt, int index, enum object_kind kind);

#endif
