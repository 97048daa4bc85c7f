/* The neap command: lua's own options and behaviour, with a script body that is a task. */
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bundle.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/runtime.h"
#include "core/shuffle.h"
#include "core/task.h"
#include "core/watchdog.h"
#include "neap.h"

struct command {
  neap_t *neap;
  lua_State *L;
  const char *name; /* argv[0] */
  char **argv;
  int argc;
  int script;       /* index in argv, or argc */
  int status;       /* of what was run */
  long long seed;   /* of the order of tasks, or 0 */
  bool interactive, version, ignore_environment, warnings, has_code, virtual_clock;
};

/* --- signals --- */

static volatile sig_atomic_t signal_received;
static uv_async_t signal_wakeup; /* open while [watching] */
static volatile sig_atomic_t watching;

static void on_signal(int number) {
  if (watching && interrupt_take(number)) {
    uv_async_send(&signal_wakeup);
    return;
  }
  if (signal_received || !watching) {
    terminal_restore_modes();
    uv_tty_reset_mode();
    signal(number, SIG_DFL);
    raise(number);
    return;
  }
  signal_received = number;
  uv_async_send(&signal_wakeup);
}

/* --- the end of all tasks --- */

static uv_prepare_t ending; /* open while [watching]; started with the first end of all */
static uint32_t last_ended; /* the number of the last task that was cancelled with all */

static void cancel_all(neap_t *neap) {
  last_ended = runtime_get(neap_state(neap))->last_task_id;
  neap_cancel_all(neap);
}

/* What was made since, in cleanup or by who was not told yet, has its turn when all those before it have ended. */
static void on_ending(uv_prepare_t *prepare) {
  const struct neap *rt = runtime_get(neap_state(prepare->data));
  if (list_empty(&rt->tasks)) return;
  if (container_of(rt->tasks.next, struct task, link)->runnable.id > last_ended) cancel_all(prepare->data);
}

static void end_all(neap_t *neap) {
  if (watching) uv_prepare_start(&ending, on_ending);
  cancel_all(neap);
}

static void on_wakeup(uv_async_t *async) {
  interrupt_cancel();
  if (signal_received) end_all(async->data);
}

static void watch_signals(neap_t *neap) {
  struct sigaction action = {.sa_handler = on_signal};
  if (uv_async_init(neap_loop(neap), &signal_wakeup, on_wakeup)) return;
  uv_prepare_init(neap_loop(neap), &ending);
  signal_wakeup.data = ending.data = neap;
  uv_unref((uv_handle_t *)&signal_wakeup);
  uv_unref((uv_handle_t *)&ending);
  watching = true;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

/* A program that uses neap gets EPIPE from its sockets, and EFBIG from its files; a plain one dies of the signals as
 * under lua. */
static int ignore_sigpipe(lua_State *L) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_call(L, 0, 1);
  return 1;
}

static void guard_sigpipe(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_getfield(L, -1, "neap.core");
  lua_pushcclosure(L, ignore_sigpipe, 1);
  lua_setfield(L, -2, "neap.core");
  lua_pop(L, 1);
}

/* A script that still listens to them gives them back to [on_signal] when it is freed. */
static void unwatch_signals(void) {
  watching = false;
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  uv_close((uv_handle_t *)&signal_wakeup, NULL);
  uv_close((uv_handle_t *)&ending, NULL);
}

/* --- arguments --- */

static const char usage[] =
    "usage: %s [options] [script [args]]\n"
    "       %s test [options of busted]\n"
    "       %s compile script -o program [-l mod ...]\n"
    "Available options are:\n"
    "  -e stat   execute string 'stat'\n"
    "  -i        enter interactive mode after executing 'script'\n"
    "  -l mod    require library 'mod' into global 'mod'\n"
    "  -l g=mod  require library 'mod' into global 'g'\n"
    "  -v        show version information\n"
    "  -E        ignore environment variables\n"
    "  -W        turn warnings on\n"
    "  --clock=virtual  let time jump to the next deadline when nothing is ready\n"
    "  --seed=N  shuffle the order of tasks that are ready at the same time\n"
    "  --version show the version of neap\n"
    "  --        stop handling options\n"
    "  -         stop handling options and execute stdin\n";

static int bad_option(struct command *c, const char *option) {
  if (option[1] == 'e' || option[1] == 'l')
    fprintf(stderr, "%s: '%s' needs argument\n", c->name, option);
  else
    fprintf(stderr, "%s: unrecognized option '%s'\n", c->name, option);
  fprintf(stderr, usage, c->name, c->name, c->name);
  return -1;
}

