#include "core/scope.h"

#include <math.h>

#include "core/error.h"
#include "core/handle.h"
#include "core/op.h"
#include "core/options.h"
#include "core/report.h"
#include "core/task.h"

/* Whether a scope around is cancelled, shields or not. */
static bool is_covered(const struct task *task) {
  for (struct scope *scope = task->scope; scope; scope = scope->parent)
    if (scope->cancelled) return true;
  return task->requests > 0;
}

static void refresh(struct neap *rt, struct task *task) {
  bool cancelled = false;
  struct scope *scope = task->scope;
  for (; scope && !cancelled && !scope->shielding; scope = scope->parent)
    cancelled = scope->cancelled;
  if (!cancelled) cancelled = scope ? scope->cancelled : task->requests > 0;
  task->cancelled = cancelled;
  if (task->told && !cancelled && !is_covered(task)) task->told = task->named = false;
  if (cancelled && task->suspended) op_cancel(rt, task);
}

/* A task that awaits another passes the cancel on; chains of them may be long. */
void scope_refresh(struct neap *rt, struct task *task) {
  refresh(rt, task);
  while ((task = rt->cancel_next)) {
    rt->cancel_next = NULL;
    task_request_cancel(task);
    refresh(rt, task);
  }
}

static void cancel(struct neap *rt, struct scope *scope) {
  scope->cancelled = true;
  scope->struck = scope->task;
  timer_stop(rt, &scope->timer);
  if (scope->task) scope_refresh(rt, scope->task);
}

static void expire(struct neap *rt, struct timer *timer) {
  struct scope *scope = container_of(timer, struct scope, timer);
  scope->expired = true;
  cancel(rt, scope);
}

/* A deadline that has passed takes effect at the first await. */
static void arm(lua_State *L, struct neap *rt, struct scope *scope) {
  timer_stop(rt, &scope->timer);
  if (scope->deadline == INT64_MAX) return;
  if (scope->deadline <= runtime_now(rt))
    expire(rt, &scope->timer);
  else if (timer_start(rt, &scope->timer, scope->deadline))
    error_misuse(L, "timeout: not enough memory");
}

/* --- user coroutines --- */

/* Gives the scopes that [co] opened to [task]; returns the outermost of them. */
static struct scope *hand_over(struct scope *scope, lua_State *co, struct task *task) {
  for (;; scope = scope->parent) {
    scope->task = task;
    if (task && scope->cancelled) scope->struck = task;
    if (!scope->parent || scope->parent->L != co) return scope;
  }
}

void scope_attach(struct neap *rt, struct task *task, lua_State *co) {
  list_each(node, &rt->scopes) {
    struct scope *scope = container_of(node, struct scope, link);
    if (scope->L != co) continue;
    list_remove(node);
    hand_over(scope, co, task)->parent = task->scope;
    task->scope = scope;
    scope_refresh(rt, task);
    return;
  }
}

void scope_detach(struct neap *rt, struct task *task, lua_State *co) {
  struct scope *scope = task->scope;
  if (!scope || scope->L != co) return;
  struct scope *last = hand_over(scope, co, NULL);
  task->scope = last->parent;
  last->parent = NULL;
  list_append(&rt->scopes, &scope->link);
  scope_refresh(rt, task);
}

/* --- closing --- */

static bool unlink_from(struct scope **link, struct scope *scope) {
  while (*link && *link != scope) link = &(*link)->parent;
  if (!*link) return false;
  *link = scope->parent;
  return true;
}

/* Takes a scope out of a user coroutine that is not being run. */
static void unlink_detached(struct neap *rt, struct scope *scope) {
  if (!list_empty(&scope->link)) {
    if (scope->parent) list_append(&rt->scopes, &scope->parent->link);
    list_remove(&scope->link);
    return;
  }
  list_each(node, &rt->scopes)
    if (unlink_from(&container_of(node, struct scope, link)->parent, scope)) return;
}

static void close_scope(struct neap *rt, struct scope *scope) {
  struct task *task = scope->task;
  if (scope->state == SCOPE_CLOSED) return;
  scope->state = SCOPE_CLOSED;
  timer_stop(rt, &scope->timer);
  if (task)
    unlink_from(&task->scope, scope);
  else
    unlink_detached(rt, scope);
  scope->task = NULL;
  scope->parent = NULL;
  if (task) scope_refresh(rt, task);
}

void scope_forget(struct neap *rt, struct task *task) {
  while (task->scope) {
    struct scope *scope = task->scope;
    scope->state = SCOPE_CLOSED;
    timer_stop(rt, &scope->timer);
    task->scope = scope->parent;
    scope->task = NULL;
    scope->parent = NULL;
  }
}

