// Lets CUDA kernel text run on the CPU: included before the text by the stand-in NVRTC (nvrtc.cpp).
//
// A CUDA thread is a fiber of the engine (engine.cpp). Kernels reach the engine through their own `Thread`, which lies at
// the top of the fiber's stack, so a compiled kernel needs no symbol of the engine and no thread-local storage. Barriers,
// shuffles and ballots are rendezvous points: the engine goes on with another thread until all have arrived.
//
// Nothing is included here: that keeps the compilation of a kernel at a tenth of a second, and, as with NVRTC, a kernel
// has no names beside those of CUDA.
#pragma once

namespace emulation {

typedef unsigned long Size;

struct Index {
    unsigned x, y, z;
};

// What the lanes of a warp show each other at one rendezvous. A lane that has ended shows bytes 0xFF.
struct Exchange {
    unsigned arrived;
    unsigned long long bits[32];
};

struct Thread;

// What kernels ask of the engine. `line` is the line of the call in the kernel text: threads that meet must stand on the
// same one.
struct Engine {
    void (*block_barrier)(Thread*, int line);
    const Exchange* (*warp_exchange)(Thread*, unsigned mask, unsigned long long bits, int line);
    // Memory of the block for one declaration, the same for each of its threads.
    void* (*shared)(Thread*, const void* declaration, const char* name, Size bytes, Size alignment);
};

struct Thread {
    Index thread, block, block_size, grid_size;
    unsigned lane;
    const Engine* engine;
};

// The stacks of all fibers lie one behind the other, each with `TOP` bytes for its `Thread` at its end. Their distance is an
// odd number of cache lines: at a power of two, the tops of all stacks would fight for the same few places of the caches.
constexpr Size STACK = (1024 + 17) * 64, TOP = 256;

#ifdef EMULATION_ENGINE
extern char* emulated_stacks;
#else
// The driver sets it when it loads the kernel.
extern "C" __attribute__((visibility("default"))) char* emulated_stacks;
char* emulated_stacks;
#endif

inline Thread* self() {
#if defined(__x86_64__)
    char* stack;
    __asm__("mov %%rsp, %0" : "=r"(stack));
#else
#error "the emulation of CUDA kernels knows x86-64 only"
#endif
    Size i = (Size)(stack - emulated_stacks) / STACK;
    return reinterpret_cast<Thread*>(emulated_stacks + (i + 1) * STACK - TOP);
}

// What the driver has to know of a kernel: how to call it, and what it takes.
struct Parameter {
    unsigned bytes;
    bool pointer;
};

struct Entry {
    void (*call)(void** arguments);
    const Parameter* parameters;
    unsigned n_parameters;
    unsigned max_threads;  // of __launch_bounds__, or 1024
};

template <class T> struct IsPointer { static constexpr bool value = false; };
template <class T> struct IsPointer<T*> { static constexpr bool value = true; };

template <int... I> struct Indices {};
template <int N, int... I> struct MakeIndices : MakeIndices<N - 1, N - 1, I...> {};
template <int... I> struct MakeIndices<0, I...> { typedef Indices<I...> Type; };

template <auto kernel> struct Kernel;
template <class... A, void (*kernel)(A...)> struct Kernel<kernel> {
    // One more than there are, because an array has at least one element.
    static constexpr Parameter parameters[] = {{sizeof(A), IsPointer<A>::value}..., {0, false}};

    template <int... I> static void call_with(void** arguments, Indices<I...>) {
        kernel(*static_cast<A*>(arguments[I])...);
    }
    static void call(void** arguments) { call_with(arguments, typename MakeIndices<sizeof...(A)>::Type()); }

    static constexpr Entry entry(unsigned max_threads) { return {call, parameters, sizeof...(A), max_threads}; }
};

constexpr unsigned max_threads() { return 1024; }
constexpr unsigned max_threads(unsigned threads, unsigned = 0) { return threads; }

template <class To, class From> inline To bits_of(From from) {
    static_assert(sizeof(To) >= sizeof(From), "a shuffle moves 8 bytes at most");
    To to = 0;
    __builtin_memcpy(&to, &from, sizeof(From));
    return to;
}

// The value of lane `source` in the rendezvous that this call takes part in.
template <class T> inline T shuffle(unsigned mask, T value, unsigned source, int line) {
    Thread* thread = self();
    const Exchange* exchange = thread->engine->warp_exchange(thread, mask, bits_of<unsigned long long>(value), line);
    T result;
    __builtin_memcpy(&result, &exchange->bits[source & 31], sizeof(T));
    return result;
}

template <class T> inline T shuffle_xor(int line, unsigned mask, T value, int lanes, int = 32) {
    return shuffle(mask, value, self()->lane ^ lanes, line);
}
template <class T> inline T shuffle_down(int line, unsigned mask, T value, unsigned lanes, int width = 32) {
    unsigned lane = self()->lane;
    return shuffle(mask, value, lane % width + lanes < (unsigned)width ? lane + lanes : lane, line);
}
template <class T> inline T shuffle_up(int line, unsigned mask, T value, unsigned lanes, int width = 32) {
    unsigned lane = self()->lane;
    return shuffle(mask, value, lane % width >= lanes ? lane - lanes : lane, line);
}
template <class T> inline T shuffle_from(int line, unsigned mask, T value, int source, int width = 32) {
    unsigned lane = self()->lane;
    return shuffle(mask, value, lane / width * width + (unsigned)source % width, line);
}
inline unsigned ballot(int line, unsigned mask, int predicate) {
    Thread* thread = self();
    const Exchange* exchange = thread->engine->warp_exchange(thread, mask, predicate != 0, line);
    unsigned result = 0;
    for (int lane = 0; lane < 32; lane++)
        if ((exchange->arrived >> lane & 1) && exchange->bits[lane]) result |= 1u << lane;
    return result;
}
inline void warp_barrier(int line, unsigned mask = 0xffffffffu) {
    Thread* thread = self();
    thread->engine->warp_exchange(thread, mask, 0, line);
}
inline void block_barrier(int line) {
    Thread* thread = self();
    thread->engine->block_barrier(thread, line);
}
inline void* shared(const void* declaration, const char* name, Size bytes, Size alignment) {
    Thread* thread = self();
    return thread->engine->shared(thread, declaration, name, bytes, alignment);
}

}  // namespace emulation

