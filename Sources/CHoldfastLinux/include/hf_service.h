/// Calls of the service: the manager's socket, sockets on loopback, waits and clocks. They return a
/// negative errno on failure.
#ifndef HF_SERVICE_H
#define HF_SERVICE_H

#include <stddef.h>
#include <stdint.h>

/// sendto(2): sends one datagram to a socket's path or, after an `@`, abstract name, without
/// waiting. Returns 0.
int hf_notify(const char *_Nonnull address, const void *_Nonnull text, size_t length);

/// socket(2), bind(2) and listen(2) on 127.0.0.1 or ::1; port 0 is any free one. Returns a
/// descriptor, non-blocking and close-on-exec.
int hf_listen_loopback(int version6, uint16_t port);

/// socket(2) and connect(2) to 127.0.0.1 or ::1, without waiting: once the descriptor is writable,
/// `hf_socket_error` has the outcome. Returns a descriptor, non-blocking and close-on-exec.
int hf_connect_loopback(int version6, uint16_t port);

/// getsockopt(2) of SO_ERROR: the pending error of a socket, which is cleared. Returns 0 for none.
int hf_socket_error(int socket);

/// getsockname(2): the port of a socket.
int hf_socket_port(int socket);

/// accept4(2). Returns a descriptor, non-blocking and close-on-exec.
int hf_accept(int socket);

/// getrlimit(2) and setrlimit(2): raises the soft limit of descriptors (RLIMIT_NOFILE) to the hard
/// one. Returns the limit.
int hf_raise_descriptor_limit(void);

/// clock_gettime(2) of CLOCK_MONOTONIC or CLOCK_REALTIME, in nanoseconds.
uint64_t hf_clock(int is_realtime);

/// eventfd(2). Returns a descriptor, non-blocking and close-on-exec.
int hf_event(void);

/// poll(2) of two descriptors for reading; -1 stands for none. Returns the bits 1 and 2 for those
/// that are readable, 0 after the timeout or a signal.
int hf_wait_readable(int first, int second, int milliseconds);

/// pthread_sigmask(3) and signalfd(2): blocks signals for the calling thread, and for the threads
/// that it starts later. Returns a descriptor that is readable while one of them is pending,
/// non-blocking and close-on-exec.
int hf_signal_file(const int *_Nonnull signals, size_t count);

/// read(2) of that descriptor: the number of a pending signal, 0 for none.
int hf_next_signal(int file);

#endif