void scope_explain(lua_State *L, struct task *task) {
  struct scope *scope = task->scope;
  while (scope && !scope->cancelled) scope = scope->parent;
  if (!scope || task->requests > 0 || !error_began_in(L, -1, task)) return;
  lua_getfield(L, -1, "where");
  lua_pushfstring(L, "%s: the %s that ended this task was never closed: it must be a <close> variable",
                  lua_tostring(L, -1), scope->expired ? "time limit" : "scope");
  error_new(L, scope->expired ? ERROR_TIMEOUT : ERROR_ANY);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* Whether [scope], which is closed now, is what made the error at [index]. A coroutine that ended by it may
 * be closed when it belongs to no task any more. */
static bool is_own_cancel(lua_State *L, struct scope *scope, struct task *task, int index) {
  if (!scope->cancelled || !scope->struck || (task && task->cancelled)) return false;
  return error_began_in(L, index, scope->struck);
}

static int raise_timeout(lua_State *L, struct scope *scope) {
  if (scope->limit >= 0)
    lua_pushfstring(L, "the time limit of %f s was exceeded", (LUAI_UACNUMBER)scope->limit);
  else
    lua_pushliteral(L, "the deadline was missed");
  error_new(L, ERROR_TIMEOUT);
  lua_getfield(L, 2, "where"); /* of the cancel that it takes the place of */
  lua_setfield(L, -2, "where");
  return lua_error(L);
}

/* The userdata. */
struct box {
  struct scope *open;
  struct scope closed; /* a copy, to answer from, once [open] is NULL */
};

static struct scope *check_scope(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct box *box = object_check(L, rt, 1, OBJECT_SCOPE);
  if (!box->open) return &box->closed;
  if (rt->closed) error_misuse(L, "the runtime is closed");
  return box->open;
}

static void free_scope(struct neap *rt, struct scope *scope) {
  list_remove(&scope->all);
  pool_release(&rt->pool, scope, sizeof *scope);
}

/* Closes the scope at index 1 and returns what is left of it. */
static struct scope *end_scope(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct box *box = object_check(L, rt, 1, OBJECT_SCOPE);
  struct scope *scope = box->open;
  if (scope && !rt->closed) {
    close_scope(rt, scope);
    box->closed = *scope;
    free_scope(rt, scope);
  }
  box->open = NULL;
  return &box->closed;
}

void scope_free_all(struct neap *rt) {
  while (!list_empty(&rt->all_scopes))
    free_scope(rt, container_of(rt->all_scopes.next, struct scope, all));
}

/* __close(scope, err): the end of the block. */
static int l_close(lua_State *L) {
  struct task *task = check_scope(L)->task;
  struct scope *scope = end_scope(L);
  if (scope->raises_timeout && scope->expired && !lua_isnoneornil(L, 2) &&
      is_own_cancel(L, scope, task, 2))
    return raise_timeout(L, scope);
  return 0;
}

static int l_gc(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct box *box = object_check(L, rt, 1, OBJECT_SCOPE);
  if (rt->debug && !rt->closed && box->open && box->open->state == SCOPE_OPEN) {
    lua_pushliteral(L, "a scope was collected open: it must be a <close> variable");
    report_warning_later(L, rt);
  }
  end_scope(L);
  return 0;
}

/* --- opening --- */

static struct scope *open_scope(lua_State *L, const char *call) {
  struct neap *rt = runtime_of(L);
  struct task *task = rt->current;
  runtime_check_thread(L, rt);
  if (!task || rt->active != L || !lua_isyieldable(L))
    error_misuse(L, "%s: a scope is opened in a task, where it can wait", call);
  struct box *box = object_new(L, rt, OBJECT_SCOPE, sizeof *box, 1);
  *box = (struct box){.closed = {.deadline = INT64_MAX, .state = SCOPE_CLOSED}};
  struct scope *scope = pool_alloc(&rt->pool, sizeof *scope);
  if (!scope) error_misuse(L, "%s: not enough memory", call);
  lua_pushthread(L); /* lives as long: it is known by its address */
  lua_setiuservalue(L, -2, 1);
  *scope = (struct scope){.task = task, .parent = task->scope, .L = L, .deadline = INT64_MAX,
                          .state = SCOPE_OPEN, .limit = -1};
  timer_init(&scope->timer, expire);
  list_init(&scope->link);
  list_append(&rt->all_scopes, &scope->all);
  box->open = scope;
  task->scope = scope;
  return scope;
}

static void set_limit(lua_State *L, struct scope *scope, double seconds) {
  struct neap *rt = runtime_of(L);
  scope->limit = seconds > 0 ? seconds : 0;
  scope->deadline = runtime_deadline(rt, seconds);
  arm(L, rt, scope);
}

/* timeout(seconds): a time limit for the block it is a <close> variable of. nil: no limit. */
static int l_timeout(lua_State *L) {
  bool limited = !lua_isnoneornil(L, 1);
  double seconds = limited ? runtime_check_seconds(L, 1) : 0;
  struct scope *scope = open_scope(L, "timeout");
  scope->raises_timeout = true;
  if (limited) set_limit(L, scope, seconds);
  return 1;
}

/* timeout_at(time): the same with a time of the loop's clock. */
static int l_timeout_at(lua_State *L) {
  bool limited = !lua_isnoneornil(L, 1);
  double time = limited ? runtime_check_seconds(L, 1) : 0;
  struct scope *scope = open_scope(L, "timeout_at");
  scope->raises_timeout = true;
  if (limited) {
    scope->deadline = runtime_time(time);
    arm(L, runtime_of(L), scope);
  }
  return 1;
}

/* shielded(): holds cancellation from outside back from the awaits of the block. */
static int l_shielded(lua_State *L) {
  struct scope *scope = open_scope(L, "shielded");
  scope->shielding = true;
  scope_refresh(runtime_of(L), runtime_of(L)->current);
  return 1;
}

/* CancelScope{timeout = s, shield = b}: a block that can be cancelled as one. */
static int l_cancel_scope(lua_State *L) {
  static const char *const names[] = {"timeout", "shield", "call", NULL};
  double seconds = INFINITY;
  bool shield = false;
  const char *call = "CancelScope"; /* or the function that opens one: the field "call" */
  if (!lua_isnoneornil(L, 1)) {
    options_check(L, 1, names);
    if (lua_getfield(L, 1, "timeout") != LUA_TNIL) {
      seconds = lua_tonumber(L, -1);
      luaL_argcheck(L, lua_isnumber(L, -1) && !isnan(seconds), 1, "the timeout must be a number of seconds");
    }
    lua_getfield(L, 1, "shield");
    shield = lua_toboolean(L, -1);
    if (lua_getfield(L, 1, "call") == LUA_TSTRING) call = lua_tostring(L, -1);
  }
  struct scope *scope = open_scope(L, call);
  scope->shielding = shield;
  if (shield) scope_refresh(runtime_of(L), runtime_of(L)->current);
  if (seconds < INFINITY) set_limit(L, scope, seconds);
  return 1;
}

/* --- running a function in a scope --- */

static int run_ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  struct task *task = check_scope(L)->task;
  struct scope *scope = end_scope(L);
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  if (!is_own_cancel(L, scope, task, lua_gettop(L))) return lua_error(L);
  lua_pushboolean(L, 0);
  return 1;
}

