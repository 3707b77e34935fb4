#include "hf_abi.h"

#include "holdfast.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The last error of each thread, freed when the thread ends.
struct last_error {
  char *message;
  char *json;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int has_key;
static atomic_int is_used;
static atomic_int is_child;
static _Thread_local int is_forked;

static void free_error(void *value) {
  struct last_error *error = value;
  free(error->message);
  free(error->json);
  free(error);
}

// A child forked before the first call has no locks and threads of the library to miss: a monitor
// may become a daemon first.
static void note_child(void) {
  if (atomic_load(&is_used))
    atomic_store(&is_child, 1);
  else
    is_forked = 1;
}

int hf_abi_is_forked_thread(void) { return is_forked; }

static void prepare(void) { has_key = pthread_key_create(&key, free_error) == 0; }

// Before any fork(2) that a call of the library could be before.
__attribute__((constructor)) static void start(void) {
  pthread_atfork(NULL, NULL, note_child);
  pthread_once(&once, prepare);
}

int hf_abi_is_child(void) {
  if (atomic_load(&is_child))
    return 1;
  if (!atomic_load(&is_used))
    atomic_store(&is_used, 1);
  return 0;
}

static struct last_error *last_error(void) {
  pthread_once(&once, prepare);
  return has_key ? pthread_getspecific(key) : NULL;
}

void hf_abi_set_error(const char *message, const char *json) {
  struct last_error *error = last_error();
  if (!has_key)
    return;
  if (!error) {
    error = calloc(1, sizeof(*error));
    if (!error || pthread_setspecific(key, error) != 0) {
      free(error);
      return;
    }
  }
  free(error->message);
  free(error->json);
  error->message = strdup(message);
  error->json = strdup(json);
}

struct call {
  void (*function)(void *);
  void *context;
  struct last_error *error;
};

static void *run_call(void *argument) {
  struct call *call = argument;
  call->function(call->context);
  call->error = last_error();
  if (call->error)
    pthread_setspecific(key, NULL);
  return NULL;
}

int hf_abi_call_elsewhere(void (*function)(void *context), void *context) {
  struct call call = {.function = function, .context = context};
  // Signals of the process are delivered to the program's own threads. Those of an instruction are
  // the new thread's: the kernel ends the process if they are blocked, whatever handler there is.
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  sigset_t others, before;
  sigfillset(&others);
  for (size_t index = 0; index < sizeof(own) / sizeof(*own); index++)
    sigdelset(&others, own[index]);
  // pthread_join(3) is a cancellation point, and the other thread uses this one's stack.
  int state;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  pthread_sigmask(SIG_BLOCK, &others, &before);
  pthread_t thread;
  int problem = pthread_create(&thread, NULL, run_call, &call);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!problem)
    pthread_join(thread, NULL);
  pthread_setcancelstate(state, NULL);
  if (problem)
    return problem;
  if (!call.error)
    return 0;
  struct last_error *old = last_error();
  if (pthread_setspecific(key, call.error) != 0)
    old = call.error;
  if (old)
    free_error(old);
  return 0;
}

int32_t hf_abi_fail_without_thread(int problem) {
#define OPERATION "start a thread for a call of the thread that forked this process"
#define REASON "no thread can be created"
#define ADVICE "a higher limit: RLIMIT_NPROC (ulimit -u), or pids.max of the cgroup"
  char message[512], json[512];
  snprintf(message, sizeof(message), "cannot " OPERATION ": " REASON " (%s); try: " ADVICE,
           strerror(problem));
  snprintf(json, sizeof(json),
           "{\"code\":\"host\",\"operation\":\"" OPERATION "\",\"reason\":\"" REASON
           "\",\"range\":null,\"address\":null,\"errno\":%d,\"advice\":\"" ADVICE "\"}",
           problem);
#undef OPERATION
#undef REASON
#undef ADVICE
  hf_abi_set_error(message, json);
  return HOLDFAST_HOST;
}

int32_t hf_abi_fail_in_child(void) {
#define REASON "the handle is of the process that this one was forked from"
  hf_abi_set_error(REASON, "{\"code\":\"foreignProcess\",\"operation\":null,\"reason\":\"" REASON
                           "\",\"range\":null,\"address\":null,\"errno\":null,\"advice\":null}");
#undef REASON
  return HOLDFAST_FOREIGN_PROCESS;
}

const char *holdfast_error_message(void) {
  struct last_error *error = last_error();
  return error && error->message ? error->message : "";
}

const char *holdfast_error_json(void) {
  struct last_error *error = last_error();
  return error && error->json ? error->json : "{}";
}

void holdfast_text_free(char *text) { free(text); }

uint32_t holdfast_version(void) {
  return HOLDFAST_VERSION_MAJOR << 16 | HOLDFAST_VERSION_MINOR << 8 | HOLDFAST_VERSION_PATCH;
}

const char *holdfast_status_name(holdfast_status status) {
  switch (status) {
  case HOLDFAST_OK: return "ok";
  case HOLDFAST_INVALID_ADDRESS: return "invalidAddress";
  case HOLDFAST_INVALID_ARGUMENT: return "invalidArgument";
  case HOLDFAST_PROTECTION_FAILURE: return "protectionFailure";
  case HOLDFAST_NO_SPACE: return "noSpace";
  case HOLDFAST_RESOURCE_SHORTAGE: return "resourceShortage";
  case HOLDFAST_PAGER_FAILURE: return "pagerFailure";
  case HOLDFAST_ALREADY_EXISTS: return "alreadyExists";
  case HOLDFAST_BUSY: return "busy";
  case HOLDFAST_CANCELLED: return "cancelled";
  case HOLDFAST_NOT_PERMITTED: return "notPermitted";
  case HOLDFAST_UNSUPPORTED: return "unsupported";
  case HOLDFAST_HOST: return "host";
  case HOLDFAST_GUEST_FAULT: return "guestFault";
  case HOLDFAST_NO_RESERVOIR: return "noReservoir";
  case HOLDFAST_NO_LEASE: return "noLease";
  case HOLDFAST_NO_READY_MEMORY: return "noReadyMemory";
  case HOLDFAST_UNTRUSTED: return "untrusted";
  case HOLDFAST_NO_TEMPLATE: return "noTemplate";
  case HOLDFAST_INVALID_HANDLE: return "invalidHandle";
  case HOLDFAST_FOREIGN_PROCESS: return "foreignProcess";
  default: return "unknown";
  }
}
