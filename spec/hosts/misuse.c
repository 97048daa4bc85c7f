/* A host that makes mistakes:
 *
 *     misuse list      the names of the mistakes
 *     misuse NAME      makes it; prints on stdout what neap is to say on stderr, a line for each time: the call,
 *                      a tab, and a part of the message; and at last "clean", when it went on as it should
 *                      and nothing was left. */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counting.h"
#include "neap.h"

static bool failed;

static void check_that(bool holds, const char *text, int line) {
  if (holds) return;
  printf("misuse.c:%d: %s\n", line, text);
  failed = true;
}

#define CHECK(condition) check_that(condition, #condition, __LINE__)

static void expect(const char *call, const char *message) { printf("%s\t%s\n", call, message); }

/* --- all calls that take a runtime, and whether they return what they do for a failure --- */

static void on_posted(neap_t *neap, void *user) {
  (void)neap;
  ++*(int *)user;
}

static int posted;

static bool free_fails(neap_t *neap) { return neap_free(neap), true; }
static bool state_fails(neap_t *neap) { return !neap_state(neap); }
static bool loop_fails(neap_t *neap) { return !neap_loop(neap); }
static bool memory_fails(neap_t *neap) { return neap_memory(neap) == 0; }
static bool call_fails(neap_t *neap) { return neap_call(neap, 0, NULL) == LUA_ERRERR; }
static bool dofile_fails(neap_t *neap) { return neap_dofile(neap, "/dev/null") == LUA_ERRERR; }
static bool cancel_all_fails(neap_t *neap) { return neap_cancel_all(neap), true; }
static bool run_fails(neap_t *neap) { return neap_run(neap) == NEAP_REFUSED; }
static bool step_fails(neap_t *neap) { return neap_step(neap, 0) == NEAP_REFUSED; }
static bool fd_fails(neap_t *neap) { return neap_fd(neap) == -1; }
static bool timeout_fails(neap_t *neap) { return neap_timeout(neap) == -1; }
static bool stop_fails(neap_t *neap) { return neap_stop(neap), true; }
static bool exit_code_fails(neap_t *neap) { return neap_exit_code(neap) == 0; }
static bool report_errors_fails(neap_t *neap) { return neap_report_errors(neap) == 0; }
static bool post_fails(neap_t *neap) { return neap_post(neap, on_posted, &posted) == UV_ECANCELED; }

enum where { ANYWHERE = 0, OUTSIDE = 1, ANY_THREAD = 2, NULL_IS_FINE = 4 };

static const struct call {
  const char *name;
  bool (*fails)(neap_t *neap);
  int where;
} calls[] = {
    {"neap_free", free_fails, OUTSIDE | NULL_IS_FINE},
    {"neap_state", state_fails, ANYWHERE},
    {"neap_loop", loop_fails, ANYWHERE},
    {"neap_memory", memory_fails, ANYWHERE},
    {"neap_call", call_fails, OUTSIDE},
    {"neap_dofile", dofile_fails, OUTSIDE},
    {"neap_cancel_all", cancel_all_fails, ANYWHERE},
    {"neap_run", run_fails, OUTSIDE},
    {"neap_step", step_fails, OUTSIDE},
    {"neap_fd", fd_fails, ANYWHERE},
    {"neap_timeout", timeout_fails, ANYWHERE},
    {"neap_stop", stop_fails, ANYWHERE},
    {"neap_exit_code", exit_code_fails, ANYWHERE},
    {"neap_report_errors", report_errors_fails, ANYWHERE},
    {"neap_post", post_fails, ANY_THREAD},
};

/* Makes all the calls but those that are right in such a place. */
static void make_calls(neap_t *neap, int right, const char *message) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (calls[i].where & right || (right == OUTSIDE && calls[i].where != OUTSIDE)) continue;
    expect(calls[i].name, message);
    if (calls[i].fails(neap)) continue;
    printf("%s does not return what it does for a failure\n", calls[i].name);
    failed = true;
  }
}

static void make_nested_calls(neap_t *neap) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (!(calls[i].where & OUTSIDE)) continue;
    expect(calls[i].name, "is ");
    CHECK(calls[i].fails(neap));
  }
}

/* --- scripts --- */

static neap_t *the_neap;

static neap_t *open_runtime(void) {
  the_neap = neap_new(NULL);
  if (!the_neap) abort();
  return the_neap;
}

/* Calls the code, and says whether it ended so, with an error in which there is [text], or with none: NULL. */
static bool ends_with(neap_t *neap, const char *code, const char *text) {
  lua_State *L = neap_state(neap);
  int top = lua_gettop(L);
  int status = luaL_loadstring(L, code);
  if (status == LUA_OK) status = neap_call(neap, 0, NULL);
  const char *error = status == LUA_OK ? NULL : luaL_tolstring(L, -1, NULL);
  bool right = text ? error && strstr(error, text) : !error;
  if (!right) printf("the script's error: %s\n", error ? error : "none");
  lua_settop(L, top);
  return right;
}

static bool still_works(neap_t *neap) {
  return ends_with(neap, "local neap = require 'neap' neap.sleep(0) neap.gather(function() neap.sleep(0) end)", NULL);
}

static void close_working(neap_t *neap) {
  CHECK(still_works(neap));
  CHECK(lua_gettop(neap_state(neap)) == 0);
  neap_free(neap);
}

static void spawn_code(neap_t *neap, const char *code, neap_done *done, void *user) {
  lua_State *L = neap_state(neap);
  CHECK(luaL_loadstring(L, code) == LUA_OK);
  CHECK(neap_spawn(L, 0, done, user) != NULL);
}

/* --- no runtime, and one that is gone --- */

static void with_null(void) {
  neap_free(NULL);
  make_calls(NULL, NULL_IS_FINE, "NULL");
  CHECK(!neap_of(NULL));
  expect("neap_spawn", "NULL");
  CHECK(!neap_spawn(NULL, 0, NULL, NULL));
  expect("neap_cancel", "NULL");
  neap_cancel(NULL);
  expect("neap_complete", "NULL");
  neap_complete(NULL, 0);
  expect("neap_future_new", "NULL");
  CHECK(!neap_future_new(NULL));
  expect("neap_settle", "NULL");
  CHECK(!neap_settle(NULL, NULL, LUA_OK, 0));
}

