/* Near the limit garbage must go before it is reached: buffers of the C library of Lua, and blocks of neap's
 * own, cause no collection when they are refused. So there is a mark below the limit at which the next new
 * object of Lua's is refused once: Lua then collects all garbage (without running finalizers), and asks
 * again. The same trick frees what it can when a large block of neap's own is refused. */
#include "core/ceiling.h"

#include <stdbool.h>
#include <stdint.h>

#include "core/limits.h"
#include "core/runtime.h"

enum {
  RESERVE = 64 * 1024,  /* more, for the end */
  RESERVED_PART = 32,   /* of the limit: what is left to others than new objects */
};

struct ceiling {
  struct neap *rt;
  struct memory *memory;
  lua_Alloc before; /* the allocator that was there */
  void *before_ud;
  size_t mark;
  bool asked;       /* a new object was refused, and Lua will ask for it again */
};

static size_t first_mark(size_t limit) { return limit - limit / 4; }

/* Behind a collection: a quarter of the way that is left, if the first mark is behind us. */
static void move_mark(struct ceiling *c, size_t used) {
  size_t limit = c->memory->limit, next = used < limit ? used + (limit - used) / 4 : limit;
  c->mark = next < first_mark(limit) ? first_mark(limit) : next;
}

/* Whether a new object is refused: until garbage has been collected; or in any case, where what is left is so
 * little that collecting would be all that is done. */
static bool refuses_object(struct ceiling *c, size_t used) {
  bool collected = c->asked;
  if (!collected && used <= c->mark) return false;
  c->asked = !collected;
  if (!collected) return true;
  move_mark(c, used);
  return used > c->memory->limit - c->memory->limit / RESERVED_PART;
}

/* Lua tells the type of a new object in place of the size before; buffers and arrays have none. */
static bool allows(struct ceiling *c, bool is_object, size_t more) {
  struct memory *memory = c->memory;
  if (!memory->binding) return true;
  if (memory_allows(memory, more) && !(is_object && refuses_object(c, memory->used + more))) return true;
  limits_look_soon(c->rt);
  return false;
}

static void *allocate(void *ud, void *block, size_t before, size_t size) {
  struct ceiling *c = ud;
  size_t had = block ? before : 0;
  if (size > had && !allows(c, !block && before > 0, size - had)) return NULL;
  void *moved = c->before(c->before_ud, block, before, size);
  if (moved || size == 0) c->memory->used += size - had;
  return moved;
}

static int make_table(lua_State *L) {
  lua_newtable(L);
  return 0;
}

/* On the main coroutine, whatever runs: user code does not. */
bool ceiling_reclaim(struct neap *rt) {
  struct ceiling *c = rt->ceiling;
  lua_State *L = rt->L;
  if (!c || !rt->memory->binding || !lua_checkstack(L, 2)) return false;
  c->mark = 0;
  c->asked = false;
  lua_pushcfunction(L, make_table);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  c->asked = false;
  move_mark(c, c->memory->used);
  return true;
}

static size_t lua_bytes(lua_State *L) {
  return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
}

void ceiling_open(lua_State *L, struct neap *rt, size_t limit) {
  struct ceiling *c = memory_calloc(rt->memory, 1, sizeof *c);
  if (!c) luaL_error(L, "neap: not enough memory");
  *c = (struct ceiling){.rt = rt, .memory = rt->memory, .mark = first_mark(limit)};
  c->before = lua_getallocf(L, &c->before_ud);
  rt->memory->used += lua_bytes(L);
  rt->memory->limit = limit;
  rt->ceiling = c;
  lua_setallocf(L, allocate, c);
}

void ceiling_raise(struct neap *rt) {
  if (rt->ceiling) rt->memory->limit += rt->memory->limit / 8 + RESERVE;
}

/* If somebody has put an allocator of his own above ours, ours must stay. */
void ceiling_close(struct neap *rt) {
  struct ceiling *c = rt->ceiling;
  void *ud;
  if (!c) return;
  rt->memory->binding = false;
  if (lua_getallocf(rt->L, &ud) != allocate || ud != c) return;
  rt->memory->used -= lua_bytes(rt->L);
  lua_setallocf(rt->L, c->before, c->before_ud);
  rt->ceiling = NULL;
  memory_free(c);
}

size_t runtime_memory(struct neap *rt) {
  return rt->memory->used + (rt->ceiling ? 0 : lua_bytes(rt->L));
}
