/* Runs scenarios of the specs while allocations fail: see README.md.
 *
 *     faults list
 *     faults run SCENARIO            every mode, CAP injections in all (FAULTS_CAP; 0: each one)
 *     faults one SCENARIO MODE [K]   in this very process, for a debugger */
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator.h"
#include "neap.h"

enum {
  CAP = 90,          /* injections per scenario, over all modes */
  WORKERS = 2,       /* injections that run at a time */
  LIMIT_S = 5,       /* after which one hangs */
  HANGS = 2,         /* after which a scenario is given up */
  DETAILS = 3,       /* bad ones whose output is printed */
  REPORT_BYTES = 3000,
};

static const char directory[] = "spec/faults";

/* Which allocations fail. When it is endless also those of cleaning up and of neap_free: otherwise
 * memory is back when the main task has ended. */
struct mode {
  const char *name;
  int width;
  bool endless;
  bool collecting;
};

static const struct mode modes[] = {
    {.name = "single", .width = 1},
    {.name = "three", .width = 3},
    {.name = "ten", .width = 10},
    {.name = "lasting", .width = FAULTS_LASTING},
    {.name = "endless", .width = FAULTS_LASTING, .endless = true},
    {.name = "collect", .collecting = true},
};

enum { NUMBERED_MODES = 5, COLLECT = 5 };

/* What one injection is: the mode, and the number of the first allocation that fails (0: none). */
struct injection {
  const struct mode *mode;
  int first;
};

/* How an injection ended: the exit status of its process. */
enum verdict { CLEAN, BAD, LEAK, HANG };

/* --- the state --- */

static int panic(lua_State *L) {
  fprintf(stderr, "faults: an error nobody caught: %s\n", lua_tostring(L, -1));
  abort();
}

/* The linker gives neap_new this for luaL_newstate. A state that is not complete cannot collect. */
lua_State *__wrap_luaL_newstate(void);
lua_State *__wrap_luaL_newstate(void) {
  if (faults_collecting()) faults_pause(true);
  lua_State *L = lua_newstate(faults_lua_alloc, NULL);
  if (faults_collecting()) faults_pause(false);
  if (L) lua_atpanic(L, panic);
  return L;
}

/* paused(fn, ...): calls it while nothing fails. */
static int l_paused(lua_State *L) {
  faults_pause(true);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  faults_pause(false);
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* (loop, context): the exception handler; calls the upvalue while nothing fails. */
static int l_reported(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  return l_paused(L);
}

/* handler(fn) */
static int l_handler(lua_State *L) {
  lua_settop(L, 1);
  lua_pushcclosure(L, l_reported, 1);
  return 1;
}

static const luaL_Reg functions[] = {{"paused", l_paused}, {"handler", l_handler}, {NULL, NULL}};

/* The module "faults". */
static int open_faults(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}

static void die(const char *what) {
  fprintf(stderr, "faults: %s\n", what);
  exit(EXIT_FAILURE);
}

/* Loads the judge, which is told of [name], and leaves it on the stack. */
static void load_judge(lua_State *L, const char *name) {
  luaL_requiref(L, "faults", open_faults, 0);
  lua_pop(L, 1);
  lua_pushfstring(L, "%s/judge.lua", directory);
  if (luaL_loadfile(L, lua_tostring(L, -1)) != LUA_OK) die(lua_tostring(L, -1));
  lua_pushstring(L, name);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) die(lua_tostring(L, -1));
  lua_remove(L, -2);
}

static neap_t *make(void) { return neap_new(&(neap_config){.virtual_clock = 1}); }

static neap_t *with_judge(neap_t *neap, const char *name) {
  if (!neap) die("neap_new failed");
  load_judge(neap_state(neap), name);
  return neap;
}

/* --- one injection, in its own process --- */

static void arm(const struct injection *injection) {
  if (injection->mode->collecting)
    faults_arm_collecting();
  else
    faults_arm(injection->first, injection->mode->width);
}

/* Runs the function on top as the main task. Returns LUA_OK or not, with a value or the error. */
static int run_main(neap_t *neap) {
  lua_State *L = neap_state(neap);
  int base = lua_gettop(L) - 1;
  int status = neap_call(neap, 0, NULL);
  if (status == LUA_YIELD) lua_pushliteral(L, "the main task has not ended");
  lua_settop(L, base + 1);
  return status;
}

