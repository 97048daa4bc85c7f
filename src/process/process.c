#include "process/process.h"

#include <lauxlib.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/object.h"
#include "core/op.h"
#include "core/report.h"
#include "core/runtime.h"
#include "io/slab.h"
#include "io/stream.h"
#include "process/child.h"
#include "process/process_options.h"
#include "process/signal_name.h"

/* User values: a table of what has names (args, pid, stdin, ...); where it was made, if debugging was on. */
enum { PROCESS_FIELDS = 1, PROCESS_PLACE, PROCESS_USER_VALUES = 2 };

/* Lives in a userdata. An op that waits for it is awaited by a call that has it as its first argument. */
struct process {
  struct neap *rt;
  struct child *child; /* NULL before it is started, and once it was let go */
  struct list waiters; /* struct wait_op, until it has ended */
  unsigned waits;      /* as many of those as were not dropped */
  double grace;
  bool collected;      /* the child is let go when nobody waits for it any more */
};

/* Key of the table from the streams of processes to these: whoever reads its output keeps a process alive. */
static const char kept_key;

/* --- arguments --- */

static struct process *check_process(lua_State *L) {
  struct process *p = object_check(L, runtime_of(L), 1, OBJECT_PROCESS);
  if (!p->child) error_misuse(L, "the process was collected");
  return p;
}

