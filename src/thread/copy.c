/* Making messages, and freeing them. They are read in copy_read.c. */
#include "thread/copy.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/runtime.h"
#include "core/task_info.h"
#include "thread/copy_path.h"
#include "thread/copy_tag.h"
#include "thread/reference.h"

enum {
  LONG_STRING = 4096, /* has a block of its own: copied once out and once in */
  FIRST_CAPACITY = 256,
};

/* Registry table: copy_kind by object_kind. */
static const char kinds_key;

void message_free(struct message *message) {
  if (!message) return;
  for (uint32_t i = 0; i < message->hold_count; i++) {
    struct hold *hold = &message->holds[i];
    if (hold->kind && !hold->weak)
      hold->kind->release(hold->object);
    else if (!hold->kind)
      free(hold->object);
  }
  free(message->holds);
  free(message);
}

void message_weaken(struct message *message, const void *object) {
  for (uint32_t i = 0; message && i < message->hold_count; i++) {
    struct hold *hold = &message->holds[i];
    if (!hold->kind || hold->object != object || hold->weak) continue;
    hold->weak = true;
    hold->kind->release(hold->object);
  }
}

static struct message *allocate(size_t capacity) {
  struct message *message = malloc(sizeof *message + capacity);
  if (!message) return NULL;
  *message = (struct message){.capacity = capacity};
  return message;
}

/* --- writing --- */

struct writer {
  lua_State *L;
  struct neap *rt;
  struct message *message;
  const struct copy_names *names;
  int objects;    /* stack index of a table: objects by number, numbers by object, upvalues by their id */
  int values;     /* which begin above it */
  bool refreshed; /* names of what modules hold are up to date */
  bool lenient;   /* in an error object: what cannot be copied becomes a string */
  struct copy_place place;
};

static char *reserve(struct writer *w, size_t size) {
  struct message *m = w->message;
  if (m->capacity - m->length < size) {
    size_t capacity = m->capacity * 2 > m->length + size ? m->capacity * 2 : m->length + size;
    m = realloc(m, sizeof *m + capacity);
    if (!m) luaL_error(w->L, "not enough memory");
    m->capacity = capacity;
    w->message = m;
  }
  m->length += size;
  return m->bytes + m->length - size;
}

static char *put(char *to, const void *from, size_t size) {
  memcpy(to, from, size);
  return to + size;
}

static char *put_tagged(char *to, enum tag tag, const void *from, size_t size) {
  *to = (char)tag;
  return put(to + 1, from, size);
}

static void write_tag(struct writer *w, enum tag tag) { *reserve(w, 1) = (char)tag; }

static void write_u32(struct writer *w, enum tag tag, uint32_t value) {
  put_tagged(reserve(w, 1 + sizeof value), tag, &value, sizeof value);
}

static size_t scalar_size(lua_State *L, int index) {
  switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
      return 1;
    case LUA_TNUMBER:
      return 9;
    case LUA_TSTRING: {
      size_t length = lua_rawlen(L, index);
      return length < LONG_STRING ? 3 + length : 0;
    }
    default:
      return 0;
  }
}

static char *put_scalar(lua_State *L, int index, char *to) {
  switch (lua_type(L, index)) {
    case LUA_TNIL:
      *to = TAG_NIL;
      return to + 1;
    case LUA_TBOOLEAN:
      *to = lua_toboolean(L, index) ? TAG_TRUE : TAG_FALSE;
      return to + 1;
    case LUA_TNUMBER:
      if (lua_isinteger(L, index)) {
        lua_Integer integer = lua_tointeger(L, index);
        return put_tagged(to, TAG_INTEGER, &integer, sizeof integer);
      } else {
        lua_Number number = lua_tonumber(L, index);
        return put_tagged(to, TAG_FLOAT, &number, sizeof number);
      }
    default: {
      size_t length;
      const char *string = lua_tolstring(L, index, &length);
      uint16_t short_length = (uint16_t)length;
      return put(put_tagged(to, TAG_STRING, &short_length, sizeof short_length), string, length);
    }
  }
}

