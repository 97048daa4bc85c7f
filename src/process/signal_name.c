#include "process/signal_name.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "process/signal_source.h"

static const struct {
  const char *name;
  int number;
} names[] = {
    {"SIGHUP", SIGHUP},     {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT}, {"SIGILL", SIGILL},
    {"SIGTRAP", SIGTRAP},   {"SIGABRT", SIGABRT}, {"SIGBUS", SIGBUS},   {"SIGFPE", SIGFPE},
    {"SIGKILL", SIGKILL},   {"SIGUSR1", SIGUSR1}, {"SIGSEGV", SIGSEGV}, {"SIGUSR2", SIGUSR2},
    {"SIGPIPE", SIGPIPE},   {"SIGALRM", SIGALRM}, {"SIGTERM", SIGTERM}, {"SIGCHLD", SIGCHLD},
    {"SIGCONT", SIGCONT},   {"SIGSTOP", SIGSTOP}, {"SIGTSTP", SIGTSTP}, {"SIGTTIN", SIGTTIN},
    {"SIGTTOU", SIGTTOU},   {"SIGURG", SIGURG},   {"SIGXCPU", SIGXCPU}, {"SIGXFSZ", SIGXFSZ},
    {"SIGVTALRM", SIGVTALRM}, {"SIGPROF", SIGPROF}, {"SIGWINCH", SIGWINCH}, {"SIGIO", SIGIO},
    {"SIGSYS", SIGSYS},
#ifdef SIGSTKFLT
    {"SIGSTKFLT", SIGSTKFLT},
#endif
#ifdef SIGPWR
    {"SIGPWR", SIGPWR},
#endif
};

enum { NAMES = sizeof names / sizeof names[0] };

/* "SIGRTMIN", "SIGRTMIN+3". Returns 0 if it is none of them. */
static int realtime_number(const char *name) {
#ifdef SIGRTMIN
  char *end;
  if (strncmp(name, "SIGRTMIN", 8) != 0) return 0;
  if (name[8] == '\0') return SIGRTMIN;
  if (name[8] != '+' || name[9] < '0' || name[9] > '9') return 0;
  long more = strtol(name + 9, &end, 10);
  return *end == '\0' && more <= SIGRTMAX - SIGRTMIN ? SIGRTMIN + (int)more : 0;
#else
  (void)name;
  return 0;
#endif
}

static int number_of(const char *name) {
  for (int i = 0; i < NAMES; i++)
    if (strcmp(names[i].name, name) == 0) return names[i].number;
  return realtime_number(name);
}

static int check_name(lua_State *L, int index) {
  size_t length;
  const char *name = lua_tolstring(L, index, &length);
  int number = strlen(name) == length ? number_of(name) : 0;
  if (number == 0) luaL_argerror(L, index, lua_pushfstring(L, "there is no signal '%s'", name));
  return number;
}

int signal_check(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) return check_name(L, index);
  if (lua_type(L, index) != LUA_TNUMBER) luaL_typeerror(L, index, "name or number of a signal");
  lua_Integer number = luaL_checkinteger(L, index);
  if (number < 1 || number > SIGNAL_MAX)
    luaL_argerror(L, index, lua_pushfstring(L, "there is no signal %I", (LUAI_UACINT)number));
  return (int)number;
}

/* Of an error of the processor the handler's return would repeat the instruction, before the loop runs. */
static bool can_be_caught(int number) {
  switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGILL:
    case SIGBUS:
    case SIGFPE:
    case SIGSEGV:
      return false;
    default:
#ifdef SIGRTMIN
      return number < 32 || number >= SIGRTMIN; /* the C library keeps those between for itself */
#else
      return true;
#endif
  }
}

int signal_check_caught(lua_State *L, int index) {
  int number = signal_check(L, index);
  if (can_be_caught(number)) return number;
  const char *name = signal_push_name(L, number);
  luaL_argerror(L, index, lua_pushfstring(L, "%s cannot be caught", name));
  return 0;
}

const char *signal_push_name(lua_State *L, int number) {
  for (int i = 0; i < NAMES; i++)
    if (names[i].number == number) return lua_pushstring(L, names[i].name);
#ifdef SIGRTMIN
  if (number == SIGRTMIN) return lua_pushliteral(L, "SIGRTMIN");
  if (number > SIGRTMIN && number <= SIGRTMAX)
    return lua_pushfstring(L, "SIGRTMIN+%d", number - SIGRTMIN);
#endif
  return lua_pushfstring(L, "signal %d", number);
}