static void with_null_arguments(void) {
  neap_t *neap = open_runtime();
  expect("neap_dofile", "NULL");
  CHECK(neap_dofile(neap, NULL) == LUA_ERRERR);
  expect("neap_post", "NULL");
  CHECK(neap_post(neap, NULL, NULL) != 0);
  close_working(neap);
}

static void freed(void) {
  neap_t *neap = open_runtime();
  neap_free(neap);
  make_calls(neap, 0, "freed");
}

static void freed_twice(void) {
  neap_t *neap = open_runtime();
  neap_free(neap);
  expect("neap_free", "freed");
  neap_free(neap);
}

/* A state of the host's that is closed takes the runtime with it. */
static void state_closed_first(void) {
  lua_State *L = counting_newstate();
  luaL_openlibs(L);
  neap_t *neap = neap_new(&(neap_config){.state = L});
  CHECK(still_works(neap));
  lua_close(L);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (calls[i].fails == free_fails) continue;
    if (calls[i].fails != post_fails) expect(calls[i].name, "closed");
    CHECK(calls[i].fails(neap));
  }
  neap_free(neap);
  expect("neap_run", "freed");
  CHECK(neap_run(neap) == NEAP_REFUSED);
}

static void state_in_use(void) {
  lua_State *L = counting_newstate();
  luaL_openlibs(L);
  neap_t *neap = neap_new(&(neap_config){.state = L});
  expect("neap_new", "has a runtime already");
  CHECK(!neap_new(&(neap_config){.state = L}));
  CHECK(still_works(neap));
  neap_free(neap);
  expect("neap_new", "restricted");
  CHECK(!neap_new(&(neap_config){.state = L, .limits.restricted = 1}));
  neap = neap_new(&(neap_config){.state = L});
  CHECK(still_works(neap));
  neap_free(neap);
  CHECK(!neap_of(L));
  lua_close(L);
}

/* --- inside a run --- */

static int l_nested(lua_State *L) {
  make_nested_calls(neap_of(L));
  return 0;
}

static void in_function(void) {
  neap_t *neap = open_runtime();
  lua_register(neap_state(neap), "nested", l_nested);
  CHECK(ends_with(neap, "nested()", NULL));
  CHECK(ends_with(neap, "require('neap').get_running_loop():call_soon(nested) require('neap').sleep(0)", NULL));
  close_working(neap);
}

static void nested_post(neap_t *neap, void *unused) {
  (void)unused;
  make_nested_calls(neap);
}

static void in_post(void) {
  neap_t *neap = open_runtime();
  CHECK(neap_post(neap, nested_post, NULL) == 0);
  close_working(neap);
}

static int told;

static void nested_done(lua_State *L, int status, int count, const char *traceback, void *neap) {
  CHECK(L && status == LUA_OK && count == 0);
  told++;
  make_nested_calls(neap);
}

static void in_done(void) {
  neap_t *neap = open_runtime();
  int before = told;
  spawn_code(neap, "", nested_done, neap);
  CHECK(neap_run(neap) == NEAP_DONE && told == before + 1);
  close_working(neap);
}

static void nested_report(void *user, const neap_report *report) {
  CHECK(strstr(report->message, "nobody reads it") != NULL);
  make_nested_calls(*(neap_t **)user);
}

static void in_report(void) {
  neap_t *neap = neap_new(&(neap_config){.on_report = nested_report, .user = &the_neap});
  the_neap = neap;
  spawn_code(neap, "error 'nobody reads it'", NULL, NULL);
  CHECK(neap_run(neap) == NEAP_DONE);
  close_working(neap);
}

static void in_report_outside_a_run(void) {
  neap_t *neap = neap_new(&(neap_config){.on_report = nested_report, .user = &the_neap});
  the_neap = neap;
  CHECK(ends_with(neap, "future = require('neap').Future() future:set_exception('nobody reads it')", NULL));
  CHECK(neap_report_errors(neap) == 1);
  close_working(neap);
}

/* A report that comes while the runtime is being freed. */
static void in_report_of_free(void) {
  neap_t *neap = neap_new(&(neap_config){.on_report = nested_report, .user = &the_neap});
  the_neap = neap;
  CHECK(ends_with(neap, "future = require('neap').Future() future:set_exception('nobody reads it')", NULL));
  neap_free(neap);
}

static int l_run_loop(lua_State *L) {
  lua_pushinteger(L, uv_run(neap_loop(neap_of(L)), UV_RUN_NOWAIT));
  return 1;
}

/* libuv cannot be run inside itself, which it does not see; but once or so it does no harm. */
static void uv_run_in_function(void) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  neap_t *neap = neap_new(&(neap_config){.loop = &loop});
  lua_register(neap_state(neap), "run_loop", l_run_loop);
  spawn_code(neap, "run_loop() require('neap').sleep(0.001) run_loop()", NULL, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  close_working(neap);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

/* --- in another thread --- */

static void *call_from_thread(void *neap) {
  make_calls(neap, ANY_THREAD, "another thread");
  CHECK(neap_post(neap, on_posted, &posted) == 0);
  return NULL;
}

static void in_thread(void *(*run)(void *), void *user) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, user)) abort();
  pthread_join(thread, NULL);
}

static neap_future *the_future;
static neap_task *the_task;

static void *use_handles(void *unused) {
  expect("neap_settle", "another thread");
  CHECK(!neap_settle(NULL, the_future, LUA_OK, 0));
  expect("neap_cancel", "another thread");
  neap_cancel(the_task);
  return unused;
}

static int l_in_thread(lua_State *L) {
  in_thread(call_from_thread, neap_of(L));
  in_thread(use_handles, NULL);
  return 0;
}

