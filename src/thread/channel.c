/* A channel belongs to no state: each that knows it has a box with a pointer, the same one each time.
 *
 * What is sent while a task waits for it is handed to that one. One who waits to send is served by whoever
 * makes room, who moves the message into the queue. Of messages that were handed to a task which cannot
 * take them, the oldest is the next again. */
#include "thread/channel.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/runtime.h"
#include "thread/copy.h"
#include "thread/crossing.h"

struct channel {
  atomic_uint holders;
  uint64_t maxsize;        /* 0: no limit */

  uv_mutex_t lock;         /* of what follows */
  struct message *first, *last;
  atomic_uint_least64_t count; /* written under the lock alone */
  uint64_t sent;           /* so far: numbers the messages */
  struct list receivers;   /* empty while there are messages */
  struct list senders;     /* empty while there is room */
  bool closed;
  unsigned knowers;        /* boxes, and messages on their way: those who wait need more than one */
  struct post alone;       /* tells them so */
  bool alone_posted;
};

/* What those who wait are told. */
enum { SERVED = 0, CLOSED = -1 };

enum { BOX = 1, VALUES = 2 };

/* Registry tables (weak values): boxes by channel; metatables by maxsize, which is a field of theirs. */
static const char boxes_key, metatables_key;

static const struct copy_names names = {"send", "value", 1};

static void hold(struct channel *channel) {
  atomic_fetch_add_explicit(&channel->holders, 1, memory_order_relaxed);
}

static void release(void *object) {
  struct channel *channel = object;
  if (atomic_fetch_sub_explicit(&channel->holders, 1, memory_order_acq_rel) > 1) return;
  for (struct message *next, *message = channel->first; message; message = next) {
    next = message->next;
    message_free(message);
  }
  uv_mutex_destroy(&channel->lock);
  free(channel);
}

/* --- who knows it --- */

static void each_waiting(struct channel *channel, void (*visit)(struct crossing *)) {
  list_each(node, &channel->receivers) visit(container_of(node, struct crossing, link));
  list_each(node, &channel->senders) visit(container_of(node, struct crossing, link));
}

/* Where only one knew it those who wait are of the state that it is made known from. */
static void become_known(struct channel *channel) {
  hold(channel);
  uv_mutex_lock(&channel->lock);
  if (++channel->knowers == 2) each_waiting(channel, crossing_expect);
  uv_mutex_unlock(&channel->lock);
}

static struct crossing *any_waiting(struct channel *channel) {
  struct list *node = list_first(&channel->receivers);
  if (!node) node = list_first(&channel->senders);
  return node ? container_of(node, struct crossing, link) : NULL;
}

/* Where one is left that knows it: those who wait, if any, are tasks of its state. */
static struct crossing *waiting_alone(struct channel *channel) {
  return channel->knowers == 1 ? any_waiting(channel) : NULL;
}

/* The caller has a part in the channel. */
static void tell_alone(struct channel *channel, struct crossing *waiting) {
  hold(channel);
  channel->alone_posted = port_post(waiting->port, &channel->alone);
  if (!channel->alone_posted) atomic_fetch_sub(&channel->holders, 1);
}

/* In the thread of the one that was left, which may be another one by now. */
static void run_alone(struct neap *rt, struct post *post) {
  struct channel *channel = container_of(post, struct channel, alone);
  uv_mutex_lock(&channel->lock);
  struct crossing *waiting = waiting_alone(channel);
  channel->alone_posted = false;
  if (waiting && waiting->rt == rt)
    each_waiting(channel, crossing_unexpect);
  else if (waiting)
    tell_alone(channel, waiting);
  uv_mutex_unlock(&channel->lock);
  release(channel);
}

static void become_unknown(void *object) {
  struct channel *channel = object;
  uv_mutex_lock(&channel->lock);
  channel->knowers--;
  struct crossing *waiting = waiting_alone(channel);
  if (waiting && !channel->alone_posted) tell_alone(channel, waiting);
  uv_mutex_unlock(&channel->lock);
  release(channel);
}

