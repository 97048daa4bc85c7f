#include "net/raw_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <net/if.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "io/address.h"
#include "io/interest.h"
#include "io/readiness.h"
#include "io/slab.h"
#include "io/stream.h"
#include "io/transport_uv.h"
#include "net/arguments.h"

enum { RECEIVE_MAX = 64 * 1024 };

union any_address {
  struct sockaddr any;
  struct sockaddr_un local;
  union address internet;
};

struct raw_socket *raw_socket_check(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_RAW_SOCKET);
}

int raw_socket_failure(lua_State *L, int status) {
  lua_pushnil(L);
  lua_pushstring(L, error_code(status));
  lua_pushstring(L, status > -4000 && status < -3000 ? uv_strerror(status) : strerror(-status));
  return 3;
}

int raw_socket_errno(lua_State *L) { return raw_socket_failure(L, -errno); }

static int push_done(lua_State *L, int result) {
  if (result < 0) return raw_socket_errno(L);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- addresses --- */

static socklen_t check_local(lua_State *L, int index, struct sockaddr_un *address) {
  size_t length;
  const char *path = luaL_checklstring(L, index, &length);
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  luaL_argcheck(L, length < sizeof address->sun_path, index, "path too long");
  memcpy(address->sun_path, path, length);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* A path, or a numeric host and a port, of the socket's family. Returns its size, or 0 if it is not numeric. */
static socklen_t check_address(lua_State *L, const struct raw_socket *s, int index, union any_address *address) {
  if (s->family == AF_UNIX) return check_local(L, index, &address->local);
  const char *host = net_check_host(L, index);
  int port = net_check_port(L, index + 1);
  if (!address_parse(&address->internet, host, port) || address->any.sa_family != s->family) return 0;
  return address_size(&address->internet);
}

static int refusal(const struct raw_socket *s, const union any_address *address, bool listens) {
  return limits_address(s->rt, &address->any, listens);
}

/* Pushes a path, or host and port. */
static int push_address(lua_State *L, const union any_address *address, socklen_t length) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (address->any.sa_family == AF_UNIX) {
    size_t most = length - offsetof(struct sockaddr_un, sun_path);
    lua_pushlstring(L, address->local.sun_path, strnlen(address->local.sun_path, most));
    return 1;
  }
  int flags = NI_NUMERICHOST | NI_NUMERICSERV;
  if (length == 0 || getnameinfo(&address->any, length, host, sizeof host, port, sizeof port, flags)) return 0;
  lua_pushstring(L, host);
  lua_pushinteger(L, address_port(&address->internet));
  return 2;
}

/* --- making and closing --- */

static void close_resource(struct neap *rt, struct resource *resource) {
  struct raw_socket *s = container_of(resource, struct raw_socket, resource);
  (void)rt;
  close(s->fd);
  s->fd = -1;
}

static void new_socket(lua_State *L, struct neap *rt) {
  struct raw_socket *s = object_new(L, rt, OBJECT_RAW_SOCKET, sizeof *s, 0);
  *s = (struct raw_socket){.rt = rt, .resource.close = close_resource, .fd = -1, .family = AF_UNSPEC};
  list_init(&s->resource.link);
}

/* Its descriptor, which stays open, is no longer its own. */
static int disown(struct raw_socket *s) {
  int fd = s->fd;
  if (fd >= 0) interest_forget(s->rt, fd);
  list_remove(&s->resource.link);
  s->fd = -1;
  return fd;
}

/* Whoever waits for it is woken. */
static void close_descriptor(struct raw_socket *s) {
  int fd = disown(s);
  if (fd >= 0) close(fd);
}

static void own(struct raw_socket *s, int fd, int family) {
  close_descriptor(s);
  s->fd = fd;
  s->family = family;
  list_append(&s->rt->resources, &s->resource.link);
}

/* It gets the descriptor, in place of what it had, or that is closed. */
static int take_descriptor(lua_State *L, struct raw_socket *s, int fd, int family) {
  int status = limits_handle(s->rt);
  if (status < 0) {
    close_descriptor(s);
    close(fd);
    return raw_socket_failure(L, status);
  }
  own(s, fd, family);
  lua_pushboolean(L, 1);
  return 1;
}

/* raw_socket(): a socket that has no descriptor yet. */
static int l_raw_socket(lua_State *L) {
  struct neap *rt = runtime_of(L);
  runtime_check_open(L, rt, "socket");
  limits_refuse_restricted(L, rt, "socket");
  new_socket(L, rt);
  return 1;
}

/* socket:open("inet" | "inet6" | "unix", "stream" | "dgram"): true, or nil, code, text. */
static int l_open(lua_State *L) {
  static const char *const family_names[] = {"inet", "inet6", "unix", NULL};
  static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
  static const char *const type_names[] = {"stream", "dgram", NULL};
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
  struct raw_socket *s = raw_socket_check(L);
  int family = families[luaL_checkoption(L, 2, NULL, family_names)];
  int type = types[luaL_checkoption(L, 3, NULL, type_names)];
  runtime_check_open(L, s->rt, "socket");
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? raw_socket_errno(L) : take_descriptor(L, s, fd, family);
}

/* socket:adopt(fd): takes over the socket that a program has made; a negative one is none. */
static int l_adopt(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  lua_Integer number = luaL_checkinteger(L, 2);
  int fd = number < 0 ? -1 : (int)number;
  union any_address address;
  socklen_t length = sizeof address;
  luaL_argcheck(L, number <= INT_MAX, 2, "there is no such descriptor");
  runtime_check_open(L, s->rt, "setfd");
  if (fd >= 0 && getsockname(fd, &address.any, &length)) return raw_socket_errno(L);
  disown(s);
  if (fd < 0) return 0;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return take_descriptor(L, s, fd, address.any.sa_family);
}

/* socket:close(): whoever waits for it is woken. */
static int l_close(lua_State *L) {
  close_descriptor(raw_socket_check(L));
  return 0;
}

/* socket:move(to): its descriptor becomes that of the other socket. */
static int l_move(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  struct raw_socket *to = object_check(L, s->rt, 2, OBJECT_RAW_SOCKET);
  int family = s->family, fd = s->fd;
  list_remove(&s->resource.link);
  s->fd = -1;
  if (fd < 0) close_descriptor(to);
  else own(to, fd, family);
  return 0;
}

/* socket:stream(): a stream over its descriptor, which is no longer its own. */
static int l_stream(lua_State *L) {
  struct raw_socket *raw = raw_socket_check(L);
  struct stream *s = stream_new(L, raw->rt, stream_option_limit(L, 2));
  bool is_unix = raw->family == AF_UNIX;
  struct transport *t = is_unix ? transport_pipe(raw->rt, slab_of(L)) : transport_tcp(raw->rt, slab_of(L));
  if (!t) return raw_socket_failure(L, UV_ENOMEM);
  stream_attach(s, t);
  int fd = disown(raw);
  int status = fd < 0 ? UV_EBADF : transport_open(t, fd);
  return status < 0 ? raw_socket_failure(L, status) : 1;
}

/* --- connecting, listening --- */

/* socket:connect(host, port) or (path): true, or nil, code, text: "EINPROGRESS" in most cases. */
static int l_connect(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  union any_address address;
  socklen_t length = check_address(L, s, 2, &address);
  if (length == 0) return raw_socket_failure(L, UV_EAFNOSUPPORT);
  int status = refusal(s, &address, false);
  if (status < 0) return raw_socket_failure(L, status);
  return push_done(L, connect(s->fd, &address.any, length));
}

/* socket:outcome(): what became of connecting: true, or nil, code, text. */
static int l_outcome(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &length)) return raw_socket_errno(L);
  if (error) return raw_socket_failure(L, -error);
  lua_pushboolean(L, 1);
  return 1;
}

