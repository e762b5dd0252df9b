#include <spawn.h>
#include <sys/prctl.h>

/* glibc declares it for GNU sources only, which Swift's headers are not. */
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int first);

/* `prctl` takes a variable number of arguments, which Swift does not call. */
static inline int clinux_set_parent_death_signal(int number) { return prctl(PR_SET_PDEATHSIG, number); }
