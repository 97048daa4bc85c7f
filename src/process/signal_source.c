#include "process/signal_source.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "core/limits.h"

/* Freed by the close callback. */
struct signal_source {
  uv_signal_t uv; /* must be first */
  struct resource resource;
  struct signal_hub *hub;
  struct list hearers;
  int number;
  unsigned seen;    /* arrivals that were told */
  unsigned awaited; /* by so many hearers */
  bool told;        /* something was */
};

typedef void handler(int number);

/* Of the process. A signal handler touches the first two alone. */
static atomic_uint arrivals[SIGNAL_MAX + 1];
static _Atomic(handler *) libuv_handler;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct disposition {
  unsigned users;          /* sources, in all runtimes */
  struct sigaction before; /* the first of them */
} dispositions[SIGNAL_MAX + 1];

/* --- who handles it in the process --- */

static void on_arrival(int number) {
  int error = errno;
  atomic_fetch_add(&arrivals[number], 1);
  atomic_load (&libuv_handler)(number);
  errno = error;
}

/* Puts ourselves before libuv's handler. */
static void wrap(int number) {
  struct sigaction now;
  sigaction(number, NULL, &now);
  if (now.sa_handler == on_arrival) return;
  atomic_store(&libuv_handler, now.sa_handler);
  now.sa_handler = on_arrival;
  sigaction(number, &now, NULL);
}

/* libuv has set the default, unless somebody else hears the signal by it. */
static void unwrap(int number, const struct sigaction *before) {
  struct sigaction now;
  handler *libuv = atomic_load(&libuv_handler);
  sigaction(number, NULL, &now);
  if (now.sa_handler == on_arrival) {
    now.sa_handler = libuv;
    sigaction(number, &now, NULL);
  } else if (now.sa_handler == SIG_DFL && before->sa_handler != libuv) {
    sigaction(number, before, NULL);
  }
}

/* Meanwhile no signal comes in this thread: between libuv's hands and others' the default would end the
 * process. */
static void enter(sigset_t *mask) {
  sigset_t all;
  sigfillset(&all);
  pthread_mutex_lock(&lock);
  pthread_sigmask(SIG_SETMASK, &all, mask);
}

static void leave(const sigset_t *mask) {
  pthread_sigmask(SIG_SETMASK, mask, NULL);
  pthread_mutex_unlock(&lock);
}

static void on_signal(uv_signal_t *uv, int number);

static int take_over(struct signal_source *source) {
  struct disposition *d = &dispositions[source->number];
  sigset_t mask;
  enter(&mask);
  if (d->users == 0) sigaction(source->number, NULL, &d->before);
  int status = uv_signal_start(&source->uv, on_signal, source->number);
  if (status == 0) {
    wrap(source->number);
    d->users++;
  }
  leave(&mask);
  return status;
}

static void give_back(struct signal_source *source) {
  struct disposition *d = &dispositions[source->number];
  sigset_t mask;
  enter(&mask);
  uv_signal_stop(&source->uv);
  if (--d->users == 0) unwrap(source->number, &d->before);
  leave(&mask);
}

/* --- arrivals --- */

static void tell(struct signal_source *source, unsigned count) {
  if (count == 0) return;
  source->seen += count;
  source->told = true;
  for (struct list *node = source->hearers.next; node != &source->hearers; node = node->next) {
    struct hearer *hearer = container_of(node, struct hearer, link);
    hearer->hear(hearer, count);
  }
}

static unsigned untold(const struct signal_source *source) {
  return atomic_load(&arrivals[source->number]) - source->seen;
}

/* One that came before we stood in front of libuv's handler is not counted. */
static void on_signal(uv_signal_t *uv, int number) {
  struct signal_source *source = (struct signal_source *)uv;
  struct signal_hub *hub = source->hub;
  (void)number;
  unsigned count = untold(source);
  if (count == 0 && !source->told) {
    source->seen--;
    count = 1;
  }
  tell(source, count);
  for (int i = 1; i <= SIGNAL_MAX; i++)
    if (hub->sources[i]) tell(hub->sources[i], untold(hub->sources[i]));
}

/* --- sources --- */

static void on_closed(uv_handle_t *handle) { memory_free(handle); }

static void close_source(struct signal_source *source) {
  give_back(source);
  source->hub->sources[source->number] = NULL;
  uv_close((uv_handle_t *)&source->uv, on_closed);
}

static void close_resource(struct neap *rt, struct resource *resource) {
  struct signal_source *source = container_of(resource, struct signal_source, resource);
  (void)rt;
  while (!list_empty(&source->hearers)) {
    struct hearer *hearer = container_of(source->hearers.next, struct hearer, link);
    list_remove(&hearer->link);
    hearer->source = NULL;
  }
  close_source(source);
}

/* Gives the new source to libuv, or frees it. */
static int open_source(struct signal_hub *hub, struct signal_source *source, int number) {
  int status = uv_signal_init(hub->rt->loop, &source->uv);
  if (status < 0) {
    memory_free(source);
    return status;
  }
  uv_unref((uv_handle_t *)&source->uv);
  source->hub = hub;
  source->number = number;
  source->seen = atomic_load(&arrivals[number]);
  list_init(&source->hearers);
  status = take_over(source);
  if (status < 0) uv_close((uv_handle_t *)&source->uv, on_closed);
  return status;
}

static int get_source(struct signal_hub *hub, int number, struct signal_source **result) {
  *result = hub->sources[number];
  if (*result) return 0;
  int status = limits_handle(hub->rt);
  if (status < 0) return status;
  struct signal_source *source = memory_calloc(hub->rt->memory, 1, sizeof *source);
  if (!source) return UV_ENOMEM;
  status = open_source(hub, source, number);
  if (status < 0) return status;
  source->resource.close = close_resource;
  list_append(&hub->rt->resources, &source->resource.link);
  *result = hub->sources[number] = source;
  return 0;
}

int signal_hear(struct signal_hub *hub, struct hearer *hearer, int number) {
  int status = get_source(hub, number, &hearer->source);
  if (status == 0) list_append(&hearer->source->hearers, &hearer->link);
  return status;
}

void signal_unhear(struct hearer *hearer) {
  struct signal_source *source = hearer->source;
  if (!source) return;
  signal_set_awaits(hearer, false);
  list_remove(&hearer->link);
  hearer->source = NULL;
  if (!list_empty(&source->hearers)) return;
  list_remove(&source->resource.link);
  close_source(source);
}

void signal_set_awaits(struct hearer *hearer, bool awaits) {
  struct signal_source *source = hearer->source;
  if (!source || hearer->awaits == awaits) return;
  hearer->awaits = awaits;
  source->awaited += awaits ? 1 : -1u;
  if (source->awaited > 0)
    uv_ref((uv_handle_t *)&source->uv);
  else
    uv_unref((uv_handle_t *)&source->uv);
}
