/* The pace of Lua's collector in a state of our own. */
#ifndef NEAP_CORE_COLLECTOR_H
#define NEAP_CORE_COLLECTOR_H

struct neap;

/* Lets a small heap grow to a few MB before it is collected: at Lua's own pace a heap of 100 KB would
 * be marked anew for every few strings that I/O makes. A pace that the script has set stays. */
void collector_pace(struct neap *rt);

#endif