static bool long_option(struct command *c, const char *option) {
  if (strcmp(option, "--clock=virtual") == 0) return c->virtual_clock = true;
  if (strcmp(option, "--clock=real") == 0) return true;
  if (strncmp(option, "--seed=", 7) == 0) {
    char *end;
    c->seed = strtoll(option + 7, &end, 10);
    return end != option + 7 && *end == '\0';
  }
  return false;
}

/* Whether [option] is one letter and nothing more. */
static bool is_flag(struct command *c, const char *option) {
  if (option[2] != '\0') return false;
  switch (option[1]) {
    case 'E': return c->ignore_environment = true;
    case 'W': return true;
    case 'v': return c->version = true;
    case 'i': return c->interactive = c->version = true;
    default: return false;
  }
}

/* Finds the options. Returns 0, or -1 for a bad one. */
static int collect_options(struct command *c) {
  int i = 1;
  for (; i < c->argc && c->argv[i][0] == '-' && c->argv[i][1] != '\0'; i++) {
    const char *option = c->argv[i];
    if (option[1] == '-') {
      if (option[2] == '\0') {
        i++;
        break;
      }
      if (!long_option(c, option)) return bad_option(c, option);
    } else if (option[1] == 'e' || option[1] == 'l') {
      if (option[1] == 'e') c->has_code = true;
      if (option[2] == '\0' && (!c->argv[++i] || c->argv[i][0] == '-'))
        return bad_option(c, option);
    } else if (!is_flag(c, option)) {
      return bad_option(c, option);
    }
  }
  c->script = i;
  return 0;
}

static void set_arg(struct command *c) {
  int script = c->script == c->argc ? 0 : c->script;
  lua_createtable(c->L, c->argc - (script + 1), script + 1);
  for (int i = 0; i < c->argc; i++) {
    lua_pushstring(c->L, c->argv[i]);
    lua_rawseti(c->L, -2, i - script);
  }
  lua_setglobal(c->L, "arg");
}

/* --- running --- */

/* Prints the error below the top and the traceback on top, and pops both. */
static int complain(struct command *c) {
  lua_State *L = c->L;
  bool plain = lua_isstring(L, -2) || error_is(L, -2, ERROR_ANY);
  if (!plain && !(plain = !error_push_own_string(L, -2))) lua_pop(L, 1);
  const char *message = error_tostring(L, -2);
  fflush(stdout);
  fprintf(stderr, "%s: %s\n", c->name, message);
  if (plain && lua_isstring(L, -2)) fprintf(stderr, "%s\n", lua_tostring(L, -2));
  fflush(stderr);
  lua_pop(L, 3);
  return LUA_ERRRUN;
}

/* Calls the function with the arguments on the stack as the main task; leaves its values. */
static int call(struct command *c, int nargs) {
  const char *traceback;
  int status = neap_call(c->neap, nargs, &traceback);
  if (status == LUA_OK) return LUA_OK;
  if (status == LUA_YIELD) return LUA_ERRRUN;
  lua_pushstring(c->L, traceback);
  if (!signal_received) return complain(c);
  lua_pop(c->L, 2);
  return status;
}

/* Calls the chunk that was loaded with [status], whose values it drops. */
static int run_chunk(struct command *c, int status) {
  int base = lua_gettop(c->L);
  if (status != LUA_OK) {
    lua_pushnil(c->L);
    return complain(c);
  }
  status = call(c, 0);
  lua_settop(c->L, base - 1);
  return status;
}

static int run_string(struct command *c, const char *code, const char *name) {
  return run_chunk(c, luaL_loadbuffer(c->L, code, strlen(code), name));
}

static int run_init(struct command *c) {
  const char *name = "=LUA_INIT_5_4";
  const char *init = getenv(name + 1);
  if (!init) init = getenv((name = "=LUA_INIT") + 1);
  if (!init) return LUA_OK;
  if (*init == '@') return run_chunk(c, luaL_loadfile(c->L, init + 1));
  return run_string(c, init, name);
}