static void end_tasks(neap_t *neap) {
  neap_cancel_all(neap);
  neap_run(neap);
  neap_report_errors(neap);
}

/* Calls judge.name with the [nargs] values on top, in a task, and takes its verdict: nil, or what is
 * wrong. The judge lies at the bottom of the stack. */
static enum verdict ask(neap_t *neap, const char *name, int nargs) {
  lua_State *L = neap_state(neap);
  lua_getfield(L, 1, name);
  lua_insert(L, -(nargs + 1));
  int base = lua_gettop(L) - nargs - 1;
  bool ok = neap_call(neap, nargs, NULL) == LUA_OK;
  lua_settop(L, base + 1);
  if (ok && lua_isnil(L, -1)) return CLEAN;
  fprintf(stderr, "faults: %s\n", luaL_tolstring(L, -1, NULL));
  return BAD;
}

/* What neap has written to stderr so far: a pushed string. */
static void push_stderr(lua_State *L) {
  char text[REPORT_BYTES];
  ssize_t length = pread(STDERR_FILENO, text, sizeof text, 0);
  lua_pushlstring(L, text, length > 0 ? (size_t)length : 0);
}

static enum verdict free_state(neap_t *neap, enum verdict verdict) {
  neap_free(neap);
  faults_disarm();
  if (verdict != CLEAN || faults_live() == 0) return verdict;
  fprintf(stderr, "faults: %d blocks were not freed\n", faults_live());
  return LEAK;
}

/* Sets *[count] to how many allocations there were, or collections. */
static enum verdict run_scenario(neap_t *neap, const struct injection *injection, int *count) {
  lua_State *L = neap_state(neap);
  lua_getfield(L, 1, "run");
  arm(injection);
  int status = run_main(neap);
  if (injection->mode->width == FAULTS_LASTING && !injection->mode->endless) faults_disarm();
  end_tasks(neap);
  if (injection->mode->endless) return free_state(neap, CLEAN);
  *count = faults_disarm();
  lua_pushboolean(L, status == LUA_OK);
  lua_insert(L, -2);
  push_stderr(L);
  lua_pushboolean(L, injection->first > 0);
  return free_state(neap, ask(neap, "check", 4));
}

/* The scenario runs while nothing fails; what it leaves is then freed. */
static enum verdict free_scenario(neap_t *neap, const struct injection *injection, int *count) {
  lua_getfield(neap_state(neap), 1, "run");
  if (run_main(neap) != LUA_OK) return BAD;
  arm(injection);
  neap_free(neap);
  *count = faults_disarm();
  if (faults_live() == 0) return CLEAN;
  fprintf(stderr, "faults: %d blocks were not freed\n", faults_live());
  return LEAK;
}

/* --- what happens before there are scenarios --- */

/* Whether a runtime that was just made works. */
static enum verdict try_out(neap_t *neap, const char *name) {
  with_judge(neap, name);
  return free_state(neap, ask(neap, "try_out", 0));
}

static enum verdict make_runtime(const struct injection *injection, int *count) {
  arm(injection);
  neap_t *neap = make();
  *count = faults_disarm();
  if (neap) return try_out(neap, "neap_new");
  return faults_live() > 0 ? LEAK : injection->first > 0 ? CLEAN : BAD;
}

/* Loads the module, and again if that failed. */
static bool load_twice(lua_State *L, lua_CFunction load, const struct injection *injection, int *count) {
  arm(injection);
  lua_pushcfunction(L, load);
  int status = lua_pcall(L, 0, 0, 0);
  *count = faults_disarm();
  if (status == LUA_OK) return true;
  const char *message = luaL_tolstring(L, -1, NULL);
  fprintf(stderr, "%s\n", message);
  if (injection->first == 0 || !strstr(message, "not enough memory")) return false;
  lua_settop(L, 0);
  lua_pushcfunction(L, load);
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return true;
  fprintf(stderr, "the second time: %s\n", luaL_tolstring(L, -1, NULL));
  return false;
}

static int require_neap(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap");
  lua_call(L, 1, 0);
  return 0;
}

