#include "core/limits.h"

#include <lauxlib.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/ceiling.h"
#include "core/error.h"
#include "core/port.h"

enum {
  INTERVAL = 1000,    /* instructions between two looks at the clock */
  INTERVAL_COUNTED = 100, /* where instructions are limited: a limit holds to within so many */
  INTERVALS_LEAST = 16,   /* in a limit of instructions */
  RAISES = 200,       /* of the error in one step, before the task loses the floor for good */
  SPARED = 10000,     /* instructions of neap's own Lua code that may follow in a step over its limit */
};

enum excess { WITHIN, TOO_LONG, TOO_MANY };

struct limits {
  struct limit_options given;
  int interval;        /* of the hook; 0: steps have no limit */
  bool binding;
  lua_Hook before;     /* what the main coroutine had */
  int before_mask;
  int before_count;

  /* The step that the hook saw last: its number, when it saw it first, and what it has counted since. */
  unsigned step;
  int64_t since;
  int64_t since_used; /* of the processor, by this thread */
  long long counted;
  unsigned spared;
  unsigned raised;
  enum excess excess;
  bool has_error;      /* error_key holds the LimitError of this step */
};

/* Registry: the error of the step that was last over its limit, and one to spare. */
static const char error_key, spare_key;

/* --- steps --- */

static void on_count(lua_State *L, lua_Debug *ar);

static void set_interval(lua_State *L, int count) {
  if (lua_gethookcount(L) != count) lua_sethook(L, on_count, LUA_MASKCOUNT, count);
}

