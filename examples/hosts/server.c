/* A server that runs what strangers send it. Each request is a script, which gets a runtime of its own: with so
 * much memory, so much time, and none of what leaves its state. Whatever it does, the server goes on.
 *
 * The server itself is a script too; here it is its own client. It calls run(code), which is done in libuv's
 * threads: an operation may be completed in any callback. */
#include <lauxlib.h>
#include <lua.h>
#include <neap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char script[] =
    "local neap = require 'neap'\n"
    "local server <close> = assert(neap.start_server(function(stream)\n"
    "  stream:write(run(stream:read 'l'), '\\n')\n"
    "end, '127.0.0.1', 0))\n"
    "local function ask(code)\n"
    "  local stream <close> = assert(neap.open_connection('127.0.0.1', server.port))\n"
    "  stream:write(code, '\\n')\n"
    "  return stream:read 'l'\n"
    "end\n"
    "local requests = {\n"
    "  'return 6 * 7',\n"
    "  'require(\"neap\").sleep(0.01) return \"slept\"',\n"
    "  'while true do end',\n"
    "  'local s = \"x\" while true do s = s .. s end',\n"
    "  'local neap = require \"neap\" while true do neap.create_task(neap.sleep, 60) end',\n"
    "  'return io.open \"/etc/passwd\"',\n"
    "  'error(setmetatable({}, {__tostring = function() while true do end end}))',\n"
    "}\n"
    "local answers = {}\n"
    "for i, code in ipairs(requests) do answers[i] = neap.create_task(ask, code) end\n"
    "for i, code in ipairs(requests) do print(code, answers[i]:await()) end\n";

/* --- a request --- */

struct request {
  neap_op op; /* must be first */
  uv_work_t work;
  char *code; /* a copy: the script that waits for the answer may be cancelled */
  char answer[200];
};

/* What a stranger may use. */
static const neap_limits limits = {.memory = 1000000, .step_seconds = 0.1, .tasks = 100, .restricted = 1};

static int l_tostring(lua_State *L) { return luaL_tolstring(L, 1, NULL), 1; }

/* The value on top as text. That may call __tostring, which is the stranger's: so it has limits too. */
static const char *as_text(neap_t *neap) {
  lua_State *L = neap_state(neap);
  lua_pushcfunction(L, l_tostring);
  lua_insert(L, -2);
  return neap_call(neap, 1, NULL) == LUA_OK ? lua_tostring(L, -1) : "no text";
}

/* Calls the code. Returns what it returned, or the error. */
static const char *call(neap_t *neap, const char *code, int *status) {
  lua_State *L = neap_state(neap);
  *status = luaL_loadbufferx(L, code, strlen(code), "=request", "t");
  if (*status == LUA_OK) *status = neap_call(neap, 0, NULL);
  return lua_gettop(L) > 0 ? as_text(neap) : "nothing";
}

/* In one of libuv's threads. */
static void run_request(uv_work_t *work) {
  struct request *request = work->data;
  neap_t *neap = neap_new(&(neap_config){.limits = limits, .ignore_environment = 1});
  if (!neap) return;
  int status;
  const char *text = call(neap, request->code, &status);
  snprintf(request->answer, sizeof request->answer, "%s%s", status == LUA_OK ? "" : "error: ", text);
  neap_free(neap);
}

static void request_is_done(uv_work_t *work, int status) {
  struct request *request = work->data;
  neap_complete(&request->op, status);
}

/* --- run(code) --- */

static int push_answer(lua_State *L, neap_op *op) {
  return lua_pushstring(L, ((struct request *)op)->answer), 1;
}

static void drop_request(neap_op *op) { free(((struct request *)op)->code); }

static const neap_op_kind request_kind = {
    .name = "run", .size = sizeof(struct request), .push = push_answer, .drop = drop_request};

static int l_run(lua_State *L) {
  const char *code = luaL_checkstring(L, 1);
  struct request *request = neap_begin(L, &request_kind);
  if (!(request->code = strdup(code))) return neap_await(L, &request->op, UV_ENOMEM);
  request->work.data = request;
  return neap_await(L, &request->op,
                    uv_queue_work(neap_loop(neap_of(L)), &request->work, run_request, request_is_done));
}

int main(void) {
  neap_t *neap = neap_new(NULL);
  if (!neap) return 1;
  lua_State *L = neap_state(neap);
  lua_register(L, "run", l_run);
  if (luaL_loadstring(L, script) != LUA_OK || neap_call(neap, 0, NULL) != LUA_OK)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  neap_free(neap);
  return 0;
}

// run: server
// expect: return 6 * 7	42
// expect: require("neap").sleep(0.01) return "slept"	slept
// expect: while true do end	error: request:1: the step took longer than 0.1 s
// expect: local s = "x" while true do s = s .. s end	error: not enough memory
// expect: local neap = require "neap" while true do neap.create_task(neap.sleep, 60) end	error: request:1: create_task: the limit of 100 tasks is reached
// expect: return io.open "/etc/passwd"	error: request:1: attempt to index a nil value (global 'io')
// expect: error(setmetatable({}, {__tostring = function() while true do end end}))	error: no text
