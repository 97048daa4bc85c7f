#include "net/race.h"

#include "core/limits.h"

/* --- the order --- */

static bool is_v6(const union address *address) { return address->any.sa_family == AF_INET6; }

/* The first address of the family from [i] on, or [count]. */
static int find(const struct addresses *addresses, int i, bool v6) {
  while (i < addresses->count && is_v6(&addresses->list[i]) != v6) i++;
  return i;
}

/* The families in turn, beginning with that of the first address; each family in its own order. */
static void interleave(struct race *race, const struct addresses *addresses) {
  bool v6 = race->count > 0 && is_v6(&addresses->list[0]);
  int next[2] = {find(addresses, 0, false), find(addresses, 0, true)};
  for (int i = 0; i < race->count; i++, v6 = !v6) {
    if (next[v6] == addresses->count) v6 = !v6;
    race->attempts[i].race = race;
    race->attempts[i].address = addresses->list[next[v6]];
    next[v6] = find(addresses, next[v6] + 1, v6);
  }
}

/* --- attempts --- */

static void try_next(struct race *race);

static void end_attempt(struct attempt *attempt, int status) {
  struct race *race = attempt->race;
  attempt->status = status;
  if (attempt->transport) transport_release(attempt->transport);
  attempt->transport = NULL;
  race->running--;
}

static void end_all(struct race *race) {
  timer_stop(race->rt, &race->timer);
  for (int i = 0; i < race->next; i++)
    if (race->attempts[i].transport) end_attempt(&race->attempts[i], UV_ECANCELED);
}

static void connected(void *owner, int status) {
  struct attempt *attempt = owner;
  struct race *race = attempt->race;
  if (status < 0) {
    end_attempt(attempt, status);
    try_next(race);
    return;
  }
  race->winner = attempt->transport;
  attempt->transport = NULL;
  end_all(race);
  race->done(race->owner, 0);
}

static int begin_attempt(struct attempt *attempt) {
  struct race *race = attempt->race;
  const struct race_options *options = &race->options;
  int status = limits_address(race->rt, &attempt->address.any, false);
  if (status == 0) status = limits_handle(race->rt);
  if (status < 0) return status;
  attempt->transport = transport_tcp(race->rt, race->slab);
  if (!attempt->transport) return UV_ENOMEM;
  transport_set_tcp(attempt->transport, options->nodelay, options->keepalive);
  return transport_connect(attempt->transport, &attempt->address, options->has_local ? &options->local : NULL,
                           connected, attempt);
}

static void time_next(struct race *race) {
  if (race->next == race->count || race->options.head_start_ns == INT64_MAX) return;
  timer_stop(race->rt, &race->timer);
  timer_start(race->rt, &race->timer, runtime_now(race->rt) + race->options.head_start_ns);
}

/* Begins the next attempt that does not fail at once. Without memory for a timer the next one waits for the end of
 * this one. */
static void try_next(struct race *race) {
  timer_stop(race->rt, &race->timer);
  while (race->next < race->count) {
    struct attempt *attempt = &race->attempts[race->next++];
    int status = begin_attempt(attempt);
    race->running++;
    if (status == 0) {
      time_next(race);
      return;
    }
    end_attempt(attempt, status);
  }
  if (race->running > 0) return;
  race->done(race->owner, race->count > 0 ? race->attempts[0].status : UV_EAI_NODATA);
}

static void on_head_start(struct neap *rt, struct timer *timer) {
  (void)rt;
  try_next(container_of(timer, struct race, timer));
}

/* --- its life --- */

struct race *race_new(struct neap *rt, struct slab *slab, const struct addresses *addresses,
                      const struct race_options *options) {
  int count = addresses->count;
  struct race *race = memory_calloc(rt->memory, 1, sizeof *race + (size_t)count * sizeof race->attempts[0]);
  if (!race) return NULL;
  race->rt = rt;
  race->slab = slab;
  race->options = *options;
  race->count = count;
  timer_init(&race->timer, on_head_start);
  interleave(race, addresses);
  return race;
}

void race_start(struct race *race, void (*done)(void *owner, int status), void *owner) {
  race->done = done;
  race->owner = owner;
  try_next(race);
}

struct transport *race_take(struct race *race) {
  struct transport *winner = race->winner;
  race->winner = NULL;
  return winner;
}

void race_free(struct race *race) {
  if (!race) return;
  end_all(race);
  if (race->winner) transport_release(race->winner);
  memory_free(race);
}