static int64_t time_used(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void note_step(struct neap *rt, struct limits *limits) {
  unsigned step = atomic_load_explicit(&rt->steps, memory_order_relaxed);
  if (step == limits->step) return;
  limits->step = step;
  limits->since = (int64_t)uv_hrtime();
  limits->since_used = limits->given.step_seconds > 0 ? time_used() : 0;
  limits->counted = 0;
  limits->spared = 0;
  limits->raised = 0;
  limits->excess = WITHIN;
  limits->has_error = false;
}

static bool is_over(struct neap *rt) {
  struct limits *limits = rt->limits;
  if (!limits || !limits->interval) return false;
  note_step(rt, limits);
  return limits->excess != WITHIN;
}

/* On a machine with much else to do a step takes longer than it works: that is not its fault. The clock that
 * knows of work is the slower one to ask. */
static bool is_too_long(const struct limits *limits, double most) {
  return (double)((int64_t)uv_hrtime() - limits->since) > most &&
         (double)(time_used() - limits->since_used) > most;
}

static void judge(struct limits *limits) {
  const struct limit_options *given = &limits->given;
  if (given->step_instructions > 0 && limits->counted > given->step_instructions)
    limits->excess = TOO_MANY;
  else if (given->step_seconds > 0 && is_too_long(limits, given->step_seconds * 1e9))
    limits->excess = TOO_LONG;
}

/* Keeps a new error for this step. Called by the function that goes too far, as it seems to error_where. */
static int make_error(lua_State *L) {
  const struct limits *limits = lua_touserdata(L, 1);
  char seconds[32];
  snprintf(seconds, sizeof seconds, "%.14g", limits->given.step_seconds);
  error_where(L);
  if (limits->excess == TOO_LONG)
    lua_pushfstring(L, "the step took longer than %s s", seconds);
  else
    lua_pushfstring(L, "the step took more than %I instructions",
                    (LUAI_UACINT)limits->given.step_instructions);
  lua_concat(L, 2);
  error_new(L, ERROR_LIMIT);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
  return 0;
}

/* The same error for the whole step: a loop that catches it makes no new one each time. Without memory for
 * one it is the one that was made in the beginning. */
static int raise_excess(lua_State *L, struct limits *limits) {
  luaL_checkstack(L, 8, "not enough memory");
  if (!limits->has_error) {
    lua_pushcfunction(L, make_error);
    lua_pushlightuserdata(L, limits);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
      lua_pop(L, 1);
      lua_rawgetp(L, LUA_REGISTRYINDEX, &spare_key);
      lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
    }
    limits->has_error = true;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
  return lua_error(L);
}

/* neap's own Lua code counts on running undisturbed from one await to the next: it may end what it does. */
static bool is_spared(lua_State *L, struct limits *limits, lua_Debug *ar) {
  if (limits->spared >= SPARED) return false;
  lua_getinfo(L, "S", ar);
  if (!error_is_own(ar)) return false;
  limits->spared++;
  return true;
}

/* Catching an error takes Lua a look at every call that is open, and there may be very many that catch it. */
static bool can_yield(lua_State *L, struct neap *rt) {
  return rt->current && !rt->dying && rt->active == L && !rt->barrier && lua_isyieldable(L);
}

static void on_count(lua_State *L, lua_Debug *ar) {
  struct neap *rt = runtime_get(L);
  struct limits *limits = rt ? rt->limits : NULL;
  if (!limits || !limits->binding || ar->event != LUA_HOOKCOUNT) return;
  note_step(rt, limits);
  limits->counted += lua_gethookcount(L);
  if (limits->excess == WITHIN) judge(limits);
  if (!limits_hooked(L)) return; /* the watchdog stands in for the hook */
  set_interval(L, limits->excess == WITHIN ? limits->interval : 1);
  if (limits->excess == WITHIN || is_spared(L, limits, ar)) return;
  if (limits->raised++ < RAISES || !can_yield(L, rt))
    raise_excess(L, limits);
  else
    lua_yield(L, 0);
}

bool limits_struck(lua_State *L, struct neap *rt) {
  struct limits *limits = rt->limits;
  if (!is_over(rt) || !limits->has_error) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
  return true;
}

void limits_begin_anew(struct neap *rt) {
  if (rt->limits) rt->limits->step--;
}

void limits_look_soon(struct neap *rt) {
  lua_State *L = rt->active ? rt->active : rt->L;
  if (limits_hooked(L)) set_interval(L, 1);
}

bool limits_hooked(lua_State *L) { return lua_gethook(L) == on_count; }

void limits_check_step(lua_State *L, struct neap *rt) {
  struct limits *limits = rt->limits;
  if (!limits || !limits->binding || !is_over(rt)) return;
  set_interval(L, 1);
  raise_excess(L, limits);
}

/* --- what catches errors where no hook is called --- */

/* A message handler is called inside the hook that raises, where no hook is: it must not be, then. Its
 * upvalues: the runtime, and the handler. */
static int l_handle(lua_State *L) {
  lua_settop(L, 1);
  if (is_over(runtime_of(L))) return 1;
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* true and the results of the call, or false and what the handler has returned. */
static int answer_xpcall(lua_State *L, int status, lua_KContext below) {
  bool ok = status == LUA_OK || status == LUA_YIELD;
  int first = ok ? (int)below + 1 : lua_gettop(L);
  lua_pushboolean(L, ok);
  lua_insert(L, first);
  return lua_gettop(L) - first + 1;
}

/* xpcall(fn, handler, ...), whose handler is not called once the step is over its limit. */
static int l_xpcall(lua_State *L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  runtime_push(L);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, l_handle, 2);
  lua_replace(L, 2);
  lua_pushvalue(L, 1);
  lua_insert(L, 3);
  int status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, 2, answer_xpcall);
  return answer_xpcall(L, status, 2);
}

static int guarded_ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) : lua_error(L);
}

/* What a coroutine runs: its upvalue is the function. A coroutine that dies in a hook keeps its hooks
 * switched off, and its <close> variables would then run unwatched: so the function is called protected, and
 * its error passed on. It counts for as many instructions as may go by in it unseen. */
static int run_guarded(lua_State *L) {
  struct neap *rt = runtime_get(L);
  if (rt) limits_check_step(L, rt);
  if (rt && rt->limits) rt->limits->counted += rt->limits->interval;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  int status = lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, 0, guarded_ended);
  return guarded_ended(L, status, 0);
}

void limits_guard(lua_State *L, struct neap *rt) {
  if (rt->limits && rt->limits->interval) lua_pushcclosure(L, run_guarded, 1);
}

/* coroutine.create(fn) */
static int l_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, run_guarded, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static void replace(lua_State *L, int table, const char *name, lua_CFunction function) {
  table = lua_absindex(L, table);
  lua_pushcfunction(L, function);
  lua_setfield(L, table, name);
}