static enum verdict load_library(const struct injection *injection, int *count) {
  neap_t *neap = make();
  if (!load_twice(neap_state(neap), require_neap, injection, count)) return free_state(neap, BAD);
  return try_out(neap, "require");
}

static int open_module(lua_State *L) {
  luaL_requiref(L, "neap", luaopen_neap, 0);
  return 0;
}

static enum verdict load_module(const struct injection *injection, int *count) {
  lua_State *L = __wrap_luaL_newstate();
  luaL_openlibs(L);
  bool loaded = load_twice(L, open_module, injection, count);
  if (loaded && luaL_dostring(L, "require('neap').run(require('neap').sleep, 0)") != LUA_OK) {
    fprintf(stderr, "faults: %s\n", lua_tostring(L, -1));
    loaded = false;
  }
  lua_close(L);
  if (!loaded) return BAD;
  if (faults_live() > 0) fprintf(stderr, "faults: %d blocks were not freed\n", faults_live());
  return faults_live() > 0 ? LEAK : CLEAN;
}

typedef enum verdict play(const struct injection *injection, int *count);

static const struct beginning {
  const char *name;
  play *play;
} beginnings[] = {
    {"neap_new", make_runtime},
    {"require", load_library},
    {"luaopen_neap", load_module},
    {NULL, NULL},
};

/* --- one injection --- */

/* [neap] is NULL for a beginning. */
struct scenario {
  const char *name;
  play *play;
  neap_t *neap;
  bool frees;
};

static void open_scenario(struct scenario *scenario, const char *name) {
  *scenario = (struct scenario){.name = name};
  for (const struct beginning *beginning = beginnings; beginning->name; beginning++)
    if (strcmp(beginning->name, name) == 0) scenario->play = beginning->play;
  if (scenario->play) return;
  scenario->neap = with_judge(make(), name);
  lua_State *L = neap_state(scenario->neap);
  lua_getfield(L, 1, "frees");
  scenario->frees = lua_toboolean(L, -1);
  lua_settop(L, 1);
}

static enum verdict inject(const struct scenario *scenario, const struct injection *injection, int *count) {
  if (scenario->play) return scenario->play(injection, count);
  return (scenario->frees ? free_scenario : run_scenario)(scenario->neap, injection, count);
}

/* --- many, each in a child --- */

/* A child, and the file that is its stderr. */
struct worker {
  pid_t pid;
  struct injection injection;
  FILE *output;
};

/* What the children found. */
struct tally {
  const struct scenario *scenario;
  int *count; /* shared with the children: what the last one counted */
  int injections, bad, hangs;
  struct worker workers[WORKERS];
};

static void on_alarm(int number) {
  (void)number;
  _exit(HANG);
}

/* In the child. The loop's descriptor is one of its own: epoll sets are shared by a fork. */
static void begin_child(const struct scenario *scenario, FILE *output) {
  signal(SIGALRM, on_alarm);
  alarm(LIMIT_S);
  rewind(output);
  if (ftruncate(fileno(output), 0) || dup2(fileno(output), STDERR_FILENO) < 0) _exit(BAD);
  if (scenario->neap && uv_loop_fork(neap_loop(scenario->neap))) _exit(BAD);
}

