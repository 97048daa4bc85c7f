/* The items of a queue, in a Lua table: first in first out, last in first out, or lowest first. */
#ifndef NEAP_CORE_QUEUE_STORE_H
#define NEAP_CORE_QUEUE_STORE_H

#include <lua.h>
#include <stdint.h>

enum store_order { STORE_FIFO, STORE_LIFO, STORE_PRIORITY };

/* User values of the userdata that holds it: the table, and for lowest first the function that tells
 * whether one item comes before another, or nil. */
enum { STORE_ITEMS = 1, STORE_BEFORE = 2, STORE_USER_VALUES = 2 };

/* Places in the table go from 1 to [capacity], which is 0 or a power of two. An item takes one place;
 * lowest first takes a second one for its number in the order of arrival. */
struct store {
  lua_Integer count;
  lua_Integer first;    /* first in first out: the place before that of the first item */
  lua_Integer capacity;
  lua_Integer arrivals; /* lowest first: changes with each change */
  uint8_t order;
};

/* Makes room for one more item. [box] is the index of the userdata. May raise for want of memory. */
void store_reserve(lua_State *L, struct store *store, int box);

/* Adds the item at [item], where room was made. Lowest first may raise what comparing raises, with
 * nothing changed; the others cannot raise. Leaves something on the stack. */
void store_add(lua_State *L, struct store *store, int box, int item);

/* Takes the next item out, and pushes it above something else; first in first out, the one behind the
 * first [skip]. Raises only as store_add does. */
void store_take(lua_State *L, struct store *store, int box, lua_Integer skip);

/* Gives a large table back once the store is empty. */
void store_shrink(lua_State *L, struct store *store, int box);

/* Forgets all but [count] items: those that are next. */
void store_truncate(lua_State *L, struct store *store, int box, lua_Integer count);

#endif
