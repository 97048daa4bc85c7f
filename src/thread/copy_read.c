/* Reading messages. */
#include <assert.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "core/runtime.h"
#include "thread/copy.h"
#include "thread/copy_tag.h"
#include "thread/reference.h"

struct reader {
  lua_State *L;
  struct neap *rt;
  const struct message *message;
  const char *at;
  int objects;    /* stack index of a table: by number; metatables by negative number */
  uint32_t count; /* of objects so far */
  uint32_t last_metatable; /* the number of the last table that has one */
};

static void get(struct reader *r, void *to, size_t size) {
  assert(r->at + size <= r->message->bytes + r->message->length);
  memcpy(to, r->at, size);
  r->at += size;
}

static uint32_t get_u32(struct reader *r) {
  uint32_t value;
  get(r, &value, sizeof value);
  return value;
}

static const char *get_bytes(struct reader *r, size_t length) {
  const char *bytes = r->at;
  assert(bytes + length <= r->message->bytes + r->message->length);
  r->at += length;
  return bytes;
}

static size_t get_short_length(struct reader *r) {
  uint16_t length;
  get(r, &length, sizeof length);
  return length;
}

static void push_new_object(struct reader *r) {
  lua_pushvalue(r->L, -1);
  lua_rawseti(r->L, r->objects, ++r->count);
}

static void push_table(struct reader *r) {
  uint32_t items = get_u32(r), pairs = get_u32(r);
  lua_createtable(r->L, (int)items, (int)pairs);
  push_new_object(r);
}

static void push_function(struct reader *r) {
  uint32_t length = get_u32(r);
  const char *bytes = get_bytes(r, length);
  if (luaL_loadbufferx(r->L, bytes, length, "=(copy)", "b") != LUA_OK) lua_error(r->L);
  push_new_object(r);
}

static void push_hold(struct reader *r) {
  const struct hold *hold = &r->message->holds[get_u32(r)];
  if (hold->kind)
    hold->kind->push(r->L, r->rt, hold->object);
  else
    lua_pushlstring(r->L, hold->object, hold->length);
}

static void push_number(struct reader *r, enum tag tag) {
  union {
    lua_Integer integer;
    lua_Number number;
  } value;
  get(r, &value, 8);
  if (tag == TAG_INTEGER)
    lua_pushinteger(r->L, value.integer);
  else
    lua_pushnumber(r->L, value.number);
}

static void push_string(struct reader *r, enum tag tag) {
  size_t length = get_short_length(r);
  lua_pushlstring(r->L, get_bytes(r, length), length);
  if (tag == TAG_REFERENCE) reference_resolve(r->L);
}

/* Pushes the value of that tag; returns false, with nothing pushed, if it is none. */
static bool push_tagged(struct reader *r, enum tag tag) {
  switch (tag) {
    case TAG_NIL: lua_pushnil(r->L); break;
    case TAG_FALSE: lua_pushboolean(r->L, 0); break;
    case TAG_TRUE: lua_pushboolean(r->L, 1); break;
    case TAG_INTEGER:
    case TAG_FLOAT: push_number(r, tag); break;
    case TAG_STRING:
    case TAG_REFERENCE: push_string(r, tag); break;
    case TAG_LONG_STRING:
    case TAG_SHARED: push_hold(r); break;
    case TAG_GLOBALS: lua_rawgeti(r->L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); break;
    case TAG_SEEN: lua_rawgeti(r->L, r->objects, get_u32(r)); break;
    case TAG_TABLE: push_table(r); break;
    case TAG_FUNCTION: push_function(r); break;
    default: return false;
  }
  return true;
}

static enum tag get_tag(struct reader *r) {
  assert(r->at < r->message->bytes + r->message->length);
  return (enum tag)(unsigned char)*r->at++;
}

static void push_value(struct reader *r) {
  bool is_value = push_tagged(r, get_tag(r));
  assert(is_value);
  (void)is_value;
}