static void from_another_thread(void) {
  neap_t *neap = open_runtime();
  lua_State *L = neap_state(neap);
  lua_register(L, "in_thread", l_in_thread);
  the_future = neap_future_new(L);
  lua_setglobal(L, "future");
  luaL_loadstring(L, "require('neap').await(future)");
  the_task = neap_spawn(L, 0, NULL, NULL);
  posted = 0;
  CHECK(ends_with(neap, "in_thread()", NULL));
  CHECK(neap_settle(L, the_future, LUA_OK, 0));
  CHECK(neap_run(neap) == NEAP_DONE);
  CHECK(still_works(neap) && posted == 1);
  close_working(neap);
}

static void *run_in_thread(void *neap) {
  CHECK(still_works(neap));
  return NULL;
}

/* That is no mistake: it runs in one thread after the other. */
static void moved_to_another_thread(void) {
  neap_t *neap = open_runtime();
  CHECK(still_works(neap));
  in_thread(run_in_thread, neap);
  close_working(neap);
}

/* --- operations --- */

struct operation {
  neap_op op; /* must be first */
  struct operation **place;
};

static struct operation *the_operation;
static neap_cancelled answer;
static int cancels, drops;

static neap_cancelled on_cancel(neap_op *op) {
  (void)op;
  cancels++;
  return answer;
}

static void on_drop(neap_op *op) {
  (void)op;
  drops++;
}

static int push_error(lua_State *L, neap_op *op) {
  (void)op;
  return luaL_error(L, "push raises");
}

static const neap_op_kind kind = {
    .name = "operation", .size = sizeof(struct operation), .cancel = on_cancel, .drop = on_drop};

static const neap_op_kind raising_kind = {
    .name = "raising", .size = sizeof(struct operation), .push = push_error, .drop = on_drop};

static int l_operation(lua_State *L) {
  the_operation = neap_begin(L, &kind);
  return neap_await(L, &the_operation->op, 0);
}

static int l_completed(lua_State *L) {
  the_operation = neap_begin(L, &kind);
  neap_complete(&the_operation->op, 0);
  return neap_await(L, &the_operation->op, 0);
}

static int l_raising(lua_State *L) {
  struct operation *operation = neap_begin(L, &raising_kind);
  neap_complete(&operation->op, 0);
  return neap_await(L, &operation->op, 0);
}

static int l_forgets_await(lua_State *L) {
  the_operation = neap_begin(L, &kind);
  return 0;
}

static int l_raises_before_await(lua_State *L) {
  the_operation = neap_begin(L, &kind);
  return luaL_error(L, "raised between");
}

static int l_begins_twice(lua_State *L) {
  neap_begin(L, &kind);
  the_operation = neap_begin(L, &kind);
  return neap_await(L, &the_operation->op, 0);
}

static int again(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return neap_await(L, &the_operation->op, 0);
}

static int l_await(lua_State *L) { return again(L, 0, 0); }

static int l_await_null(lua_State *L) { return neap_await(L, NULL, 0); }

/* Calls a function that awaits, and then awaits that same operation. */
static int l_awaits_twice(lua_State *L) {
  lua_pushcfunction(L, l_completed);
  lua_callk(L, 0, 0, 0, again);
  return again(L, 0, 0);
}

static int l_begin_bad_kind(lua_State *L) {
  static const neap_op_kind small = {.name = "small", .size = 1};
  neap_begin(L, lua_toboolean(L, 1) ? &small : NULL);
  return 0;
}

static int l_yield(lua_State *L) { return lua_yield(L, 0); }

static const luaL_Reg functions[] = {
    {"operation", l_operation},
    {"completed", l_completed},
    {"raising", l_raising},
    {"forgets_await", l_forgets_await},
    {"raises_before_await", l_raises_before_await},
    {"begins_twice", l_begins_twice},
    {"await_it", l_await},
    {"await_null", l_await_null},
    {"awaits_twice", l_awaits_twice},
    {"begin_bad_kind", l_begin_bad_kind},
    {"yield", l_yield},
    {NULL, NULL},
};

static neap_t *open_with_functions(void) {
  lua_State *L = neap_state(open_runtime());
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_settop(L, 0);
  return the_neap;
}

/* A task waits for the_operation. */
static neap_t *open_waiting(void) {
  neap_t *neap = open_with_functions();
  spawn_code(neap, "operation()", NULL, NULL);
  CHECK(neap_step(neap, 1) == NEAP_WAITING);
  return neap;
}

static void completed_twice(void) {
  neap_t *neap = open_waiting();
  neap_complete(&the_operation->op, 0);
  expect("neap_complete", "completed already");
  neap_complete(&the_operation->op, 0);
  CHECK(neap_run(neap) == NEAP_DONE && drops == 1);
  close_working(neap);
}

static void completed_twice_later(void) {
  neap_t *neap = open_waiting();
  neap_complete(&the_operation->op, 0);
  CHECK(neap_run(neap) == NEAP_DONE && drops == 1);
  expect("neap_complete", "completed already");
  neap_complete(&the_operation->op, 0);
  close_working(neap);
}

static void *complete(void *op) {
  neap_complete(op, 0);
  return NULL;
}

static void completed_in_two_threads(void) {
  pthread_t threads[2];
  neap_t *neap = open_waiting();
  expect("neap_complete", "completed already");
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, complete, the_operation);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  CHECK(neap_run(neap) == NEAP_DONE && drops == 1);
  close_working(neap);
}

static void completed_when_gone(void) {
  neap_t *neap = open_waiting();
  answer = NEAP_GONE;
  neap_cancel_all(neap);
  CHECK(neap_run(neap) == NEAP_DONE && cancels == 1 && drops == 1);
  expect("neap_complete", "gone");
  neap_complete(&the_operation->op, 0);
  close_working(neap);
}

