#include "core/port.h"

#include <stdlib.h>
#include <unistd.h>

/* --- holders --- */

/* A host that calls with a runtime it has freed is to be told so: the addresses of the last few, as integers.
 * This is all that runtimes share. */
enum { REMEMBERED = 64 };
static atomic_uintptr_t freed[REMEMBERED];
static atomic_uint freed_count;

static void remember_freed(const struct neap_port *port) {
  unsigned place = atomic_fetch_add_explicit(&freed_count, 1, memory_order_relaxed);
  atomic_store_explicit(&freed[place % REMEMBERED], (uintptr_t)port, memory_order_relaxed);
}

/* The address is in use again. */
static void forget_freed(const struct neap_port *port) {
  for (int i = 0; i < REMEMBERED; i++) {
    uintptr_t address = (uintptr_t)port;
    atomic_compare_exchange_strong_explicit(&freed[i], &address, 0, memory_order_relaxed,
                                            memory_order_relaxed);
  }
}

bool port_was_freed(const struct neap_port *port) {
  unsigned count = atomic_load_explicit(&freed_count, memory_order_relaxed);
  for (unsigned i = 0; i < count && i < REMEMBERED; i++)
    if (atomic_load_explicit(&freed[i], memory_order_relaxed) == (uintptr_t)port) return true;
  return false;
}

void port_ref(struct neap_port *port) {
  atomic_fetch_add_explicit(&port->holders, 1, memory_order_relaxed);
}

void port_unref(struct neap_port *port) {
  if (atomic_fetch_sub_explicit(&port->holders, 1, memory_order_acq_rel) > 1) return;
  uv_mutex_destroy(&port->lock);
  remember_freed(port);
  for (struct host_kind *next, *kind = port->kinds; kind; kind = next) {
    next = kind->next;
    free(kind);
  }
  free(port);
}

void port_retire(struct neap *rt, void *block, size_t size) {
  struct retired *place = &rt->port->retired[rt->port->retired_count++ % PORT_RETIRED];
  if (place->block) pool_release(&rt->pool, place->block, place->size);
  *place = (struct retired){block, size};
}

/* --- posts --- */

static struct post *take_posts(struct neap_port *port) {
  uv_mutex_lock(&port->lock);
  struct post *first = port->first;
  port->first = port->last = NULL;
  uv_mutex_unlock(&port->lock);
  return first;
}

static struct post *after(struct post *post) { return (struct post *)post->runnable.next; }

bool port_deliver(struct neap *rt) {
  struct post *first = take_posts(rt->port);
  for (struct post *next, *post = first; post; post = next) {
    next = after(post);
    runtime_make_ready(rt, &post->runnable);
  }
  return first != NULL;
}

static void on_posts(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  struct neap_port *port = poll->data;
  char bytes[16]; /* one for each waker; what is left wakes it again */
  (void)!read(port->pipe[0], bytes, sizeof bytes);
  (void)port_deliver(port->rt);
}

static void append(struct neap_port *port, struct post *post) {
  post->runnable = (struct runnable){.kind = RUN_POST};
  if (port->last)
    port->last->runnable.next = &post->runnable;
  else
    port->first = post;
  port->last = post;
}

static void close_pipe(struct neap_port *port) {
  close(port->pipe[0]);
  close(port->pipe[1]);
}

/* The pipe is closed by whoever has it last. */
static void wake(struct neap_port *port) {
  (void)!write(port->pipe[1], "", 1);
  uv_mutex_lock(&port->lock);
  bool last = --port->wakers == 0 && !port->poll;
  uv_mutex_unlock(&port->lock);
  if (last) close_pipe(port);
  port_unref(port);
}

/* The loop takes all that there are: it is woken for the first. By then that one may be done, and the runtime
 * freed. */
bool port_post(struct neap_port *port, struct post *post) {
  uv_mutex_lock(&port->lock);
  bool open = port->poll != NULL, wakes = open && !port->first;
  if (wakes) port->wakers++, port_ref(port);
  if (open) append(port, post);
  uv_mutex_unlock(&port->lock);
  if (wakes) wake(port);
  return open;
}

void port_expect(struct neap *rt) {
  if (rt->port->expecting++ == 0) uv_ref((uv_handle_t *)rt->port->poll);
}

void port_unexpect(struct neap *rt) {
  if (--rt->port->expecting == 0 && rt->port->poll) uv_unref((uv_handle_t *)rt->port->poll);
}

/* --- threads --- */

void port_enter(struct neap *rt) {
  atomic_store_explicit(&rt->port->runner, (uintptr_t)pthread_self(), memory_order_relaxed);
}

void port_leave(struct neap *rt) {
  atomic_store_explicit(&rt->port->runner, 0, memory_order_relaxed);
}

static uintptr_t runner_of(struct neap_port *port) {
  return atomic_load_explicit(&port->runner, memory_order_relaxed);
}

bool port_runs_here(struct neap_port *port) { return runner_of(port) == (uintptr_t)pthread_self(); }

bool port_is_foreign(struct neap_port *port) { return runner_of(port) != 0 && !port_runs_here(port); }

/* --- its beginning and end --- */

static void on_closed(uv_handle_t *handle) { free(handle); }

static int open_poll(struct neap *rt, struct neap_port *port) {
  uv_poll_t *poll = malloc(sizeof *poll);
  int status = poll ? uv_poll_init(rt->loop, poll, port->pipe[0]) : UV_ENOMEM;
  if (status < 0) return free(poll), status;
  poll->data = port;
  port->poll = poll;
  uv_poll_start(poll, UV_READABLE, on_posts); /* cannot fail */
  uv_unref((uv_handle_t *)poll);
  return 0;
}

static int open_wakeup(struct neap *rt, struct neap_port *port) {
  int status = uv_pipe(port->pipe, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE);
  if (status == 0 && (status = open_poll(rt, port)) < 0) close_pipe(port);
  return status;
}

int port_open(struct neap *rt) {
  struct neap_port *port = calloc(1, sizeof *port);
  if (!port) return UV_ENOMEM;
  int status = uv_mutex_init(&port->lock);
  if (status == 0 && (status = open_wakeup(rt, port)) < 0) uv_mutex_destroy(&port->lock);
  if (status < 0) {
    free(port);
    return status;
  }
  forget_freed(port);
  atomic_init(&port->holders, 1);
  port->rt = rt;
  rt->port = port;
  return 0;
}

/* Posts that are in the ready queue already. */
static void drop_ready(struct neap *rt) {
  for (struct runnable *next, *ready = rt->ready_head; ready; ready = next) {
    next = ready->next;
    if (ready->kind != RUN_POST) continue;
    ((struct post *)ready)->run(NULL, (struct post *)ready);
  }
  rt->ready_head = rt->ready_tail = NULL;
}

/* The loop lets go of the pipe before a waker may close it. Returns whether there is no waker. */
static bool close_poll(struct neap_port *port) {
  uv_mutex_lock(&port->lock);
  uv_close((uv_handle_t *)port->poll, on_closed);
  port->poll = NULL;
  bool last = port->wakers == 0;
  uv_mutex_unlock(&port->lock);
  return last;
}

void port_close(struct neap *rt) {
  struct neap_port *port = rt->port;
  if (close_poll(port)) close_pipe(port);
  for (struct post *next, *post = take_posts(port); post; post = next) {
    next = after(post);
    post->run(NULL, post);
  }
  drop_ready(rt);
  for (int i = 0; i < PORT_RETIRED; i++) port_retire(rt, NULL, 0);
  port->rt = NULL;
  port_unref(port);
}