/* Fills the table on top. Its metatable is set in the end, when that is filled too. */
static void read_table_content(struct reader *r, uint32_t number) {
  enum tag tag;
  for (lua_Integer item = 1; push_tagged(r, tag = get_tag(r)); item++) lua_rawseti(r->L, -2, item);
  if (tag == TAG_PAIRS) {
    while (push_tagged(r, tag = get_tag(r))) {
      push_value(r);
      lua_rawset(r->L, -3);
    }
  }
  if (tag != TAG_METATABLE) return;
  push_value(r);
  lua_rawseti(r->L, r->objects, -(lua_Integer)number);
  r->last_metatable = number;
  tag = get_tag(r);
  assert(tag == TAG_END);
}

static void join_upvalue(struct reader *r, int function, int n) {
  lua_rawgeti(r->L, r->objects, get_u32(r));
  uint8_t other;
  get(r, &other, 1);
  lua_upvaluejoin(r->L, function, n, lua_gettop(r->L), other);
  lua_pop(r->L, 1);
}

/* Sets the variables of the function on top. */
static void read_function_content(struct reader *r) {
  int function = lua_gettop(r->L);
  for (int n = 1;; n++) {
    enum tag tag = get_tag(r);
    if (tag == TAG_END) return;
    if (tag == TAG_UPVALUE)
      join_upvalue(r, function, n);
    else if (push_tagged(r, tag))
      lua_setupvalue(r->L, function, n);
  }
}

static void set_metatables(struct reader *r) {
  for (uint32_t number = 1; number <= r->last_metatable; number++) {
    if (lua_rawgeti(r->L, r->objects, -(lua_Integer)number) == LUA_TTABLE) {
      lua_rawgeti(r->L, r->objects, number);
      lua_insert(r->L, -2);
      lua_setmetatable(r->L, -2);
    }
    lua_pop(r->L, 1);
  }
}

static void read_contents(struct reader *r) {
  for (uint32_t number = 1; number <= r->count; number++) {
    if (lua_rawgeti(r->L, r->objects, number) == LUA_TTABLE)
      read_table_content(r, number);
    else
      read_function_content(r);
    lua_pop(r->L, 1);
  }
  assert(r->count == r->message->objects);
  set_metatables(r);
}

int message_push(lua_State *L, const struct message *message) {
  struct reader r = {.L = L, .message = message, .at = message->bytes};
  luaL_checkstack(L, (int)message->values + 12, "too many values");
  if (message->hold_count > 0) r.rt = runtime_get(L);
  if (message->objects > 0) {
    lua_createtable(L, (int)message->objects, 0);
    r.objects = lua_gettop(L);
  }
  for (uint32_t i = 0; i < message->values; i++) push_value(&r);
  if (message->objects > 0) {
    read_contents(&r);
    lua_remove(L, r.objects);
  }
  assert(r.at == message->bytes + message->length);
  return (int)message->values;
}

static int protected_push(lua_State *L) { return message_push(L, lua_touserdata(L, 1)); }

int message_take(lua_State *L, struct message *message) {
  int top = lua_gettop(L), values = (int)message->values;
  int status = lua_checkstack(L, values + 12) ? LUA_OK : LUA_ERRMEM;
  if (status != LUA_OK) {
    lua_pushliteral(L, "too many values");
  } else if (message->plain) {
    message_push(L, message);
  } else {
    lua_pushcfunction(L, protected_push);
    lua_pushlightuserdata(L, message);
    status = lua_pcall(L, 1, values, 0);
  }
  message_free(message);
  if (status != LUA_OK) lua_error(L);
  return lua_gettop(L) - top;
}

static int call_returned(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L);
}

int message_call(lua_State *L, struct message *message) {
  int values = message_take(L, message);
  lua_callk(L, values - 1, LUA_MULTRET, 0, call_returned);
  return call_returned(L, LUA_OK, 0);
}
