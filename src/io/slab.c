#include "io/slab.h"

#include "core/ceiling.h"
#include "core/runtime.h"

/* What is received is soon copied into a string and written from there: a block that fits in a processor's cache, and
 * readers that run while their bytes are in it, make an echo of 16 KiB a seventh quicker. */
enum { SLAB_BYTES = 128 * 1024, ROOM_LEAST = 16 * 1024, ROOM_MOST = 64 * 1024 };

/* Registry key of the userdata that holds the slab. */
static const char slab_key;

struct slab *slab_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &slab_key);
  struct slab *slab = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return slab;
}

/* A state that is closed collects this before the runtime, whose connections may receive to its end. */
static int l_free_slab(lua_State *L) {
  struct slab *slab = lua_touserdata(L, 1);
  runtime_free(slab->rt);
  memory_free(slab->bytes);
  slab->bytes = NULL;
  return 0;
}

void slab_open(lua_State *L, struct neap *rt) {
  struct slab *slab = lua_newuserdatauv(L, sizeof *slab, 1);
  *slab = (struct slab){.rt = rt, .poll = -1};
  list_init(&slab->borrowers);
  runtime_push(L);
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_free_slab);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &slab_key);
}

static void empty(struct slab *slab) {
  struct list *node;
  while ((node = list_first(&slab->borrowers))) {
    list_remove(node);
    struct borrower *borrower = container_of(node, struct borrower, link);
    borrower->keep(borrower);
  }
  slab->used = 0;
  slab->poll = slab->rt->last_poll;
}

uv_buf_t slab_room(struct slab *slab) {
  if (!slab->bytes) slab->bytes = memory_alloc(slab->rt->memory, SLAB_BYTES);
  if (!slab->bytes && ceiling_reclaim(slab->rt)) slab->bytes = memory_alloc(slab->rt->memory, SLAB_BYTES);
  if (!slab->bytes) return uv_buf_init(NULL, 0);
  if (slab->poll != slab->rt->last_poll) empty(slab);
  size_t room = SLAB_BYTES - slab->used;
  if (room < ROOM_LEAST) room = 0;
  return uv_buf_init(slab->bytes + slab->used, room > ROOM_MOST ? ROOM_MOST : (unsigned)room);
}

void slab_reuse(struct slab *slab) {
  if (list_empty(&slab->borrowers)) slab->used = 0;
}
