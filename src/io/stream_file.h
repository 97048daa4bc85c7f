/* What a stream can do that leads to a file. */
#ifndef NEAP_IO_STREAM_FILE_H
#define NEAP_IO_STREAM_FILE_H

#include <lauxlib.h>

extern const luaL_Reg stream_file_methods[];

#endif
