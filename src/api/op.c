/* What C does for tasks that wait: operations, futures, posts. */
#include <assert.h>
#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/host.h"
#include "core/error.h"
#include "core/future.h"
#include "core/op.h"
#include "core/report.h"
#include "core/task.h"

/* --- operations --- */

/* A kind of the host's as the core knows it, made when the first operation of it begins. */
struct known_kind {
  struct host_kind link; /* must be first: in the port's list */
  struct op_kind kind;
  const neap_op_kind *host;
};

/* What a neap_op is. */
struct host_op {
  struct op op; /* must be first; its kind is in a known_kind */
  struct neap_port *port;
  struct post post; /* of a completion from another thread */
  int status;       /* of that */
  bool awaited;     /* then [port] is counted */
  bool expecting;   /* it keeps the loop alive */
  atomic_bool completed; /* or gone: a further completion is a mistake */
};

static_assert(sizeof(struct host_op) <= sizeof(neap_op), "neap_op reserves too little");

static struct host_op *of_op(struct op *op) { return (struct host_op *)op; }

static const neap_op_kind *host_of(const struct host_op *op) {
  return container_of(op->op.kind, struct known_kind, kind)->host;
}

static int push(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  const neap_op_kind *host = host_of(of_op(op));
  if (op->status < 0) return error_return(L, op->status, host->name, NULL);
  return host->push ? host->push(L, (neap_op *)op) : 0;
}

static void unexpect(struct neap *rt, struct host_op *op) {
  if (op->expecting) port_unexpect(rt);
  op->expecting = false;
}

/* A completion may be on its way from another thread. */
static enum op_abort cancel(struct neap *rt, struct op *waiting) {
  struct host_op *op = of_op(waiting);
  neap_cancelled answer = NEAP_ABANDONED;
  if (atomic_load(&op->completed)) return OP_COMING;
  op->port->telling++;
  if (host_of(op)->cancel) answer = host_of(op)->cancel((neap_op *)op);
  op->port->telling--;
  if (answer == NEAP_COMING || (answer == NEAP_GONE && atomic_exchange(&op->completed, true)))
    return OP_COMING;
  unexpect(rt, op);
  return answer == NEAP_GONE ? OP_GONE : OP_ABANDONED;
}

static void let_go(struct host_op *op) {
  if (host_of(op)->drop) host_of(op)->drop((neap_op *)op);
  if (op->awaited) port_unref(op->port);
}

static void drop(struct neap *rt, struct op *done) {
  struct host_op *op = of_op(done);
  atomic_store_explicit(&op->completed, true, memory_order_relaxed);
  unexpect(rt, op);
  rt->port->telling++;
  let_go(op);
  rt->port->telling--;
  port_retire(rt, op, op->op.kind->size);
}

/* In the thread that completes it, or that frees the runtime: nobody can wait for it any more. */
static void drop_late(struct host_op *op) {
  let_go(op);
  free(op);
}

static void run_completion(struct neap *rt, struct post *post) {
  struct host_op *op = container_of(post, struct host_op, post);
  if (rt)
    op_complete(rt, &op->op, op->status);
  else
    drop_late(op);
}

static struct known_kind *add_kind(lua_State *L, struct neap *rt, const neap_op_kind *kind) {
  struct known_kind *known = malloc(sizeof *known);
  if (!known) luaL_error(L, "%s: not enough memory", kind->name);
  known->kind = (struct op_kind){
      .name = kind->name, .size = kind->size, .push = push, .abort = cancel, .drop = drop, .lasting = true};
  known->host = kind;
  known->link.next = rt->port->kinds;
  rt->port->kinds = &known->link;
  return known;
}

