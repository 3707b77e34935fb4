#include "hf_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int new_socket(int type) {
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? -errno : fd;
}

// Opens the socket itself (O_PATH), so that a change of the name does not matter. ENOTSOCK if the
// name is not a socket.
static int open_name(int folder, const char *name) {
  int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  struct stat file;
  int error = fstat(fd, &file) < 0 ? errno : S_ISSOCK(file.st_mode) ? 0 : ENOTSOCK;
  if (error == 0)
    return fd;
  close(fd);
  return -error;
}

static int bind_at(int type, int folder, const char *name, uint32_t owner, uint32_t group,
                   uint32_t mode) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int length =
      snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder, name);
  if (length < 0 || (size_t)length >= sizeof address.sun_path)
    return -ENAMETOOLONG;
  int fd = new_socket(type);
  if (fd < 0)
    return fd;
  if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  int file = open_name(folder, name);
  int error = file < 0 ? -file : 0;
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  // Through the descriptor: the name may refer to another file by now. The umask does not apply.
  if (error == 0 && (fchownat(file, "", owner, group, AT_EMPTY_PATH) < 0 || chmod(path, mode) < 0))
    error = errno;
  if (file >= 0)
    close(file);
  // Only now, so that no process connects before the permissions are set.
  if (error == 0 && type != SOCK_DGRAM && listen(fd, SOMAXCONN) < 0)
    error = errno;
  if (error == 0)
    return fd;
  unlinkat(folder, name, 0);
  close(fd);
  return -error;
}

int hf_bind_socket_at(int folder, const char *name, uint32_t owner, uint32_t group, uint32_t mode) {
  return bind_at(SOCK_DGRAM, folder, name, owner, group, mode);
}

int hf_listen_at(int folder, const char *name, uint32_t owner, uint32_t group, uint32_t mode) {
  return bind_at(SOCK_SEQPACKET, folder, name, owner, group, mode);
}

int hf_listen_stream_at(int folder, const char *name, uint32_t owner, uint32_t group,
                        uint32_t mode) {
  return bind_at(SOCK_STREAM, folder, name, owner, group, mode);
}

int hf_connect_stream_at(int folder, const char *name) {
  int file = open_name(folder, name);
  if (file < 0)
    return file;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file);
  int fd = new_socket(SOCK_STREAM);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    fd = -error;
  }
  close(file);
  return fd;
}

int hf_stream_pair(int *ours, int *theirs) {
  int both[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) < 0)
    return -errno;
  *ours = both[0];
  *theirs = both[1];
  int flags = fcntl(both[0], F_GETFL);
  if (flags >= 0 && fcntl(both[0], F_SETFL, flags | O_NONBLOCK) == 0)
    return 0;
  int error = errno;
  close(both[0]);
  close(both[1]);
  return -error;
}

// Sends a text, or only connects if it is null.
static int reach_socket_at(int type, int folder, const char *name, const void *text,
                           size_t length) {
  int file = open_name(folder, name);
  if (file < 0)
    return file;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file);
  int result = new_socket(type);
  if (result >= 0) {
    int fd = result;
    const struct sockaddr *to = (const struct sockaddr *)&address;
    ssize_t done = text ? sendto(fd, text, length, MSG_NOSIGNAL, to, sizeof address)
                        : connect(fd, to, sizeof address);
    result = done < 0 ? -errno : 0;
    close(fd);
  }
  close(file);
  return result;
}

int hf_send_to_socket_at(int folder, const char *name, const void *text, size_t length) {
  return reach_socket_at(SOCK_DGRAM, folder, name, text, length);
}

int hf_try_socket_at(int folder, const char *name) {
  return reach_socket_at(SOCK_DGRAM, folder, name, NULL, 0);
}

int hf_try_listener_at(int folder, const char *name) {
  return reach_socket_at(SOCK_SEQPACKET, folder, name, NULL, 0);
}

static int option(int socket, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(socket, SOL_SOCKET, name, &value, &length) < 0 ? -1 : value;
}

int hf_adopt_listener(int socket) {
  if (option(socket, SO_DOMAIN) != AF_UNIX || option(socket, SO_TYPE) != SOCK_SEQPACKET ||
      option(socket, SO_ACCEPTCONN) != 1)
    return -ENOTSOCK;
  int flags = fcntl(socket, F_GETFL);
  return flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int hf_connect(const char *path) {
  int file = open_name(AT_FDCWD, path);
  if (file < 0)
    return file;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file);
  // Without /proc, by the path itself, if it fits.
  if (access(address.sun_path, F_OK) < 0 && strlen(path) < sizeof address.sun_path)
    strcpy(address.sun_path, path);
  int fd = new_socket(SOCK_SEQPACKET);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    fd = -error;
  }
  close(file);
  return fd;
}

int hf_accept_packets(int socket) {
  int fd;
  do {
    fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  return fd < 0 ? -errno : fd;
}

int hf_peer(int socket, uint32_t *user) {
  struct ucred peer = {.uid = (uid_t)-1};
  socklen_t length = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
    return -errno;
  *user = peer.uid;
  return 0;
}

int hf_send_packet(int socket, const void *bytes, size_t length, int descriptor) {
  struct iovec piece = {.iov_base = (void *)bytes, .iov_len = length};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {{0}};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
  if (descriptor >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : 0;
}

int64_t hf_receive_packet(int socket, void *buffer, size_t length, int *descriptor) {
  struct iovec piece = {.iov_base = buffer, .iov_len = length};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {{0}};
  struct msghdr message = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  *descriptor = -1;
  ssize_t count = 0;
  bool was_reset = false;
  do {
    // The kernel reports once that the other side has closed the connection with packets unread.
    // What that side has sent before can still be received.
    was_reset = was_reset || (count < 0 && errno == ECONNRESET);
    count = recvmsg(socket, &message, MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (count < 0 && (errno == EINTR || (errno == ECONNRESET && !was_reset)));
  if (count < 0)
    return -errno;
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
    // The buffer has room for two where a descriptor is smaller than the alignment.
    int found[2] = {-1, -1};
    size_t bytes = head->cmsg_len - CMSG_LEN(0);
    memcpy(found, CMSG_DATA(head), bytes < sizeof found ? bytes : sizeof found);
    *descriptor = found[0];
    if (found[1] >= 0)
      close(found[1]);
  }
  return count;
}

int64_t hf_receive_bytes(int socket, void *buffer, size_t length) {
  ssize_t count;
  do {
    count = recv(socket, buffer, length, MSG_TRUNC | MSG_DONTWAIT);
  } while (count < 0 && (errno == EINTR || errno == ECONNRESET));
  return count < 0 ? -errno : count;
}

int hf_any_of(const int *sockets, size_t count) {
  int all = epoll_create1(EPOLL_CLOEXEC);
  if (all < 0)
    return -errno;
  for (size_t index = 0; index < count; index++) {
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(all, EPOLL_CTL_ADD, sockets[index], &event) < 0) {
      int error = errno;
      close(all);
      return -error;
    }
  }
  return all;
}

int hf_wait_for_packet(int socket, int milliseconds) {
  struct pollfd file = {.fd = socket, .events = POLLIN | POLLRDHUP};
  int count = poll(&file, 1, milliseconds);
  // A signal counts as the end of the time; callers look at their clocks.
  return count < 0 ? (errno == EINTR ? 0 : -errno) : count > 0;
}

int64_t hf_receive(int socket, void *buffer, size_t length) {
  ssize_t count;
  do {
    count = recv(socket, buffer, length, MSG_TRUNC);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}