static void push_field(lua_State *L, int index, const char *name) {
  lua_getiuservalue(L, index, PROCESS_FIELDS);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

/* Pushes the program, or the shell's command. */
static const char *push_program(lua_State *L, int index) {
  push_field(L, index, "args");
  lua_rawgeti(L, -1, 1);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

/* --- waiting --- */

struct wait_op {
  struct op op;
  struct list link;
  struct process *process;
};

static void let_go(struct process *p) {
  if (!p->collected || !p->child || p->waits > 0) return;
  child_release(p->child);
  p->child = NULL;
}

static void on_ended(void *owner) {
  struct process *p = owner;
  struct list *node;
  while ((node = list_first(&p->waiters))) {
    list_remove(node);
    op_complete(p->rt, &container_of(node, struct wait_op, link)->op, 0);
  }
}

static int push_returncode(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  lua_pushinteger(L, ((struct wait_op *)op)->process->child->returncode);
  return 1;
}

static void drop_wait(struct neap *rt, struct op *op) {
  struct process *p = ((struct wait_op *)op)->process;
  (void)rt;
  list_remove(&((struct wait_op *)op)->link);
  if (--p->waits == 0) child_hold(p->child, false);
  let_go(p);
}

static const struct op_kind wait_kind = {
    .name = "wait",
    .size = sizeof(struct wait_op),
    .push = push_returncode,
    .drop = drop_wait,
    .local = true,
};

/* process:wait(): waits until the process has ended. Returns its exit status, or minus the number of the signal that
 * has ended it. */
static int l_wait(lua_State *L) {
  struct process *p = check_process(L);
  lua_settop(L, 1);
  if (p->child->state == CHILD_ENDED) {
    if (!op_ready(L, p->rt, "wait")) return op_yield_first(L, "wait", l_wait);
    lua_pushinteger(L, p->child->returncode);
    return 1;
  }
  struct wait_op *op = op_begin(L, &wait_kind);
  op->process = p;
  p->waits++;
  child_hold(p->child, true);
  list_append(&p->waiters, &op->link);
  return op_await(L, &op->op, 0);
}

/* --- signals --- */

static int signalled(lua_State *L, int status, const char *operation) {
  if (status < 0) {
    lua_pushfstring(L, "%s", push_program(L, 1));
    return error_return(L, status, operation, lua_tostring(L, -1));
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* process:send_signal(signal): a name ("SIGHUP") or a number; to the process, or to all of its group. Returns true, or
 * nil, err, code: "ESRCH" when it has ended. */
static int l_send_signal(lua_State *L) {
  struct process *p = check_process(L);
  return signalled(L, child_signal(p->child, signal_check(L, 2)), "send_signal");
}

static int l_terminate(lua_State *L) {
  return signalled(L, child_signal(check_process(L)->child, SIGTERM), "terminate");
}

static int l_kill(lua_State *L) { return signalled(L, child_signal(check_process(L)->child, SIGKILL), "kill"); }

/* process_end(process, held): it is to end, and is killed when it has not done so after its grace. One that has ended,
 * but whose pipes are held, has left others of its group behind. Waits for nothing. */
static int l_process_end(lua_State *L) {
  struct process *p = check_process(L);
  child_end(p->child, p->grace);
  if (lua_toboolean(L, 2)) child_end_group(p->child);
  return 0;
}

/* --- the end of the object --- */

static void warn_unclosed(lua_State *L, const struct process *p) {
  const char *program = push_program(L, 1);
  lua_getiuservalue(L, 1, PROCESS_PLACE);
  const char *place = lua_tostring(L, -1);
  lua_pushfstring(L, "the process of %s, made at %s, was collected while it runs", program, place ? place : "?");
  report_warning_later(L, p->rt);
}

static int l_gc(lua_State *L) {
  struct process *p = object_check(L, runtime_of(L), 1, OBJECT_PROCESS);
  if (!p->child || p->collected) return 0;
  bool runs_on = p->child->state == CHILD_RUNS && !p->child->detached && !p->child->ending;
  p->collected = true;
  if (p->rt->debug && !p->rt->closed && runs_on) warn_unclosed(L, p);
  let_go(p);
  return 0;
}

/* --- looking at it --- */

static int push_state(lua_State *L, const struct child *child) {
  if (child->state != CHILD_ENDED) return lua_pushliteral(L, "running"), 1;
  if (child->returncode >= 0) return lua_pushfstring(L, "exit status %d", child->returncode), 1;
  lua_pushfstring(L, "ended by %s", signal_push_name(L, -child->returncode));
  return 1;
}

/* process_state(process): "exit status 1", "ended by SIGKILL", or "running". */
static int l_process_state(lua_State *L) { return push_state(L, check_process(L)->child); }

static int l_tostring(lua_State *L) {
  struct process *p = check_process(L);
  const char *program = push_program(L, 1);
  push_state(L, p->child);
  lua_pushfstring(L, "<Process %d of %s, %s>", p->child->pid, program, lua_tostring(L, -1));
  return 1;
}

/* A method, or a field. The second upvalue is the table of methods. */
static int l_index(lua_State *L) {
  struct process *p = check_process(L);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "returncode") == 0) {
    if (p->child->state != CHILD_ENDED) return 0;
    lua_pushinteger(L, p->child->returncode);
    return 1;
  }
  lua_getiuservalue(L, 1, PROCESS_FIELDS);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

/* --- the start --- */

/* Where the arguments of spawn lie; the defaults of stdin, stdout and stderr come behind the table. */
enum { ARG_CALL = 1, ARG_OPTIONS, ARG_STDIN, ARG_STDERR = ARG_STDIN + 2 };

static const struct process_call calls[] = {
    {.name = "exec", .operation = "subprocess.exec"},
    {.name = "shell", .operation = "subprocess.shell", .shell = true},
    {.name = "run", .operation = "subprocess.run", .run = true},
};

static const struct process_call *check_call(lua_State *L) {
  const char *name = luaL_checkstring(L, ARG_CALL);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (strcmp(calls[i].name, name) == 0) return &calls[i];
  luaL_argerror(L, ARG_CALL, "no such call");
  return NULL;
}

/* Pushes a process that was not started yet, and its table of fields. */
static struct process *push_process(lua_State *L, struct neap *rt, const struct process_options *options) {
  struct process *p = object_new(L, rt, OBJECT_PROCESS, sizeof *p, PROCESS_USER_VALUES);
  *p = (struct process){.rt = rt, .grace = options->grace};
  list_init(&p->waiters);
  if (rt->debug) {
    error_push_place(L);
    lua_setiuservalue(L, -2, PROCESS_PLACE);
  }
  lua_createtable(L, 0, 6);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, PROCESS_FIELDS);
  lua_pushvalue(L, options->given);
  lua_setfield(L, -2, "args");
  lua_pushinteger(L, 0);
  lua_setfield(L, -2, "pid");
  return p;
}

/* Makes a stream a field of the process, which lies below its table of fields on top. */
static struct stream *add_stream(lua_State *L, struct neap *rt, const char *name, size_t limit) {
  struct stream *s = stream_new(L, rt, limit);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -5);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  lua_setfield(L, -2, name);
  return s;
}

/* chdir and exec fail with the same codes. */
static const char *what_failed(lua_State *L, int status, const char *cwd) {
  struct stat info;
  bool in_question = status == UV_ENOENT || status == UV_ENOTDIR || status == UV_EACCES || status == UV_ENAMETOOLONG ||
                     status == UV_ELOOP;
  if (!cwd || !in_question) return uv_strerror(status);
  if (stat(cwd, &info) == 0 && S_ISDIR(info.st_mode) && access(cwd, X_OK) == 0) return uv_strerror(status);
  return lua_pushfstring(L, "the directory %s: %s", cwd, uv_strerror(status));
}

static int start(struct process *p, struct neap *rt, struct slab *slab, struct process_options *options, int *failed) {
  uv_stdio_container_t containers[STDIO_COUNT];
  int status = stdio_open(options->stdio, rt, slab, failed);
  if (status == 0) status = limits_handle(rt);
  if (status < 0) return status;
  stdio_fill(options->stdio, containers);
  options->uv.stdio = containers;
  options->uv.stdio_count = STDIO_COUNT;
  status = child_spawn(&p->child, rt, &options->uv, options->group, options->detached);
  if (status == 0) child_own(p->child, on_ended, p);
  return status;
}

/* A stream's label is for messages: one that there is no memory for is done without. */
static void attach(struct stdio *stdio, struct stream *s, const char *label) {
  if (!s) return;
  transport_set_label(stdio->transport, label);
  stream_attach(s, stdio->transport);
  stdio->transport = NULL;
}

static int push_failure(lua_State *L, const struct process_call *call, const struct process_options *options, int status,
                        int failed) {
  const char *path = failed < STDIO_COUNT ? options->stdio[failed].path : NULL;
  const char *reason = failed < STDIO_COUNT ? error_reason(status) : what_failed(L, status, options->uv.cwd);
  return error_return_as(L, error_code(status), reason, call->operation, path ? path : options->program);
}

/* Between the start and the end of this nothing may raise. */
static int spawn_checked(lua_State *L, struct neap *rt, const struct process_call *call, struct process_options *options) {
  static const char *const names[STDIO_COUNT] = {"stdin", "stdout", "stderr"};
  struct stream *streams[STDIO_COUNT] = {NULL};
  const char *labels[STDIO_COUNT];
  struct slab *slab = slab_of(L);
  int failed = STDIO_COUNT;
  struct process *p = push_process(L, rt, options);
  for (int i = 0; i < STDIO_COUNT; i++)
    if (options->stdio[i].kind == STDIO_PIPE) streams[i] = add_stream(L, rt, names[i], options->limit);
  luaL_checkstack(L, STDIO_COUNT + 8, "not enough memory");
  for (int i = 0; i < STDIO_COUNT; i++) labels[i] = lua_pushfstring(L, "%s of %s", names[i], options->program);
  int status = start(p, rt, slab, options, &failed);
  if (status == 0)
    for (int i = 0; i < STDIO_COUNT; i++) attach(&options->stdio[i], streams[i], labels[i]);
  stdio_close(options->stdio);
  if (status < 0) return push_failure(L, call, options, status, failed);
  lua_pop(L, STDIO_COUNT);
  lua_pushinteger(L, p->child->pid);
  lua_setfield(L, -2, "pid");
  lua_pop(L, 1);
  return 1;
}

/* spawn(call, options, stdin, stdout, stderr): starts what the table says, for the function [call]. Returns the process,
 * or nil, err, code. */
static int l_spawn(lua_State *L) {
  struct neap *rt = runtime_of(L);
  const struct process_call *call = check_call(L);
  struct process_options options;
  lua_settop(L, ARG_STDERR);
  process_options_check(L, call, ARG_OPTIONS, &options);
  if (!op_ready(L, rt, call->name)) {
    lua_settop(L, ARG_STDERR);
    return op_yield_first(L, call->name, l_spawn);
  }
  return spawn_checked(L, rt, call, &options);
}

static const luaL_Reg functions[] = {
    {"spawn", l_spawn},
    {"process_end", l_process_end},
    {"process_state", l_process_state},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"wait", l_wait},
    {"send_signal", l_send_signal},
    {"terminate", l_terminate},
    {"kill", l_kill},
    {"__gc", l_gc},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

void process_open(lua_State *L, struct neap *rt) {
  weak_table_new(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
  object_register(L, rt, OBJECT_PROCESS, "neap.Process", methods);
  runtime_push(L);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, l_index, 2);
  lua_setfield(L, -2, "__index");
  lua_setfield(L, -2, "Process");
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
