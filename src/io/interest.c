#include "io/interest.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 64, FDS_FIRST = 16 };

/* There while anybody is interested in the descriptor. */
struct watched {
  struct interests *all;
  struct list interests;
  struct list fresh; /* in the list of those that were armed since libuv last polled */
  uint32_t events;   /* that the system tells of once */
  int fd;
  bool known;        /* to the system */
};

/* Of a runtime. Freed by the last close callback. */
struct interests {
  uv_poll_t poll;      /* of [epoll]; referenced while any is armed */
  uv_prepare_t before; /* called before libuv polls */
  uint8_t open;        /* handles of these two */
  struct neap *rt;
  struct resource resource;
  struct list fresh;
  struct watched **by_fd;
  int capacity;
  int armed;
  int epoll;
};

static int last_error(void) { return uv_translate_sys_error(errno); }

/* --- the table --- */

static struct watched *find(const struct neap *rt, int fd) {
  const struct interests *all = rt->interests;
  return all && fd >= 0 && fd < all->capacity ? all->by_fd[fd] : NULL;
}

struct list *interest_list(const struct neap *rt, int fd) {
  struct watched *w = find(rt, fd);
  return w ? &w->interests : NULL;
}

int interest_bound(const struct neap *rt) { return rt->interests ? rt->interests->capacity : 0; }

int interest_check_fd(lua_State *L, int index) {
  lua_Integer fd = luaL_checkinteger(L, index);
  luaL_argcheck(L, fd >= 0 && fd <= INT_MAX / 2, index, "there is no such descriptor");
  return (int)fd;
}

static bool make_room(struct interests *all, int fd) {
  int capacity = all->capacity ? all->capacity : FDS_FIRST;
  while (capacity <= fd) capacity *= 2;
  if (capacity == all->capacity) return true;
  struct watched **by_fd = memory_realloc(all->rt->memory, all->by_fd, (size_t)capacity * sizeof *by_fd);
  if (!by_fd) return false;
  memset(by_fd + all->capacity, 0, (size_t)(capacity - all->capacity) * sizeof *by_fd);
  all->by_fd = by_fd;
  all->capacity = capacity;
  return true;
}

/* --- what the system looks for --- */

static void set_events(struct watched *w, uint32_t events) {
  struct interests *all = w->all;
  all->armed += (events != 0) - (w->events != 0);
  w->events = events;
  if (all->armed > 0)
    uv_ref((uv_handle_t *)&all->poll);
  else
    uv_unref((uv_handle_t *)&all->poll);
}

/* The descriptor may be another one by the same number, or the same one by a number that came back. */
static int arm(struct watched *w, uint32_t events) {
  struct epoll_event event = {.events = events | EPOLLONESHOT, .data.fd = w->fd};
  int first = w->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, other = w->known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  int result = epoll_ctl(w->all->epoll, first, w->fd, &event);
  if (result < 0 && (errno == ENOENT || errno == EEXIST)) result = epoll_ctl(w->all->epoll, other, w->fd, &event);
  if (result < 0) return last_error();
  w->known = true;
  return 0;
}

static void on_before(uv_prepare_t *before);

static uint32_t wanted(const struct watched *w) {
  uint32_t events = 0;
  list_each(node, &w->interests) events |= container_of(node, struct interest, link)->events;
  return events;
}

static int look(struct watched *w) {
  uint32_t events = wanted(w);
  int status = events ? arm(w, events) : 0;
  set_events(w, status < 0 ? 0 : events);
  if (!w->events) return status;
  if (list_empty(&w->fresh)) list_append(&w->all->fresh, &w->fresh);
  uv_prepare_start(&w->all->before, on_before);
  return 0;
}

/* --- readiness --- */

static void tell(struct watched *w, uint32_t events, int status) {
  list_each(node, &w->interests) {
    struct interest *interest = container_of(node, struct interest, link);
    if (interest->events & events) interest->ready(w->all->rt, interest, status);
  }
}

static void give_up(struct watched *w, int status) {
  set_events(w, 0);
  tell(w, UINT32_MAX, status);
}

/* The system does not tell of a descriptor that was closed. */
static void on_before(uv_prepare_t *before) {
  struct interests *all = before->data;
  struct list *node;
  uv_prepare_stop(before);
  while ((node = list_first(&all->fresh))) {
    struct watched *w = container_of(node, struct watched, fresh);
    list_remove(node);
    if (fcntl(w->fd, F_GETFD) < 0) give_up(w, UV_EBADF);
  }
}

