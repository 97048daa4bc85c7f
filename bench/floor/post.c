/* The floor of a post: a queue under a mutex, and uv_async_send for what comes when it is empty. */
#include <uv.h>

#include "../lib/meter.h"
#include "../lib/worker.h"

struct post {
  struct post *next;
};

static uv_async_t async;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct post *first, *last; /* under the lock */

static struct baton orders = BATON_INIT;
static long burst, seen, left; /* posts at a time; that came of them; bursts to come */

/* --- in the other thread --- */

static void post_one(void) {
  struct post *post = malloc(sizeof(*post));
  post->next = NULL;
  pthread_mutex_lock(&lock);
  if (first == NULL) uv_async_send(&async);
  if (first == NULL)
    first = post;
  else
    last->next = post;
  last = post;
  pthread_mutex_unlock(&lock);
}

static void *run(void *unused) {
  (void)unused;
  while (baton_take(&orders) == &burst)
    for (long i = 0, n = burst; i < n; i++) post_one();
  return NULL;
}

/* --- in the loop's thread --- */

static void end_burst(void) {
  seen = 0;
  if (--left > 0)
    baton_give(&orders, &burst);
  else
    uv_stop(async.loop);
}

static void on_posts(uv_async_t *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  struct post *post = first;
  first = NULL;
  pthread_mutex_unlock(&lock);
  for (struct post *next; post != NULL; post = next) {
    next = post->next;
    free(post);
    seen++;
  }
  if (seen == burst) end_burst();
}

struct cost {
  double wall_s, cpu_s;
};

/* Of [bursts] bursts of [count] posts: for each post. */
static struct cost run_bursts(long bursts, long count) {
  left = bursts;
  burst = count;
  double begin = meter_wall_s(), cpu = meter_cpu_s(), n = (double)(bursts * count);
  baton_give(&orders, &burst);
  uv_run(async.loop, UV_RUN_DEFAULT);
  return (struct cost){(meter_wall_s() - begin) / n, (meter_cpu_s() - cpu) / n};
}

int main(void) {
  uv_async_init(uv_default_loop(), &async, on_posts);
  pthread_t thread = worker_start(run, NULL);
  run_bursts(meter_count(1000), 1);
  struct cost one = run_bursts(meter_count(30000), 1);
  meter_report("post_us", one.wall_s * 1e6);
  meter_report("post_cpu_us", one.cpu_s * 1e6);
  run_bursts(1, meter_count(100000));
  struct cost many = run_bursts(1, meter_count(1000000));
  meter_report("post_burst_ns", many.wall_s * 1e9);
  meter_report("post_burst_cpu_ns", many.cpu_s * 1e9);
  baton_give(&orders, &orders);
  pthread_join(thread, NULL);
  return 0;
}
