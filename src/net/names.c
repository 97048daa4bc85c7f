/* Names to addresses, and back. */
#include "net/names.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/options.h"
#include "core/runtime.h"
#include "core/work.h"
#include "io/address.h"
#include "net/arguments.h"
#include "net/lookup.h"

/* Where the arguments lie. */
enum { ARG_HOST = 1, ARG_SERVICE, ARG_PORT = ARG_SERVICE, ARG_OPTIONS };

/* --- options --- */

struct word {
  const char *name;
  int value;
};

static const struct word families[] = {{"inet", AF_INET}, {"inet6", AF_INET6}, {NULL, 0}};
static const struct word socktypes[] = {{"stream", SOCK_STREAM}, {"dgram", SOCK_DGRAM}, {NULL, 0}};

static const char *word_for(const struct word *words, int value) {
  while (words->name && words->value != value) words++;
  return words->name;
}

/* An option that is one of the words. */
static int check_word(lua_State *L, const char *name, const struct word *words, int otherwise) {
  if (lua_isnoneornil(L, ARG_OPTIONS)) return otherwise;
  if (lua_getfield(L, ARG_OPTIONS, name) == LUA_TNIL) return lua_pop(L, 1), otherwise;
  const char *given = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_typename(L, -1);
  while (words->name && strcmp(words->name, given) != 0) words++;
  if (!words->name || lua_type(L, -1) != LUA_TSTRING)
    luaL_argerror(L, ARG_OPTIONS, lua_pushfstring(L, "the option '%s' cannot be '%s'", name, given));
  lua_pop(L, 1);
  return words->value;
}

/* --- getaddrinfo --- */

struct addresses_op {
  struct op op;
  struct neap *rt;
  struct lookup *lookup;       /* while it is under way */
  struct addresses *addresses; /* that were found */
  int socktype;
};

/* Pushes "host", "host:service" or "service", as the program gave them. */
static const char *push_target(lua_State *L) {
  const char *host = lua_tostring(L, ARG_HOST), *service = luaL_tolstring(L, ARG_SERVICE, NULL);
  if (!host) return service;
  if (lua_isnoneornil(L, ARG_SERVICE)) return host;
  return lua_pushfstring(L, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, service);
}

static void set_word(lua_State *L, const char *name, const char *word) {
  lua_pushstring(L, word);
  lua_setfield(L, -2, name);
}

static void push_entry(lua_State *L, const union address *address, int socktype) {
  char host[HOST_MAX];
  lua_createtable(L, 0, 4);
  address_numeric(address, host);
  set_word(L, "address", host);
  lua_pushinteger(L, address_port(address));
  lua_setfield(L, -2, "port");
  set_word(L, "family", word_for(families, address->any.sa_family));
  set_word(L, "socktype", word_for(socktypes, socktype));
}

