#include "api/restrict.h"

#include <lauxlib.h>
#include <string.h>

#include "core/embedded.h"
#include "core/limits.h"
#include "core/sandbox.h"

/* Registry key: those globals. */
static const char globals_key;

static void open_limits(lua_State *L, struct neap *rt, const neap_config *config) {
  const neap_limits *given = &config->limits;
  struct limit_options options = {
      .memory = given->memory,
      .step_seconds = given->step_seconds,
      .step_instructions = given->step_instructions,
      .tasks = given->tasks,
      .handles = given->handles,
      .allow_address = given->allow_address,
      .user = config->user,
      .restricted = given->restricted,
  };
  limits_open(L, rt, &options);
}

/* Pushes {modules = names, path = path}. */
static void push_sandbox_options(lua_State *L, const neap_limits *limits) {
  lua_createtable(L, 0, 2);
  lua_newtable(L);
  for (int i = 0; limits->modules && limits->modules[i]; i++) {
    lua_pushstring(L, limits->modules[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "modules");
  lua_pushstring(L, limits->path ? limits->path : "");
  lua_setfield(L, -2, "path");
}

static const struct embedded_module *find_embedded(const char *name) {
  const struct embedded_module *module = embedded_modules;
  while (strcmp(module->name, name)) module++;
  return module;
}

static void restrict_scripts(lua_State *L, struct neap *rt, const neap_limits *limits) {
  const struct embedded_module *module = find_embedded("neap.sandbox");
  if (luaL_loadbufferx(L, module->source, module->length, module->chunkname, "t") != LUA_OK) lua_error(L);
  sandbox_push_tools(L, rt);
  push_sandbox_options(L, limits);
  lua_call(L, 2, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &globals_key);
}

void limits_apply(lua_State *L, struct neap *rt, const neap_config *config) {
  open_limits(L, rt, config);
  if (config->limits.restricted) restrict_scripts(L, rt, &config->limits);
}

bool restrict_push_globals(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &globals_key) != LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}
