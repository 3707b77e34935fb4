// The calls of hostile programs, which may fail, with a message.
#pragma once
#include <holdfast.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned long calls, refused;

// Counts a call, and ends the process if it failed without a message.
static int done(holdfast_status status) {
  calls++;
  if (status == HOLDFAST_OK)
    return 1;
  refused++;
  if (!*holdfast_error_message() || !strstr(holdfast_error_json(), holdfast_status_name(status))) {
    fprintf(stderr, "%s has no message\n", holdfast_status_name(status));
    _exit(2);
  }
  return 0;
}