/* That is no mistake. */
static void completed_after_the_free(void) {
  static const neap_cancelled answers[] = {NEAP_COMING, NEAP_ABANDONED};
  for (int i = 0; i < 2; i++) {
    neap_t *neap = open_waiting();
    answer = answers[i];
    drops = 0;
    neap_free(neap);
    CHECK(drops == 0);
    in_thread(complete, the_operation);
    CHECK(drops == 1);
  }
}

/* It holds the runtime's memory, but not the runtime. */
static void freed_twice_while_under_way(void) {
  neap_t *neap = open_waiting();
  answer = NEAP_ABANDONED;
  neap_free(neap);
  expect("neap_free", "");
  neap_free(neap);
  expect("neap_run", "");
  CHECK(neap_run(neap) == NEAP_REFUSED);
  neap_complete(&the_operation->op, 0);
  CHECK(drops == 1);
}

/* Nothing but its own memory is then lost, which is completed here so that it can be seen. */
static void never_completed(void) {
  neap_t *neap = open_waiting();
  answer = NEAP_COMING;
  neap_cancel_all(neap);
  CHECK(neap_step(neap, 1) == NEAP_WAITING && cancels == 1);
  neap_free(neap);
  CHECK(drops == 0);
  neap_complete(&the_operation->op, 0);
  CHECK(drops == 1);
}

static neap_cancelled complete_when_cancelled(neap_op *op) {
  cancels++;
  neap_complete(op, UV_ECANCELED);
  return NEAP_COMING;
}

static const neap_op_kind hasty_kind = {
    .name = "hasty", .size = sizeof(struct operation), .cancel = complete_when_cancelled, .drop = on_drop};

static int l_hasty(lua_State *L) {
  struct operation *operation = neap_begin(L, &hasty_kind);
  return neap_await(L, &operation->op, 0);
}

/* That is no mistake: COMING is soon enough then. */
static void completed_by_its_cancel(void) {
  neap_t *neap = open_runtime();
  lua_register(neap_state(neap), "hasty", l_hasty);
  CHECK(ends_with(neap, "require('neap').wait_for(hasty, 0.001)", "time limit"));
  CHECK(cancels == 1 && drops == 1);
  spawn_code(neap, "hasty()", NULL, NULL);
  CHECK(neap_step(neap, 1) == NEAP_WAITING);
  neap_free(neap);
  CHECK(cancels == 2 && drops == 2);
}

static neap_cancelled nested_cancel(neap_op *op) {
  (void)op;
  cancels++;
  make_nested_calls(the_neap);
  return NEAP_GONE;
}

static void nested_drop(neap_op *op) {
  (void)op;
  drops++;
  make_nested_calls(the_neap);
}

static const neap_op_kind nested_kind = {
    .name = "nested", .size = sizeof(struct operation), .cancel = nested_cancel, .drop = nested_drop};

static int l_nested_operation(lua_State *L) {
  struct operation *operation = neap_begin(L, &nested_kind);
  return neap_await(L, &operation->op, 0);
}

static void in_an_operation(void) {
  neap_t *neap = open_runtime();
  lua_register(neap_state(neap), "nested", l_nested_operation);
  CHECK(ends_with(neap, "require('neap').wait_for(nested, 0.001)", "time limit"));
  CHECK(cancels == 1 && drops == 1);
  close_working(neap);
}

/* While the runtime is being freed it can as little be run. */
static void in_an_operation_of_the_free(void) {
  neap_t *neap = open_runtime();
  lua_register(neap_state(neap), "nested", l_nested_operation);
  spawn_code(neap, "nested()", NULL, NULL);
  CHECK(neap_step(neap, 1) == NEAP_WAITING);
  neap_free(neap);
  CHECK(cancels == 1 && drops == 1);
}

/* Outside a run, too, what neap calls cannot run or free the runtime. */
static void in_an_operation_outside_a_run(void) {
  neap_t *neap = open_runtime();
  lua_register(neap_state(neap), "nested", l_nested_operation);
  spawn_code(neap, "nested()", NULL, NULL);
  CHECK(neap_step(neap, 1) == NEAP_WAITING);
  neap_cancel_all(neap);
  CHECK(cancels == 1 && drops == 1);
  CHECK(neap_run(neap) == NEAP_DONE);
  close_working(neap);
}

static void in_an_operation_of_a_state_that_is_closed(void) {
  lua_State *L = counting_newstate();
  luaL_openlibs(L);
  neap_t *neap = the_neap = neap_new(&(neap_config){.state = L});
  lua_register(L, "nested", l_nested_operation);
  spawn_code(neap, "nested()", NULL, NULL);
  CHECK(neap_step(neap, 1) == NEAP_WAITING);
  lua_close(L);
  CHECK(cancels == 1 && drops == 1);
  neap_free(neap);
}

static int allow_nested(void *neap, const struct sockaddr *address, int listens) {
  (void)address, (void)listens;
  make_nested_calls(*(neap_t **)neap);
  return 0;
}

