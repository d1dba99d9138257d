// Macros that all kernels use.
#ifndef DK_COMMON_H
#define DK_COMMON_H

// Big-endian hosts are not supported: the kernels load memory as little-endian numbers.
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "diffkit's kernels assume a little-endian host"
#endif

// Compiles a function for several instruction sets; the loader picks the best one that the processor
// supports.
#if defined(__x86_64__) && defined(__linux__)
#define CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CLONES
#endif
// A helper that must be compiled inside each clone, with the clone's instructions.
#define INLINE static inline __attribute__((always_inline))

// Runs body(W) with the element width as a constant, so that the loops inside become shuffles.
#define FOR_WIDTH(body)                                                                       \
  switch (width) {                                                                            \
    case 1: body(1); break;                                                                   \
    case 2: body(2); break;                                                                   \
    case 3: body(3); break;                                                                   \
    case 4: body(4); break;                                                                   \
    case 5: body(5); break;                                                                   \
    case 6: body(6); break;                                                                   \
    case 7: body(7); break;                                                                   \
    case 8: body(8); break;                                                                   \
  }
#endif
