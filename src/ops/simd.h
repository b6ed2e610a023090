// Loops that the compiler turns into vector code. GMAIL_SIMD_SUM(s) in front of a loop lets it reorder the
// sum s; the order is then fixed by the binary, not by the thread count.
#pragma once

#define GMAIL_PRAGMA(text) _Pragma(#text)
#define GMAIL_SIMD GMAIL_PRAGMA(omp simd)
#define GMAIL_SIMD_SUM(...) GMAIL_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define GMAIL_SIMD_MAX(...) GMAIL_PRAGMA(omp simd reduction(max : __VA_ARGS__))
