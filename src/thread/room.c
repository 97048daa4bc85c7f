#include "thread/room.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/op.h"
#include "core/port.h"
#include "thread/call.h"
#include "thread/channel.h"
#include "thread/copy.h"
#include "thread/job.h"
#include "thread/library.h"
#include "thread/thread.h"

enum {
  CANCEL_NS = 1000000000, /* so long the tasks of all threads have to end when they are cancelled */
  KILL_NS = 500000000,    /* and when they are killed */
};

/* Registry key of the userdata that holds the room. */
static const char room_key;

struct thread_room *thread_room(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &room_key);
  struct thread_room *room = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return room;
}

/* Returns whether it has ended, at [deadline] of uv_hrtime at the latest. */
static bool wait_for_end(struct thread *thread, uint64_t deadline) {
  uint64_t now;
  uv_mutex_lock(&thread->lock);
  while (thread->state != THREAD_ENDED && (now = uv_hrtime()) < deadline) {
    if (deadline == UINT64_MAX)
      uv_cond_wait(&thread->changed, &thread->lock);
    else
      (void)uv_cond_timedwait(&thread->changed, &thread->lock, deadline - now);
  }
  bool ended = thread->state == THREAD_ENDED;
  uv_mutex_unlock(&thread->lock);
  return ended;
}

static struct thread *child_of(struct list *node) { return container_of(node, struct thread, link); }

static void stop_children(struct thread_room *room, enum thread_stop how) {
  list_each(node, &room->children) (void)thread_stop(child_of(node), how);
}

/* Returns whether all have ended. The time is one for all of them: many take no longer than one. */
static bool wait_for_children(struct thread_room *room, uint64_t deadline) {
  list_each(node, &room->children)
    if (!wait_for_end(child_of(node), deadline)) return false;
  return true;
}

/* What holds a thread without awaiting cannot be ended: the command does not wait for that. */
static void end_child(struct thread_room *room, struct thread *thread, uint64_t deadline) {
  if (!wait_for_end(thread, deadline)) return;
  uv_thread_join(&thread->id);
  if (thread->watch) op_complete(room->rt, thread->watch, 0); /* of a task that was ended */
  room->rt->reported += thread->reported;
  if (room->self) room->self->reported += thread->reported; /* which was set when the runtime was still run */
  thread_report(room->rt, thread);
  thread_release(thread);
}

/* Their tasks are cancelled; those that swallow that are killed. */
static void end_children(struct thread_room *room) {
  stop_children(room, STOP_CANCEL);
  if (!wait_for_children(room, uv_hrtime() + CANCEL_NS)) stop_children(room, STOP_KILL);
  uint64_t deadline = room->rt->ends_process ? uv_hrtime() + KILL_NS : UINT64_MAX;
  for (struct list *node; (node = list_first(&room->children));) {
    list_remove(node);
    end_child(room, child_of(node), deadline);
  }
}

/* At the runtime's end. A thread that a runtime of the host's own is for others is over then. */
static void close_room(struct neap *rt, struct resource *resource) {
  struct thread_room *room = container_of(resource, struct thread_room, resource);
  job_end_all(rt, room);
  end_children(room);
  if (!room->self) return;
  if (room->self->is_host) {
    thread_close_port(room->self);
    thread_mark_end(room->self);
    thread_tell_end(room->self, NULL);
  }
  thread_release(room->self);
  room->self = NULL;
}

/* The room, on top, is not collected before the runtime, which closes it: its metatable holds it. */
static void live_as_long(lua_State *L) {
  runtime_push(L);
  lua_getmetatable(L, -1);
  lua_pushvalue(L, -3);
  lua_rawsetp(L, -2, &room_key);
  lua_pop(L, 2);
}

void thread_room_open(lua_State *L, struct neap *rt, const struct thread_host *host) {
  struct thread_room *room = lua_newuserdatauv(L, sizeof *room, 0);
  *room = (struct thread_room){.resource = {.close = close_room, .no_handle = true}, .rt = rt, .host = host};
  list_init(&room->children);
  list_init(&room->jobs);
  live_as_long(L);
  list_append(&rt->resources, &room->resource.link); /* not before it is held: that may fail */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &room_key);
  copy_open(L, rt);
  channel_open(L, rt);
  thread_library_open(L, rt);
  call_open(L, rt);
  job_open(L, rt);
}
