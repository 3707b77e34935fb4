// What maps, wires and unmaps memory cost through libholdfast: prints the nanoseconds of each of
// some rounds. Scripts/compare-library compares them with those of cost.swift.
//
//   cost BYTES ROUNDS
#define _GNU_SOURCE
#include <holdfast.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void check(holdfast_status status) {
  if (status == HOLDFAST_OK)
    return;
  fprintf(stderr, "cost.c: %s\n", holdfast_error_message());
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

int main(int count, char **arguments) {
  if (count != 3)
    return 64;
  const uint64_t size = strtoull(arguments[1], NULL, 10);
  const uint32_t all = HOLDFAST_READ | HOLDFAST_WRITE | HOLDFAST_EXECUTE;
  struct holdfast_arena_options arena_options = {
      .struct_size = sizeof(arena_options), .size = size, .purpose = HOLDFAST_FOR_WIRING};
  struct holdfast_guest_options guest_options = {
      .struct_size = sizeof(guest_options), .limit = size};
  holdfast_arena arena;
  holdfast_guest guest;
  holdfast_segment ram;
  check(holdfast_arena_create(&arena_options, &arena));
  check(holdfast_guest_create(arena, &guest_options, &guest));
  check(holdfast_segment_create(guest, "ram", size, &ram));
  for (int round = atoi(arguments[2]); round > 0; round--) {
    holdfast_receipt receipt;
    uint64_t start = now();
    check(holdfast_map(guest, ram, 0, 0, size, all, HOLDFAST_MAP_WIRED, &receipt));
    check(holdfast_unmap(guest, 0, size));
    check(holdfast_receipt_close(receipt));
    printf("%" PRIu64 "\n", now() - start);
    // The memory is zeroed ahead of the next round, as a monitor would have it.
    check(holdfast_arena_scrub(arena));
  }
  check(holdfast_guest_close(guest));
  check(holdfast_arena_close(arena));
  return 0;
}
