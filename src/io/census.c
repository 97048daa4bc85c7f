/* What the process holds of the system: for specs that look for leaks. */
#include "io/census.h"

#include <dirent.h>
#include <lauxlib.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "core/port.h"
#include "core/runtime.h"
#include "io/interest.h"

enum { POOL_THREADS = 4 }; /* of libuv, unless the environment says otherwise */

struct count {
  const struct neap *rt;
  int handles;
};

static void count_handle(uv_handle_t *handle, void *data) {
  struct count *count = data;
  bool own = handle == (uv_handle_t *)count->rt->uv_timer || handle == (uv_handle_t *)count->rt->port->poll;
  if (!own && !uv_is_closing(handle)) count->handles++;
}

/* Open descriptors. libuv opens a spare one with a loop's first stream, and one for all watches of files with the
 * first of them; the runtime one for all descriptors that are watched: these are not counted. */
static int count_fds(const struct neap *rt) {
  int count = -1; /* the folder that is being read */
  count -= (rt->loop->emfile_fd >= 0) + (rt->loop->inotify_fd >= 0) + (rt->interests != NULL);
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) return 0;
  for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
  closedir(dir);
  return count;
}

/* Children that the thread [tid] made. */
static int count_children_of(const char *tid) {
  char path[sizeof "/proc/self/task//children" + NAME_MAX];
  int count = 0, child;
  snprintf(path, sizeof path, "/proc/self/task/%s/children", tid);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  while (fscanf(file, "%d", &child) == 1) count++;
  fclose(file);
  return count;
}

static int count_children(void) {
  int count = 0;
  DIR *dir = opendir("/proc/self/task");
  if (!dir) return 0;
  for (struct dirent *entry; (entry = readdir(dir));)
    if (entry->d_name[0] != '.') count += count_children_of(entry->d_name);
  closedir(dir);
  return count;
}

/* Threads of the process but this one, and but those of libuv's pool once it has started: they stay. */
static int count_threads(const struct neap *rt) {
  int count = -1;
  DIR *dir = opendir("/proc/self/task");
  if (!dir) return 0;
  for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
  closedir(dir);
  const char *pool = getenv("UV_THREADPOOL_SIZE");
  int pooled = rt->pool_used ? (pool ? atoi(pool) : POOL_THREADS) : 0;
  return count > pooled ? count - pooled : 0;
}

/* What malloc has handed out, Lua's share included; 0 where the C library does not tell. */
static lua_Integer malloc_bytes(void) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  struct mallinfo2 info = mallinfo2();
  return (lua_Integer)(info.uordblks + info.hblkhd);
#else
  return 0;
#endif
}

static lua_Integer lua_bytes(lua_State *L) {
  return (lua_Integer)lua_gc(L, LUA_GCCOUNT) * 1024 + lua_gc(L, LUA_GCCOUNTB);
}

static void set_count(lua_State *L, const char *name, lua_Integer count) {
  lua_pushinteger(L, count);
  lua_setfield(L, -2, name);
}

/* census(): the counts `handles` (open ones of libuv), `fds`, `children`, `threads`, `lua_bytes` and
 * `malloc_bytes`. */
static int l_census(lua_State *L) {
  struct count count = {.rt = runtime_of(L)};
  uv_walk(count.rt->loop, count_handle, &count);
  lua_createtable(L, 0, 7);
  set_count(L, "handles", count.handles - (count.rt->interests ? INTEREST_HANDLES : 0));
  set_count(L, "fds", count_fds(count.rt));
  set_count(L, "children", count_children());
  set_count(L, "threads", count_threads(count.rt));
  set_count(L, "lua_bytes", lua_bytes(L));
  set_count(L, "malloc_bytes", malloc_bytes());
  return 1;
}

static const luaL_Reg functions[] = {
    {"census", l_census},
    {NULL, NULL},
};

#ifdef __SANITIZE_THREAD__
static void *do_nothing(void *unused) { return unused; }

/* ThreadSanitizer has a thread of its own from when the first one starts: it is to be there from the beginning. */
static void start_sanitizer(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, do_nothing, NULL) == 0) pthread_join(thread, NULL);
}
#else
static void start_sanitizer(void) {}
#endif

void census_open(lua_State *L, struct neap *rt) {
  (void)rt;
  start_sanitizer();
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
