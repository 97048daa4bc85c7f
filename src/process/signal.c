/* Signals as scripts see them: listeners, whom tasks wait for, and handlers, which the loop calls. */
#include "process/signal.h"

#include <lauxlib.h>
#include <limits.h>

#include "core/error.h"
#include "core/handle.h"
#include "core/limits.h"
#include "core/loop.h"
#include "core/op.h"
#include "process/signal_name.h"
#include "process/signal_source.h"

/* What a listener has heard of one signal. */
struct ear {
  struct hearer hearer;
  struct list link; /* in [heard], while [count] is not 0 */
  struct signal_listener *listener;
  unsigned count;   /* that nobody was told of */
  int number;
};

struct signal_listener {
  struct neap *rt;
  struct signal_op *waiting;
  struct list heard; /* struct ear, in order of arrival */
  bool closed;
  int count;
  struct ear ears[];
};

struct signal_op {
  struct op op;
  struct signal_listener *listener;
  bool owns; /* it ends with the op */
};

/* A function that is called for a signal: once for each time it came. */
struct handler {
  struct hearer hearer;
  struct neap *rt;
  struct handle *handle; /* it repeats; NULL: there is none */
};

/* Lives in a userdata in the registry, made when it is first needed. */
struct signals {
  struct signal_hub hub;
  struct handler handlers[SIGNAL_MAX + 1];
};

static const char signals_key;

static struct signals *get_signals(lua_State *L, struct neap *rt) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &signals_key);
  struct signals *signals = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (signals) return signals;
  signals = lua_newuserdatauv(L, sizeof *signals, 0);
  *signals = (struct signals){.hub.rt = rt};
  lua_rawsetp(L, LUA_REGISTRYINDEX, &signals_key);
  return signals;
}

/* --- listeners --- */

static struct signal_listener *check_listener(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_SIGNAL_LISTENER);
}

static void set_awaits(struct signal_listener *l, bool awaits) {
  for (int i = 0; i < l->count; i++) signal_set_awaits(&l->ears[i].hearer, awaits);
}

static void hear(struct hearer *hearer, unsigned count) {
  struct ear *ear = container_of(hearer, struct ear, hearer);
  struct signal_listener *l = ear->listener;
  if (ear->count == 0) list_append(&l->heard, &ear->link);
  ear->count += count;
  if (l->waiting && l->waiting->op.state == OP_WAITING) op_complete(l->rt, &l->waiting->op, 0);
}

/* What came often lets the others go first. */
static int take(struct signal_listener *l) {
  struct ear *ear = container_of(l->heard.next, struct ear, link);
  list_remove(&ear->link);
  if (--ear->count > 0) list_append(&l->heard, &ear->link);
  return ear->number;
}

static void close_listener(struct signal_listener *l) {
  if (l->closed) return;
  l->closed = true;
  for (int i = 0; i < l->count; i++) signal_unhear(&l->ears[i].hearer);
  if (l->waiting && l->waiting->op.state == OP_WAITING) op_complete(l->rt, &l->waiting->op, 0);
}

/* One that hears nothing yet; signals that are named twice are in it once. */
static struct signal_listener *push_listener(lua_State *L, struct neap *rt, int first) {
  int nargs = lua_gettop(L) - first + 1;
  if (nargs < 1) signal_check_caught(L, first);
  for (int i = 0; i < nargs; i++) signal_check_caught(L, first + i);
  size_t size = sizeof(struct signal_listener) + (size_t)nargs * sizeof(struct ear);
  struct signal_listener *l = object_new(L, rt, OBJECT_SIGNAL_LISTENER, size, 0);
  *l = (struct signal_listener){.rt = rt};
  list_init(&l->heard);
  for (int i = 0; i < nargs; i++) {
    struct ear *ear = &l->ears[l->count];
    *ear = (struct ear){.hearer.hear = hear, .listener = l, .number = signal_check(L, first + i)};
    list_init(&ear->link);
    bool known = false;
    for (int j = 0; j < l->count; j++) known = known || l->ears[j].number == ear->number;
    l->count += !known;
  }
  return l;
}

