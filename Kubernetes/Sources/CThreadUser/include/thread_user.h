#ifndef HOLDFAST_THREAD_USER_H
#define HOLDFAST_THREAD_USER_H

/* Makes the calling thread alone act as a user and a group, without supplementary groups, until it
 * ends. The functions of the C library change all threads instead. Returns 0, or the number of the
 * error (errno(3)). */
int hf_become_thread_user(unsigned int user, unsigned int group);

#endif
