// Loops that the compiler turns into vector code. GMAIL_SIMD_SUM(s) in front of a loop lets it reorder the
// sum s; the order is then fixed by the binary and the processor, not by the thread count. A function marked
// GMAIL_WIDEST holds such loops once for AVX-512 and once for what the program is built for; the processor
// chooses when the program starts (GCC's target_clones; the sanitizers cannot start with it).
#pragma once

#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && \
    (defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12)
#define GMAIL_WIDEST __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define GMAIL_WIDEST
#endif

#define GMAIL_PRAGMA(text) _Pragma(#text)
#define GMAIL_SIMD GMAIL_PRAGMA(omp simd)
#define GMAIL_SIMD_SUM(...) GMAIL_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define GMAIL_SIMD_MAX(...) GMAIL_PRAGMA(omp simd reduction(max : __VA_ARGS__))