static struct channel *check_channel(lua_State *L) {
  struct channel **box = object_test(L, BOX, OBJECT_CHANNEL);
  if (!box) luaL_typeerror(L, BOX, "neap.Channel");
  runtime_check_thread(L, runtime_of(L));
  return *box;
}

/* --- the queue: under the lock --- */

static uint64_t count_of(struct channel *channel) {
  return atomic_load_explicit(&channel->count, memory_order_relaxed);
}

static void set_count(struct channel *channel, uint64_t count) {
  atomic_store_explicit(&channel->count, count, memory_order_relaxed);
}

/* Without the lock this may be over by now. */
static bool is_full(struct channel *channel) {
  return channel->maxsize > 0 && count_of(channel) >= channel->maxsize;
}

static void append(struct channel *channel, struct message *message) {
  message->next = NULL;
  message->sequence = ++channel->sent;
  if (channel->last)
    channel->last->next = message;
  else
    channel->first = message;
  channel->last = message;
  set_count(channel, count_of(channel) + 1);
}

/* Back to its place among those that are older than all others. */
static void put_back(struct channel *channel, struct message *message) {
  struct message **place = &channel->first;
  while (*place && (*place)->sequence < message->sequence) place = &(*place)->next;
  message->next = *place;
  *place = message;
  if (!message->next) channel->last = message;
  set_count(channel, count_of(channel) + 1);
}

static struct crossing *take_waiting(struct list *list) {
  struct list *node = list_first(list);
  if (!node) return NULL;
  list_remove(node);
  return container_of(node, struct crossing, link);
}

/* Takes the next message; sets [sender] to one whose message has got room by it. */
static struct message *take(struct channel *channel, struct crossing **sender) {
  struct message *message = channel->first;
  *sender = NULL;
  if (!message) return NULL;
  channel->first = message->next;
  if (!channel->first) channel->last = NULL;
  set_count(channel, count_of(channel) - 1);
  if (!is_full(channel) && (*sender = take_waiting(&channel->senders))) {
    append(channel, (*sender)->message);
    (*sender)->message = NULL;
  }
  return message;
}

/* --- sending --- */

/* What happened to a message: it waits, was handed over or stands in the queue; or not. */
enum outcome { SENT, FULL, SHUT };

/* Hands the message over or queues it. */
static enum outcome try_to_send(struct channel *channel, struct message *message,
                                struct crossing **receiver) {
  *receiver = NULL;
  if (channel->closed) return SHUT;
  if ((*receiver = take_waiting(&channel->receivers))) {
    message->sequence = ++channel->sent;
    (*receiver)->message = message;
    return SENT;
  }
  if (is_full(channel)) return FULL;
  append(channel, message);
  return SENT;
}

static enum outcome send_now(struct neap *rt, struct channel *channel, struct message *message) {
  struct crossing *receiver;
  uv_mutex_lock(&channel->lock);
  enum outcome outcome = try_to_send(channel, message, &receiver);
  uv_mutex_unlock(&channel->lock);
  if (receiver) crossing_give(rt, receiver, SERVED);
  return outcome;
}

static int refuse_closed(lua_State *L, const char *call) {
  return error_raise(L, ERROR_QUEUE_SHUT_DOWN, "%s: the channel is closed", call);
}

static int push_send(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  return op->status == CLOSED ? refuse_closed(L, "send") : 0;
}

static const struct op_kind send_kind = {
    .name = "send",
    .size = sizeof(struct crossing_op),
    .push = push_send,
    .abort = crossing_abort,
    .drop = crossing_drop,
};

static const struct crossing_kind sender_kind = {.release = release};

