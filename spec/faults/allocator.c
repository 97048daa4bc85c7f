/* The linker's --wrap sends the allocations of neap's objects here. A pool of threads never comes
 * here: what libuv runs in it allocates in the C library alone. */
#include "allocator.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <uv.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

enum mode { DISARMED, NUMBERED, COLLECTING };

static struct {
  enum mode mode;
  int count;
  int first, width;
  int paused;
  bool failed; /* when collecting: the last one did, so this is its second try */
  int live;
} state;

void faults_arm(int first, int width) {
  state.mode = NUMBERED;
  state.count = 0;
  state.first = first;
  state.width = width;
}

void faults_arm_collecting(void) {
  state.mode = COLLECTING;
  state.count = 0;
  state.failed = false;
}

int faults_disarm(void) {
  state.mode = DISARMED;
  return state.count;
}

bool faults_collecting(void) { return state.mode == COLLECTING; }

void faults_pause(bool paused) { state.paused += paused ? 1 : -1; }

int faults_live(void) { return state.live; }

static bool fails_numbered(void) {
  if (state.mode != NUMBERED || state.paused) return false;
  int behind = ++state.count - state.first;
  return behind >= 0 && behind < state.width;
}

/* What is large may be a luaL_Buffer's, which Lua does not try again. */
static bool fails_in_lua(size_t size) {
  if (state.mode != COLLECTING || state.paused) return fails_numbered();
  if (size >= LUAL_BUFFERSIZE) return false;
  state.failed = !state.failed;
  state.count += state.failed;
  return state.failed;
}

static void *counted(void *block) {
  state.live += block != NULL;
  return block;
}

void *__wrap_malloc(size_t size) { return fails_numbered() ? NULL : counted(__real_malloc(size)); }

void *__wrap_calloc(size_t count, size_t size) {
  return fails_numbered() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size) {
  if (fails_numbered()) return NULL;
  void *moved = __real_realloc(block, size);
  if (!block) counted(moved);
  return moved;
}

void __wrap_free(void *block) {
  state.live -= block != NULL;
  __real_free(block);
}

/* Lua counts on a block that becomes smaller. */
void *faults_lua_alloc(void *unused, void *block, size_t before, size_t size) {
  (void)unused;
  if (size == 0) return __wrap_free(block), NULL;
  if ((!block || size > before) && fails_in_lua(size)) return NULL;
  void *moved = __real_realloc(block, size);
  if (!block) counted(moved);
  return moved;
}

/* libuv aborts when its table of descriptors cannot grow, the one thing it reallocates. */
static void *uv_realloc_surely(void *block, size_t size) {
  faults_pause(true);
  void *moved = __wrap_realloc(block, size);
  faults_pause(false);
  return moved;
}

void faults_take_libuv(void) {
  uv_replace_allocator(__wrap_malloc, uv_realloc_surely, __wrap_calloc, __wrap_free);
}
