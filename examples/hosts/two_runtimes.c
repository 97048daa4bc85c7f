/* Two runtimes in two threads: they share nothing, and their scripts run at the same time. What they tell each
 * other goes by way of the program: here the baker posts to the shop's runtime. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>
#include <stdio.h>

static const char shop_script[] =
    "local neap = require 'neap'\n"
    "bread = neap.Queue()\n"
    "open()\n"
    "for i = 1, 3 do print('sold loaf ' .. bread:get()) end\n";

static const char bakery_script[] =
    "local neap = require 'neap'\n"
    "for i = 1, 3 do\n"
    "  neap.sleep(0.005)\n"
    "  deliver(i)\n"
    "end\n";

static neap_t *shop;
static uv_sem_t is_open;

/* In the shop's thread, from its loop. If the shop's runtime is freed before, it is told so. */
static void put_on_shelf(neap_t *neap, void *loaf) {
  if (!neap) return;
  lua_State *L = neap_state(neap);
  lua_getglobal(L, "bread");
  lua_getfield(L, -1, "put_nowait");
  lua_insert(L, -2);
  lua_pushinteger(L, (lua_Integer)(size_t)loaf);
  lua_call(L, 2, 0);
}

/* deliver(loaf): in the bakery's thread. */
static int l_deliver(lua_State *L) {
  neap_post(shop, put_on_shelf, (void *)(size_t)luaL_checkinteger(L, 1));
  return 0;
}

static int l_open(lua_State *L) {
  (void)L;
  uv_sem_post(&is_open);
  return 0;
}

static void run(neap_t *neap, const char *script) {
  lua_State *L = neap_state(neap);
  if (luaL_loadstring(L, script) != LUA_OK || neap_call(neap, 0, NULL) != LUA_OK)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
}

static void bake(void *unused) {
  (void)unused;
  neap_t *bakery = neap_new(NULL);
  if (!bakery) return;
  lua_register(neap_state(bakery), "deliver", l_deliver);
  uv_sem_wait(&is_open);
  run(bakery, bakery_script);
  neap_free(bakery);
}

int main(void) {
  uv_thread_t baker;
  shop = neap_new(&(neap_config){.expects_posts = 1}); /* its tasks can hope to hear from the bakery */
  if (!shop || uv_sem_init(&is_open, 0)) return 1;
  lua_register(neap_state(shop), "open", l_open);
  uv_thread_create(&baker, bake, NULL);
  run(shop, shop_script);
  uv_thread_join(&baker); /* then nobody posts to the shop any more */
  neap_free(shop);
  uv_sem_destroy(&is_open);
  return 0;
}

// run: two_runtimes
// expect: sold loaf 1
// expect: sold loaf 2
// expect: sold loaf 3