/* There was no room a moment ago: looks again, and waits. */
static int wait_to_send(lua_State *L, struct neap *rt, struct channel *channel) {
  struct crossing *receiver;
  struct crossing *sender =
      crossing_begin(L, &send_kind, &sender_kind, channel, &channel->lock);
  hold(channel);
  struct message *message = message_new(L, VALUES, &names);
  uv_mutex_lock(&channel->lock);
  enum outcome outcome = try_to_send(channel, message, &receiver);
  if (outcome == FULL) {
    list_append(&channel->senders, &sender->link);
    if (channel->knowers > 1) crossing_expect(sender);
  }
  if (outcome != SENT) sender->message = message;
  uv_mutex_unlock(&channel->lock);
  if (receiver) crossing_give(rt, receiver, SERVED);
  if (outcome != FULL) crossing_give_early(sender, outcome == SENT ? SERVED : CLOSED);
  return crossing_await(L, sender);
}

static void check_values(lua_State *L) {
  luaL_checkany(L, VALUES);
  if (lua_isnil(L, VALUES))
    luaL_argerror(L, VALUES, "the first value is nil, which would look like the channel's end");
}

static int send_again(lua_State *L);

static int send_to(lua_State *L, struct channel *channel) {
  struct neap *rt = runtime_of(L);
  if (is_full(channel)) return wait_to_send(L, rt, channel);
  if (!op_ready(L, rt, "send")) return op_yield_first(L, "send", send_again);
  struct message *message = message_new(L, VALUES, &names);
  enum outcome outcome = send_now(rt, channel, message);
  if (outcome == SENT) return 0;
  message_free(message);
  return outcome == SHUT ? refuse_closed(L, "send") : wait_to_send(L, rt, channel);
}

static int send_again(lua_State *L) { return send_to(L, check_channel(L)); }

/* channel:send(value, ...): sends a message of copies of the values; waits while the channel is full. The
 * first value must not be nil. Raises QueueShutDown if the channel is or gets closed. A cancelled send has sent
 * nothing. */
static int l_send(lua_State *L) {
  struct channel *channel = check_channel(L);
  check_values(L);
  return send_to(L, channel);
}

/* channel:send_nowait(value, ...): the same at once, or raises QueueFull. */
static int l_send_nowait(lua_State *L) {
  struct channel *channel = check_channel(L);
  check_values(L);
  runtime_check_open(L, runtime_of(L), "send_nowait");
  struct message *message = message_new(L, VALUES, &names);
  enum outcome outcome = send_now(runtime_of(L), channel, message);
  if (outcome == SENT) return 0;
  message_free(message);
  if (outcome == SHUT) return refuse_closed(L, "send_nowait");
  return error_raise(L, ERROR_QUEUE_FULL, "send_nowait: the channel is full, with %I",
                     (lua_Integer)channel->maxsize);
}

/* --- receiving --- */

static struct message *receive_now(struct neap *rt, struct channel *channel, bool *closed) {
  struct crossing *sender;
  uv_mutex_lock(&channel->lock);
  struct message *message = take(channel, &sender);
  *closed = channel->closed;
  uv_mutex_unlock(&channel->lock);
  if (sender) crossing_give(rt, sender, SERVED);
  return message;
}

static int push_received(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  struct crossing *crossing = crossing_of(op);
  struct message *message = crossing->message;
  crossing->message = NULL;
  if (message) return message_take(L, message);
  lua_pushnil(L);
  return 1;
}

/* It goes to the next, or to its place in the queue. */
static void untaken(struct crossing *crossing) {
  struct channel *channel = crossing->owner;
  struct message *message = crossing->message;
  if (!message) return;
  crossing->message = NULL;
  uv_mutex_lock(&channel->lock);
  struct crossing *receiver = take_waiting(&channel->receivers);
  if (receiver)
    receiver->message = message;
  else
    put_back(channel, message);
  uv_mutex_unlock(&channel->lock);
  if (receiver) crossing_give(NULL, receiver, SERVED);
}

static const struct op_kind receive_kind = {
    .name = "receive",
    .size = sizeof(struct crossing_op),
    .push = push_received,
    .abort = crossing_abort,
    .drop = crossing_drop,
};