/* On a loop of the host's a name that was found is asked for by libuv, outside all runs of neap's. */
static void in_allow_address(void) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  neap_t *neap = the_neap = neap_new(
      &(neap_config){.loop = &loop, .limits.allow_address = allow_nested, .user = &the_neap});
  spawn_code(neap, "require('neap').open_connection('localhost', 9)", NULL, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  close_working(neap);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

static void done_of_the_free(lua_State *L, int status, int count, const char *traceback, void *user) {
  CHECK(!L && status == LUA_ERRRUN && count == 0);
  ++*(int *)user;
  make_nested_calls(the_neap);
  CHECK(neap_post(the_neap, on_posted, &posted) != 0 || posted == 0);
}

static void in_a_done_callback_of_the_free(void) {
  int count = 0;
  neap_t *neap = open_runtime();
  spawn_code(neap, "require('neap').sleep(60)", done_of_the_free, &count);
  neap_step(neap, 1);
  neap_free(neap);
  CHECK(count == 1);
}

static void wrong_begin(void) {
  neap_t *neap = open_with_functions();
  CHECK(ends_with(neap, "begin_bad_kind(true)", "neap_begin"));
  CHECK(ends_with(neap, "begin_bad_kind(false)", "neap_begin"));
  CHECK(ends_with(neap, "require('neap').get_running_loop():call_soon(function() print(pcall(operation)) end) "
                        "local print = print; function _G.print(ok, e) assert(not ok); told = e end "
                        "require('neap').sleep(0) _G.print = print error(told)", "outside a task"));
  CHECK(ends_with(neap, "table.sort({1, 2}, operation)", "table.sort"));
  lua_State *L = neap_state(neap);
  CHECK(luaL_dostring(L, "operation()") != LUA_OK);
  CHECK(strstr(lua_tostring(L, -1), "outside a task") != NULL);
  lua_settop(L, 0);
  CHECK(drops == 0);
  close_working(neap);
}

/* Awaiting raises, and nothing is lost. */
static void wrong_await(void) {
  neap_t *neap = open_with_functions();
  CHECK(ends_with(neap, "await_null()", "neap_await"));
  CHECK(ends_with(neap, "completed() await_it()", "neap_await"));
  CHECK(ends_with(neap, "awaits_twice()", "neap_await"));
  lua_State *L = neap_state(neap);
  CHECK(luaL_dostring(L, "await_it()") != LUA_OK);
  CHECK(strstr(lua_tostring(L, -1), "neap_await") != NULL);
  lua_settop(L, 0);
  CHECK(drops == 2);
  close_working(neap);
}

/* It is dropped, at the latest when the task next awaits or ends. */
static void begin_without_await(void) {
  neap_t *neap = open_with_functions();
  answer = NEAP_ABANDONED;
  CHECK(ends_with(neap, "forgets_await()", NULL));
  CHECK(drops == 1);
  CHECK(ends_with(neap, "forgets_await() require('neap').sleep(0) completed()", NULL));
  CHECK(drops == 3);
  CHECK(ends_with(neap, "pcall(raises_before_await) require('neap').sleep(0) completed()", NULL));
  CHECK(drops == 5);
  close_working(neap);
}

static void begun_twice(void) {
  neap_t *neap = open_with_functions();
  spawn_code(neap, "begins_twice()", NULL, NULL);
  CHECK(neap_step(neap, 1) == NEAP_WAITING);
  neap_complete(&the_operation->op, 0);
  CHECK(neap_run(neap) == NEAP_DONE && drops == 2);
  close_working(neap);
}

/* C code that knows nothing of tasks, and yields: that passes one turn, or gives to who resumes. */
static void function_that_yields(void) {
  neap_t *neap = open_with_functions();
  CHECK(ends_with(neap, "assert(select('#', yield()) == 0)", NULL));
  CHECK(ends_with(neap, "assert(coroutine.wrap(function() yield() return 1 end)() == nil)", NULL));
  CHECK(ends_with(neap, "require('neap').create_task(function() seen = true end) yield() assert(seen)", NULL));
  close_working(neap);
}

/* --- callbacks that raise --- */

static int reports;
static char last_report[300];

static void on_report(void *user, const neap_report *report) {
  (void)user;
  reports++;
  snprintf(last_report, sizeof last_report, "%s", report->message);
}

static void raising_done(lua_State *L, int status, int count, const char *traceback, void *user) {
  (void)status, (void)count, (void)user;
  if (L) luaL_error(L, "done raises");
}

static void post_of_code(neap_t *neap, void *code) {
  if (luaL_dostring(neap_state(neap), code) != LUA_OK) lua_error(neap_state(neap));
}

static void raising_post(neap_t *neap, void *unused) {
  (void)unused;
  lua_pushliteral(neap_state(neap), "litter");
  luaL_error(neap_state(neap), "the post raises");
}

/* Which it must not: what it has done by then is lost, and no more. */
static void raising_report(void *user, const neap_report *report) {
  (void)user;
  CHECK(strstr(report->message, "nobody reads it") != NULL);
  luaL_error(neap_state(the_neap), "the report raises");
}

static void report_that_raises(void) {
  neap_t *neap = the_neap = neap_new(&(neap_config){.on_report = raising_report});
  for (int i = 0; i < 2; i++) {
    expect("on_report", "the report raises");
    spawn_code(neap, "error 'nobody reads it'", NULL, NULL);
    CHECK(neap_run(neap) == NEAP_DONE);
  }
  expect("on_report", "the report raises");
  static char code[] = "error 'nobody reads it'";
  CHECK(neap_post(neap, post_of_code, code) == 0);
  CHECK(neap_step(neap, 1) == NEAP_DONE);
  close_working(neap);
}

static pthread_t first_thread;

static void report_here(void *user, const neap_report *report) {
  CHECK(pthread_equal(pthread_self(), first_thread));
  CHECK(report->traceback && report->made_at && strstr(report->message, "nobody reads it"));
  ++*(int *)user;
}

/* What fails in threads that scripts start is told in the thread that runs the runtime: in its run, or when it is
 * freed, which ends them. */
static void reports_of_threads(void) {
  int count = 0;
  neap_t *neap = neap_new(&(neap_config){.on_report = report_here, .user = &count});
  first_thread = pthread_self();
  CHECK(ends_with(neap,
                  "local neap = require 'neap' "
                  "function fail() neap.create_task(function() error 'nobody reads it' end) neap.sleep(0) end "
                  "neap.thread(fail):join() neap.thread(function(fail) neap.thread(fail):join() end, fail):join()",
                  NULL));
  CHECK(count == 2);
  CHECK(neap_report_errors(neap) == 2);
  CHECK(ends_with(neap,
                  "local neap = require 'neap' local ready = neap.Channel() "
                  "neap.thread(function(ready) local neap = require 'neap' failed = neap.create_task(function() "
                  "error 'nobody reads it' end) neap.sleep(0) ready:send(1) neap.sleep(60) end, ready) ready:receive()",
                  NULL));
  neap_free(neap);
  CHECK(count == 3);
}

static void callbacks_that_raise(void) {
  neap_t *neap = neap_new(&(neap_config){.on_report = on_report});
  the_neap = neap;
  lua_register(neap_state(neap), "raising", l_raising);
  spawn_code(neap, "", raising_done, NULL);
  CHECK(neap_run(neap) == NEAP_DONE);
  CHECK(reports == 1 && strstr(last_report, "done raises"));
  CHECK(neap_post(neap, raising_post, NULL) == 0);
  neap_step(neap, 1);
  CHECK(reports == 2 && strstr(last_report, "the post raises"));
  CHECK(ends_with(neap, "raising()", "push raises"));
  CHECK(drops == 1);
  close_working(neap);
}

/* --- futures --- */

static void settled_twice(void) {
  neap_t *neap = open_runtime();
  lua_State *L = neap_state(neap);
  neap_future *future = neap_future_new(L);
  lua_setglobal(L, "future");
  lua_pushinteger(L, 1);
  CHECK(neap_settle(L, future, LUA_OK, 1));
  expect("neap_settle", "settled already");
  lua_pushinteger(L, 2);
  CHECK(!neap_settle(L, future, LUA_OK, 1));
  lua_settop(L, 0);
  CHECK(ends_with(neap, "assert(require('neap').await(future) == 1)", NULL));
  close_working(neap);
}

static void settled_after_the_free(void) {
  neap_t *neap = open_runtime();
  lua_State *L = neap_state(neap);
  neap_future *futures[2] = {neap_future_new(L), neap_future_new(L)};
  lua_settop(L, 0);
  neap_free(neap);
  CHECK(!neap_settle(NULL, futures[0], LUA_OK, 0));
  CHECK(!neap_settle(NULL, futures[1], LUA_ERRRUN, 0));
}

/* The future stays as it is, and can be settled yet. */
static void settled_with_a_wrong_state(void) {
  neap_t *neap = open_runtime(), *other = neap_new(NULL);
  lua_State *L = neap_state(neap);
  neap_future *future = neap_future_new(L);
  lua_setglobal(L, "future");
  lua_pushinteger(neap_state(other), 1);
  expect("neap_settle", "NULL");
  CHECK(!neap_settle(NULL, future, LUA_OK, 0));
  expect("neap_settle", "another runtime");
  CHECK(!neap_settle(neap_state(other), future, LUA_OK, 1));
  CHECK(lua_gettop(neap_state(other)) == 1);
  neap_free(other);
  lua_pushinteger(L, 2);
  CHECK(neap_settle(L, future, LUA_OK, 1));
  CHECK(ends_with(neap, "assert(require('neap').await(future) == 2)", NULL));
  close_working(neap);
}

static void settled_without_the_error(void) {
  neap_t *neap = open_runtime();
  lua_State *L = neap_state(neap);
  neap_future *future = neap_future_new(L);
  lua_setglobal(L, "future");
  CHECK(neap_settle(L, future, LUA_ERRRUN, 1));
  CHECK(lua_gettop(L) == 0);
  CHECK(ends_with(neap, "assert(select('#', pcall(future.await, future)) == 2)", NULL));
  close_working(neap);
}

static void settled_when_cancelled(void) {
  neap_t *neap = open_runtime();
  lua_State *L = neap_state(neap);
  neap_future *future = neap_future_new(L);
  lua_setglobal(L, "future");
  CHECK(ends_with(neap, "future:cancel()", NULL));
  lua_pushinteger(L, 1);
  CHECK(!neap_settle(L, future, LUA_OK, 1));
  close_working(neap);
}

/* --- files, errors, stacks --- */

static void write_file(const char *path, const char *text, size_t length) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(text, 1, length, file) != length || fclose(file)) abort();
}

