/* Where in the values of a message something lies, in words. Found only when an error is to say so. */
#ifndef NEAP_THREAD_COPY_PATH_H
#define NEAP_THREAD_COPY_PATH_H

#include <lua.h>
#include <stdint.h>

struct copy_names;

enum copy_part { COPY_VALUE, COPY_KEY, COPY_FIELD, COPY_METATABLE, COPY_UPVALUE };

/* What is being written: a part of an object, or one of the values themselves. */
struct copy_place {
  enum copy_part part;
  uint32_t number; /* of the object */
  int key;         /* VALUE: which; KEY, FIELD: stack index of the key; UPVALUE: which */
};

/* Where the values and the objects lie on the stack, and how many there are. */
struct copy_frame {
  int first, values;
  int objects; /* a table of them in the order in which they were met */
  uint32_t count;
};

/* Pushes "a coroutine" or the like for the value at [index]. */
void copy_path_push_kind(lua_State *L, int index);

/* Pushes " (argument 2, field 'a.b[3]')", or "". */
void copy_path_push(lua_State *L, const struct copy_place *place, const struct copy_frame *frame,
                    const struct copy_names *names);

#endif