static const struct crossing_kind receiver_kind = {.untaken = untaken, .release = release};

static int wait_to_receive(lua_State *L, struct neap *rt, struct channel *channel) {
  struct crossing *sender;
  struct crossing *receiver =
      crossing_begin(L, &receive_kind, &receiver_kind, channel, &channel->lock);
  hold(channel);
  uv_mutex_lock(&channel->lock);
  receiver->message = take(channel, &sender);
  bool waits = !receiver->message && !channel->closed;
  if (waits) {
    list_append(&channel->receivers, &receiver->link);
    if (channel->knowers > 1) crossing_expect(receiver);
  }
  uv_mutex_unlock(&channel->lock);
  if (sender) crossing_give(rt, sender, SERVED);
  if (!waits) crossing_give_early(receiver, SERVED);
  return crossing_await(L, receiver);
}

static int receive_again(lua_State *L);

static int receive_from(lua_State *L, struct channel *channel) {
  struct neap *rt = runtime_of(L);
  bool closed;
  if (!op_ready(L, rt, "receive")) return op_yield_first(L, "receive", receive_again);
  struct message *message = receive_now(rt, channel, &closed);
  if (message) return message_take(L, message);
  if (!closed) return wait_to_receive(L, rt, channel);
  lua_pushnil(L);
  return 1;
}

static int receive_again(lua_State *L) { return receive_from(L, check_channel(L)); }

/* channel:receive(): the values of the next message; waits while there is none. nil once the channel was closed
 * and is empty. A cancelled receive has taken nothing. */
static int l_receive(lua_State *L) {
  struct channel *channel = check_channel(L);
  lua_settop(L, BOX);
  return receive_from(L, channel);
}

/* channel:receive_nowait(): the same at once, or raises QueueEmpty. */
static int l_receive_nowait(lua_State *L) {
  bool closed;
  struct channel *channel = check_channel(L);
  struct message *message = receive_now(runtime_of(L), channel, &closed);
  if (message) return message_take(L, message);
  if (!closed) return error_raise(L, ERROR_QUEUE_EMPTY, "receive_nowait: the channel is empty");
  lua_pushnil(L);
  return 1;
}

/* channel:messages(): an iterator over the messages, up to the channel's end. */
static int l_messages(lua_State *L) {
  check_channel(L);
  lua_getfield(L, BOX, "receive");
  lua_pushvalue(L, BOX);
  return 2;
}

/* --- the end --- */

/* channel:close(): nothing more is sent: send raises QueueShutDown, and receive returns nil when nothing is left.
 * May be called twice. */
static int l_close(lua_State *L) {
  struct channel *channel = check_channel(L);
  struct neap *rt = runtime_of(L);
  struct crossing *crossing;
  uv_mutex_lock(&channel->lock);
  channel->closed = true;
  uv_mutex_unlock(&channel->lock);
  for (;;) { /* none is added any more */
    uv_mutex_lock(&channel->lock);
    crossing = take_waiting(&channel->receivers);
    bool receives = crossing != NULL;
    if (!receives) crossing = take_waiting(&channel->senders);
    uv_mutex_unlock(&channel->lock);
    if (!crossing) return 0;
    crossing_give(rt, crossing, receives ? SERVED : CLOSED);
  }
}

/* --- looking --- */

struct counts {
  uint64_t items;
  int receivers, senders;
  bool closed;
};

static int count_list(struct list *list) {
  int count = 0;
  list_each(node, list) count++;
  return count;
}

static struct counts count(struct channel *channel) {
  uv_mutex_lock(&channel->lock);
  struct counts counts = {count_of(channel), count_list(&channel->receivers),
                          count_list(&channel->senders), channel->closed};
  uv_mutex_unlock(&channel->lock);
  return counts;
}

static int l_qsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)count(check_channel(L)).items);
  return 1;
}