/* Room for one more hold. */
static struct hold *reserve_hold(struct writer *w) {
  struct message *m = w->message;
  if (m->hold_count == m->hold_capacity) {
    uint32_t capacity = m->hold_capacity ? m->hold_capacity * 2 : 4;
    struct hold *holds = realloc(m->holds, capacity * sizeof *holds);
    if (!holds) luaL_error(w->L, "not enough memory");
    m->holds = holds;
    m->hold_capacity = capacity;
  }
  return &m->holds[m->hold_count];
}

static void write_long_string(struct writer *w, int index) {
  size_t length;
  const char *string = lua_tolstring(w->L, index, &length);
  struct hold *hold = reserve_hold(w);
  void *block = malloc(length);
  if (!block) luaL_error(w->L, "not enough memory");
  memcpy(block, string, length);
  *hold = (struct hold){.object = block, .length = length};
  w->message->hold_count++;
  write_u32(w, TAG_LONG_STRING, w->message->hold_count - 1);
}

/* The number of the new object at [index]. */
static void number_object(struct writer *w, int index) {
  lua_State *L = w->L;
  uint32_t number = ++w->message->objects;
  lua_pushvalue(L, index);
  lua_pushinteger(L, number);
  lua_rawset(L, w->objects);
  lua_pushvalue(L, index);
  lua_rawseti(L, w->objects, number);
}

static int append_dump(lua_State *L, const void *bytes, size_t size, void *data) {
  (void)L;
  struct writer *w = data;
  memcpy(reserve(w, size), bytes, size);
  return 0;
}

static void write_function(struct writer *w, int index) {
  number_object(w, index);
  write_u32(w, TAG_FUNCTION, 0);
  size_t start = w->message->length;
  lua_pushvalue(w->L, index);
  lua_dump(w->L, append_dump, w, 0);
  lua_pop(w->L, 1);
  uint32_t length = (uint32_t)(w->message->length - start);
  memcpy(w->message->bytes + start - sizeof length, &length, sizeof length);
}

static void write_table(struct writer *w, int index) {
  uint32_t counts[2] = {0, 0}; /* known when it is written: see note_counts */
  lua_pushinteger(w->L, (lua_Integer)w->message->length + 1);
  lua_rawseti(w->L, w->objects, -(lua_Integer)w->message->objects - 1);
  number_object(w, index);
  put_tagged(reserve(w, 1 + sizeof counts), TAG_TABLE, counts, sizeof counts);
}

/* How userdata like the one at [index] crosses, or NULL. */
static const struct copy_kind *kind_of(lua_State *L, int index) {
  const struct copy_kind *found = NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kinds_key);
  for (lua_pushnil(L); !found && lua_next(L, -2);) {
    if (object_test(L, index, (enum object_kind)lua_tointeger(L, -2))) found = lua_touserdata(L, -1);
    lua_pop(L, found ? 2 : 1);
  }
  lua_pop(L, 1);
  return found;
}

/* Writes it as a shared object, if it is one. */
static bool write_shared(struct writer *w, int index) {
  const struct copy_kind *kind = kind_of(w->L, index);
  if (!kind) return false;
  struct hold *hold = reserve_hold(w);
  *hold = (struct hold){.kind = kind, .object = kind->retain(w->L, w->rt, index)};
  w->message->hold_count++;
  write_u32(w, TAG_SHARED, w->message->hold_count - 1);
  return true;
}

/* Writes it by name, if a module has it. */
static bool write_reference(struct writer *w, int index) {
  lua_State *L = w->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  bool is_globals = lua_rawequal(L, -1, index);
  lua_pop(L, 1);
  if (is_globals) return write_tag(w, TAG_GLOBALS), true;
  if (!w->refreshed) reference_refresh(L);
  w->refreshed = true;
  if (!reference_push(L, index)) return false;
  uint16_t length = (uint16_t)lua_rawlen(L, -1);
  char *to = put_tagged(reserve(w, 3 + (size_t)length), TAG_REFERENCE, &length, sizeof length);
  put(to, lua_tostring(L, -1), length);
  lua_pop(L, 1);
  return true;
}