/* -l mod, -l g=mod */
static int run_library(struct command *c, char *module) {
  char *equals = strchr(module, '=');
  char *global = module;
  if (equals) {
    *equals = '\0';
    module = equals + 1;
  }
  lua_getglobal(c->L, "require");
  lua_pushstring(c->L, module);
  int base = lua_gettop(c->L) - 2;
  int status = call(c, 1);
  if (status == LUA_OK) {
    lua_settop(c->L, base + 1);
    lua_setglobal(c->L, global);
  }
  lua_settop(c->L, base);
  return status;
}

/* The -e and -l options, and -W, in their order. */
static int run_options(struct command *c) {
  for (int i = 1; i < c->script; i++) {
    char *option = c->argv[i];
    int status = LUA_OK;
    if (option[1] == 'W') lua_warning(c->L, "@on", 0);
    if (option[1] != 'e' && option[1] != 'l') continue;
    char *value = option[2] ? option + 2 : c->argv[++i];
    status = option[1] == 'e' ? run_string(c, value, "=(command line)") : run_library(c, value);
    if (status != LUA_OK) return status;
  }
  return LUA_OK;
}

/* Pushes what the table `arg` holds by now. Returns the count, or -1. */
static int push_script_arguments(struct command *c) {
  lua_State *L = c->L;
  if (lua_getglobal(L, "arg") != LUA_TTABLE) {
    lua_pushliteral(L, "'arg' is not a table");
    lua_pushnil(L);
    complain(c);
    return -1;
  }
  int table = lua_gettop(L);
  int count = (int)lua_rawlen(L, table);
  luaL_checkstack(L, count + 3, "too many arguments to script");
  for (int i = 1; i <= count; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return count;
}

/* Calls the script that was loaded with [status]. */
static int run_loaded(struct command *c, int status) {
  int base = lua_gettop(c->L) - 1;
  if (status != LUA_OK) {
    lua_pushnil(c->L);
    return complain(c);
  }
  int nargs = push_script_arguments(c);
  status = nargs < 0 ? LUA_ERRRUN : call(c, nargs);
  lua_settop(c->L, base);
  return status;
}

static int run_script(struct command *c) {
  const char *file = c->argv[c->script];
  if (strcmp(file, "-") == 0 && strcmp(c->argv[c->script - 1], "--") != 0) file = NULL;
  return run_loaded(c, luaL_loadfile(c->L, file));
}

/* Pushes the function that is the value of one of our modules. */
static int push_module(struct command *c, const char *module) {
  lua_getglobal(c->L, "require");
  lua_pushstring(c->L, module);
  if (lua_pcall(c->L, 1, 1, 0) == LUA_OK) return LUA_OK;
  lua_pushnil(c->L);
  return complain(c);
}

static void preload(lua_State *L, const char *name, lua_CFunction open) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

static int run_module(struct command *c, const char *module) {
  int status = push_module(c, module);
  return status == LUA_OK ? run_chunk(c, LUA_OK) : status;
}

static int run_interactive(struct command *c) {
  preload(c->L, "neap.terminal", terminal_open_library);
  preload(c->L, "neap.interrupt", interrupt_open_library);
  return run_module(c, "neap.repl");
}

static void print_version(void) {
  printf("%s\n", LUA_COPYRIGHT);
  fflush(stdout);
}

/* What the arguments ask for, in order. */
static int run_all(struct command *c) {
  int status = LUA_OK;
  if (c->version) print_version();
  if (!c->ignore_environment) status = run_init(c);
  if (status == LUA_OK) status = run_options(c);
  if (status == LUA_OK && c->script < c->argc) status = run_script(c);
  if (status != LUA_OK) return status;
  if (c->interactive) return run_interactive(c);
  if (c->script < c->argc || c->has_code || c->version) return LUA_OK;
  if (!isatty(STDIN_FILENO)) return run_chunk(c, luaL_loadfile(c->L, NULL));
  print_version();
  return run_interactive(c);
}

/* The rest of the arguments, without the word before them. */
static void set_arg_behind_word(struct command *c) {
  c->argv[1] = c->argv[0];
  c->argv++;
  c->argc--;
  c->script = c->argc;
  set_arg(c);
}

/* neap test ...: busted. */
static int run_tests(struct command *c) {
  set_arg_behind_word(c);
  return run_module(c, "neap.busted");
}

/* neap compile ... */
static int run_compiler(struct command *c) {
  set_arg_behind_word(c);
  int status = push_module(c, "neap.compile");
  if (status != LUA_OK) return status;
  lua_pushcfunction(c->L, bundle_write);
  return call(c, 1);
}

/* A program that `neap compile` has made: every argument is the script's. */
static int run_program(struct command *c) {
  set_arg(c);
  return run_loaded(c, bundle_load(c->L));
}

/* Waits for the tasks that are left. */
static neap_status finish_tasks(struct command *c) {
  neap_status status;
  while ((status = neap_run(c->neap)) == NEAP_STOPPED) continue;
  if (status != NEAP_DEADLOCKED) return status;
  end_all(c->neap);
  return neap_run(c->neap);
}

static int finish(struct command *c, int status) {
  bool ok = status == LUA_OK;
  if (!ok) end_all(c->neap);
  if (finish_tasks(c) == NEAP_EXITED) return neap_exit_code(c->neap);
  if (neap_report_errors(c->neap) > 0) ok = false;
  if (signal_received) return 128 + signal_received;
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A thread of a compiled program finds the program's modules. */
static int prepare_thread(lua_State *L) {
  if (bundle_load(L) != LUA_OK) return lua_error(L);
  return 0;
}

/* (command): what is asked for, where a metamethod of the globals may raise. */
static int protected_run(lua_State *L) {
  struct command *c = lua_touserdata(L, 1);
  const char *word = c->argc > 1 ? c->argv[1] : "";
  if (bundle_is_here()) {
    runtime_get(L)->prepare = prepare_thread;
    c->status = run_program(c);
  } else if (strcmp(word, "test") == 0) {
    c->status = run_tests(c);
  } else if (strcmp(word, "compile") == 0) {
    c->status = run_compiler(c);
  } else {
    set_arg(c);
    c->status = run_all(c);
  }
  return 0;
}

static int run_protected(struct command *c) {
  lua_pushcfunction(c->L, protected_run);
  lua_pushlightuserdata(c->L, c);
  if (lua_pcall(c->L, 1, 0, 0) == LUA_OK) return c->status;
  lua_pushnil(c->L);
  return complain(c);
}

/* NEAP_WATCHDOG=seconds */
static void start_watchdog(struct command *c) {
  char *end;
  const char *value = c->ignore_environment ? NULL : getenv("NEAP_WATCHDOG");
  if (!value || !*value) return;
  double limit = strtod(value, &end);
  if (*end || !(limit > 0))
    fprintf(stderr, "%s: NEAP_WATCHDOG must be a positive number of seconds\n", c->name);
  else if (watchdog_start(runtime_get(c->L), limit, false))
    fprintf(stderr, "%s: cannot start the watchdog\n", c->name);
}

/* A standard stream that is closed would be the first descriptor to be opened: it becomes one that cannot be used. */
static void reserve_standard(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
}

static int run_command(struct command *c) {
  watch_signals(c->neap);
  guard_sigpipe(c->L);
  runtime_get(c->L)->ends_process = true;
  shuffle_set_seed(runtime_get(c->L), (uint64_t)c->seed);
  start_watchdog(c);
  int status = finish(c, run_protected(c));
  unwatch_signals();
  return status;
}

/* exit(3) would wait for libuv's threads. */
static void end_blocked(struct command *c, int status) {
  fprintf(stderr, "%s: a call of the system is still blocked in a thread, and is left behind\n", c->name);
  terminal_restore_modes();
  fflush(NULL);
  _exit(status);
}

int main(int argc, char **argv) {
  struct command c = {.argc = argc, .argv = argv, .name = argv[0] ? argv[0] : "neap"};
  reserve_standard();
  if (!bundle_is_here() && argc == 2 && strcmp(argv[1], "--version") == 0) {
    printf("neap %s (%s, libuv %s)\n", NEAP_VERSION, LUA_RELEASE, uv_version_string());
    return EXIT_SUCCESS;
  }
  if (!bundle_is_here() && collect_options(&c)) return EXIT_FAILURE;
  /* Strings of some KB that come and go at the heap's end must not make it shrink and grow. */
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
  mallopt(M_TOP_PAD, 1 << 20);
  neap_config config = {.ignore_environment = c.ignore_environment, .virtual_clock = c.virtual_clock};
  c.neap = neap_new(&config);
  if (!c.neap) {
    fprintf(stderr, "%s: cannot create state: not enough memory\n", c.name);
    return EXIT_FAILURE;
  }
  c.L = neap_state(c.neap);
  int status = run_command(&c);
  neap_free(c.neap);
  if (runtime_left_blocked()) end_blocked(&c, status);
  return status;
}
