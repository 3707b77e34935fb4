/// What a service needs: its manager's socket, to which it tells its state, one on loopback, waits and
/// clocks. Calls that can fail return a negative errno then.
#ifndef HF_SERVICE_H
#define HF_SERVICE_H

#include <stddef.h>
#include <stdint.h>

/// sendto(2) of one datagram to a socket's path, or to an abstract name, which begins with `@`. Does not
/// wait. Returns 0.
int hf_notify(const char *_Nonnull address, const void *_Nonnull text, size_t length);

/// socket(2), bind(2) and listen(2) on a loopback address, 127.0.0.1 or ::1, and a port, 0 for one that is
/// free. Returns a descriptor that does not block and is closed on exec.
int hf_listen_loopback(int version6, uint16_t port);

/// getsockname(2): the port of a socket.
int hf_socket_port(int socket);

/// accept4(2). Returns a descriptor whose calls wait for at most so long.
int hf_accept(int socket, int milliseconds);

/// clock_gettime(2) in nanoseconds: of CLOCK_MONOTONIC, or of CLOCK_REALTIME.
uint64_t hf_clock(int is_realtime);

/// eventfd(2). Returns a descriptor that does not block and is closed on exec.
int hf_event(void);

/// poll(2) of two descriptors for reading, either -1 for none. Returns the bits 1 and 2 for those that are
/// ready, 0 when the time is over or a signal came.
int hf_wait_readable(int first, int second, int milliseconds);

#endif
