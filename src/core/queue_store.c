#include "core/queue_store.h"

#include <lauxlib.h>
#include <stdbool.h>

#include "core/error.h"

enum {
  CAPACITY_MIN = 8,
  CAPACITY_KEPT = 1024, /* an empty store gives a larger table back; growing it each time would cost more */
  LEVELS = 64,        /* of a heap */
};

static lua_Integer ring_place(const struct store *store, lua_Integer i) {
  return ((store->first + i - 1) & (store->capacity - 1)) + 1;
}

/* Moves the items into the larger table on top, which it pops. */
static void move_items(lua_State *L, struct store *store, int box, lua_Integer capacity) {
  int table = lua_gettop(L);
  lua_Integer used = store->order == STORE_PRIORITY ? 2 * store->count : store->count;
  lua_getiuservalue(L, box, STORE_ITEMS);
  for (lua_Integer i = 1; i <= used; i++) {
    lua_rawgeti(L, -1, store->order == STORE_FIFO ? ring_place(store, i) : i);
    lua_rawseti(L, table, i);
  }
  lua_pop(L, 1);
  lua_setiuservalue(L, box, STORE_ITEMS);
  store->capacity = capacity;
  store->first = 0;
}

/* Within its capacity the table never allocates. Making one may run finalizers, which may use the queue. */
void store_reserve(lua_State *L, struct store *store, int box) {
  while (store->count >= store->capacity) {
    lua_Integer capacity = store->capacity ? 2 * store->capacity : CAPACITY_MIN;
    lua_Integer places = store->order == STORE_PRIORITY ? 2 * capacity : capacity;
    if (places > INT32_MAX) luaL_error(L, "the queue is too large");
    lua_createtable(L, (int)places, 0);
    if (store->capacity < capacity)
      move_items(L, store, box, capacity);
    else
      lua_pop(L, 1);
  }
}

void store_shrink(lua_State *L, struct store *store, int box) {
  if (store->count > 0 || store->capacity <= CAPACITY_KEPT) return;
  store->capacity = 0;
  store->first = 0;
  lua_pushnil(L);
  lua_setiuservalue(L, box, STORE_ITEMS);
}

/* --- lowest first: a binary heap of items and the numbers of their arrival --- */

/* Tables that cannot be compared are compared by their first element: {priority, item}. */
static void to_key(lua_State *L) {
  if (!lua_istable(L, -1)) return;
  if (luaL_getmetafield(L, -1, "__lt") == LUA_TNIL) {
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  } else {
    lua_pop(L, 1);
  }
}

static void check_comparable(lua_State *L, int a, int b) {
  int type = lua_type(L, a);
  if (type == lua_type(L, b) && (type == LUA_TNUMBER || type == LUA_TSTRING)) return;
  if (luaL_getmetafield(L, a, "__lt") || luaL_getmetafield(L, b, "__lt"))
    lua_pop(L, 1);
  else
    error_misuse(L, "a priority queue cannot compare a %s with a %s", luaL_typename(L, a),
                 luaL_typename(L, b));
}

static bool is_before(lua_State *L, int box, int a, int b) {
  int top = lua_gettop(L);
  bool before;
  if (lua_getiuservalue(L, box, STORE_BEFORE) == LUA_TNIL) {
    lua_pushvalue(L, a);
    to_key(L);
    int key = lua_gettop(L);
    lua_pushvalue(L, b);
    to_key(L);
    check_comparable(L, key, key + 1);
    before = lua_compare(L, key, key + 1, LUA_OPLT);
  } else {
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    lua_call(L, 2, 1);
    before = lua_toboolean(L, -1);
  }
  lua_settop(L, top);
  return before;
}

/* Whether the entry [i] of the table comes before the item at [item], which arrived as number [number]. */
static bool entry_is_before(lua_State *L, int box, int table, lua_Integer i, int item,
                            lua_Integer number) {
  lua_rawgeti(L, table, 2 * i - 1);
  int entry = lua_gettop(L);
  lua_rawgeti(L, table, 2 * i);
  bool arrived_before = lua_tointeger(L, -1) < number;
  bool before = arrived_before ? !is_before(L, box, item, entry) : is_before(L, box, entry, item);
  lua_settop(L, entry - 1);
  return before;
}

static void check_unchanged(lua_State *L, const struct store *store, lua_Integer arrivals) {
  if (store->arrivals != arrivals)
    error_misuse(L, "a comparison has changed the priority queue that it was made for");
}

static void move_entry(lua_State *L, int table, lua_Integer from, lua_Integer to) {
  lua_rawgeti(L, table, 2 * from - 1);
  lua_rawseti(L, table, 2 * to - 1);
  lua_rawgeti(L, table, 2 * from);
  lua_rawseti(L, table, 2 * to);
}

