//! Kernels of the form that the compiler of graven writes, for tests of the stand-ins: each is a complete text.

/// What every kernel here starts with.
pub(crate) const PRELUDE: &str = r#"
#ifndef SHARED
#define SHARED(type, name, count) __shared__ type name[count]
#endif
"#;

/// output[i] = tanh(scale * input[i] + 1), one element a thread.
pub(crate) const POINTWISE: &str = r#"
template <class Function> __device__ __forceinline__ void each(long long count, Function function) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) function(i);
}
extern "C" __global__ void __launch_bounds__(256) pointwise(const float* __restrict__ input, float* __restrict__ output,
                                                            long long count, float scale) {
    each(count, [&](long long i) { output[i] = tanhf(fmaf(scale, input[i], 1.0f)); });
}
"#;

/// sums[row] = the sum of a row of `count` elements, one block a row: shuffles, then shared memory between two barriers.
pub(crate) const ROW_SUM: &str = r#"
struct Sum {
    __device__ static float both(float a, float b) { return a + b; }
};
template <class Combine> __device__ float combine_warp(float value) {
    #pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
        value = Combine::both(value, __shfl_xor_sync(0xffffffffu, value, distance));
    return value;
}
extern "C" __global__ void __launch_bounds__(1024) row_sum(const float* __restrict__ input, float* __restrict__ sums,
                                                           long long count) {
    SHARED(float, warps, 32);
    float sum = 0.0f;
    for (long long i = threadIdx.x; i < count; i += blockDim.x) sum += input[blockIdx.x * count + i];
    sum = combine_warp<Sum>(sum);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = combine_warp<Sum>(threadIdx.x < blockDim.x / 32 ? warps[threadIdx.x] : 0.0f);
        if (threadIdx.x == 0) sums[blockIdx.x] = sum;
    }
}
"#;

/// output[x][y] = input[y][x], tiles of 16 by 16 through shared memory; a grid with two axes, a block with one.
pub(crate) const TRANSPOSE: &str = r#"
extern "C" __global__ void __launch_bounds__(256) transpose(const float* __restrict__ input, float* __restrict__ output,
                                                            int width, int height) {
    SHARED(float, tile, 16 * 17);
    int x = threadIdx.x % 16, y = threadIdx.x / 16;
    int from_x = blockIdx.x * 16 + x, from_y = blockIdx.y * 16 + y;
    if (from_x < width && from_y < height) tile[y * 17 + x] = input[from_y * width + from_x];
    __syncthreads();
    int to_x = blockIdx.y * 16 + x, to_y = blockIdx.x * 16 + y;
    if (to_x < height && to_y < width) output[to_y * height + to_x] = tile[x * 17 + y];
}
"#;

/// bits[warp] = which lanes hold a positive number; lane 0 of each warp also tells everyone the first of them.
pub(crate) const BALLOT: &str = r#"
extern "C" __global__ void ballot(const float* __restrict__ input, unsigned* __restrict__ bits, float* __restrict__ first) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned positive = __ballot_sync(0xffffffffu, input[i] > 0.0f);
    __syncwarp();
    first[i] = __shfl_sync(0xffffffffu, input[i], __ffs(positive) - 1);
    if (threadIdx.x % 32 == 0) bits[i / 32] = positive;
}
"#;
