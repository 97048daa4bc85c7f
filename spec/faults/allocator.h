/* Memory that can be had to fail: what neap, Lua and libuv allocate is one numbered sequence. */
#ifndef FAULTS_ALLOCATOR_H
#define FAULTS_ALLOCATOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { FAULTS_LASTING = INT_MAX };

/* From here on allocations are numbered from 1, and the [width] from number [first] fail; 0: none. */
void faults_arm(int first, int width);

/* Every allocation of Lua fails once and succeeds when it is tried again, which is after a full
 * collection: a collection at each allocation. Those of C succeed. */
void faults_arm_collecting(void);
bool faults_collecting(void);

/* All succeed again. Returns how many there were, or how many failed when collecting. */
int faults_disarm(void);

/* While paused allocations succeed and are not numbered. Pauses nest. */
void faults_pause(bool paused);

/* Blocks that have not been freed. */
int faults_live(void);

/* What lua_newstate takes. */
void *faults_lua_alloc(void *unused, void *block, size_t before, size_t size);

/* Has libuv allocate here. To be called before libuv is used. */
void faults_take_libuv(void);

#endif
