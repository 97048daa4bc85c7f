#include "io/signal_name.h"

#include <lauxlib.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

static const struct {
  const char *name;
  int number;
} signals[] = {
    {"SIGHUP", SIGHUP},       {"SIGINT", SIGINT},       {"SIGQUIT", SIGQUIT}, {"SIGILL", SIGILL},
    {"SIGTRAP", SIGTRAP},     {"SIGABRT", SIGABRT},     {"SIGBUS", SIGBUS},   {"SIGFPE", SIGFPE},
    {"SIGKILL", SIGKILL},     {"SIGUSR1", SIGUSR1},     {"SIGSEGV", SIGSEGV}, {"SIGUSR2", SIGUSR2},
    {"SIGPIPE", SIGPIPE},     {"SIGALRM", SIGALRM},     {"SIGTERM", SIGTERM}, {"SIGCHLD", SIGCHLD},
    {"SIGCONT", SIGCONT},     {"SIGSTOP", SIGSTOP},     {"SIGTSTP", SIGTSTP}, {"SIGTTIN", SIGTTIN},
    {"SIGTTOU", SIGTTOU},     {"SIGURG", SIGURG},       {"SIGXCPU", SIGXCPU}, {"SIGXFSZ", SIGXFSZ},
    {"SIGVTALRM", SIGVTALRM}, {"SIGPROF", SIGPROF},     {"SIGSYS", SIGSYS},
#ifdef SIGWINCH
    {"SIGWINCH", SIGWINCH},
#endif
#ifdef SIGIO
    {"SIGIO", SIGIO},
#endif
#ifdef SIGPWR
    {"SIGPWR", SIGPWR},
#endif
#ifdef SIGSTKFLT
    {"SIGSTKFLT", SIGSTKFLT},
#endif
#ifdef SIGINFO
    {"SIGINFO", SIGINFO},
#endif
};

enum { COUNT = sizeof signals / sizeof *signals };

static int number_of(const char *name) {
  for (size_t i = 0; i < COUNT; i++)
    if (strcmp(signals[i].name, name) == 0) return signals[i].number;
  return 0;
}

const char *signal_push_name(lua_State *L, int number) {
  for (size_t i = 0; i < COUNT; i++)
    if (signals[i].number == number) return lua_pushstring(L, signals[i].name);
  return lua_pushfstring(L, "signal %d", number);
}

int signal_check(lua_State *L, int index) {
  int is_integer, number;
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *name = lua_tostring(L, index);
    number = strlen(name) == lua_rawlen(L, index) ? number_of(name) : 0;
    if (number == 0) luaL_argerror(L, index, lua_pushfstring(L, "there is no signal '%s'", name));
    return number;
  }
  lua_Integer value = lua_tointegerx(L, index, &is_integer);
  if (lua_type(L, index) != LUA_TNUMBER || !is_integer) luaL_typeerror(L, index, "name or number of a signal");
  if (value < 1 || value >= NSIG) luaL_argerror(L, index, lua_pushfstring(L, "there is no signal %I", value));
  return (int)value;
}
