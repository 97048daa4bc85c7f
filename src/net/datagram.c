#include "net/datagram.h"

#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/report.h"
#include "core/runtime.h"
#include "net/arguments.h"

/* User value: where it was made, if debugging was on. */
enum { SOCKET_PLACE = 1, SOCKET_USER_VALUES = 1 };

struct datagram_socket *datagram_check(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_DATAGRAM_SOCKET);
}

struct datagram_socket *datagram_check_open(lua_State *L, const char *call) {
  struct datagram_socket *s = datagram_check(L);
  if (!s->endpoint) error_misuse(L, "%s: the socket is closed", call);
  return s;
}

int datagram_failure(lua_State *L, const struct datagram_socket *s, int status, const char *call,
                     const union address *address) {
  char name[ADDRESS_MAX];
  return error_return(L, status, call, address_name(address ? address : &s->local, name));
}

/* true, or nil, err, code. */
static int push_status(lua_State *L, const struct datagram_socket *s, int status, const char *call) {
  if (status < 0) return datagram_failure(L, s, status, call, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- its life --- */

struct datagram_socket *datagram_new(lua_State *L, struct neap *rt) {
  struct datagram_socket *s =
      object_new(L, rt, OBJECT_DATAGRAM_SOCKET, sizeof *s, SOCKET_USER_VALUES);
  memset(s, 0, sizeof *s);
  s->rt = rt;
  if (rt->debug) {
    error_push_place(L);
    lua_setiuservalue(L, -2, SOCKET_PLACE);
  }
  return s;
}

void datagram_attach(struct datagram_socket *s, struct endpoint *e) {
  endpoint_own(e, &s->endpoint, datagram_arrived, s);
  endpoint_local_address(e, &s->local);
}

static void close_socket(struct datagram_socket *s) {
  if (!s->endpoint) return;
  datagram_end_receiving(s);
  endpoint_close(s->endpoint);
}

/* socket:close(): whoever waits to receive gets nil. May be called twice. Returns true. */
static int l_close(lua_State *L) {
  close_socket(datagram_check(L));
  lua_pushboolean(L, 1);
  return 1;
}

static void warn_unclosed(lua_State *L, struct datagram_socket *s) {
  char name[ADDRESS_MAX];
  lua_getiuservalue(L, 1, SOCKET_PLACE);
  const char *place = lua_tostring(L, -1);
  lua_pushfstring(L, "the datagram socket at %s, made at %s, was collected unclosed",
                  address_name(&s->local, name), place ? place : "?");
  report_warning_later(L, s->rt);
}

static int l_gc(lua_State *L) {
  struct datagram_socket *s = datagram_check(L);
  if (s->endpoint && s->rt->debug && !s->rt->closed) warn_unclosed(L, s);
  close_socket(s);
  return 0;
}

static int l_is_closing(lua_State *L) {
  lua_pushboolean(L, !datagram_check(L)->endpoint);
  return 1;
}

static int l_tostring(lua_State *L) {
  char local[ADDRESS_MAX], peer[ADDRESS_MAX];
  struct datagram_socket *s = datagram_check(L);
  union address address;
  lua_pushfstring(L, "<DatagramSocket at %s", address_name(&s->local, local));
  if (s->endpoint && s->endpoint->connected && endpoint_peer_address(s->endpoint, &address) == 0)
    lua_pushfstring(L, " to %s", address_name(&address, peer));
  lua_pushstring(L, s->endpoint ? ">" : ", closed>");
  lua_concat(L, lua_gettop(L) - 1);
  return 1;
}

/* --- addresses --- */

int datagram_push_address(lua_State *L, const union address *address) {
  char host[HOST_MAX];
  address_host(address, host);
  lua_pushstring(L, host);
  lua_pushinteger(L, address_port(address));
  return 2;
}

/* socket:local_address(): its own host and port. */
static int l_local_address(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, "local_address");
  union address address;
  int status = endpoint_local_address(s->endpoint, &address);
  if (status < 0) return datagram_failure(L, s, status, "local_address", NULL);
  return datagram_push_address(L, &address);
}

/* socket:peer_address(): whom it is connected to, or nil, err, "ENOTCONN". */
static int l_peer_address(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, "peer_address");
  union address address;
  int status = endpoint_peer_address(s->endpoint, &address);
  if (status < 0) return datagram_failure(L, s, status, "peer_address", NULL);
  return datagram_push_address(L, &address);
}

