#include "thread/copy_path.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "thread/copy.h"

enum { PATH_PARTS = 20 }; /* of a longer path the end is told */

void copy_path_push_kind(lua_State *L, int index) {
  index = lua_absindex(L, index);
  switch (lua_type(L, index)) {
    case LUA_TTHREAD:
      lua_pushliteral(L, "a coroutine");
      return;
    case LUA_TFUNCTION:
      lua_pushliteral(L, "a function of C that no loaded module has");
      return;
    case LUA_TLIGHTUSERDATA:
      lua_pushliteral(L, "a light userdata");
      return;
  }
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
    lua_pushfstring(L, "a %s", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    lua_pushliteral(L, "a userdata");
  }
}

static bool is_identifier(const char *name) {
  if (!isalpha((unsigned char)*name) && *name != '_') return false;
  while (isalnum((unsigned char)*name) || *name == '_') name++;
  return *name == 0;
}

/* Pushes ".name" or "[key]". */
static void push_key(lua_State *L, int key) {
  if (lua_type(L, key) == LUA_TSTRING && is_identifier(lua_tostring(L, key))) {
    lua_pushfstring(L, ".%s", lua_tostring(L, key));
  } else if (lua_type(L, key) == LUA_TSTRING) {
    lua_pushfstring(L, "[\"%s\"]", lua_tostring(L, key));
  } else if (lua_type(L, key) == LUA_TNUMBER) {
    lua_pushvalue(L, key);
    lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    lua_pushfstring(L, "[%s]", luaL_typename(L, key));
  }
}

/* --- what mentions an object --- */

/* Whether the table on top has the value at [object]; sets [part], and pushes the key of a field. */
static bool table_has(lua_State *L, int object, enum copy_part *part) {
  int table = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    bool is_key = lua_rawequal(L, -2, object);
    if (!is_key && !lua_rawequal(L, -1, object)) continue;
    *part = is_key ? COPY_KEY : COPY_FIELD;
    lua_pop(L, 1);
    return true;
  }
  if (!lua_getmetatable(L, table)) return false;
  *part = COPY_METATABLE;
  if (lua_rawequal(L, -1, object)) return true;
  lua_pop(L, 1);
  return false;
}

/* The same for a function; pushes the number of the variable. */
static bool function_has(lua_State *L, int object, enum copy_part *part) {
  int function = lua_gettop(L);
  *part = COPY_UPVALUE;
  for (int n = 1; lua_getupvalue(L, function, n); n++) {
    bool same = lua_rawequal(L, -1, object);
    lua_pop(L, 1);
    if (!same) continue;
    lua_pushinteger(L, n);
    return true;
  }
  return false;
}

struct path {
  const struct copy_frame *frame;
  const struct copy_names *names;
};

/* Pushes the text of a part of the object at [owner]; what tells which lies at [key]. */
static void push_part(lua_State *L, const struct path *path, enum copy_part part, int owner, int key) {
  lua_Integer n = lua_tointeger(L, key) - 1 + path->names->first;
  switch (part) {
    case COPY_VALUE:
      if (n > 0)
        lua_pushfstring(L, "%s %I", path->names->noun, n);
      else
        lua_pushliteral(L, "");
      break;
    case COPY_KEY: lua_pushliteral(L, "a key"); break;
    case COPY_FIELD: push_key(L, key); break;
    case COPY_METATABLE: lua_pushliteral(L, "metatable"); break;
    case COPY_UPVALUE: {
      const char *name = lua_getupvalue(L, owner, (int)lua_tointeger(L, key));
      lua_pushfstring(L, "upvalue '%s'", name ? name : "?");
      if (name) lua_remove(L, -2);
      break;
    }
  }
}

static bool is_field(const char *text) { return *text == '.' || *text == '['; }

/* Puts the text on top, which it pops, before the one at [text]. */
static void prepend(lua_State *L, int text) {
  const char *before = lua_tostring(L, -1), *after = lua_tostring(L, text);
  bool joined = is_field(before) && is_field(after);
  lua_pushfstring(L, "%s%s%s", before, *before && *after && !joined ? "\n" : "", after);
  lua_replace(L, text);
  lua_pop(L, 1);
}

/* The object at [object] is one of the values themselves: tells which. */
static bool is_value(lua_State *L, const struct path *path, int object, int text) {
  for (int i = 0; i < path->frame->values; i++) {
    if (!lua_rawequal(L, path->frame->first + i, object)) continue;
    lua_pushinteger(L, i + 1);
    push_part(L, path, COPY_VALUE, 0, lua_gettop(L));
    lua_remove(L, -2);
    prepend(L, text);
    return true;
  }
  return false;
}

/* Finds what mentioned the object at [object] first: tells where in it, and puts it there instead. */
static bool to_owner(lua_State *L, const struct path *path, int object, int text) {
  enum copy_part part;
  for (uint32_t number = 1; number <= path->frame->count; number++) {
    lua_rawgeti(L, path->frame->objects, number);
    int owner = lua_gettop(L);
    bool has = lua_istable(L, owner) ? table_has(L, object, &part) : function_has(L, object, &part);
    if (has) {
      push_part(L, path, part, owner, owner + 1);
      prepend(L, text);
      lua_settop(L, owner);
      lua_replace(L, object);
      return true;
    }
    lua_settop(L, owner - 1);
  }
  return false;
}

/* Pushes the lines of the text at [text] as " (argument 2, field 'a.b', upvalue 'c')". */
static void push_joined(lua_State *L, int text) {
  luaL_Buffer b;
  const char *line = lua_tostring(L, text);
  luaL_buffinit(L, &b);
  for (const char *separator = " ("; *line; separator = ", ") {
    size_t length = strcspn(line, "\n");
    bool field = is_field(line);
    luaL_addstring(&b, separator);
    if (field) luaL_addstring(&b, "field '");
    luaL_addlstring(&b, line + (*line == '.'), length - (*line == '.'));
    if (field) luaL_addchar(&b, '\'');
    line += length;
    if (*line) line++;
    if (!*line) luaL_addchar(&b, ')');
  }
  luaL_pushresult(&b);
}

/* The part of the place itself. */
static void push_place(lua_State *L, const struct path *path, const struct copy_place *place) {
  bool is_key_index = place->part == COPY_KEY || place->part == COPY_FIELD;
  int top = lua_gettop(L);
  if (place->part == COPY_VALUE)
    lua_pushnil(L);
  else
    lua_rawgeti(L, path->frame->objects, place->number);
  if (is_key_index)
    lua_pushvalue(L, place->key);
  else
    lua_pushinteger(L, place->key);
  push_part(L, path, place->part, top + 1, top + 2);
  lua_insert(L, top + 1); /* the text, then the object */
  lua_settop(L, top + 2);
}

void copy_path_push(lua_State *L, const struct copy_place *place, const struct copy_frame *frame,
                    const struct copy_names *names) {
  struct path path = {frame, names};
  luaL_checkstack(L, 24, "not enough memory");
  push_place(L, &path, place);
  int text = lua_gettop(L) - 1, object = text + 1, parts = 0;
  if (place->part != COPY_VALUE)
    while (!is_value(L, &path, object, text) && parts++ < PATH_PARTS)
      if (!to_owner(L, &path, object, text)) break;
  push_joined(L, text);
  lua_replace(L, text);
  lua_settop(L, text);
}