static bool write_seen(struct writer *w, int index) {
  lua_pushvalue(w->L, index);
  lua_rawget(w->L, w->objects);
  uint32_t number = (uint32_t)lua_tointeger(w->L, -1);
  lua_pop(w->L, 1);
  if (number) write_u32(w, TAG_SEEN, number);
  return number != 0;
}

static void write_value(struct writer *w, int index);

/* In an error object. */
static void write_as_string(struct writer *w, int index) {
  if (object_test(w->L, index, OBJECT_TASK))
    task_push_name(w->L, index);
  else
    luaL_tolstring(w->L, index, NULL);
  write_value(w, lua_gettop(w->L));
  lua_pop(w->L, 1);
}

static void refuse(struct writer *w, int index) {
  lua_State *L = w->L;
  if (w->lenient) {
    write_as_string(w, index);
    return;
  }
  copy_path_push_kind(L, index);
  struct copy_frame frame = {w->objects + 1, w->values, w->objects, w->message->objects};
  copy_path_push(L, &w->place, &frame, w->names);
  error_misuse(L, "%s: cannot copy %s%s", w->names->call, lua_tostring(L, -2), lua_tostring(L, -1));
}

static void write_object(struct writer *w, int index) {
  int type = lua_type(w->L, index);
  bool may_cross = type != LUA_TTHREAD && type != LUA_TLIGHTUSERDATA;
  if (may_cross && (write_seen(w, index) || write_reference(w, index))) return;
  if (type == LUA_TTABLE)
    write_table(w, index);
  else if (type == LUA_TFUNCTION && !lua_iscfunction(w->L, index))
    write_function(w, index);
  else if (type != LUA_TUSERDATA || !write_shared(w, index))
    refuse(w, index);
}

static void write_value(struct writer *w, int index) {
  size_t size = scalar_size(w->L, index);
  if (size)
    put_scalar(w->L, index, reserve(w, size));
  else if (lua_type(w->L, index) == LUA_TSTRING)
    write_long_string(w, index);
  else
    write_object(w, index);
}

/* --- what is in tables and functions --- */

/* Where the table was mentioned, its sizes are told. */
static void note_counts(struct writer *w, uint32_t number, uint32_t items, uint32_t pairs) {
  lua_rawgeti(w->L, w->objects, -(lua_Integer)number);
  char *at = w->message->bytes + lua_tointeger(w->L, -1);
  lua_pop(w->L, 1);
  put(put(at, &items, sizeof items), &pairs, sizeof pairs);
}

static void write_part(struct writer *w, enum copy_part part, int index) {
  w->place.part = part;
  write_value(w, index);
}

static void write_pairs(struct writer *w, int table, uint32_t number) {
  lua_State *L = w->L;
  uint32_t items = 0, pairs = 0;
  bool in_items = true;
  int key = table + 1;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    w->place.key = key;
    if (in_items && lua_isinteger(L, key) && lua_tointeger(L, key) == (lua_Integer)items + 1) {
      items++;
    } else {
      if (in_items) write_tag(w, TAG_PAIRS);
      in_items = false;
      pairs++;
      write_part(w, COPY_KEY, key);
    }
    write_part(w, COPY_FIELD, key + 1);
  }
  note_counts(w, number, items, pairs);
}

/* The table at the top. */
static void write_table_content(struct writer *w, uint32_t number) {
  lua_State *L = w->L;
  int table = lua_gettop(L);
  w->lenient = error_is(L, table, ERROR_ANY);
  write_pairs(w, table, number);
  w->lenient = false;
  if (lua_getmetatable(L, table)) {
    write_tag(w, TAG_METATABLE);
    write_part(w, COPY_METATABLE, table + 1);
    lua_pop(L, 1);
  }
  write_tag(w, TAG_END);
}

/* The variable was met in a function before. */
static bool write_same_upvalue(struct writer *w, int function, int n, uint32_t number) {
  lua_State *L = w->L;
  void *id = lua_upvalueid(L, function, n);
  lua_rawgetp(L, w->objects, id);
  lua_Integer met = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (!met) {
    lua_pushinteger(L, (lua_Integer)number << 8 | n);
    lua_rawsetp(L, w->objects, id);
    return false;
  }
  uint32_t owner = (uint32_t)(met >> 8);
  char *to = put_tagged(reserve(w, 2 + sizeof owner), TAG_UPVALUE, &owner, sizeof owner);
  *to = (char)(met & 0xff);
  return true;
}

