/* The linker's --wrap sends the allocations of neap and of the host here. */
#include "counting.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

enum { FDS = 512 };

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);
lua_State *__wrap_luaL_newstate(void);

static atomic_int live;

static void *counted(void *block) {
  if (block) atomic_fetch_add(&live, 1);
  return block;
}

void *__wrap_malloc(size_t size) { return counted(__real_malloc(size)); }

void *__wrap_calloc(size_t count, size_t size) { return counted(__real_calloc(count, size)); }

void *__wrap_realloc(void *block, size_t size) {
  void *moved = __real_realloc(block, size);
  if (!block) counted(moved);
  return moved;
}

void __wrap_free(void *block) {
  if (block) atomic_fetch_sub(&live, 1);
  __real_free(block);
}

static void *lua_alloc(void *unused, void *block, size_t before, size_t size) {
  (void)unused, (void)before;
  if (size > 0) return __wrap_realloc(block, size);
  __wrap_free(block);
  return NULL;
}

lua_State *__wrap_luaL_newstate(void) { return lua_newstate(lua_alloc, NULL); }

lua_State *counting_newstate(void) { return __wrap_luaL_newstate(); }

void counting_take_libuv(void) {
  uv_replace_allocator(__wrap_malloc, __wrap_realloc, __wrap_calloc, __wrap_free);
}

int counting_blocks(void) { return atomic_load(&live); }

int counting_fds(void) {
  int count = 0;
  for (int fd = 0; fd < FDS; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}