/* The kind that was used last is the first to be looked at. */
static struct known_kind *find_kind(lua_State *L, struct neap *rt, const neap_op_kind *kind) {
  struct host_kind **link = &rt->port->kinds;
  while (*link && ((struct known_kind *)*link)->host != kind) link = &(*link)->next;
  struct host_kind *found = *link;
  if (!found) return add_kind(L, rt, kind);
  *link = found->next;
  found->next = rt->port->kinds;
  rt->port->kinds = found;
  return (struct known_kind *)found;
}

static struct known_kind *know(lua_State *L, struct neap *rt, const neap_op_kind *kind) {
  struct known_kind *last = (struct known_kind *)rt->port->kinds;
  return last && last->host == kind ? last : find_kind(L, rt, kind);
}

void *neap_begin(lua_State *L, const neap_op_kind *kind) {
  struct neap *rt = runtime_get(L);
  if (!kind || kind->size < sizeof(neap_op))
    return error_misuse(L, "neap_begin: the kind is NULL, or its size less than a neap_op's"), NULL;
  if (!rt) return error_misuse(L, "%s: this Lua state has no runtime", kind->name), NULL;
  runtime_check_open(L, rt, kind->name);
  struct host_op *op = op_begin_in(L, rt, &know(L, rt, kind)->kind);
  op->port = rt->port;
  op->post.run = run_completion;
  return op;
}

/* From here on others may complete it, while the runtime may be freed. */
static void hand_over(struct neap *rt, struct host_op *op) {
  op->awaited = op->expecting = true;
  port_ref(rt->port);
  port_expect(rt);
}

int neap_await(lua_State *L, neap_op *awaited, int status) {
  struct host_op *op = (struct host_op *)awaited;
  struct neap *rt = op ? op->port->rt : NULL;
  if (!rt || rt->active != L || !rt->current || rt->current->op != &op->op || op->awaited)
    return error_misuse(L, "neap_await: this is not what the function has begun");
  if (status < 0)
    atomic_store_explicit(&op->completed, true, memory_order_relaxed);
  else if (op->op.state == OP_BEGUN)
    hand_over(rt, op);
  return op_await(L, &op->op, status);
}

/* In the loop's own thread nobody else can be completing it. */
static bool claim_here(struct host_op *op) {
  bool claimed = !atomic_load_explicit(&op->completed, memory_order_relaxed);
  atomic_store_explicit(&op->completed, true, memory_order_relaxed);
  return claimed;
}

void neap_complete(neap_op *completed, int status) {
  struct host_op *op = (struct host_op *)completed;
  if (!op) return host_refuse("neap_complete", "the operation is NULL");
  bool here = port_runs_here(op->port);
  if (here ? !claim_here(op) : atomic_exchange(&op->completed, true))
    return host_refuse("neap_complete", "'%s' was completed already, or is gone", op->op.kind->name);
  if (here) return op_complete(op->port->rt, &op->op, status);
  op->status = status;
  if (!port_post(op->port, &op->post)) drop_late(op);
}

int neap_fail(lua_State *L, int status, const char *operation, const char *target) {
  return error_return(L, status, operation, target);
}

/* --- futures --- */

struct neap_future {
  struct neap_port *port; /* counted; NULL when it is settled */
  int slot;
};

/* Leaves the future. */
static int protected_new(lua_State *L) {
  struct neap_future *handle = lua_touserdata(L, 1);
  struct neap *rt = handle->port->rt;
  future_new(L, rt);
  lua_pushvalue(L, -1);
  handle->slot = anchor_new(L, rt);
  return 1;
}

neap_future *neap_future_new(lua_State *L) {
  struct neap *rt = host_check_state(L, "neap_future_new");
  if (!rt || !lua_checkstack(L, 4)) return NULL;
  struct neap_future *handle = pool_alloc(&rt->pool, sizeof *handle);
  if (!handle) return NULL;
  *handle = (struct neap_future){.port = rt->port};
  lua_pushcfunction(L, protected_new);
  lua_pushlightuserdata(L, handle);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    pool_release(&rt->pool, handle, sizeof *handle);
    return NULL;
  }
  port_ref(rt->port);
  port_expect(rt);
  return handle;
}

