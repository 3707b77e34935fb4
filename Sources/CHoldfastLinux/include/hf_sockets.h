/// Datagram sockets (unix(7)) with a name in an open folder. A process that may open the folder and
/// write to the socket can send; the receiver need not be running. Sockets are reached through
/// /proc/self/fd, so that the folder is the open one, and its path may exceed a socket address.
/// Functions return a negative errno on failure.
#ifndef HF_SOCKETS_H
#define HF_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

/// socket(2), bind(2), fchown(2) and chmod(2): creates a socket of that name. EADDRINUSE if the
/// name is in use. Returns a descriptor, non-blocking and close-on-exec.
int hf_bind_socket_at(int folder, const char *_Nonnull name, uint32_t owner, uint32_t group,
                      uint32_t mode);

/// sendto(2): sends one datagram, without waiting. ENOTSOCK if the name is a symbolic link or not a
/// socket, ECONNREFUSED if no process listens. Returns 0.
int hf_send_to_socket_at(int folder, const char *_Nonnull name, const void *_Nonnull text,
                         size_t length);

/// connect(2): returns 0 if a process listens at the socket of that name.
int hf_try_socket_at(int folder, const char *_Nonnull name);

/// recv(2) of one datagram. Returns its whole length, which may exceed `length`, or EAGAIN without
/// one.
int64_t hf_receive(int socket, void *_Nonnull buffer, size_t length);

#endif
