#include "io/socket_name.h"

#include <lauxlib.h>
#include <string.h>
#include <uv.h>

#include "core/limits.h"
#include "core/op.h"
#include "core/runtime.h"
#include "io/address.h"
#include "io/io.h"
#include "io/raw_socket.h"

/* What libuv works at: it lives until that is over, whether or not anyone still waits. */
struct question {
  union {
    uv_getaddrinfo_t names;
    uv_getnameinfo_t address;
  } req; /* must be first */
  struct neap *rt;
  struct resolve_op *op; /* NULL: nobody waits */
};

struct resolve_op {
  struct op op;
  struct question *question; /* NULL once it is answered */
  struct addrinfo *found;
  char host[NI_MAXHOST];
  char service[NI_MAXSERV];
};

static void on_names(uv_getaddrinfo_t *req, int status, struct addrinfo *found) {
  struct question *question = (struct question *)req;
  struct resolve_op *op = question->op;
  if (op) {
    op->question = NULL;
    op->found = found;
    op_complete(question->rt, &op->op, status);
  } else {
    uv_freeaddrinfo(found);
  }
  memory_free(question);
}

static void copy_name(char *to, size_t size, const char *from) {
  size_t length = from ? strnlen(from, size - 1) : 0;
  memcpy(to, from ? from : "", length);
  to[length] = '\0';
}

static void on_address(uv_getnameinfo_t *req, int status, const char *host, const char *service) {
  struct question *question = (struct question *)req;
  struct resolve_op *op = question->op;
  if (op) {
    op->question = NULL;
    copy_name(op->host, sizeof op->host, host);
    copy_name(op->service, sizeof op->service, service);
    op_complete(question->rt, &op->op, status);
  }
  memory_free(question);
}

static void drop(struct neap *rt, struct op *op) {
  struct resolve_op *resolve = (struct resolve_op *)op;
  (void)rt;
  if (resolve->question) {
    resolve->question->op = NULL;
    uv_cancel((uv_req_t *)&resolve->question->req);
  }
  uv_freeaddrinfo(resolve->found);
  resolve->question = NULL;
  resolve->found = NULL;
}

static enum op_abort abort_resolve(struct neap *rt, struct op *op) {
  drop(rt, op);
  return OP_GONE;
}

static void push_found(lua_State *L, const struct addrinfo *info, const char *name) {
  char host[NI_MAXHOST];
  const union address *address = (const union address *)info->ai_addr;
  if (getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST)) *host = '\0';
  lua_createtable(L, 0, 4);
  lua_pushstring(L, info->ai_family == AF_INET ? "inet" : "inet6");
  lua_setfield(L, -2, "family");
  lua_pushstring(L, host);
  lua_setfield(L, -2, "addr");
  lua_pushinteger(L, address_port(address));
  lua_setfield(L, -2, "port");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
}

static int push_names(lua_State *L, struct neap *rt, struct op *op) {
  const struct resolve_op *resolve = (struct resolve_op *)op;
  (void)rt;
  if (op->status < 0) return raw_socket_failure(L, op->status);
  lua_newtable(L);
  lua_Integer count = 0;
  for (const struct addrinfo *info = resolve->found; info; info = info->ai_next) {
    if (info->ai_family != AF_INET && info->ai_family != AF_INET6) continue;
    push_found(L, info, resolve->found->ai_canonname);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

static int push_address_names(lua_State *L, struct neap *rt, struct op *op) {
  const struct resolve_op *resolve = (struct resolve_op *)op;
  (void)rt;
  if (op->status < 0) return raw_socket_failure(L, op->status);
  lua_pushstring(L, resolve->host);
  lua_pushstring(L, resolve->service);
  return 2;
}

static const struct op_kind names_kind = {
    .name = "getaddrinfo",
    .size = sizeof(struct resolve_op),
    .push = push_names,
    .abort = abort_resolve,
    .drop = drop,
    .local = true,
};

static const struct op_kind address_kind = {
    .name = "getnameinfo",
    .size = sizeof(struct resolve_op),
    .push = push_address_names,
    .abort = abort_resolve,
    .drop = drop,
    .local = true,
};

static int check_family(lua_State *L, int index) {
  static const char *const names[] = {"unspec", "inet", "inet6", NULL};
  static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
  return families[luaL_checkoption(L, index, "unspec", names)];
}

static const char *check_name(lua_State *L, int index) {
  return lua_isnoneornil(L, index) ? NULL : io_check_host(L, index);
}

static struct question *ask(struct neap *rt, struct resolve_op *op) {
  struct question *question = memory_alloc(rt->memory, sizeof *question);
  if (!question) return NULL;
  question->rt = rt;
  question->op = op;
  op->question = question;
  rt->pool_used = true;
  return question;
}

static int unasked(struct resolve_op *op, int status) {
  if (status >= 0) return 0;
  memory_free(op->question);
  op->question = NULL;
  return status;
}

static int ask_names(struct neap *rt, struct resolve_op *op, const char *host, const char *service,
                     const struct addrinfo *hints) {
  int status = limits_name(rt);
  if (status < 0) return status;
  struct question *question = ask(rt, op);
  if (!question) return UV_ENOMEM;
  return unasked(op, uv_getaddrinfo(rt->loop, &question->req.names, on_names, host, service, hints));
}

int l_resolve(lua_State *L) {
  const char *host = check_name(L, 1), *service = check_name(L, 2);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = check_family(L, 3)};
  hints.ai_flags = (lua_toboolean(L, 4) ? AI_PASSIVE : 0) | (host ? AI_CANONNAME : 0);
  struct resolve_op *op = op_begin(L, &names_kind);
  return op_await(L, &op->op, ask_names(runtime_of(L), op, host, service, &hints));
}

static int ask_address(struct neap *rt, struct resolve_op *op, const struct sockaddr *address) {
  struct question *question = ask(rt, op);
  if (!question) return UV_ENOMEM;
  return unasked(op, uv_getnameinfo(rt->loop, &question->req.address, on_address, address, 0));
}

int l_resolve_address(lua_State *L) {
  union address address;
  const char *host = io_check_host(L, 1);
  int port = io_check_port(L, 2);
  if (!address_parse(&address, host, port)) return raw_socket_failure(L, UV_EAI_NONAME);
  struct resolve_op *op = op_begin(L, &address_kind);
  return op_await(L, &op->op, ask_address(runtime_of(L), op, &address.any));
}

int l_host_name(lua_State *L) {
  char name[UV_MAXHOSTNAMESIZE];
  size_t length = sizeof name;
  int status = uv_os_gethostname(name, &length);
  if (status < 0) return raw_socket_failure(L, status);
  lua_pushlstring(L, name, length);
  return 1;
}
