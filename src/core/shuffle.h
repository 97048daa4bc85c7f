/* The order in which the tasks of one turn run, shuffled by a seed: for specs that look for what holds in
 * every order. Callbacks keep their places. */
#ifndef NEAP_CORE_SHUFFLE_H
#define NEAP_CORE_SHUFFLE_H

#include <stdint.h>

struct neap;

/* From now on; 0: first in, first out. */
void shuffle_set_seed(struct neap *rt, uint64_t seed);

/* Shuffles what is ready, by rt->seed, which it moves on. Without memory it leaves the order. */
void shuffle_ready(struct neap *rt);

#endif
