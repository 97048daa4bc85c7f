/* A program that runs scripts it does not trust, for the specs: limited_host [options] 'script'. It prints how
 * the script ended, then that it goes on: with another script in the same state, and with a new state.
 *
 *     --memory=8m --step=0.02 --instructions=1e6 --tasks=10 --handles=3 --restricted --modules=a,b
 *     --path=TEMPLATES --allow=ADDRESS */
#include <arpa/inet.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "neap.h"

enum { MODULES = 8, TEXT = 3000 };

struct options {
  neap_config config;
  const char *modules[MODULES + 1];
  const char *allowed;
  const char *script;
};

static int allow_address(void *user, const struct sockaddr *address, int listens) {
  const struct options *options = user;
  char text[INET6_ADDRSTRLEN] = "";
  const struct sockaddr_in *v4 = (const void *)address;
  const struct sockaddr_in6 *v6 = (const void *)address;
  if (address->sa_family == AF_INET) inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
  if (address->sa_family == AF_INET6) inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
  printf("asked: %s%s\n", text, listens ? ", to listen" : "");
  return strcmp(text, options->allowed) == 0;
}

/* --- options --- */

static void set_modules(struct options *options, char *names) {
  int count = 0;
  for (char *name = strtok(names, ","); name && count < MODULES; name = strtok(NULL, ","))
    options->modules[count++] = name;
  options->config.limits.modules = options->modules;
}

static size_t bytes_of(const char *text) {
  char *end;
  double number = strtod(text, &end);
  return (size_t)(number * (*end == 'm' ? 1048576 : *end == 'k' ? 1024 : 1));
}

static void set_option(struct options *options, const char *name, char *value) {
  neap_limits *limits = &options->config.limits;
  if (!strcmp(name, "memory")) limits->memory = bytes_of(value);
  else if (!strcmp(name, "step")) limits->step_seconds = atof(value);
  else if (!strcmp(name, "instructions")) limits->step_instructions = (long long)atof(value);
  else if (!strcmp(name, "tasks")) limits->tasks = (unsigned)atoi(value);
  else if (!strcmp(name, "handles")) limits->handles = (unsigned)atoi(value);
  else if (!strcmp(name, "restricted")) limits->restricted = 1;
  else if (!strcmp(name, "modules")) set_modules(options, value);
  else if (!strcmp(name, "path")) limits->path = value;
  else if (!strcmp(name, "allow")) options->allowed = value, limits->allow_address = allow_address;
  else {
    fprintf(stderr, "limited_host: no option %s\n", name);
    exit(2);
  }
}

static void read_options(struct options *options, char **argv) {
  while (*++argv) {
    if (strncmp(*argv, "--", 2)) {
      options->script = *argv;
      continue;
    }
    char *value = strchr(*argv, '=');
    if (value) *value++ = '\0';
    set_option(options, *argv + 2, value);
  }
  options->config.user = options;
}

/* --- running --- */

/* Errors and values of a script are told without calling it: no metamethod is run. */
static void tell(lua_State *L, int index) {
  char text[TEXT];
  index = lua_absindex(L, index);
  snprintf(text, sizeof text, "%s", luaL_typename(L, index));
  switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
      snprintf(text, sizeof text, "%s", lua_toboolean(L, index) ? "true" : "false");
      break;
    case LUA_TNUMBER:
      snprintf(text, sizeof text, "%.14g", lua_tonumber(L, index));
      break;
    case LUA_TSTRING:
      snprintf(text, sizeof text, "%s", lua_tostring(L, index));
      break;
    case LUA_TTABLE:
      lua_pushliteral(L, "message");
      if (lua_rawget(L, index) == LUA_TSTRING) snprintf(text, sizeof text, "{%s}", lua_tostring(L, -1));
      lua_pop(L, 1);
      break;
    default:
      break;
  }
  printf(" %s", text);
}

static void tell_values(lua_State *L, int first) {
  for (int i = first; i <= lua_gettop(L); i++) tell(L, i);
  printf("\n");
}

static int load(lua_State *L) {
  const char *script = lua_touserdata(L, 1);
  if (luaL_loadbufferx(L, script, strlen(script), "=script", "t") != LUA_OK) return lua_error(L);
  return 1;
}

static void run(neap_t *neap, const char *what, const char *script) {
  lua_State *L = neap_state(neap);
  lua_settop(L, 0);
  lua_pushcfunction(L, load);
  lua_pushlightuserdata(L, (void *)script);
  printf("%s:", what);
  fflush(stdout);
  int status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_OK) status = neap_call(neap, 0, NULL);
  printf(status == LUA_OK ? " ok" : status == LUA_YIELD ? " unfinished" : " error");
  tell_values(L, 1);
  lua_settop(L, 0);
}

int main(int argc, char **argv) {
  (void)argc;
  static struct options options;
  read_options(&options, argv);
  neap_t *neap = neap_new(&options.config);
  if (!neap) {
    printf("neap_new failed\n");
    return 1;
  }
  run(neap, "script", options.script);
  run(neap, "same state", "return 1 + 1");
  size_t limit = options.config.limits.memory;
  if (limit) printf("memory: %s\n", neap_memory(neap) <= limit + 65536 ? "within" : "beyond");
  neap_free(neap);
  neap = neap_new(&options.config);
  if (neap) run(neap, "new state", "return 1 + 1");
  neap_free(neap);
  return 0;
}