/* The function at the top. Whatever its _ENV is, it has the globals there. */
static void write_function_content(struct writer *w, uint32_t number) {
  lua_State *L = w->L;
  int function = lua_gettop(L);
  const char *name;
  for (int n = 1; (name = lua_getupvalue(L, function, n)); n++, lua_pop(L, 1)) {
    w->place.key = n;
    if (strcmp(name, "_ENV") == 0)
      write_tag(w, TAG_GLOBALS);
    else if (!write_same_upvalue(w, function, n, number))
      write_part(w, COPY_UPVALUE, function + 1);
  }
  write_tag(w, TAG_END);
}

static void write_contents(struct writer *w) {
  lua_State *L = w->L;
  for (uint32_t number = 1; number <= w->message->objects; number++) {
    w->place.number = number;
    lua_rawgeti(L, w->objects, number);
    if (lua_istable(L, -1))
      write_table_content(w, number);
    else
      write_function_content(w, number);
    lua_pop(L, 1);
  }
}

/* (writer, values...) */
static int protected_write(lua_State *L) {
  struct writer *w = lua_touserdata(L, 1);
  int values = lua_gettop(L) - 1;
  luaL_checkstack(L, 20, "not enough memory");
  lua_newtable(L);
  lua_replace(L, 1);
  w->L = L;
  w->objects = 1;
  w->values = values;
  for (int i = 1; i <= values; i++) {
    w->place.key = i;
    write_part(w, COPY_VALUE, i + 1);
  }
  write_contents(w);
  return 0;
}

/* --- making a message --- */

/* The size of the bytes, if there are only numbers, short strings and the like; or 0. */
static size_t scalars_size(lua_State *L, int index, int top) {
  size_t size = 0;
  for (; index <= top; index++) {
    size_t one = scalar_size(L, index);
    if (!one) return 0;
    size += one;
  }
  return size;
}

static struct message *new_of_scalars(lua_State *L, int index, int top, size_t size) {
  struct message *message = allocate(size);
  if (!message) return NULL;
  char *to = message->bytes;
  message->plain = true;
  for (int i = index; i <= top; i++) {
    to = put_scalar(L, i, to);
    if (lua_type(L, i) == LUA_TSTRING) message->plain = false;
  }
  message->length = size;
  message->values = (uint32_t)(top - index + 1);
  return message;
}

struct message *message_new(lua_State *L, int index, const struct copy_names *names) {
  int top = lua_gettop(L), values = top - index + 1;
  size_t size = scalars_size(L, index, top);
  struct message *message =
      size || values == 0 ? new_of_scalars(L, index, top, size) : allocate(FIRST_CAPACITY);
  if (!message) luaL_error(L, "not enough memory");
  if (size || values == 0) return message;
  struct writer writer = {.rt = runtime_get(L), .message = message, .names = names};
  if (!lua_checkstack(L, values + 4)) message_free(message), luaL_error(L, "too many values");
  lua_pushcfunction(L, protected_write);
  lua_pushlightuserdata(L, &writer);
  for (int i = index; i <= top; i++) lua_pushvalue(L, i);
  if (lua_pcall(L, values + 1, 0, 0) != LUA_OK) {
    message_free(writer.message);
    lua_error(L);
  }
  writer.message->values = (uint32_t)values;
  return writer.message;
}

/* --- opening --- */

void copy_register(lua_State *L, enum object_kind object_kind, const struct copy_kind *kind) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kinds_key);
  lua_pushlightuserdata(L, (void *)kind);
  lua_rawseti(L, -2, object_kind);
  lua_pop(L, 1);
}

/* copied(...): copies of the values, as another state gets them. */
static int l_copied(lua_State *L) {
  static const struct copy_names names = {"copied", "argument", 1};
  return message_take(L, message_new(L, 1, &names));
}

void copy_open(lua_State *L, struct neap *rt) {
  (void)rt;
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kinds_key);
  reference_open(L);
  lua_pushcfunction(L, l_copied);
  lua_setfield(L, -2, "copied");
}