/* scope:run(fn, ...): true and fn's values; false when the scope was cancelled. Ends the scope. */
static int l_run(lua_State *L) {
  struct scope *scope = check_scope(L);
  handle_check_function(L, 2);
  if (scope->state == SCOPE_OPEN && scope->task != runtime_of(L)->current)
    return error_misuse(L, "run: the scope belongs to another task");
  if (scope->state != SCOPE_OPEN) return error_misuse(L, "run: the scope has ended");
  lua_pushboolean(L, 1); /* goes before the values: above them there may be no room */
  lua_insert(L, 2);
  int status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, 0, run_ended);
  return run_ended(L, status, 0);
}

/* --- methods --- */

static int l_cancel(lua_State *L) {
  struct scope *scope = check_scope(L);
  if (scope->state == SCOPE_OPEN) cancel(runtime_of(L), scope);
  return 0;
}

static int l_cancelled(lua_State *L) {
  lua_pushboolean(L, check_scope(L)->cancelled);
  return 1;
}

static int l_expired(lua_State *L) {
  lua_pushboolean(L, check_scope(L)->expired);
  return 1;
}

/* scope:when(): the deadline as a time of the loop, or nil. */
static int l_when(lua_State *L) {
  struct scope *scope = check_scope(L);
  if (scope->deadline == INT64_MAX) return lua_pushnil(L), 1;
  lua_pushnumber(L, (lua_Number)scope->deadline / 1e9);
  return 1;
}

/* scope:reschedule(time): moves the deadline of an open limit; nil takes it away. */
static int l_reschedule(lua_State *L) {
  struct scope *scope = check_scope(L);
  double time = lua_isnoneornil(L, 2) ? INFINITY : runtime_check_seconds(L, 2);
  if (scope->state == SCOPE_CLOSED)
    return error_misuse(L, "reschedule: the limit is finished");
  if (scope->cancelled) return error_misuse(L, "reschedule: the limit is expiring");
  scope->limit = -1;
  scope->deadline = runtime_time(time);
  arm(L, runtime_of(L), scope);
  return 0;
}

static int l_tostring(lua_State *L) {
  struct scope *scope = check_scope(L);
  const char *state = scope->state == SCOPE_CLOSED ? (scope->expired ? "expired" : "finished")
                      : scope->cancelled           ? "expiring"
                                                   : "active";
  if (scope->deadline == INT64_MAX)
    lua_pushfstring(L, "<CancelScope %s>", state);
  else
    lua_pushfstring(L, "<CancelScope %s, deadline %f>", state,
                    (LUAI_UACNUMBER)scope->deadline / 1e9);
  return 1;
}

static const luaL_Reg methods[] = {
    {"cancel", l_cancel},
    {"cancelled", l_cancelled},
    {"expired", l_expired},
    {"when", l_when},
    {"reschedule", l_reschedule},
    {"run", l_run},
    {"close", l_close},
    {"__close", l_close},
    {"__gc", l_gc},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"timeout", l_timeout},
    {"timeout_at", l_timeout_at},
    {"shielded", l_shielded},
    {"CancelScope", l_cancel_scope},
    {NULL, NULL},
};

void scope_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_SCOPE, "neap.CancelScope", methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
