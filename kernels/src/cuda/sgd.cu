// One step of stochastic gradient descent, as `sgd` in cpu/optimizer.rs, in its order of operations.
//
// parameters  [n] in and out
// gradients   [n]
// velocity    [n] in and out; not there without momentum
// settings    [7] the fields of `SgdNumbers`, in their order
extern "C" __global__ void __launch_bounds__(256) sgd_step(
    float* __restrict__ parameters, const float* __restrict__ gradients, float* __restrict__ velocity, float*,
    const float* __restrict__ settings, long long n) {
    const long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= n) return;
    const float minus_lr = settings[0], weight_decay = settings[1], momentum = settings[2];
    const float kept = settings[3], taken = settings[4];
    const bool first_step = settings[5] != 0.0f, nesterov = settings[6] != 0.0f;

    const float parameter = parameters[index];
    // Without decay the gradient itself, even of an infinite parameter.
    float direction = gradients[index];
    if (weight_decay != 0.0f) direction += weight_decay * parameter;
    if (momentum != 0.0f) {
        // The first velocity is the gradient itself, whatever the array holds.
        const float speed = first_step ? direction : velocity[index] * kept + direction * taken;
        velocity[index] = speed;
        direction = nesterov ? direction + momentum * speed : speed;
    }
    parameters[index] = parameter + minus_lr * direction;
}
