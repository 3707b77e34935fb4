/// Datagrams to a socket that has a name in a folder: whoever may open the folder and write to the socket can
/// send, and whoever listens need not be there. Both find the socket by /proc, so that the folder is the one
/// that was opened, and its path may be longer than a socket's address. Calls that fail return a negative
/// errno.
#ifndef HF_SOCKETS_H
#define HF_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

/// socket(2), bind(2), fchown(2) and chmod(2): makes a socket of that name, which nothing has (EADDRINUSE).
/// Returns a descriptor that does not block and is closed on exec.
int hf_bind_socket_at(int folder, const char *_Nonnull name, uint32_t owner, uint32_t group,
                      uint32_t mode);

/// sendto(2) of one datagram. Does not wait. A name that is a symbolic link or no socket is ENOTSOCK; where
/// nobody listens it is ECONNREFUSED. Returns 0.
int hf_send_to_socket_at(int folder, const char *_Nonnull name, const void *_Nonnull text,
                         size_t length);

/// connect(2) to a socket of that name and nothing else: 0 where somebody listens.
int hf_try_socket_at(int folder, const char *_Nonnull name);

/// recv(2) of one datagram. Returns its whole length, which may be more than `length`; EAGAIN where there is
/// none.
int64_t hf_receive(int socket, void *_Nonnull buffer, size_t length);

#endif
