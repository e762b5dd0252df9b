#pragma once

#include <stdint.h>

/// How often this process has allocated memory so far, on all threads.
uint64_t allocations_count(void);
