/* What the process holds of the system: for specs that look for leaks. */
#include "io/census.h"

#include <dirent.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

#include "core/runtime.h"

struct count {
  const struct neap *rt;
  int handles;
};

static void count_handle(uv_handle_t *handle, void *data) {
  struct count *count = data;
  if (handle != (uv_handle_t *)count->rt->uv_timer && !uv_is_closing(handle)) count->handles++;
}

/* Open descriptors. libuv opens a spare one with a loop's first stream: it is not counted. */
static int count_fds(const struct neap *rt) {
  int count = -1 - (rt->loop->emfile_fd >= 0); /* the folder that is being read */
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

static void set_count(lua_State *L, const char *name, int count) {
  lua_pushinteger(L, count);
  lua_setfield(L, -2, name);
}

/* census(): the counts `handles` (open ones of libuv), `fds` and `children`. */
static int l_census(lua_State *L) {
  struct count count = {.rt = runtime_of(L)};
  uv_walk(count.rt->loop, count_handle, &count);
  lua_createtable(L, 0, 4);
  set_count(L, "handles", count.handles);
  set_count(L, "fds", count_fds(count.rt));
  set_count(L, "children", count_children());
  return 1;
}

static const luaL_Reg functions[] = {
    {"census", l_census},
    {NULL, NULL},
};

void census_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
