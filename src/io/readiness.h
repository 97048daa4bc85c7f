/* Waiting for descriptors until they can be read from or written to: any number of tasks for one, and one
 * task for any number. */
#ifndef NEAP_IO_READINESS_H
#define NEAP_IO_READINESS_H

#include <lua.h>
#include <stdint.h>

struct neap;

/* Sets wait_readable, wait_writable and select_descriptors as fields of the table on top. */
void readiness_open(lua_State *L, struct neap *rt);

/* Waiting for one, as a call of the name with this number. To be returned: the values are true, or false when
 * the time, in seconds, is over. A negative time is none. */
enum ready_call { READY_RECEIVE, READY_SEND, READY_ACCEPT, READY_CONNECT, READY_READABLE, READY_WRITABLE, READY_SELECT };
int ready_await(lua_State *L, enum ready_call call, int fd, uint32_t events, double seconds);

#endif