/* --- settings --- */

static int check_hops(lua_State *L, int least) {
  lua_Integer hops = luaL_checkinteger(L, 2);
  luaL_argcheck(L, hops >= least && hops <= 255, 2, "the number of hops is out of range");
  return (int)hops;
}

static int l_set_broadcast(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, "set_broadcast");
  luaL_checkany(L, 2);
  return push_status(L, s, uv_udp_set_broadcast(&s->endpoint->udp, lua_toboolean(L, 2)), "set_broadcast");
}

static int l_set_ttl(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, "set_ttl");
  return push_status(L, s, uv_udp_set_ttl(&s->endpoint->udp, check_hops(L, 1)), "set_ttl");
}

static int l_set_multicast_ttl(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, "set_multicast_ttl");
  int status = uv_udp_set_multicast_ttl(&s->endpoint->udp, check_hops(L, 0));
  return push_status(L, s, status, "set_multicast_ttl");
}

static int l_set_multicast_loop(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, "set_multicast_loop");
  luaL_checkany(L, 2);
  int status = uv_udp_set_multicast_loop(&s->endpoint->udp, lua_toboolean(L, 2));
  return push_status(L, s, status, "set_multicast_loop");
}

/* An argument that is a numeric address. */
static const char *check_numeric(lua_State *L, int index, union address *address) {
  const char *host = net_check_host(L, index);
  luaL_argcheck(L, address_parse(address, host, 0), index, "not a numeric address");
  return host;
}

static const char *check_interface(lua_State *L, int index) {
  union address address;
  return lua_isnoneornil(L, index) ? NULL : check_numeric(L, index, &address);
}

static int l_set_multicast_interface(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, "set_multicast_interface");
  const char *interface = check_interface(L, 2);
  int status = uv_udp_set_multicast_interface(&s->endpoint->udp, interface);
  return push_status(L, s, status, "set_multicast_interface");
}

static int set_membership(lua_State *L, const char *call, uv_membership membership) {
  struct datagram_socket *s = datagram_check_open(L, call);
  union address address;
  const char *group = check_numeric(L, 2, &address), *interface = check_interface(L, 3);
  int status = limits_address(s->rt, &address.any, true);
  if (status == 0) status = uv_udp_set_membership(&s->endpoint->udp, group, interface, membership);
  if (status < 0) return error_return(L, status, call, group);
  lua_pushboolean(L, 1);
  return 1;
}

/* socket:join_group(group, interface): receives, too, what is sent to a multicast group, on the interface with that
 * address or on the system's choice. true, or nil, err, code. */
static int l_join_group(lua_State *L) { return set_membership(L, "join_group", UV_JOIN_GROUP); }

static int l_leave_group(lua_State *L) { return set_membership(L, "leave_group", UV_LEAVE_GROUP); }

static const luaL_Reg methods[] = {
    {"close", l_close},
    {"is_closing", l_is_closing},
    {"local_address", l_local_address},
    {"peer_address", l_peer_address},
    {"set_broadcast", l_set_broadcast},
    {"set_ttl", l_set_ttl},
    {"set_multicast_ttl", l_set_multicast_ttl},
    {"set_multicast_loop", l_set_multicast_loop},
    {"set_multicast_interface", l_set_multicast_interface},
    {"join_group", l_join_group},
    {"leave_group", l_leave_group},
    {"__close", l_close},
    {"__gc", l_gc},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

void datagram_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_DATAGRAM_SOCKET, "neap.DatagramSocket", methods);
  object_add_methods(L, datagram_receive_methods);
  object_add_methods(L, datagram_send_methods);
  lua_pop(L, 1);
  runtime_push(L);
  lua_pushcclosure(L, l_open_datagram_socket, 1);
  lua_setfield(L, -2, "open_datagram_socket");
}
