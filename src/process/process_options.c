#include "process/process_options.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/object.h"
#include "io/reader.h"
#include "io/stream.h"

enum { GRACE_S = 5, GRACE_MAX_S = 1000000000 };

extern char **environ;

struct reader_of_options {
  lua_State *L;
  const struct process_call *call;
  int table;
  bool shell;
};

static const char *const common_names[] = {"stdin",     "stdout", "stderr", "cwd",      "env",   "clear_env",
                                           "uid",       "gid",    "limit",  "detached", "group", "grace",
                                           NULL};
static const char *const run_names[] = {"shell", "input", "timeout", "check", "capture", "max_output", NULL};

static const char *const stdio_names[STDIO_COUNT] = {"stdin", "stdout", "stderr"};

/* The message's arguments are those of lua_pushfstring. */
#define REFUSE(r, ...) refuse(r, lua_pushfstring((r)->L, __VA_ARGS__))

static int refuse(const struct reader_of_options *r, const char *message) {
  return error_misuse(r->L, "bad argument #1 to '%s' (%s)", r->call->name, message);
}

/* --- names --- */

static bool is_among(const char *name, const char *const names[]) {
  while (*names && strcmp(*names, name)) names++;
  return *names != NULL;
}

static bool is_known(const struct reader_of_options *r, const char *name) {
  return is_among(name, common_names) || (r->call->run && is_among(name, run_names));
}

static void check_name(const struct reader_of_options *r, lua_Integer count) {
  lua_State *L = r->L;
  int is_integer;
  lua_Integer index = lua_tointegerx(L, -2, &is_integer);
  if (lua_type(L, -2) == LUA_TSTRING) {
    if (!is_known(r, lua_tostring(L, -2))) REFUSE(r, "there is no option '%s'", lua_tostring(L, -2));
  } else if (!is_integer || index < 1 || index > count) {
    luaL_tolstring(L, -2, NULL);
    REFUSE(r, "there is no option '%s', or the arguments have a hole", lua_tostring(L, -1));
  }
}

static void check_names(const struct reader_of_options *r) {
  lua_Integer count = (lua_Integer)lua_rawlen(r->L, r->table);
  for (lua_pushnil(r->L); lua_next(r->L, r->table); lua_pop(r->L, 1)) check_name(r, count);
}

/* --- values --- */

/* Pushes an option. Returns false, with nothing pushed, if it is not given. */
static bool push_option(const struct reader_of_options *r, const char *name) {
  if (lua_getfield(r->L, r->table, name) != LUA_TNIL) return true;
  lua_pop(r->L, 1);
  return false;
}

static const char *check_string(const struct reader_of_options *r, int index, const char *what) {
  size_t length;
  const char *string = lua_tolstring(r->L, index, &length);
  if (strlen(string) != length) REFUSE(r, "%s contains a zero byte", what);
  return string;
}

static bool option_boolean(const struct reader_of_options *r, const char *name, bool otherwise) {
  if (!push_option(r, name)) return otherwise;
  if (!lua_isboolean(r->L, -1)) REFUSE(r, "the option '%s' is not a boolean", name);
  bool value = lua_toboolean(r->L, -1);
  lua_pop(r->L, 1);
  return value;
}

/* Returns false if it is not given. */
static bool option_id(const struct reader_of_options *r, const char *name, unsigned *id) {
  int is_integer;
  if (!push_option(r, name)) return false;
  lua_Integer value = lua_tointegerx(r->L, -1, &is_integer);
  if (!is_integer || value < 0 || value >= UINT_MAX) REFUSE(r, "the option '%s' is not a number of a %s", name,
                                                            name[0] == 'u' ? "user" : "group");
  *id = (unsigned)value;
  lua_pop(r->L, 1);
  return true;
}

static size_t option_limit(const struct reader_of_options *r) {
  int is_integer;
  if (!push_option(r, "limit")) return READER_LIMIT;
  lua_Integer value = lua_tointegerx(r->L, -1, &is_integer);
  if (!is_integer || value <= 0 || value > INT_MAX) REFUSE(r, "the option 'limit' is not a positive integer");
  lua_pop(r->L, 1);
  return (size_t)value;
}

static double option_grace(const struct reader_of_options *r) {
  if (!push_option(r, "grace")) return GRACE_S;
  double value = lua_tonumber(r->L, -1);
  if (lua_type(r->L, -1) != LUA_TNUMBER || !(value >= 0)) REFUSE(r, "the option 'grace' is not a number of seconds");
  lua_pop(r->L, 1);
  return value < GRACE_MAX_S ? value : GRACE_MAX_S;
}

/* It stays on the stack. */
static const char *option_string(const struct reader_of_options *r, const char *name) {
  if (!push_option(r, name)) return NULL;
  if (lua_type(r->L, -1) != LUA_TSTRING) REFUSE(r, "the option '%s' is not a string", name);
  int index = lua_gettop(r->L);
  return check_string(r, index, lua_pushfstring(r->L, "the option '%s'", name));
}

