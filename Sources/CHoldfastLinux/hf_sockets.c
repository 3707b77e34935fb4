#include "hf_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int datagram_socket(void) {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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

int hf_bind_socket_at(int folder, const char *name, uint32_t owner, uint32_t group, uint32_t mode) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int length =
      snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder, name);
  if (length < 0 || (size_t)length >= sizeof address.sun_path)
    return -ENAMETOOLONG;
  int fd = datagram_socket();
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
  if (error == 0)
    return fd;
  unlinkat(folder, name, 0);
  close(fd);
  return -error;
}

// Sends a text, or only connects if it is null.
static int reach_socket_at(int folder, const char *name, const void *text, size_t length) {
  int file = open_name(folder, name);
  if (file < 0)
    return file;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", file);
  int result = datagram_socket();
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
  return reach_socket_at(folder, name, text, length);
}

int hf_try_socket_at(int folder, const char *name) {
  return reach_socket_at(folder, name, NULL, 0);
}

int64_t hf_receive(int socket, void *buffer, size_t length) {
  ssize_t count;
  do {
    count = recv(socket, buffer, length, MSG_TRUNC);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}
