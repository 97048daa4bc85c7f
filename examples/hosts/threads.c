/* A program with threads. Scripts call sum(n), whose work is done by two workers: the task that called it waits,
 * the other tasks go on. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>
#include <stdio.h>

static const char script[] =
    "local neap = require 'neap'\n"
    "print(table.concat(neap.gather(function() return sum(10) end, function() return sum(100) end), ', '))\n"
    "print(pcall(sum, -1))\n";

/* --- sum(n) --- */

struct sum {
  neap_op op; /* must be first */
  struct sum *next;
  lua_Integer n, result;
};

/* What the workers take from; [closed] sends them home. */
static struct {
  uv_mutex_t lock;
  uv_cond_t changed;
  struct sum *first;
  int closed;
} jobs;

static int push_sum(lua_State *L, neap_op *op) {
  return lua_pushinteger(L, ((struct sum *)op)->result), 1;
}

static const neap_op_kind sum_kind = {.name = "sum", .size = sizeof(struct sum), .push = push_sum};

static int l_sum(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0, 1, "a negative number");
  struct sum *sum = neap_begin(L, &sum_kind);
  sum->n = n;
  uv_mutex_lock(&jobs.lock);
  sum->next = jobs.first;
  jobs.first = sum;
  uv_cond_signal(&jobs.changed);
  uv_mutex_unlock(&jobs.lock);
  return neap_await(L, &sum->op, 0);
}

/* The next job, or NULL when there will be none. */
static struct sum *take_job(void) {
  uv_mutex_lock(&jobs.lock);
  while (!jobs.first && !jobs.closed) uv_cond_wait(&jobs.changed, &jobs.lock);
  struct sum *sum = jobs.first;
  if (sum) jobs.first = sum->next;
  uv_mutex_unlock(&jobs.lock);
  return sum;
}

static void work(void *unused) {
  (void)unused;
  for (struct sum *sum; (sum = take_job());) {
    for (lua_Integer i = 1; i <= sum->n; i++) sum->result += i;
    neap_complete(&sum->op, 0);
  }
}

static void close_jobs(void) {
  uv_mutex_lock(&jobs.lock);
  jobs.closed = 1;
  uv_cond_broadcast(&jobs.changed);
  uv_mutex_unlock(&jobs.lock);
}

int main(void) {
  uv_thread_t workers[2];
  neap_t *neap = neap_new(NULL);
  if (!neap || uv_mutex_init(&jobs.lock) || uv_cond_init(&jobs.changed)) return 1;
  for (int i = 0; i < 2; i++) uv_thread_create(&workers[i], work, NULL);

  lua_State *L = neap_state(neap);
  lua_register(L, "sum", l_sum);
  if (luaL_loadstring(L, script) != LUA_OK || neap_call(neap, 0, NULL) != LUA_OK)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));

  close_jobs();
  for (int i = 0; i < 2; i++) uv_thread_join(&workers[i]);
  neap_free(neap);
  return 0;
}

// run: threads
// expect: 55, 5050
// expect: false	bad argument #1 to 'sum' (a negative number)
