// Subnormal numbers as zero, for the time of a kernel: moments of tiny gradients would otherwise
// slow its arithmetic down many times.
#ifndef DK_FLUSH_H
#define DK_FLUSH_H
#include "common.h"

#if defined(__x86_64__)
INLINE unsigned start_flushing(void) {
  unsigned mode = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(mode | 0x8040);  // flush results to zero, take operands as zero
  return mode;
}
INLINE void stop_flushing(unsigned mode) { __builtin_ia32_ldmxcsr(mode); }
#elif defined(__aarch64__)
INLINE unsigned start_flushing(void) {
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  __asm__ volatile("msr fpcr, %0" ::"r"(mode | 1u << 24));
  return (unsigned)mode;
}
INLINE void stop_flushing(unsigned mode) {
  __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)mode));
}
#else
INLINE unsigned start_flushing(void) { return 0; }
INLINE void stop_flushing(unsigned mode) { (void)mode; }
#endif
#endif