/* (future, is error, values) */
static int protected_settle(lua_State *L) {
  struct neap *rt = runtime_get(L);
  bool failed = lua_toboolean(L, 2);
  lua_remove(L, 2);
  if (failed)
    future_fail(L, rt, 1, error_is(L, 2, ERROR_CANCELLED) ? FUTURE_CANCELLED : FUTURE_FAILED);
  else
    future_finish(L, rt, 1, 2);
  return 0;
}

/* Without memory for that it is cancelled: whoever waits is woken. */
static bool settle(lua_State *L, struct neap *rt, struct neap_future *handle, int status, int count) {
  if (status != LUA_OK && lua_gettop(L) == 0) lua_pushnil(L);
  if (status != LUA_OK) count = 1;
  int first = lua_gettop(L) - count + 1;
  lua_pushcfunction(L, protected_settle);
  anchor_push(L, rt, handle->slot);
  struct future *future = lua_touserdata(L, -1);
  bool pending = !future_done(future);
  lua_pushboolean(L, status != LUA_OK);
  lua_rotate(L, first, 3);
  if (lua_pcall(L, count + 2, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    if (pending && !future_done(future)) future_abandon(rt, future);
  }
  return pending;
}

int neap_settle(lua_State *L, neap_future *handle, int status, int count) {
  if (!handle || !handle->port)
    return host_refuse("neap_settle", handle ? "the future was settled already" : "the future is NULL"), 0;
  struct neap_port *port = handle->port;
  struct neap *rt = port->rt;
  bool open = rt && !rt->closed;
  const char *mistake = NULL;
  if (port_is_foreign(port))
    mistake = "another thread is running the runtime";
  else if (open && (!L || runtime_get(L) != rt))
    mistake = L ? "the Lua state is another runtime's" : "the Lua state is NULL";
  if (mistake) return host_refuse("neap_settle", "%s", mistake), 0;
  handle->port = NULL;
  bool pending = false;
  if (open && lua_checkstack(L, 5)) pending = settle(L, rt, handle, status, count);
  if (rt) {
    anchor_release(rt->L, rt, handle->slot);
    port_unexpect(rt);
    port_retire(rt, handle, sizeof *handle);
  } else {
    free(handle);
  }
  port_unref(port);
  return pending;
}

/* --- posts --- */

struct host_post {
  struct post post; /* must be first */
  neap_posted *posted;
  void *user;
};

/* (post) */
static int protected_posted(lua_State *L) {
  struct host_post *post = lua_touserdata(L, 1);
  neap_posted *posted = post->posted;
  void *user = post->user;
  lua_settop(L, 0);
  free(post);
  posted(runtime_get(L)->port, user);
  return 0;
}

static void run_posted(struct neap *rt, struct post *waiting) {
  struct host_post *post = (struct host_post *)waiting;
  if (!rt) {
    post->posted(NULL, post->user);
    free(post);
    return;
  }
  lua_State *L = rt->L;
  int top = lua_gettop(L);
  lua_pushcfunction(L, report_keep_traceback);
  lua_pushcfunction(L, protected_posted);
  lua_pushlightuserdata(L, post);
  if (lua_pcall(L, 1, 0, top + 1) != LUA_OK) report(L, rt, "a post failed", NULL, 0);
  lua_settop(L, top);
}

int neap_post(neap_t *neap, neap_posted *posted, void *user) {
  if (!host_check_port(neap, "neap_post")) return UV_ECANCELED;
  if (!posted) return host_refuse("neap_post", "the function is NULL"), UV_EINVAL;
  struct host_post *post = malloc(sizeof *post);
  if (!post) return UV_ENOMEM;
  *post = (struct host_post){.post.run = run_posted, .posted = posted, .user = user};
  if (port_post(neap, &post->post)) return 0;
  free(post);
  return UV_ECANCELED;
}