#ifndef EMULATION_ENGINE

#define __CUDA_ARCH__ 900
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __constant__ static

// The declaration is told apart by the address of a variable of its own, one for each instance of a template.
#define SHARED(type, name, count)                                                                      \
    static const char name##_declaration = 0;                                                          \
    type* const name = static_cast<type*>(                                                             \
        ::emulation::shared(&name##_declaration, #name, sizeof(type) * (count), alignof(type)))

#define threadIdx (::emulation::self()->thread)
#define blockIdx (::emulation::self()->block)
#define blockDim (::emulation::self()->block_size)
#define gridDim (::emulation::self()->grid_size)
#define warpSize 32

#define __syncthreads() ::emulation::block_barrier(__LINE__)
#define __syncwarp(...) ::emulation::warp_barrier(__LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_xor_sync(...) ::emulation::shuffle_xor(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) ::emulation::shuffle_down(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) ::emulation::shuffle_up(__LINE__, __VA_ARGS__)
#define __shfl_sync(...) ::emulation::shuffle_from(__LINE__, __VA_ARGS__)
#define __ballot_sync(...) ::emulation::ballot(__LINE__, __VA_ARGS__)

// The names of CUDA that need no include there.
typedef unsigned long size_t;
struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

extern "C" {
float acosf(float), asinf(float), atanf(float), atan2f(float, float), cbrtf(float), ceilf(float), copysignf(float, float);
float cosf(float), coshf(float), erff(float), erfcf(float), expf(float), exp2f(float), expm1f(float), fabsf(float);
float floorf(float), fmaf(float, float, float), fmaxf(float, float), fminf(float, float), fmodf(float, float);
float hypotf(float, float), logf(float), log10f(float), log1pf(float), log2f(float), nearbyintf(float), powf(float, float);
float rintf(float), roundf(float), sinf(float), sinhf(float), sqrtf(float), tanf(float), tanhf(float), truncf(float);
double exp(double), fabs(double), floor(double), fma(double, double, double), log(double), pow(double, double), sqrt(double);
void* memcpy(void*, const void*, size_t);
void* memset(void*, int, size_t);
}
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __int_as_float(int bits) { return ::emulation::bits_of<float>(bits); }
inline float __uint_as_float(unsigned bits) { return ::emulation::bits_of<float>(bits); }
inline int __float_as_int(float value) { return ::emulation::bits_of<int>(value); }
inline unsigned __float_as_uint(float value) { return ::emulation::bits_of<unsigned>(value); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(bits) : 32; }
inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((unsigned long long)x * y >> 32); }
inline bool isnan(float x) { return __builtin_isnan(x); }
inline bool isinf(float x) { return __builtin_isinf(x); }
template <class T> inline T __ldg(const T* address) { return *address; }

// As in CUDA, not templates: arguments of two types convert.
#define EMULATION_MIN_MAX(type)                                   \
    inline type min(type x, type y) { return y < x ? y : x; }     \
    inline type max(type x, type y) { return x < y ? y : x; }
EMULATION_MIN_MAX(int)
EMULATION_MIN_MAX(unsigned)
EMULATION_MIN_MAX(long)
EMULATION_MIN_MAX(unsigned long)
EMULATION_MIN_MAX(long long)
EMULATION_MIN_MAX(unsigned long long)
inline float min(float x, float y) { return fminf(x, y); }
inline float max(float x, float y) { return fmaxf(x, y); }

// Written behind the text for each kernel in it; the second argument holds what stood in __launch_bounds__.
#define EMULATION_KERNEL(name, bounds)                                                              \
    extern "C" __attribute__((visibility("default"))) const ::emulation::Entry emulated_##name =    \
        ::emulation::Kernel<name>::entry(::emulation::max_threads bounds)

#endif
