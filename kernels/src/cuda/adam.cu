// One step of Adam, as `adam` in cpu/optimizer.rs, in its order of operations.
//
// parameters  [n] in and out
// gradients   [n]
// exp_avg     [n] in and out: the mean of the gradients
// exp_avg_sq  [n] in and out: the mean of their squares
// settings    [9] the fields of `AdamNumbers`, in their order
extern "C" __global__ void __launch_bounds__(256) adam_step(
    float* __restrict__ parameters, const float* __restrict__ gradients, float* __restrict__ exp_avg,
    float* __restrict__ exp_avg_sq, const float* __restrict__ settings, long long n) {
    const long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= n) return;
    const float taken1 = settings[0], rest1 = settings[1];
    const bool near_start = settings[2] != 0.0f;
    const float beta2 = settings[3], taken2 = settings[4], shrink = settings[5], weight_decay = settings[6];
    const float minus_step_size = settings[7], eps = settings[8];

    const float shrunk = parameters[index] * shrink;
    // Without decay the gradient itself, even of an infinite parameter.
    float gradient = gradients[index];
    if (weight_decay != 0.0f) gradient += weight_decay * shrunk;
    // `lerp` of PyTorch takes the form that is exact at the nearer end.
    const float old = exp_avg[index];
    const float mean = near_start ? old + taken1 * (gradient - old) : gradient - (gradient - old) * rest1;
    const float square = exp_avg_sq[index] * beta2 + taken2 * gradient * gradient;
    exp_avg[index] = mean;
    exp_avg_sq[index] = square;
    parameters[index] = shrunk + minus_step_size * mean / (sqrtf(square) + eps);
}