/* Returns 0, or UV_E* with [failed] set to the signal's number. */
static int start_hearing(struct signals *signals, struct signal_listener *l, int *failed) {
  for (int i = 0; i < l->count; i++) {
    int status = signal_hear(&signals->hub, &l->ears[i].hearer, l->ears[i].number);
    if (status == 0) continue;
    *failed = l->ears[i].number;
    close_listener(l);
    return status;
  }
  return 0;
}

static int push_failure(lua_State *L, int status, const char *call, int number) {
  const char *name = signal_push_name(L, number);
  return error_return(L, status, call, name);
}

/* signal.listen(signal, ...): a listener, or nil, err, code. */
static int l_listen(lua_State *L) {
  struct neap *rt = runtime_of(L);
  int failed = 0;
  runtime_check_open(L, rt, "listen");
  struct signals *signals = get_signals(L, rt);
  struct signal_listener *l = push_listener(L, rt, 1);
  int status = start_hearing(signals, l, &failed);
  return status < 0 ? push_failure(L, status, "signal.listen", failed) : 1;
}

/* --- waiting --- */

static int push_taken(lua_State *L, struct signal_listener *l) {
  signal_push_name(L, take(l));
  return 1;
}

static int push_signal(lua_State *L, struct neap *rt, struct op *op) {
  struct signal_listener *l = ((struct signal_op *)op)->listener;
  (void)rt;
  if (op->status < 0) return error_return(L, op->status, op->kind->name, NULL);
  if (!list_empty(&l->heard)) return push_taken(L, l);
  lua_pushnil(L);
  return 1;
}

static void drop_wait(struct neap *rt, struct op *op) {
  struct signal_op *wait = (struct signal_op *)op;
  (void)rt;
  if (wait->listener->waiting != wait) return;
  wait->listener->waiting = NULL;
  set_awaits(wait->listener, false);
  if (wait->owns) close_listener(wait->listener);
}

static enum op_abort abort_wait(struct neap *rt, struct op *op) {
  drop_wait(rt, op);
  return OP_GONE;
}

static const struct op_kind next_kind = {
    .name = "next",
    .size = sizeof(struct signal_op),
    .push = push_signal,
    .abort = abort_wait,
    .drop = drop_wait,
    .local = true,
};

static const struct op_kind wait_kind = {
    .name = "signal.wait",
    .size = sizeof(struct signal_op),
    .push = push_signal,
    .abort = abort_wait,
    .drop = drop_wait,
    .local = true,
};

static int await_signal(lua_State *L, struct signal_listener *l, const struct op_kind *kind, bool owns) {
  struct signal_op *op = op_begin(L, kind);
  op->listener = l;
  op->owns = owns;
  l->waiting = op;
  set_awaits(l, true);
  return op_await(L, &op->op, 0);
}

/* listener:next(): the name of the next signal, or nil when the listener is closed. One task at a time may
 * wait. */
static int l_next(lua_State *L) {
  struct signal_listener *l = check_listener(L);
  if (l->waiting) return error_misuse(L, "next: another task is waiting");
  bool ready = l->closed || !list_empty(&l->heard);
  if (!ready || !op_ready(L, l->rt, "next")) {
    if (ready) return op_yield_first(L, "next", l_next);
    return await_signal(L, l, &next_kind, false);
  }
  if (!l->closed) return push_taken(L, l);
  lua_pushnil(L);
  return 1;
}