/* socket:disconnect(): a datagram socket has no peer any more. */
static int l_disconnect(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  return push_done(L, connect(s->fd, &none, sizeof none));
}

/* socket:bind(host, port) or (path) */
static int l_bind(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  union any_address address;
  socklen_t length = check_address(L, s, 2, &address);
  if (length == 0) return raw_socket_failure(L, UV_EAFNOSUPPORT);
  int status = refusal(s, &address, true);
  if (status < 0) return raw_socket_failure(L, status);
  return push_done(L, bind(s->fd, &address.any, length));
}

/* socket:listen(backlog) */
static int l_listen(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  return push_done(L, listen(s->fd, (int)luaL_checkinteger(L, 2)));
}

/* socket:accept(into): true, or nil, code, text: "EAGAIN" if nobody has come yet. */
static int l_accept(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  struct raw_socket *into = object_check(L, s->rt, 2, OBJECT_RAW_SOCKET);
  if (!op_ready(L, s->rt, "accept")) return op_yield_first(L, "accept", l_accept);
  int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return fd < 0 ? raw_socket_errno(L) : take_descriptor(L, into, fd, s->family);
}

/* socket:shutdown("receive" | "send" | "both") */
static int l_shutdown(lua_State *L) {
  static const char *const names[] = {"receive", "send", "both", NULL};
  static const int how[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
  struct raw_socket *s = raw_socket_check(L);
  return push_done(L, shutdown(s->fd, how[luaL_checkoption(L, 2, "both", names)]));
}

/* --- bytes --- */

static ssize_t receive(const struct raw_socket *s, char *into, size_t most, union any_address *from,
                       socklen_t *length) {
  ssize_t got;
  do got = recvfrom(s->fd, into, most, 0, &from->any, length);
  while (got < 0 && errno == EINTR);
  return got;
}

static size_t check_most(lua_State *L, int index) {
  lua_Integer most = luaL_checkinteger(L, index);
  luaL_argcheck(L, most > 0, index, "the number of bytes is too small");
  return most > RECEIVE_MAX ? RECEIVE_MAX : (size_t)most;
}

/* socket:recv(most): what is there, "" at the end, or nil, code, text: "EAGAIN" if there is nothing yet.
 * Of a datagram also where it comes from. */
static int l_recv(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  union any_address from;
  socklen_t length = sizeof from;
  lua_settop(L, 2);
  size_t most = check_most(L, 2);
  if (!op_ready(L, s->rt, "receive")) return op_yield_first(L, "receive", l_recv);
  luaL_Buffer b;
  char *into = luaL_buffinitsize(L, &b, most);
  ssize_t got = receive(s, into, most, &from, &length);
  if (got < 0) return raw_socket_errno(L);
  luaL_pushresultsize(&b, (size_t)got);
  return 1 + (length ? push_address(L, &from, length) : 0);
}

static int push_sent(lua_State *L, ssize_t sent) {
  if (sent < 0) return raw_socket_errno(L);
  lua_pushinteger(L, (lua_Integer)sent);
  return 1;
}

static ssize_t send_bytes(const struct raw_socket *s, const char *bytes, size_t length,
                          const union any_address *to, socklen_t to_length) {
  ssize_t sent;
  do sent = sendto(s->fd, bytes, length, MSG_NOSIGNAL, to ? &to->any : NULL, to_length);
  while (sent < 0 && errno == EINTR);
  return sent;
}

/* socket:send(data, first, last): how many of these bytes were sent, or nil, code, text. */
static int l_send(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  size_t length;
  const char *data = luaL_checklstring(L, 2, &length);
  lua_Integer first = luaL_checkinteger(L, 3), last = luaL_checkinteger(L, 4);
  luaL_argcheck(L, first >= 1 && last <= (lua_Integer)length && first <= last + 1, 3, "out of bounds");
  if (!op_ready(L, s->rt, "send")) return op_yield_first(L, "send", l_send);
  return push_sent(L, send_bytes(s, data + first - 1, (size_t)(last - first + 1), NULL, 0));
}

/* socket:sendto(data, host, port) or (data, path) */
static int l_sendto(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  size_t length;
  union any_address address;
  const char *data = luaL_checklstring(L, 2, &length);
  socklen_t address_length = check_address(L, s, 3, &address);
  if (address_length == 0) return raw_socket_failure(L, UV_EAFNOSUPPORT);
  int status = refusal(s, &address, false);
  if (status < 0) return raw_socket_failure(L, status);
  if (!op_ready(L, s->rt, "send")) return op_yield_first(L, "send", l_sendto);
  return push_sent(L, send_bytes(s, data, length, &address, address_length));
}

/* socket:wait(call, "r" | "w" | "rw", seconds): true, or false if that was too long; below 0 is for ever. */
static int l_wait(lua_State *L) {
  static const char *const calls[] = {"receive", "send", "accept", "connect", NULL};
  struct raw_socket *s = raw_socket_check(L);
  enum ready_call call = (enum ready_call)luaL_checkoption(L, 2, NULL, calls);
  const char *directions = luaL_checkstring(L, 3);
  double seconds = luaL_checknumber(L, 4);
  uint32_t events = (strchr(directions, 'r') ? INTEREST_READ : 0U) | (strchr(directions, 'w') ? INTEREST_WRITE : 0U);
  if (s->fd < 0) return lua_pushboolean(L, 1), 1;
  return ready_await(L, call, s->fd, events, seconds);
}

/* --- names, numbers --- */

static int push_name(lua_State *L, int (*get)(int, struct sockaddr *, socklen_t *)) {
  struct raw_socket *s = raw_socket_check(L);
  union any_address address;
  socklen_t length = sizeof address;
  if (get(s->fd, &address.any, &length)) return raw_socket_errno(L);
  return push_address(L, &address, length);
}

static int l_local_address(lua_State *L) { return push_name(L, getsockname); }

static int l_peer_address(lua_State *L) { return push_name(L, getpeername); }

static int l_fileno(lua_State *L) {
  lua_pushinteger(L, raw_socket_check(L)->fd);
  return 1;
}

static int l_family(lua_State *L) {
  int family = raw_socket_check(L)->family;
  lua_pushstring(L, family == AF_INET ? "inet" : family == AF_INET6 ? "inet6" : "unix");
  return 1;
}

/* socket:set_class(metatable): what it is to scripts. */
static int l_set_class(lua_State *L) {
  raw_socket_check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

static const luaL_Reg methods[] = {
    {"accept", l_accept},
    {"adopt", l_adopt},
    {"bind", l_bind},
    {"close", l_close},
    {"connect", l_connect},
    {"disconnect", l_disconnect},
    {"family", l_family},
    {"fileno", l_fileno},
    {"get_option", l_get_option},
    {"listen", l_listen},
    {"local_address", l_local_address},
    {"move", l_move},
    {"open", l_open},
    {"outcome", l_outcome},
    {"peer_address", l_peer_address},
    {"recv", l_recv},
    {"send", l_send},
    {"sendto", l_sendto},
    {"set_class", l_set_class},
    {"set_option", l_set_option},
    {"shutdown", l_shutdown},
    {"stream", l_stream},
    {"wait", l_wait},
    {"__gc", l_close},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"raw_socket", l_raw_socket},
    {NULL, NULL},
};

void raw_socket_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_RAW_SOCKET, "neap.RawSocket", methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
