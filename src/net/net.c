#include "net/net.h"

#include "net/datagram.h"
#include "net/listen.h"
#include "net/listener.h"
#include "net/names.h"
#include "net/raw_socket.h"
#include "net/system.h"
#include "net/tcp.h"
#include "net/tls_opener.h"
#include "net/unix.h"

void net_open(lua_State *L, struct neap *rt) {
  tcp_open(L, rt);
  unix_open(L, rt);
  listener_open(L, rt);
  listen_open(L, rt);
  names_open(L, rt);
  datagram_open(L, rt);
  raw_socket_open(L, rt);
  system_open(L, rt);
  tls_opener_open(L);
}