/* listener:signals(): for name in listener:signals() do ... end, until the listener is closed. */
static int l_signals(lua_State *L) {
  check_listener(L);
  runtime_push(L);
  lua_pushcclosure(L, l_next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

/* listener:close(): whoever waits gets nil. May be called twice. */
static int l_close(lua_State *L) {
  close_listener(check_listener(L));
  return 0;
}

static const luaL_Reg methods[] = {
    {"next", l_next},   {"signals", l_signals}, {"close", l_close},
    {"__gc", l_close}, {"__close", l_close},   {NULL, NULL},
};

/* signal.wait(signal, ...): suspends the task until one of them comes; its name, or nil, err, code. */
static int l_wait(lua_State *L) {
  struct neap *rt = runtime_of(L);
  int failed = 0;
  struct signal_listener *l = push_listener(L, rt, 1);
  op_check(L, "signal.wait");
  struct signals *signals = get_signals(L, rt);
  int status = start_hearing(signals, l, &failed);
  if (status < 0) return push_failure(L, status, "signal.wait", failed);
  return await_signal(L, l, &wait_kind, true);
}

/* signal.send(pid, signal): as kill(2). Returns true, or nil, err, code. */
static int l_send(lua_State *L) {
  lua_Integer pid = luaL_checkinteger(L, 1);
  luaL_argcheck(L, pid >= INT_MIN && pid <= INT_MAX, 1, "there is no such process number");
  bool probes = lua_type(L, 2) == LUA_TNUMBER && lua_tonumber(L, 2) == 0;
  int status = uv_kill((int)pid, probes ? 0 : signal_check(L, 2));
  if (status < 0)
    return error_return(L, status, "signal.send", lua_pushfstring(L, "%I", (LUAI_UACINT)pid));
  lua_pushboolean(L, 1);
  return 1;
}

/* --- handlers --- */

static void call_later(struct hearer *hearer, unsigned count) {
  struct handler *handler = container_of(hearer, struct handler, hearer);
  handle_call_again(handler->rt, handler->handle, count);
}

static bool remove_handler(lua_State *L, struct neap *rt, struct handler *handler) {
  struct handle *handle = handler->handle;
  if (!handle) return false;
  signal_unhear(&handler->hearer);
  handler->handle = NULL;
  handle_retire(L, rt, handle);
  return true;
}

/* It gets the calls that the one before has not had. */
static void replace_handle(lua_State *L, struct handler *handler, struct handle *handle) {
  struct handle *before = handler->handle;
  handler->handle = handle;
  handle_call_again(handler->rt, handle, before->calls);
  handle_retire(L, handler->rt, before);
}

/* The handle that is on top. Returns 0 or UV_E*; may raise before. */
static int add_handler(lua_State *L, struct signals *signals, int number, struct handle *handle) {
  struct neap *rt = signals->hub.rt;
  struct handler *handler = &signals->handlers[number];
  handle_repeat(L, rt, handle);
  if (handler->handle) return replace_handle(L, handler, handle), 0;
  handler->rt = rt;
  handler->hearer.hear = call_later;
  int status = signal_hear(&signals->hub, &handler->hearer, number);
  if (status < 0) {
    handle_retire(L, rt, handle);
    return status;
  }
  handler->handle = handle;
  signal_set_awaits(&handler->hearer, true);
  return 0;
}

/* loop:add_signal_handler(signal, fn, ...): calls fn(...) in the loop whenever the signal comes; it replaces
 * the one before. Returns true, or nil, err, code. */
static int l_add_signal_handler(lua_State *L) {
  struct neap *rt = loop_check_open(L, "add_signal_handler");
  limits_refuse_restricted(L, rt, "add_signal_handler");
  int number = signal_check_caught(L, 2);
  handle_check_function(L, 3);
  struct signals *signals = get_signals(L, rt);
  int status = add_handler(L, signals, number, handle_new(L, rt, 3));
  if (status < 0) return push_failure(L, status, "add_signal_handler", number);
  lua_pushboolean(L, 1);
  return 1;
}

/* loop:remove_signal_handler(signal): whether there was one. It is not called any more. */
static int l_remove_signal_handler(lua_State *L) {
  struct neap *rt = loop_check_open(L, "remove_signal_handler");
  int number = signal_check_caught(L, 2);
  struct signals *signals = get_signals(L, rt);
  lua_pushboolean(L, remove_handler(L, rt, &signals->handlers[number]));
  return 1;
}

static const luaL_Reg loop_methods[] = {
    {"add_signal_handler", l_add_signal_handler},
    {"remove_signal_handler", l_remove_signal_handler},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"signal_wait", l_wait},
    {"signal_listen", l_listen},
    {"signal_send", l_send},
    {NULL, NULL},
};

void signal_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_SIGNAL_LISTENER, "neap.SignalListener", methods);
  object_push_metatable(L, rt, OBJECT_LOOP);
  object_add_methods(L, loop_methods);
  lua_pop(L, 2);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
