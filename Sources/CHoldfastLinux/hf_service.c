#include "hf_service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int hf_notify(const char *address, const void *text, size_t length) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  size_t size = strlen(address);
  if (size < 2 || (address[0] != '/' && address[0] != '@'))
    return -EAFNOSUPPORT;
  if (size >= sizeof name.sun_path)
    return -ENAMETOOLONG;
  memcpy(name.sun_path, address, size);
  // An abstract name begins with a zero byte and ends only by its length.
  if (address[0] == '@')
    name.sun_path[0] = 0;
  socklen_t name_length =
      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (address[0] == '@' ? 0 : 1));

  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -errno;
  ssize_t sent =
      sendto(fd, text, length, MSG_NOSIGNAL, (const struct sockaddr *)&name, name_length);
  int result = sent < 0 ? -errno : 0;
  close(fd);
  return result;
}

// A socket and the address of a port on loopback.
static int loopback_socket(int version6, uint16_t port, struct sockaddr_storage *name,
                           socklen_t *length) {
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
  six.sin6_addr = in6addr_loopback;
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  *length = version6 ? sizeof six : sizeof four;
  memcpy(name, version6 ? (const void *)&six : (const void *)&four, *length);

  int fd = socket(version6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? -errno : fd;
}

int hf_listen_loopback(int version6, uint16_t port) {
  struct sockaddr_storage name;
  socklen_t length;
  int fd = loopback_socket(version6, port, &name, &length);
  if (fd < 0)
    return fd;
  // A restarted service must not wait for connections of its predecessor.
  int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
      bind(fd, (const struct sockaddr *)&name, length) < 0 || listen(fd, 128) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int hf_connect_loopback(int version6, uint16_t port) {
  struct sockaddr_storage name;
  socklen_t length;
  int fd = loopback_socket(version6, port, &name, &length);
  if (fd < 0)
    return fd;
  if (connect(fd, (const struct sockaddr *)&name, length) < 0 && errno != EINPROGRESS) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int hf_socket_error(int socket) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
    return -errno;
  return -error;
}

int hf_socket_port(int socket) {
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  if (getsockname(socket, (struct sockaddr *)&name, &length) < 0)
    return -errno;
  return ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                          : ((struct sockaddr_in *)&name)->sin_port);
}

int hf_accept(int socket) {
  int fd = accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

int hf_raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
    return -errno;
  if (limit.rlim_cur != limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
      return -errno;
  }
  return limit.rlim_cur > INT_MAX ? INT_MAX : (int)limit.rlim_cur;
}

uint64_t hf_clock(int is_realtime) {
  struct timespec now = {0};
  // It fails only for unknown clocks.
  clock_gettime(is_realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int hf_event(void) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

int hf_wait_readable(int first, int second, int milliseconds) {
  struct pollfd files[2] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
  int count = poll(files, 2, milliseconds);
  if (count < 0)
    return errno == EINTR ? 0 : -errno;
  return (files[0].revents ? 1 : 0) | (files[1].revents ? 2 : 0);
}

int hf_signal_file(const int *signals, size_t count) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t index = 0; index < count; index++)
    sigaddset(&set, signals[index]);
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0)
    return -errno;
  int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (error) {
    close(fd);
    return -error;
  }
  return fd;
}

int hf_next_signal(int file) {
  struct signalfd_siginfo info;
  ssize_t count = read(file, &info, sizeof info);
  if (count < 0)
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  return count == sizeof info ? (int)info.ssi_signo : 0;
}
