/* Receiving datagrams. */
#include "core/error.h"
#include "core/op.h"
#include "core/runtime.h"
#include "net/datagram.h"

struct receive_op {
  struct op op;
  struct datagram_socket *socket;
  struct datagram *last; /* that had come for it when the socket was closed */
};

static bool is_waiting(const struct receive_op *op) { return op && op->op.state == OP_WAITING; }

void datagram_arrived(void *owner) {
  struct datagram_socket *s = owner;
  if (is_waiting(s->receiving)) op_complete(s->rt, &s->receiving->op, 0);
}

void datagram_end_receiving(struct datagram_socket *s) {
  struct receive_op *op = s->receiving;
  if (is_waiting(op))
    op_complete(s->rt, &op->op, 0);
  else if (op)
    op->last = endpoint_take(s->endpoint);
}

static int push_error(lua_State *L, struct datagram_socket *s, const char *call) {
  union address peer;
  int status = s->endpoint->error;
  bool has_peer = s->endpoint->connected && endpoint_peer_address(s->endpoint, &peer) == 0;
  s->endpoint->error = 0;
  return datagram_failure(L, s, status, call, has_peer ? &peer : NULL);
}

static int push_datagram(lua_State *L, const struct datagram *datagram) {
  lua_pushlstring(L, datagram->bytes, datagram->length);
  return 1 + datagram_push_address(L, &datagram->from);
}

/* Nothing is taken before all is pushed. Without anything to push the socket was closed. */
static int push_received(lua_State *L, struct datagram_socket *s, const char *call) {
  struct list *first = s->endpoint ? list_first(&s->endpoint->received) : NULL;
  if (first) {
    int count = push_datagram(L, container_of(first, struct datagram, link));
    memory_free(endpoint_take(s->endpoint));
    return count;
  }
  if (s->endpoint && s->endpoint->error) return push_error(L, s, call);
  lua_pushnil(L);
  return 1;
}

static const struct op_kind datagrams_kind;

/* An iterator has nobody to return an error to. */
static int raise_failure(lua_State *L, const struct op_kind *kind, int count) {
  if (kind != &datagrams_kind || count != 3 || !lua_isnil(L, -3)) return count;
  lua_pop(L, 1);
  return lua_error(L);
}

static int push_receive(lua_State *L, struct neap *rt, struct op *op) {
  struct receive_op *receive = (struct receive_op *)op;
  struct datagram_socket *s = receive->socket;
  (void)rt;
  if (receive->last) return push_datagram(L, receive->last);
  int count = op->status < 0 ? datagram_failure(L, s, op->status, op->kind->name, NULL)
                             : push_received(L, s, op->kind->name);
  return raise_failure(L, op->kind, count);
}

/* The socket is free for the next receiver. */
static enum op_abort abort_receive(struct neap *rt, struct op *op) {
  struct datagram_socket *s = ((struct receive_op *)op)->socket;
  (void)rt;
  if (s->receiving == (struct receive_op *)op) {
    s->receiving = NULL;
    if (s->endpoint) endpoint_hold(s->endpoint, false);
  }
  return OP_GONE;
}

static void drop_receive(struct neap *rt, struct op *op) {
  struct receive_op *receive = (struct receive_op *)op;
  abort_receive(rt, op);
  memory_free(receive->last);
  receive->last = NULL;
}

#define RECEIVE_KIND(call) \
  { \
    .name = call, .size = sizeof(struct receive_op), .push = push_receive, .abort = abort_receive, \
    .drop = drop_receive, .local = true, \
  }

static const struct op_kind receive_kind = RECEIVE_KIND("receive"),
                            datagrams_kind = RECEIVE_KIND("datagrams");

/* Answers without suspending if something is there. */
static int receive(lua_State *L, struct datagram_socket *s, const struct op_kind *kind) {
  if (s->receiving) return error_misuse(L, "%s: another task is receiving", kind->name);
  bool ready = !s->endpoint || !list_empty(&s->endpoint->received) || s->endpoint->error;
  if (ready && op_ready(L, s->rt, kind->name)) {
    int count = push_received(L, s, kind->name);
    if (s->endpoint) endpoint_receive(s->endpoint); /* what fails is told to who waits */
    return raise_failure(L, kind, count);
  }
  struct receive_op *op = op_begin(L, kind);
  op->socket = s;
  s->receiving = op;
  if (s->endpoint) endpoint_hold(s->endpoint, true);
  if (ready) op_complete(s->rt, &op->op, 0);
  return op_await(L, &op->op, s->endpoint ? endpoint_receive(s->endpoint) : 0);
}

/* socket:receive(): the next datagram, and the host and port it came from; nil when the socket is closed meanwhile;
 * nil, err, code if something failed, such as an earlier send: the socket goes on. One task at a time may receive. */
static int l_receive(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, receive_kind.name);
  lua_settop(L, 1);
  return receive(L, s, &receive_kind);
}

/* Upvalues: runtime, socket. */
static int l_next(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  return receive(L, datagram_check(L), &datagrams_kind);
}

/* socket:datagrams(): an iterator over what receive returns, until the socket is closed. It raises what fails. */
static int l_datagrams(lua_State *L) {
  datagram_check_open(L, datagrams_kind.name);
  lua_settop(L, 1);
  runtime_push(L);
  lua_insert(L, 1);
  lua_pushcclosure(L, l_next, 2);
  return 1;
}

const luaL_Reg datagram_receive_methods[] = {
    {"receive", l_receive}, {"datagrams", l_datagrams}, {NULL, NULL},
};