/* --- arguments --- */

/* Pushes the list of the arguments as strings, which stays. */
static int push_given(const struct reader_of_options *r) {
  lua_State *L = r->L;
  int count = (int)lua_rawlen(L, r->table);
  if (count == 0) REFUSE(r, r->shell ? "the command is missing" : "the program is missing");
  lua_createtable(L, count, 0);
  for (int i = 1; i <= count; i++) {
    int type = lua_rawgeti(L, r->table, i);
    if (type != LUA_TSTRING && type != LUA_TNUMBER)
      REFUSE(r, "argument %d is not a string but a %s value", i, luaL_typename(L, -1));
    check_string(r, -1, "an argument");
    lua_rawseti(L, -2, i);
  }
  return count;
}

/* The strings that a shell's arguments begin with, and what $0 is called behind the command. */
static char shell_program[] = "/bin/sh", shell_option[] = "-c", shell_name[] = "sh";

static char **fill_given(lua_State *L, int list, char **argv, int first, int last) {
  for (int i = first; i <= last; i++) {
    lua_rawgeti(L, list, i);
    *argv++ = (char *)lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  return argv;
}

static void read_arguments(const struct reader_of_options *r, struct process_options *options) {
  lua_State *L = r->L;
  int count = push_given(r), list = lua_gettop(L);
  char **argv = lua_newuserdatauv(L, ((size_t)count + 4) * sizeof *argv, 0), **next = argv;
  options->given = list;
  options->uv.args = argv;
  if (r->shell) {
    *next++ = shell_program;
    *next++ = shell_option;
    next = fill_given(L, list, next, 1, 1);
    *next++ = shell_name;
    next = fill_given(L, list, next, 2, count);
  } else {
    next = fill_given(L, list, next, 1, count);
  }
  *next = NULL;
  options->uv.file = argv[0];
  options->program = r->shell ? argv[2] : argv[0];
}

/* --- the environment --- */

/* Adds "name=value" of the pair on top of the stack to the list at [list]. */
static void add_variable(const struct reader_of_options *r, int list) {
  lua_State *L = r->L;
  if (lua_type(L, -2) != LUA_TSTRING) REFUSE(r, "the option 'env' has a name that is not a string");
  const char *name = check_string(r, -2, "a name in the option 'env'");
  if (*name == '\0' || strchr(name, '=')) REFUSE(r, "'%s' is no name of an environment variable", name);
  if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) return;
  if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
    REFUSE(r, "the variable '%s' is not a string", name);
  lua_pushvalue(L, -1);
  lua_pushfstring(L, "%s=%s", name, check_string(r, -1, "a variable in the option 'env'"));
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
  lua_pop(L, 1);
}

/* Adds what of the environment is not in the table at [env], if there is one. */
static void add_inherited(lua_State *L, int list, int env) {
  lua_Integer count = 0;
  for (char **variable = environ; variable && *variable; variable++) {
    const char *end = strchr(*variable, '=');
    lua_pushlstring(L, *variable, end ? (size_t)(end - *variable) : strlen(*variable));
    bool replaced = env && lua_rawget(L, env) != LUA_TNIL;
    lua_pop(L, 1);
    if (replaced) continue;
    lua_pushstring(L, *variable);
    lua_rawseti(L, list, ++count);
  }
}

static char **array_of(lua_State *L, int list) {
  int count = (int)lua_rawlen(L, list);
  char **array = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *array, 0);
  *fill_given(L, list, array, 1, count) = NULL;
  return array;
}

static void read_environment(const struct reader_of_options *r, struct process_options *options) {
  lua_State *L = r->L;
  bool clear = option_boolean(r, "clear_env", false), given = push_option(r, "env");
  int env = given ? lua_gettop(L) : 0;
  if (!given && !clear) return;
  if (given && !lua_istable(L, env)) REFUSE(r, "the option 'env' is not a table");
  lua_newtable(L);
  int list = lua_gettop(L);
  if (!clear) add_inherited(L, list, env);
  if (given)
    for (lua_pushnil(L); lua_next(L, env); lua_pop(L, 1)) add_variable(r, list);
  options->uv.env = array_of(L, list);
}

/* --- standard streams --- */

static bool names(const struct reader_of_options *r, int index, const char *name) {
  return lua_type(r->L, index) == LUA_TSTRING && strcmp(lua_tostring(r->L, index), name) == 0;
}

static int refuse_stdio(const struct reader_of_options *r, int i) {
  return REFUSE(r, "the option '%s' is none of \"pipe\", \"null\", \"inherit\"%s, a descriptor, a stream, {path = ...}",
                stdio_names[i], i == 2 ? ", \"stdout\"" : "");
}