static bool file_fails(neap_t *neap, const char *path, const char *text) {
  lua_State *L = neap_state(neap);
  int status = neap_dofile(neap, path);
  bool right = status == LUA_ERRRUN && lua_gettop(L) == 1 && strstr(lua_tostring(L, 1), text);
  if (!right) printf("%s: %d, %s\n", path, status, lua_tostring(L, 1));
  lua_settop(L, 0);
  return right;
}

static void wrong_files(void) {
  static const char binary[] = "\x1bLua", syntax[] = "local = 1", table[] = "error({})", nothing[] = "error(nil)";
  char path[] = "/tmp/neap_misuse_XXXXXX";
  close(mkstemp(path));
  neap_t *neap = open_runtime();
  CHECK(file_fails(neap, "/no/such/file.lua", "/no/such/file.lua"));
  CHECK(file_fails(neap, "/tmp", "/tmp"));
  write_file(path, binary, sizeof binary);
  CHECK(file_fails(neap, path, "binary"));
  write_file(path, syntax, sizeof syntax - 1);
  CHECK(file_fails(neap, path, ":1: <name> expected"));
  write_file(path, table, sizeof table - 1);
  CHECK(file_fails(neap, path, "table"));
  write_file(path, nothing, sizeof nothing - 1);
  CHECK(file_fails(neap, path, "nil"));
  unlink(path);
  close_working(neap);
}

/* An error keeps its identity; the stack is as deep as it should be. */
static void errors_of_all_types(void) {
  static const struct { const char *code; int type; } errors[] = {
      {"error 'text'", LUA_TSTRING}, {"error {}", LUA_TTABLE}, {"error()", LUA_TNIL}, {"error(false)", LUA_TBOOLEAN},
      {"error(setmetatable({}, {__tostring = error}))", LUA_TTABLE}, {"local t = nil; t()", LUA_TSTRING}};
  neap_t *neap = open_runtime();
  lua_State *L = neap_state(neap);
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    const char *traceback = NULL;
    lua_pushliteral(L, "below");
    luaL_loadstring(L, errors[i].code);
    CHECK(neap_call(neap, 0, &traceback) == LUA_ERRRUN);
    CHECK(lua_gettop(L) == 2 && lua_type(L, 2) == errors[i].type);
    CHECK(traceback && strstr(traceback, "stack traceback"));
    lua_settop(L, 0);
  }
  close_working(neap);
}