static int push_addresses(lua_State *L, struct neap *rt, struct op *op) {
  struct addresses_op *a = (struct addresses_op *)op;
  (void)rt;
  int status = op->status;
  if (status == 0 && a->addresses->count == 0) status = UV_EAI_NODATA;
  if (status < 0) return error_return(L, status, "getaddrinfo", push_target(L));
  lua_createtable(L, a->addresses->count, 0);
  for (int i = 0; i < a->addresses->count; i++) {
    push_entry(L, &a->addresses->list[i], a->socktype);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static void drop_addresses(struct neap *rt, struct op *op) {
  struct addresses_op *a = (struct addresses_op *)op;
  (void)rt;
  lookup_cancel(a->lookup);
  memory_free(a->addresses);
}

static const struct op_kind addresses_kind = {
    .name = "getaddrinfo",
    .size = sizeof(struct addresses_op),
    .push = push_addresses,
    .drop = drop_addresses,
    .local = true,
};

static void resolved(void *owner, int status, struct addresses *addresses) {
  struct addresses_op *a = owner;
  a->lookup = NULL;
  a->addresses = addresses;
  op_complete(a->rt, &a->op, status);
}

/* Answers for a numeric host. */
static int answer_numeric(struct addresses_op *a, const union address *address, int family) {
  if (family != AF_UNSPEC && family != address->any.sa_family) return UV_EAI_ADDRFAMILY;
  struct addresses *addresses = addresses_new(a->rt->memory, 1);
  if (!addresses) return UV_ENOMEM;
  addresses->list[0] = *address;
  resolved(a, 0, addresses);
  return 0;
}

static int begin(struct addresses_op *a, const struct lookup_request *request) {
  union address address;
  a->socktype = request->socktype;
  bool is_numeric = request->host && address_parse(&address, request->host, request->port);
  if (request->port < 0) return UV_EAI_SERVICE;
  if (is_numeric && !request->service) return answer_numeric(a, &address, request->family);
  int status = limits_name(a->rt);
  return status < 0 ? status : lookup_start_with(&a->lookup, a->rt, request, resolved, a);
}

static bool is_all_digits(const char *text) {
  while (isdigit((unsigned char)*text)) text++;
  return !*text;
}

/* A service is a name, or a port, perhaps as a string. A port that there cannot be becomes -1. */
static void check_service(lua_State *L, struct lookup_request *request) {
  size_t length;
  if (lua_isnoneornil(L, ARG_SERVICE)) return;
  if (lua_type(L, ARG_SERVICE) == LUA_TNUMBER) {
    request->port = net_check_port(L, ARG_SERVICE);
    return;
  }
  const char *service = luaL_checklstring(L, ARG_SERVICE, &length);
  luaL_argcheck(L, strlen(service) == length, ARG_SERVICE, "the service contains a zero byte");
  if (!is_all_digits(service))
    request->service = service;
  else
    request->port = length > 0 && length <= 5 && atoi(service) <= 65535 ? atoi(service) : -1;
}

static const char *const getaddrinfo_options[] = {"family", "socktype", "passive", NULL};

/* getaddrinfo(host, service, options): the addresses of a host, in the order in which they should be tried, with the
 * service's port: a list of {address, port, family, socktype}; or nil, err, code. Without a host: this machine's own.
 * Options: family ("inet", "inet6"), socktype ("stream", "dgram"), passive (without a host: to listen on). */
static int l_getaddrinfo(lua_State *L) {
  struct lookup_request request = {0};
  if (!lua_isnoneornil(L, ARG_HOST)) request.host = net_check_host(L, ARG_HOST);
  lua_settop(L, ARG_OPTIONS);
  check_service(L, &request);
  luaL_argcheck(L, !lua_isnil(L, ARG_HOST) || !lua_isnil(L, ARG_SERVICE), ARG_HOST,
                "neither a host nor a service");
  options_check(L, ARG_OPTIONS, getaddrinfo_options);
  request.family = check_word(L, "family", families, AF_UNSPEC);
  request.socktype = check_word(L, "socktype", socktypes, SOCK_STREAM);
  request.passive = options_boolean(L, ARG_OPTIONS, "passive", false);
  struct addresses_op *op = op_begin(L, &addresses_kind);
  op->rt = runtime_of(L);
  return op_await(L, &op->op, begin(op, &request));
}

/* --- getnameinfo --- */

/* libuv's request, which outlives the op. */
struct reverse {
  uv_getnameinfo_t req; /* must be first */
  struct name_op *op;   /* NULL: nobody waits */
};

struct name_op {
  struct op op;
  struct neap *rt;
  struct reverse *reverse; /* under way, or done: holds the names */
  bool is_done;
};

static void on_named(uv_getnameinfo_t *req, int status, const char *host, const char *service) {
  struct reverse *reverse = (struct reverse *)req;
  work_may_block(false);
  struct name_op *op = reverse->op;
  (void)host, (void)service; /* they lie in the request */
  if (!op) {
    memory_free(reverse);
    return;
  }
  op->is_done = true;
  op_complete(op->rt, &op->op, status);
}

static int push_name(lua_State *L, struct neap *rt, struct op *op) {
  struct name_op *name = (struct name_op *)op;
  (void)rt;
  if (op->status < 0) return error_return(L, op->status, "getnameinfo", lua_tostring(L, ARG_HOST));
  lua_pushstring(L, name->reverse->req.host);
  lua_pushstring(L, name->reverse->req.service);
  return 2;
}

static void drop_name(struct neap *rt, struct op *op) {
  struct name_op *name = (struct name_op *)op;
  struct reverse *reverse = name->reverse;
  (void)rt;
  if (!reverse) return;
  name->reverse = NULL;
  reverse->op = NULL;
  if (name->is_done)
    memory_free(reverse);
  else
    uv_cancel((uv_req_t *)&reverse->req);
}

static const struct op_kind name_kind = {
    .name = "getnameinfo",
    .size = sizeof(struct name_op),
    .push = push_name,
    .drop = drop_name,
    .local = true,
};

static int begin_reverse(struct name_op *op, const union address *address, int flags) {
  int status = limits_name(op->rt);
  if (status < 0) return status;
  struct reverse *reverse = memory_alloc(op->rt->memory, sizeof *reverse);
  if (!reverse) return UV_ENOMEM;
  op->rt->pool_used = true;
  status = uv_getnameinfo(op->rt->loop, &reverse->req, on_named, &address->any, flags);
  if (status < 0) {
    memory_free(reverse);
    return status;
  }
  work_may_block(true);
  reverse->op = op;
  op->reverse = reverse;
  return 0;
}

static int check_flags(lua_State *L) {
  static const struct word flags[] = {
      {"numeric_host", NI_NUMERICHOST}, {"numeric_service", NI_NUMERICSERV},
      {"name_required", NI_NAMEREQD}, {NULL, 0}};
  static const char *const names[] = {"numeric_host", "numeric_service", "name_required", "socktype",
                                      NULL};
  int result = 0;
  options_check(L, ARG_OPTIONS, names);
  for (const struct word *flag = flags; flag->name; flag++)
    if (options_boolean(L, ARG_OPTIONS, flag->name, false)) result |= flag->value;
  if (check_word(L, "socktype", socktypes, SOCK_STREAM) == SOCK_DGRAM) result |= NI_DGRAM;
  return result;
}

static int push_numeric(lua_State *L, const union address *address) {
  char host[HOST_MAX];
  address_numeric(address, host);
  lua_pushstring(L, host);
  lua_pushfstring(L, "%d", address_port(address));
  return 2;
}

/* getnameinfo(host, port, options): the name of a numeric host, or its address if it has none, and of the service at
 * that port; or nil, err, code. Options: numeric_host and numeric_service (ask for no such name), name_required (no
 * name is a failure), socktype ("dgram": the service over UDP). */
static int l_getnameinfo(lua_State *L) {
  union address address;
  const char *host = net_check_host(L, ARG_HOST);
  int port = net_check_port(L, ARG_PORT);
  luaL_argcheck(L, address_parse(&address, host, port), ARG_HOST, "the host is not a numeric address");
  lua_settop(L, ARG_OPTIONS);
  int flags = check_flags(L), numeric = NI_NUMERICHOST | NI_NUMERICSERV;
  if ((flags & numeric) == numeric && op_ready(L, runtime_of(L), "getnameinfo"))
    return push_numeric(L, &address);
  struct name_op *op = op_begin(L, &name_kind);
  op->rt = runtime_of(L);
  return op_await(L, &op->op, begin_reverse(op, &address, flags));
}

static const luaL_Reg functions[] = {
    {"getaddrinfo", l_getaddrinfo}, {"getnameinfo", l_getnameinfo}, {NULL, NULL},
};

void names_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