static void on_event(struct watched *w, uint32_t events) {
  set_events(w, 0);
  tell(w, events & (EPOLLERR | EPOLLHUP) ? UINT32_MAX : events, 0);
  int status = look(w);
  if (status < 0) give_up(w, status);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  struct interests *all = poll->data;
  struct epoll_event ready[EVENTS_AT_ONCE];
  (void)status, (void)events;
  int count = epoll_wait(all->epoll, ready, EVENTS_AT_ONCE, 0);
  for (int i = 0; i < count; i++) {
    struct watched *w = find(all->rt, ready[i].data.fd);
    if (w) on_event(w, ready[i].events);
  }
}

/* --- life --- */

static void free_watched(struct watched *w) {
  struct interests *all = w->all;
  set_events(w, 0);
  list_remove(&w->fresh);
  if (w->known) epoll_ctl(all->epoll, EPOLL_CTL_DEL, w->fd, &(struct epoll_event){0});
  all->by_fd[w->fd] = NULL;
  memory_free(w);
}

static void end(struct interest *interest) {
  list_remove(&interest->link);
  interest->watched = NULL;
}

static void end_all(struct neap *rt, struct watched *w) {
  list_each(node, &w->interests) {
    struct interest *interest = container_of(node, struct interest, link);
    end(interest);
    interest->ready(rt, interest, UV_ECANCELED);
  }
  free_watched(w);
}

static void on_closed(uv_handle_t *handle) {
  struct interests *all = handle->data;
  if (--all->open == 0) memory_free(all);
}

static void close_resource(struct neap *rt, struct resource *resource) {
  struct interests *all = container_of(resource, struct interests, resource);
  for (int fd = 0; fd < all->capacity; fd++)
    if (all->by_fd[fd]) end_all(rt, all->by_fd[fd]);
  memory_free(all->by_fd);
  rt->interests = NULL;
  uv_close((uv_handle_t *)&all->poll, on_closed);
  uv_close((uv_handle_t *)&all->before, on_closed);
  close(all->epoll);
}

static int open_epoll(struct neap *rt, struct interests *all) {
  all->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (all->epoll < 0) return last_error();
  int status = uv_poll_init(rt->loop, &all->poll, all->epoll);
  if (status < 0) close(all->epoll);
  return status;
}

static int open_interests(struct neap *rt) {
  struct interests *all = memory_calloc(rt->memory, 1, sizeof *all);
  if (!all) return UV_ENOMEM;
  int status = open_epoll(rt, all);
  if (status < 0) return memory_free(all), status;
  uv_prepare_init(rt->loop, &all->before);
  all->poll.data = all->before.data = all;
  all->open = INTEREST_HANDLES;
  all->rt = rt;
  list_init(&all->fresh);
  uv_poll_start(&all->poll, UV_READABLE, on_ready);
  uv_unref((uv_handle_t *)&all->poll);
  uv_unref((uv_handle_t *)&all->before);
  all->resource = (struct resource){.close = close_resource, .no_handle = true};
  list_append(&rt->resources, &all->resource.link);
  rt->interests = all;
  return 0;
}

static int watch(struct neap *rt, int fd, struct watched **result) {
  int status = rt->interests ? 0 : open_interests(rt);
  if (status < 0) return status;
  /* The table has not to grow to a number that is none. */
  if (fd >= rt->interests->capacity && fcntl(fd, F_GETFD) < 0) return last_error();
  struct watched *w = make_room(rt->interests, fd) ? memory_calloc(rt->memory, 1, sizeof *w) : NULL;
  if (!w) return UV_ENOMEM;
  w->all = rt->interests;
  w->fd = fd;
  list_init(&w->interests);
  list_init(&w->fresh);
  *result = rt->interests->by_fd[fd] = w;
  return 0;
}

int interest_begin(struct neap *rt, struct interest *interest, int fd) {
  struct watched *w = find(rt, fd);
  int status = w ? 0 : watch(rt, fd, &w);
  if (status < 0) return status;
  interest->watched = w;
  list_append(&w->interests, &interest->link);
  status = look(w);
  if (status < 0) interest_end(interest);
  return status;
}

void interest_end(struct interest *interest) {
  struct watched *w = interest->watched;
  if (!w) return;
  end(interest);
  if (list_empty(&w->interests))
    free_watched(w);
  else if (!wanted(w))
    set_events(w, 0);
}

void interest_forget(struct neap *rt, int fd) {
  struct watched *w = find(rt, fd);
  if (!w) return;
  if (w->known) epoll_ctl(w->all->epoll, EPOLL_CTL_DEL, fd, &(struct epoll_event){0});
  w->known = false;
  list_remove(&w->fresh);
  give_up(w, 0);
}