static void values_on_the_stack(void) {
  neap_t *neap = open_runtime();
  lua_State *L = neap_state(neap);
  lua_pushliteral(L, "below");
  luaL_loadstring(L, "require('neap').sleep(0) return ...");
  for (int i = 1; i <= 3; i++) lua_pushinteger(L, i);
  CHECK(neap_call(neap, 3, NULL) == LUA_OK);
  CHECK(lua_gettop(L) == 4 && lua_tointeger(L, 2) == 1 && lua_tointeger(L, 4) == 3);
  lua_settop(L, 1);
  lua_pushinteger(L, 1);
  lua_pushinteger(L, 2);
  CHECK(!neap_spawn(L, 1, NULL, NULL)); /* what cannot be called */
  CHECK(lua_gettop(L) == 1);
  lua_pushinteger(L, 1);
  CHECK(neap_call(neap, 0, NULL) == LUA_ERRRUN);
  CHECK(lua_gettop(L) == 2 && lua_isstring(L, 2));
  lua_settop(L, 1);
  luaL_loadstring(L, "return");
  CHECK(neap_spawn(L, 0, NULL, NULL) != NULL && lua_gettop(L) == 1);
  CHECK(neap_run(neap) == NEAP_DONE && lua_gettop(L) == 1);
  CHECK(neap_step(neap, 1) == NEAP_DONE && lua_gettop(L) == 1);
  neap_report_errors(neap);
  neap_cancel_all(neap);
  CHECK(neap_fail(L, UV_ENOENT, "open", "x") == 3 && lua_gettop(L) == 4);
  lua_settop(L, 0);
  luaL_loadstring(L, "os.exit(7)");
  CHECK(neap_call(neap, 0, NULL) == LUA_YIELD && lua_gettop(L) == 0 && neap_exit_code(neap) == 7);
  CHECK(neap_run(neap) == NEAP_EXITED);
  neap_free(neap);
}

/* Tasks wait for each other: both ways to run say so, and leave the stack as it was; a run reports it, since
 * it can do no more, and a step does not. */
static void deadlocked(void) {
  neap_t *neap = neap_new(&(neap_config){.on_report = on_report});
  the_neap = neap;
  lua_State *L = neap_state(neap);
  CHECK(ends_with(neap, "require('neap').Future():await()", "deadlock"));
  spawn_code(neap, "require('neap').Future():await()", NULL, NULL);
  int before = reports;
  CHECK(neap_step(neap, 1) == NEAP_DEADLOCKED && lua_gettop(L) == 0);
  CHECK(reports == before);
  CHECK(neap_run(neap) == NEAP_DEADLOCKED && lua_gettop(L) == 0);
  CHECK(reports == before + 1);
  neap_free(neap);
}

static void failed_done(lua_State *L, int status, int count, const char *traceback, void *unused) {
  (void)unused;
  told++;
  CHECK(L && status == LUA_ERRRUN && count == 1 && lua_istable(L, -1));
  CHECK(traceback && strstr(traceback, "'deep'"));
}

static void finished_done(lua_State *L, int status, int count, const char *traceback, void *unused) {
  (void)unused;
  told++;
  CHECK(L && status == LUA_OK && count == 2 && lua_tointeger(L, -2) == 1 && lua_tointeger(L, -1) == 2);
  CHECK(!traceback);
}

static void traceback_of_a_task(void) {
  neap_t *neap = open_runtime();
  spawn_code(neap, "local function deep() require('neap').sleep(0) error({}) end deep()", failed_done, NULL);
  spawn_code(neap, "return 1, 2", finished_done, NULL);
  told = 0;
  CHECK(neap_run(neap) == NEAP_DONE && told == 2);
  close_working(neap);
}

/* What an operation returns may be waited for: the next operation, whose results are then the function's. */
static int steps_left;
static int push_next(lua_State *L, neap_op *op);

static const neap_op_kind chained_kind = {
    .name = "chained", .size = sizeof(struct operation), .push = push_next, .drop = on_drop};

static int l_chained(lua_State *L) {
  struct operation *operation = neap_begin(L, &chained_kind);
  the_operation = operation;
  if (lua_toboolean(L, 1)) neap_complete(&operation->op, 0);
  return neap_await(L, &operation->op, 0);
}

static int push_next(lua_State *L, neap_op *op) {
  (void)op;
  if (--steps_left > 0) return l_chained(L);
  lua_pushliteral(L, "the last");
  return 1;
}

static void push_that_awaits(void) {
  neap_t *neap = open_runtime();
  lua_register(neap_state(neap), "chained", l_chained);
  steps_left = 3;
  CHECK(ends_with(neap, "assert(chained(true) == 'the last')", NULL));
  CHECK(drops == 3);
  steps_left = 2;
  spawn_code(neap, "assert(chained() == 'the last')", NULL, NULL);
  CHECK(neap_step(neap, 1) == NEAP_WAITING && drops == 3);
  neap_complete(&the_operation->op, 0);
  CHECK(neap_step(neap, 1) == NEAP_WAITING && drops == 4);
  neap_complete(&the_operation->op, 0);
  CHECK(neap_run(neap) == NEAP_DONE && drops == 5);
  close_working(neap);
}

/* --- runs on a host's loop --- */