/* {path = "file", mode = "w"} */
static void read_path(const struct reader_of_options *r, int i, int index, struct stdio *stdio) {
  lua_State *L = r->L;
  if (lua_getfield(L, index, "path") != LUA_TSTRING) refuse_stdio(r, i);
  stdio->path = check_string(r, -1, "the path");
  lua_getfield(L, index, "mode");
  int mode = lua_isnil(L, -1) ? lua_gettop(L) + 1 : lua_gettop(L);
  lua_pushstring(L, i == 0 ? "r" : "w");
  if (names(r, mode, "r"))
    stdio->flags = O_RDONLY;
  else if (names(r, mode, "w"))
    stdio->flags = O_WRONLY | O_CREAT | O_TRUNC;
  else if (names(r, mode, "a"))
    stdio->flags = O_WRONLY | O_CREAT | O_APPEND;
  else
    REFUSE(r, "the mode of '%s' is none of \"r\", \"w\", \"a\"", stdio_names[i]);
  stdio->kind = STDIO_PATH;
}

static void read_descriptor(const struct reader_of_options *r, int i, int index, struct stdio *stdio) {
  int is_integer;
  lua_Integer fd = lua_tointegerx(r->L, index, &is_integer);
  if (!is_integer || fd < 0 || fd > INT_MAX) refuse_stdio(r, i);
  stdio->kind = STDIO_FD;
  stdio->fd = (int)fd;
}

static void read_stream(const struct reader_of_options *r, int i, const struct stream *s, struct stdio *stdio) {
  int fd = s->closed || !s->transport ? UV_EBADF : transport_descriptor(s->transport);
  if (fd == UV_ENOTSUP) REFUSE(r, "the stream in the option '%s' has no descriptor of its own", stdio_names[i]);
  if (fd < 0) REFUSE(r, "the stream in the option '%s' is closed", stdio_names[i]);
  stdio->kind = STDIO_FD;
  stdio->fd = fd;
}

/* Where the runtime itself has none, the child gets the null device. */
static void read_name(const struct reader_of_options *r, int i, int index, struct stdio *stdio) {
  if (names(r, index, "pipe")) {
    stdio->kind = STDIO_PIPE;
  } else if (names(r, index, "inherit")) {
    stdio->kind = fcntl(i, F_GETFD) < 0 ? STDIO_NULL : STDIO_FD;
    if (stdio->kind == STDIO_FD) stdio->fd = i;
  } else if (i == 2 && names(r, index, "stdout")) {
    stdio->kind = STDIO_STDOUT;
  } else if (!names(r, index, "null")) {
    refuse_stdio(r, i);
  }
}

/* What it points at stays on the stack. Returns whether the runtime's own is inherited. */
static bool read_stdio(const struct reader_of_options *r, int i, struct stdio *stdio) {
  lua_State *L = r->L;
  *stdio = (struct stdio){.kind = STDIO_NULL, .fd = -1};
  if (!push_option(r, stdio_names[i])) lua_pushvalue(L, r->table + 1 + i);
  int index = lua_gettop(L);
  struct stream *s = object_test(L, index, OBJECT_STREAM);
  if (s)
    read_stream(r, i, s, stdio);
  else if (lua_istable(L, index))
    read_path(r, i, index, stdio);
  else if (lua_type(L, index) == LUA_TNUMBER)
    read_descriptor(r, i, index, stdio);
  else
    read_name(r, i, index, stdio);
  return names(r, index, "inherit");
}

/* --- the rest --- */

static void read_ids(const struct reader_of_options *r, uv_process_options_t *uv) {
  unsigned id;
  if (option_id(r, "uid", &id)) {
    uv->uid = id;
    uv->flags |= UV_PROCESS_SETUID;
  }
  if (option_id(r, "gid", &id)) {
    uv->gid = id;
    uv->flags |= UV_PROCESS_SETGID;
  }
}

void process_options_check(lua_State *L, const struct process_call *call, int table,
                           struct process_options *options) {
  struct reader_of_options r = {.L = L, .call = call, .table = table};
  luaL_checkstack(L, 40, "not enough memory");
  if (!lua_istable(L, table)) REFUSE(&r, "table expected, got %s", luaL_typename(L, table));
  *options = (struct process_options){0};
  check_names(&r);
  r.shell = call->shell || (call->run && option_boolean(&r, "shell", false));
  read_arguments(&r, options);
  read_environment(&r, options);
  bool inherits = read_stdio(&r, 0, &options->stdio[0]);
  read_stdio(&r, 1, &options->stdio[1]);
  read_stdio(&r, 2, &options->stdio[2]);
  options->uv.cwd = option_string(&r, "cwd");
  read_ids(&r, &options->uv);
  options->group = option_boolean(&r, "group", (r.shell || call->run) && !inherits);
  options->detached = option_boolean(&r, "detached", false);
  options->limit = option_limit(&r);
  options->grace = option_grace(&r);
}
