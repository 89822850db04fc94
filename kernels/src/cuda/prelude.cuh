// What every kernel of graven starts with. No includes: NVRTC needs no headers of the toolkit.

// The position of an element. Integers of 32 bits take a fraction of the instructions; `WIDE_INDEX` is defined for
// calls whose tensors have more elements than these can count.
#ifdef WIDE_INDEX
typedef long long Index;
#else
typedef int Index;
#endif
typedef unsigned long long Word;

#ifndef SHARED
#define SHARED(type, name, count) __shared__ type name[count]
#endif

#define DEVICE __device__ __forceinline__

/// The functions of formulas, twins of graven_kernels::cpu::math.
namespace math {
DEVICE float select(bool condition, float yes, float no) { return condition ? yes : no; }
DEVICE float abs(float x) { return fabsf(x); }
DEVICE float sqrt(float x) { return sqrtf(x); }
DEVICE float max(float a, float b) { return a > b || a != a ? a : b; }
DEVICE float min(float a, float b) { return a < b || a != a ? a : b; }
DEVICE float sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f; }
DEVICE float exp(float x) { return expf(x); }
DEVICE float log(float x) { return logf(x); }
DEVICE float expm1(float x) { return expm1f(x); }
DEVICE float log1p(float x) { return log1pf(x); }
DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
DEVICE float tanh(float x) { return tanhf(x); }
DEVICE float erf(float x) { return erff(x); }
DEVICE float pow(float x, float exponent) { return powf(x, exponent); }
}

namespace graven {

/// A tensor that is read from memory.
template <class T> struct Memory {
    const T *at;
    DEVICE T operator()(Index i) const { return at[i]; }
};

/// The sample of a tensor whose first element is `first`, in shared memory.
template <class T> struct Sample {
    const T *at;
    Index first;
    DEVICE T operator()(Index i) const { return at[i - first]; }
};

template <class T> DEVICE Sample<T> sample(const T *at, Index first) { return {at, first}; }

template <class T> DEVICE Memory<T> memory(const T *at) { return {at}; }

/// How terms become one element.
struct Sum {
    template <class T> DEVICE static T none(T) { return 0; }
    template <class T> DEVICE static T both(T a, T b) { return a + b; }
};

struct Max {
    DEVICE static float none(float) { return __int_as_float(0xff800000); }
    DEVICE static float both(float a, float b) { return a > b || a != a ? a : b; }
};

/// The terms first, first + step, .. below last, by one thread, in this order.
template <class Combine, class Term>
DEVICE auto combine_alone(Index first, Index last, Index step, Term term) {
    auto total = Combine::none(decltype(term(first))(0));
#pragma unroll 2
    for (Index r = first; r < last; r += step) total = Combine::both(total, term(r));
    return total;
}

/// The values of the lanes of a warp; every lane gets the result.
template <class Combine, class T>
DEVICE T combine_lanes(T value) {
    for (int distance = 16; distance > 0; distance /= 2)
        value = Combine::both(value, __shfl_xor_sync(0xffffffffu, value, distance));
    return value;
}

/// The terms first..last by the 32 threads of a warp; every lane gets the result.
template <class Combine, class Term>
DEVICE auto combine_warp(Index first, Index last, Term term) {
    return combine_lanes<Combine>(combine_alone<Combine>(first + threadIdx.x % 32, last, 32, term));
}

/// The terms first..last by the 256 threads of a block; the first warp gets the result.
template <class Combine, class Term>
DEVICE auto combine_block(Index first, Index last, Term term) {
    auto total = combine_lanes<Combine>(combine_alone<Combine>(first + threadIdx.x, last, 256, term));
    SHARED(decltype(total), warps, 8);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = total;
    __syncthreads();
    total = threadIdx.x < 8 ? warps[threadIdx.x] : Combine::none(decltype(total)(0));
    return combine_lanes<Combine>(total);
}

/// Part number `chunk` of 0..count, cut into `chunks` parts.
DEVICE Index chunk_start(long long count, int chunk, int chunks) { return count * chunk / chunks; }

}