/* The tasks end with the run, and do not keep the loop going, which is the host's. */
static void exit_on_a_hosts_loop(void) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  neap_t *neap = neap_new(&(neap_config){.loop = &loop});
  spawn_code(neap, "for _ = 1, 3 do require('neap').sleep(0) went_on = exiting end", NULL, NULL);
  spawn_code(neap, "require('neap').sleep(60)", NULL, NULL);
  spawn_code(neap, "exiting = true os.exit(7)", NULL, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(lua_getglobal(neap_state(neap), "went_on") == LUA_TNIL);
  CHECK(neap_step(neap, 0) == NEAP_EXITED && neap_exit_code(neap) == 7);
  neap_free(neap);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

static void close_handle(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* What cannot be freed any more, since libuv would end the process for it. */
static int lost_blocks, lost_fds;

static void handles_closed_by_the_host(void) {
  uv_loop_t loop;
  lost_blocks = counting_blocks(), lost_fds = counting_fds();
  uv_loop_init(&loop);
  neap_t *neap = neap_new(&(neap_config){.loop = &loop});
  CHECK(still_works(neap));
  uv_walk(&loop, close_handle, NULL);
  expect("neap_free", "the host has closed");
  neap_free(neap);
  uv_run(&loop, UV_RUN_DEFAULT);
  expect("neap_free", "the host has closed");
  neap_free(neap);
  CHECK(uv_loop_close(&loop) == 0);
  lost_blocks = counting_blocks() - lost_blocks, lost_fds = counting_fds() - lost_fds;
}

static void count(uv_check_t *check) { ++*(int *)check->data; }

/* How often that loop goes round while a task sleeps. */
static int rounds_of_a_sleep(neap_t *neap) {
  int rounds = 0;
  uv_check_t check;
  uv_check_init(neap_loop(neap), &check);
  check.data = &rounds;
  uv_check_start(&check, count);
  uv_unref((uv_handle_t *)&check);
  CHECK(ends_with(neap, "require('neap').sleep(0.1)", NULL));
  uv_close((uv_handle_t *)&check, NULL);
  uv_run(neap_loop(neap), UV_RUN_NOWAIT);
  return rounds;
}

/* Neither what was ready before, nor a deadline that did not keep the loop alive, keeps it busy. */
static void waiting_on_a_hosts_loop(void) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  neap_t *neap = neap_new(&(neap_config){.loop = &loop});
  CHECK(rounds_of_a_sleep(neap) < 30);
  CHECK(luaL_dostring(neap_state(neap), "require('neap').get_event_loop():call_later(60, print)") == LUA_OK);
  uv_run(&loop, UV_RUN_NOWAIT);
  CHECK(rounds_of_a_sleep(neap) < 30);
  close_working(neap);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

/* What neap_call leaves asleep is run by the loop from there on. */
static void left_to_a_hosts_loop(void) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  neap_t *neap = neap_new(&(neap_config){.loop = &loop});
  CHECK(ends_with(neap, "local neap = require('neap') "
                        "neap.create_task(function() neap.sleep(0.02) woken = true end) neap.sleep(0.01)", NULL));
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(lua_getglobal(neap_state(neap), "woken") == LUA_TBOOLEAN);
  lua_settop(neap_state(neap), 0);
  close_working(neap);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

/* --- the command --- */

static const struct mistake {
  const char *name;
  void (*make)(void);
} mistakes[] = {
    {"NULL", with_null},
    {"NULL arguments", with_null_arguments},
    {"freed", freed},
    {"freed twice", freed_twice},
    {"freed twice while an operation is under way", freed_twice_while_under_way},
    {"state closed first", state_closed_first},
    {"state in use", state_in_use},
    {"in a function", in_function},
    {"in a post", in_post},
    {"in a done callback", in_done},
    {"in a report", in_report},
    {"in a report outside a run", in_report_outside_a_run},
    {"in a report of the free", in_report_of_free},
    {"uv_run in a function", uv_run_in_function},
    {"in another thread", from_another_thread},
    {"moved to another thread", moved_to_another_thread},
    {"completed twice", completed_twice},
    {"completed twice, later", completed_twice_later},
    {"completed in two threads", completed_in_two_threads},
    {"completed when gone", completed_when_gone},
    {"completed after the free", completed_after_the_free},
    {"never completed", never_completed},
    {"completed by its cancel", completed_by_its_cancel},
    {"in an operation", in_an_operation},
    {"in an operation outside a run", in_an_operation_outside_a_run},
    {"in an operation of the free", in_an_operation_of_the_free},
    {"in an operation of a state that is closed", in_an_operation_of_a_state_that_is_closed},
    {"in allow_address", in_allow_address},
    {"in a done callback of the free", in_a_done_callback_of_the_free},
    {"wrong begin", wrong_begin},
    {"wrong await", wrong_await},
    {"begin without await", begin_without_await},
    {"begun twice", begun_twice},
    {"function that yields", function_that_yields},
    {"callbacks that raise", callbacks_that_raise},
    {"report that raises", report_that_raises},
    {"reports of threads", reports_of_threads},
    {"push that awaits", push_that_awaits},
    {"traceback of a task", traceback_of_a_task},
    {"settled twice", settled_twice},
    {"settled after the free", settled_after_the_free},
    {"settled with a wrong state", settled_with_a_wrong_state},
    {"settled without the error", settled_without_the_error},
    {"settled when cancelled", settled_when_cancelled},
    {"wrong files", wrong_files},
    {"errors of all types", errors_of_all_types},
    {"values on the stack", values_on_the_stack},
    {"deadlocked", deadlocked},
    {"waiting on a host's loop", waiting_on_a_hosts_loop},
    {"left to a host's loop", left_to_a_hosts_loop},
    {"exit on a host's loop", exit_on_a_hosts_loop},
    {"handles closed by the host", handles_closed_by_the_host},
    {NULL, NULL},
};

static int make(const struct mistake *mistake) {
  int blocks = counting_blocks(), fds = counting_fds();
  mistake->make();
  blocks += lost_blocks, fds += lost_fds;
  if (counting_blocks() != blocks) printf("%d blocks are left\n", counting_blocks() - blocks), failed = true;
  if (counting_fds() != fds) printf("%d descriptors are left\n", counting_fds() - fds), failed = true;
  if (!failed) puts("clean");
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  counting_take_libuv();
  setvbuf(stdout, NULL, _IOLBF, 0);
  neap_free(neap_new(NULL)); /* what libuv opens once for the process */
  for (const struct mistake *mistake = mistakes; argc == 2 && mistake->name; mistake++) {
    if (strcmp(argv[1], "list") == 0) puts(mistake->name);
    if (strcmp(argv[1], mistake->name) == 0) return make(mistake);
  }
  return argc == 2 && strcmp(argv[1], "list") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
