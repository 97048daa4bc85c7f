/* The floor of a channel: two threads, a mutex, conditions, and a ring of 128 messages or a list without a
 * limit. A text is copied, as from one Lua state to another. */
#include <stdbool.h>

#include "../lib/meter.h"
#include "../lib/worker.h"

enum { TEXT_BYTES = 64, RING = 128 };

struct message {
  struct message *next; /* in a list */
  long number;
  char *text;
};

struct channel {
  pthread_mutex_t lock;
  pthread_cond_t changed; /* from empty to not, or from full to not */
  long capacity, count;   /* 0: no limit */
  long begin;             /* of the ring */
  struct message ring[RING];
  struct message *first, *last;
};

static struct channel *new_channel(long capacity) {
  struct channel *channel = calloc(1, sizeof(*channel));
  pthread_mutex_init(&channel->lock, NULL);
  pthread_cond_init(&channel->changed, NULL);
  channel->capacity = capacity;
  return channel;
}

static void append(struct channel *channel, struct message message) {
  if (channel->capacity > 0) {
    channel->ring[(channel->begin + channel->count) % RING] = message;
    return;
  }
  struct message *node = malloc(sizeof(*node));
  *node = message;
  if (channel->count == 0)
    channel->first = node;
  else
    channel->last->next = node;
  channel->last = node;
}

static struct message take(struct channel *channel) {
  if (channel->capacity > 0) return channel->ring[channel->begin++ % RING];
  struct message *node = channel->first, message = *node;
  channel->first = node->next;
  free(node);
  return message;
}

static char *copy_text(const char *text) {
  return text ? memcpy(malloc(TEXT_BYTES), text, TEXT_BYTES) : NULL;
}

static void send(struct channel *channel, long number, const char *text) {
  struct message message = {NULL, number, copy_text(text)};
  pthread_mutex_lock(&channel->lock);
  while (channel->capacity > 0 && channel->count == channel->capacity)
    pthread_cond_wait(&channel->changed, &channel->lock);
  append(channel, message);
  if (channel->count++ == 0) pthread_cond_signal(&channel->changed);
  pthread_mutex_unlock(&channel->lock);
}

static long receive(struct channel *channel) {
  pthread_mutex_lock(&channel->lock);
  while (channel->count == 0) pthread_cond_wait(&channel->changed, &channel->lock);
  struct message message = take(channel);
  if (channel->count-- == channel->capacity) pthread_cond_signal(&channel->changed);
  pthread_mutex_unlock(&channel->lock);
  free(message.text);
  return message.number;
}

/* --- what runs --- */

struct job {
  struct channel *there, *back;
  long count;
  const char *text;
};

static void *send_all(void *argument) {
  struct job *job = argument;
  for (long i = 0; i < job->count; i++) send(job->there, i, job->text);
  return NULL;
}

static void *answer_all(void *argument) {
  struct job *job = argument;
  for (long i = 0; i < job->count; i++) send(job->back, receive(job->there), NULL);
  return NULL;
}

static void receive_all(struct job *job) {
  for (long i = 0; i < job->count; i++)
    if (receive(job->there) != i) abort();
}

static void ping(struct job *job) {
  for (long i = 0; i < job->count; i++) {
    send(job->there, i, NULL);
    if (receive(job->back) != i) abort();
  }
}

static void measure(const char *name, const char *unit, double per_second, struct job *job,
                    void *(*other)(void *), void (*work)(struct job *)) {
  char figure[64];
  pthread_t thread = worker_start(other, job);
  double begin = meter_wall_s(), cpu = meter_cpu_s();
  work(job);
  pthread_join(thread, NULL);
  double n = (double)job->count;
  snprintf(figure, sizeof(figure), "%s_%s", name, unit);
  meter_report(figure, (meter_wall_s() - begin) / n * per_second);
  snprintf(figure, sizeof(figure), "%s_cpu_%s", name, unit);
  meter_report(figure, (meter_cpu_s() - cpu) / n * per_second);
}

static void one_way(const char *name, long capacity, long count, const char *text) {
  struct job job = {new_channel(capacity), NULL, count, text};
  measure(name, "ns", 1e9, &job, send_all, receive_all);
  free(job.there);
}

static void ping_pong(long count) {
  struct job job = {new_channel(1), new_channel(1), count, NULL};
  measure("channel_ping", "us", 1e6, &job, answer_all, ping);
  free(job.there);
  free(job.back);
}

int main(void) {
  char text[TEXT_BYTES];
  memset(text, 'x', sizeof(text));
  one_way("channel_128", RING, meter_count(1000000), NULL);
  one_way("channel_128_text", RING, meter_count(1000000), text);
  one_way("channel_0", 0, meter_count(1000000), NULL);
  one_way("channel_0_text", 0, meter_count(1000000), text);
  ping_pong(meter_count(50000));
  return 0;
}