static void print_details(const struct tally *tally, struct worker *worker, int status) {
  static const char *const words[] = {"clean", "bad", "leak", "hang"};
  char line[200];
  const struct injection *injection = &worker->injection;
  printf("  %s %s %d: ", tally->scenario->name, injection->mode->name, injection->first);
  if (WIFEXITED(status) && WEXITSTATUS(status) <= HANG)
    printf("%s\n", words[WEXITSTATUS(status)]);
  else
    printf("crash, %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  rewind(worker->output);
  for (int i = 0; i < 20 && fgets(line, sizeof line, worker->output); i++) printf("    %s", line);
}

static void end_child(struct tally *tally, struct worker *worker, int status) {
  worker->pid = 0;
  tally->injections++;
  if (WIFEXITED(status) && WEXITSTATUS(status) == CLEAN) return;
  if (WIFEXITED(status) && WEXITSTATUS(status) == HANG) tally->hangs++;
  if (tally->bad++ < DETAILS) print_details(tally, worker, status);
}

static bool await_child(struct tally *tally) {
  int status;
  pid_t pid = waitpid(-1, &status, 0);
  if (pid < 0) return false;
  for (int i = 0; i < WORKERS; i++)
    if (tally->workers[i].pid == pid) end_child(tally, &tally->workers[i], status);
  return true;
}

static struct worker *idle_worker(struct tally *tally) {
  for (;;) {
    for (int i = 0; i < WORKERS; i++)
      if (tally->workers[i].pid == 0) return &tally->workers[i];
    await_child(tally);
  }
}

static void start_child(struct tally *tally, const struct mode *mode, int first) {
  struct worker *worker = idle_worker(tally);
  worker->injection = (struct injection){mode, first};
  fflush(stdout);
  worker->pid = fork();
  if (worker->pid < 0) die("fork failed");
  if (worker->pid > 0) return;
  begin_child(tally->scenario, worker->output);
  _exit(inject(tally->scenario, &worker->injection, tally->count));
}

/* Runs it in a child while nothing fails, or collecting. Returns the count, or -1 if it went wrong. */
static int count_in_child(struct tally *tally, const struct mode *mode) {
  int before = tally->bad;
  *tally->count = 0;
  start_child(tally, mode, 0);
  while (await_child(tally)) continue;
  tally->injections--;
  return tally->bad == before ? *tally->count : -1;
}

/* The first numbers of a mode are spread evenly; each mode begins with another one. */
static void run_mode(struct tally *tally, int mode, int total, int cap) {
  double step = cap > 0 && total > cap ? (double)total / cap : 1;
  for (double first = 1 + step * mode / NUMBERED_MODES; first < total + 1 && tally->hangs < HANGS; first += step)
    start_child(tally, &modes[mode], (int)first);
}

static void run_modes(struct tally *tally, int cap) {
  int total = count_in_child(tally, &modes[0]);
  int collections = count_in_child(tally, &modes[COLLECT]);
  for (int mode = 0; mode < NUMBERED_MODES; mode++)
    run_mode(tally, mode, total, cap / NUMBERED_MODES);
  while (await_child(tally)) continue;
  printf("%s: %d allocations, %d collections, %d injections, %d bad\n", tally->scenario->name, total,
         collections, tally->injections, tally->bad);
}

/* The files are open before the scenario counts what is. */
static int run_many(const char *name, int cap) {
  struct scenario scenario;
  struct tally tally = {.scenario = &scenario};
  tally.count = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (tally.count == MAP_FAILED) die("no shared memory");
  for (int i = 0; i < WORKERS; i++)
    if (!(tally.workers[i].output = tmpfile())) die("no temporary file");
  open_scenario(&scenario, name);
  run_modes(&tally, cap);
  neap_free(scenario.neap);
  return tally.bad > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* --- the command --- */

static int print_names(void) {
  for (const struct beginning *beginning = beginnings; beginning->name; beginning++)
    puts(beginning->name);
  neap_t *neap = with_judge(make(), NULL);
  lua_State *L = neap_state(neap);
  lua_getfield(L, 1, "names");
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
    puts(lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  neap_free(neap);
  return EXIT_SUCCESS;
}

static const struct mode *find_mode(const char *name) {
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp(modes[i].name, name) == 0) return &modes[i];
  die("no such mode");
  return NULL;
}

static int run_one(const char *name, const char *mode, const char *first) {
  struct scenario scenario;
  struct injection injection = {find_mode(mode), first ? atoi(first) : 0};
  int count = 0;
  open_scenario(&scenario, name);
  enum verdict verdict = inject(&scenario, &injection, &count);
  printf("%d allocations or collections: %s\n", count, verdict == CLEAN ? "clean" : "bad");
  return (int)verdict;
}

int main(int argc, char **argv) {
  const char *cap = getenv("FAULTS_CAP");
  faults_take_libuv();
  signal(SIGPIPE, SIG_IGN);
  if (argc == 2 && strcmp(argv[1], "list") == 0) return print_names();
  if (argc == 3 && strcmp(argv[1], "run") == 0)
    return run_many(argv[2], cap ? atoi(cap) : CAP);
  if (argc >= 4 && strcmp(argv[1], "one") == 0) return run_one(argv[2], argv[3], argv[4]);
  die("usage: faults list | run SCENARIO | one SCENARIO MODE [K]");
}