static int l_closed(lua_State *L) {
  lua_pushboolean(L, count(check_channel(L)).closed);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct channel *channel = check_channel(L);
  struct counts counts = count(channel);
  lua_pushfstring(L, "<Channel maxsize %I, messages %I, receivers %d, senders %d%s>",
                  (lua_Integer)channel->maxsize, (lua_Integer)counts.items, counts.receivers,
                  counts.senders, counts.closed ? ", closed" : "");
  return 1;
}

/* --- making --- */

/* Pushes the metatable of channels with that limit. */
static void push_metatable(lua_State *L, struct neap *rt, lua_Integer maxsize) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatables_key);
  if (lua_rawgeti(L, -1, maxsize) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 16);
    object_push_metatable(L, rt, OBJECT_CHANNEL);
    for (lua_pushnil(L); lua_next(L, -2);) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -5);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pushinteger(L, maxsize);
    lua_setfield(L, -2, "maxsize");
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, maxsize);
  }
  lua_remove(L, -2);
}

/* Pushes an empty box. */
static struct channel **new_box(lua_State *L, struct neap *rt, lua_Integer maxsize) {
  struct channel **box = object_new(L, rt, OBJECT_CHANNEL, sizeof *box, 0);
  *box = NULL;
  push_metatable(L, rt, maxsize);
  lua_setmetatable(L, -2);
  return box;
}

/* Fills the box on top, and makes it known. */
static void remember_box(lua_State *L, struct channel *channel) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, channel);
  lua_pop(L, 1);
}

static int l_gc(lua_State *L) {
  struct channel **box = object_end(L, BOX, OBJECT_CHANNEL);
  if (box && *box) become_unknown(*box);
  return 0;
}

/* Channel(maxsize): a queue whose messages are copied, for tasks of any thread; without a limit unless it is
 * given and above 0. */
static int l_channel(lua_State *L) {
  lua_Integer maxsize = luaL_optinteger(L, 1, 0);
  if (maxsize < 0) maxsize = 0;
  struct channel **box = new_box(L, runtime_of(L), maxsize);
  struct channel *channel = calloc(1, sizeof *channel);
  if (!channel || uv_mutex_init(&channel->lock)) {
    free(channel);
    return luaL_error(L, "Channel: not enough memory");
  }
  *box = channel;
  atomic_init(&channel->holders, 1);
  channel->maxsize = (uint64_t)maxsize;
  channel->knowers = 1;
  channel->alone.run = run_alone;
  list_init(&channel->receivers);
  list_init(&channel->senders);
  remember_box(L, channel);
  return 1;
}

/* --- crossing to another state --- */

static void *retain(lua_State *L, struct neap *rt, int index) {
  struct channel *channel = *(struct channel **)object_test(L, index, OBJECT_CHANNEL);
  become_known(channel);
  return channel;
}

static void push(lua_State *L, struct neap *rt, void *object) {
  struct channel *channel = object;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
  lua_rawgetp(L, -1, channel);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  struct channel **box = new_box(L, rt, (lua_Integer)channel->maxsize);
  *box = channel;
  become_known(channel);
  remember_box(L, channel);
}

static const struct copy_kind channel_kind = {retain, push, become_unknown};

/* --- opening --- */

static const luaL_Reg methods[] = {
    {"send", l_send},
    {"send_nowait", l_send_nowait},
    {"receive", l_receive},
    {"receive_nowait", l_receive_nowait},
    {"messages", l_messages},
    {"close", l_close},
    {"closed", l_closed},
    {"qsize", l_qsize},
    {"__tostring", l_tostring},
    {"__gc", l_gc},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"Channel", l_channel},
    {NULL, NULL},
};

void channel_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_CHANNEL, "neap.Channel", methods);
  lua_pop(L, 1);
  copy_register(L, OBJECT_CHANNEL, &channel_kind);
  weak_table_new(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &boxes_key);
  weak_table_new(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatables_key);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
