/// Sockets (unix(7)) with a name in an open folder: datagrams, which a process may send although no
/// receiver runs, and connections of packets (SOCK_SEQPACKET). Sockets are reached through
/// /proc/self/fd, so that the folder is the open one, and its path may exceed a socket address.
/// Functions return a negative errno on failure. Descriptors are non-blocking and close-on-exec.
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

/// As `hf_bind_socket_at`, and listen(2): a socket of type SOCK_SEQPACKET.
int hf_listen_at(int folder, const char *_Nonnull name, uint32_t owner, uint32_t group,
                 uint32_t mode);

/// As `hf_listen_at`, for a socket of type SOCK_STREAM, for another program to accept from.
int hf_listen_stream_at(int folder, const char *_Nonnull name, uint32_t owner, uint32_t group,
                        uint32_t mode);

/// connect(2) to the SOCK_STREAM socket of that name. ECONNREFUSED if no process listens.
int hf_connect_stream_at(int folder, const char *_Nonnull name);

/// socketpair(2) of type SOCK_STREAM: one end for this process, and one that waits, for another
/// program. Returns 0.
int hf_stream_pair(int *_Nonnull ours, int *_Nonnull theirs);

/// Sets O_NONBLOCK, so that accept(2) never waits. -ENOTSOCK if the descriptor is not a listening
/// unix(7) socket of type SOCK_SEQPACKET.
int hf_adopt_listener(int socket);

/// connect(2) to the SOCK_SEQPACKET socket with a path. EAGAIN if too many processes wait for the
/// listener, ECONNREFUSED if no process listens. Returns a descriptor.
int hf_connect(const char *_Nonnull path);

/// accept4(2). EAGAIN if no process connects. Returns a descriptor.
int hf_accept_packets(int socket);

/// SO_PEERCRED: who listened, for a connected socket, or connected, for an accepted one.
int hf_peer(int socket, uint32_t *_Nonnull user);

/// sendmsg(2) of one packet, without waiting, with a descriptor (SCM_RIGHTS) unless it is negative.
/// EAGAIN if the receiver's queue is full, EPIPE if it has closed the connection. Returns 0.
int hf_send_packet(int socket, const void *_Nonnull bytes, size_t length, int descriptor);

/// recvmsg(2) of one packet, without waiting, and of at most one descriptor, which is -1 without
/// one; further ones are closed. Returns the packet's whole length, which may exceed `length`, 0 at
/// the end of the connection, or EAGAIN without a packet.
int64_t hf_receive_packet(int socket, void *_Nonnull buffer, size_t length,
                          int *_Nonnull descriptor);

/// As `hf_receive_packet`, but the kernel discards all descriptors.
int64_t hf_receive_bytes(int socket, void *_Nonnull buffer, size_t length);

/// poll(2) of one socket until it is readable or closed, or the time is over. Returns 1, or 0 after
/// the time.
int hf_wait_for_packet(int socket, int milliseconds);

/// epoll_create1(2): a descriptor that is readable while one of the sockets is.
int hf_any_of(const int *_Nonnull sockets, size_t count);

/// connect(2): returns 0 if a process listens at the datagram socket of that name.
int hf_try_socket_at(int folder, const char *_Nonnull name);

/// As `hf_try_socket_at`, for a SOCK_SEQPACKET socket. EAGAIN if one listens and is busy.
int hf_try_listener_at(int folder, const char *_Nonnull name);

/// recv(2) of one datagram. Returns its whole length, which may exceed `length`, or EAGAIN without
/// one.
int64_t hf_receive(int socket, void *_Nonnull buffer, size_t length);

#endif