static void heap_add(lua_State *L, struct store *store, int box, int item) {
  lua_Integer arrivals = store->arrivals, hole = store->count + 1, end;
  luaL_checkstack(L, 10, "not enough memory");
  lua_getiuservalue(L, box, STORE_ITEMS);
  int table = lua_gettop(L);
  for (end = hole; end > 1 && !entry_is_before(L, box, table, end / 2, item, arrivals); end /= 2)
    continue;
  check_unchanged(L, store, arrivals);
  for (; hole > end; hole /= 2) move_entry(L, table, hole / 2, hole);
  lua_pushvalue(L, item);
  lua_rawseti(L, table, 2 * end - 1);
  lua_pushinteger(L, arrivals);
  lua_rawseti(L, table, 2 * end);
  store->arrivals++;
  store->count++;
}

/* The child of entry [i] that comes first, of those among the first [count]; 0 if it has none. */
static lua_Integer first_child(lua_State *L, int box, int table, lua_Integer i, lua_Integer count) {
  lua_Integer child = 2 * i;
  if (child > count) return 0;
  if (child == count) return child;
  lua_rawgeti(L, table, 2 * child + 1);
  lua_rawgeti(L, table, 2 * child + 2);
  lua_Integer number = lua_tointeger(L, -1);
  lua_pop(L, 1);
  bool left = entry_is_before(L, box, table, child, lua_gettop(L), number);
  lua_pop(L, 1);
  return left ? child : child + 1;
}

/* Finds the way that the last entry must go down from the top; returns its length. */
static int find_way(lua_State *L, struct store *store, int box, int table, lua_Integer way[]) {
  lua_Integer count = store->count - 1, child = 1;
  int length = 0;
  lua_rawgeti(L, table, 2 * store->count - 1);
  lua_rawgeti(L, table, 2 * store->count);
  lua_Integer number = lua_tointeger(L, -1);
  lua_pop(L, 1);
  int last = lua_gettop(L);
  for (way[0] = 1; (child = first_child(L, box, table, way[length], count)); way[++length] = child)
    if (!entry_is_before(L, box, table, child, last, number)) break;
  lua_settop(L, last - 1);
  return length;
}

static void heap_take(lua_State *L, struct store *store, int box) {
  lua_Integer way[LEVELS], arrivals = store->arrivals;
  luaL_checkstack(L, 10, "not enough memory");
  lua_getiuservalue(L, box, STORE_ITEMS);
  int table = lua_gettop(L);
  int length = find_way(L, store, box, table, way);
  check_unchanged(L, store, arrivals);
  lua_rawgeti(L, table, 1);
  for (int i = 0; i < length; i++) move_entry(L, table, way[i + 1], way[i]);
  move_entry(L, table, store->count, way[length]);
  lua_pushnil(L);
  lua_rawseti(L, table, 2 * store->count - 1);
  store->arrivals++;
  store->count--;
}

/* --- the others --- */

/* The last place of the items. */
static lua_Integer last_place(const struct store *store) {
  return store->order == STORE_FIFO ? ring_place(store, store->count) : store->count;
}

void store_add(lua_State *L, struct store *store, int box, int item) {
  if (store->order == STORE_PRIORITY) {
    heap_add(L, store, box, item);
    return;
  }
  store->count++;
  lua_getiuservalue(L, box, STORE_ITEMS);
  lua_pushvalue(L, item);
  lua_rawseti(L, -2, last_place(store));
}

/* First in, first out: takes the item behind the first [skip] ones, which move up. */
static void ring_take(lua_State *L, struct store *store, int box, lua_Integer skip) {
  lua_getiuservalue(L, box, STORE_ITEMS);
  int table = lua_gettop(L);
  lua_rawgeti(L, table, ring_place(store, skip + 1));
  for (; skip > 0; skip--) {
    lua_rawgeti(L, table, ring_place(store, skip));
    lua_rawseti(L, table, ring_place(store, skip + 1));
  }
  lua_pushnil(L);
  lua_rawseti(L, table, ring_place(store, 1));
  store->first = (store->first + 1) & (store->capacity - 1);
  store->count--;
}

static void stack_take(lua_State *L, struct store *store, int box) {
  lua_getiuservalue(L, box, STORE_ITEMS);
  lua_rawgeti(L, -1, store->count);
  lua_pushnil(L);
  lua_rawseti(L, -3, store->count);
  store->count--;
}

void store_take(lua_State *L, struct store *store, int box, lua_Integer skip) {
  if (store->order == STORE_FIFO)
    ring_take(L, store, box, skip);
  else if (store->order == STORE_LIFO)
    stack_take(L, store, box);
  else
    heap_take(L, store, box);
}

void store_truncate(lua_State *L, struct store *store, int box, lua_Integer count) {
  lua_getiuservalue(L, box, STORE_ITEMS);
  for (; store->count > count; store->count--) {
    lua_pushnil(L);
    lua_rawseti(L, -2, store->order == STORE_PRIORITY ? 2 * store->count - 1 : last_place(store));
  }
  lua_pop(L, 1);
  store->arrivals++;
  store_shrink(L, store, box);
}
