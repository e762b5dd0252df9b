// Tells ThreadSanitizer of Swift's `Mutex`, which Swift's own library leaves out: a lock that is free is taken and given back in
// code that is inlined, and so is seen; one that threads wait for is handed on by the kernel, in a library that is not
// instrumented. `threads.sh` loads this before that library.

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *

__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

SWIFT void lockSlow(uint32_t state, SELF mutex) __asm__(LOCK);
SWIFT void unlockSlow(SELF mutex) __asm__(UNLOCK);

static SWIFT void (*nextLock)(uint32_t, SELF);
static SWIFT void (*nextUnlock)(SELF);

__attribute__((constructor)) static void find(void) {
    nextLock = dlsym(RTLD_NEXT, LOCK);
    nextUnlock = dlsym(RTLD_NEXT, UNLOCK);
}

SWIFT void lockSlow(uint32_t state, SELF mutex) {
    nextLock(state, mutex);
    if (__tsan_acquire != NULL) __tsan_acquire(mutex);
}

SWIFT void unlockSlow(SELF mutex) {
    if (__tsan_release != NULL) __tsan_release(mutex);
    nextUnlock(mutex);
}