static void open_steps(lua_State *L, struct neap *rt, struct limits *limits) {
  limits->before = lua_gethook(rt->L);
  limits->before_mask = lua_gethookmask(rt->L);
  limits->before_count = lua_gethookcount(rt->L);
  lua_pushglobaltable(L);
  replace(L, -1, "xpcall", l_xpcall);
  if (lua_getfield(L, -1, "coroutine") == LUA_TTABLE) replace(L, -1, "create", l_create);
  lua_pop(L, 2);
  lua_pushliteral(L, "the step went over its limit");
  error_new(L, ERROR_LIMIT);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spare_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
  lua_sethook(rt->L, on_count, LUA_MASKCOUNT, limits->interval);
}

static int interval_for(const struct limit_options *options) {
  long long instructions = options->step_instructions;
  if (instructions <= 0) return options->step_seconds > 0 ? INTERVAL : 0;
  long long interval = instructions / INTERVALS_LEAST;
  return interval < 1 ? 1 : interval > INTERVAL_COUNTED ? INTERVAL_COUNTED : (int)interval;
}

/* --- opening and closing --- */

void limits_open(lua_State *L, struct neap *rt, const struct limit_options *options) {
  struct limits *limits = memory_calloc(rt->memory, 1, sizeof *limits);
  if (!limits) luaL_error(L, "neap: not enough memory");
  limits->given = *options;
  limits->step = UINT_MAX; /* none was seen */
  limits->interval = interval_for(options);
  rt->limits = limits;
  if (limits->interval) open_steps(L, rt, limits);
  if (options->memory > 0) ceiling_open(L, rt, options->memory);
}

void limits_close(struct neap *rt) {
  struct limits *limits = rt->limits;
  if (!limits) return;
  if (limits_hooked(rt->L)) lua_sethook(rt->L, limits->before, limits->before_mask, limits->before_count);
  ceiling_close(rt);
  rt->limits = NULL;
  memory_free(limits);
}

bool limits_bind(struct neap *rt, bool bind) {
  if (!rt->limits) return false;
  bool before = rt->limits->binding;
  rt->limits->binding = bind;
  rt->memory->binding = bind;
  return before;
}

/* --- tasks, handles, addresses --- */

void limits_check_task(lua_State *L, struct neap *rt) {
  struct limits *limits = rt->limits;
  if (!limits->binding || limits->given.tasks == 0) return;
  if (rt->task_count < limits->given.tasks) return;
  error_raise(L, ERROR_LIMIT, "create_task: the limit of %d tasks is reached", (int)limits->given.tasks);
}

int limits_handle(struct neap *rt) {
  unsigned count = 0;
  if (!rt->limits || rt->limits->given.handles == 0) return 0;
  list_each(node, &rt->resources)
    count += !container_of(node, struct resource, link)->no_handle;
  return count < rt->limits->given.handles ? 0 : UV_EMFILE;
}

/* An IPv4 address in IPv6's clothes is asked for as what it is. */
static const struct sockaddr *undressed(const struct sockaddr *address, struct sockaddr_in *plain) {
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
  if (address->sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) return address;
  *plain = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = v6->sin6_port};
  memcpy(&plain->sin_addr, &v6->sin6_addr.s6_addr[12], sizeof plain->sin_addr);
  return (const struct sockaddr *)plain;
}

int limits_address(struct neap *rt, const struct sockaddr *address, bool listens) {
  struct sockaddr_in plain;
  if (!rt->limits) return 0;
  const struct limit_options *given = &rt->limits->given;
  if (!given->allow_address) return given->restricted ? UV_EACCES : 0;
  rt->port->telling++;
  bool allowed = given->allow_address(given->user, undressed(address, &plain), listens);
  rt->port->telling--;
  return allowed ? 0 : UV_EACCES;
}

int limits_name(struct neap *rt) {
  bool none = limits_restricted(rt) && !rt->limits->given.allow_address;
  return none ? UV_EACCES : 0;
}

bool limits_restricted(struct neap *rt) { return rt->limits && rt->limits->given.restricted; }

void limits_refuse_restricted(lua_State *L, struct neap *rt, const char *call) {
  if (limits_restricted(rt)) error_misuse(L, "%s: a restricted script may not do that", call);
}
