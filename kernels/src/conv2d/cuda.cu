// Convolutions, as products of one element. Images are [N, C, H, W], weights [C_out, C_in / groups, KH, KW].

namespace graven {

struct Conv2d {
    int in_channels, out_channels, height, width, kernel_height, kernel_width;
    int stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x, groups;

    DEVICE constexpr int channels() const { return in_channels / groups; }
    DEVICE constexpr int out_height() const {
        return (height + 2 * padding_y - dilation_y * (kernel_height - 1) - 1) / stride_y + 1;
    }
    DEVICE constexpr int out_width() const {
        return (width + 2 * padding_x - dilation_x * (kernel_width - 1) - 1) / stride_x + 1;
    }
};

/// input [N, C_in, H, W], weight -> [N, C_out, H_out, W_out]
template <class Input, class Weight>
DEVICE float conv2d_forward(Conv2d sizes, Index at, Input input, Weight weight) {
    const int x = at % sizes.out_width();
    const int y = at / sizes.out_width() % sizes.out_height();
    const Index image = at / (sizes.out_width() * sizes.out_height());
    const int o = image % sizes.out_channels;
    const Index n = image / sizes.out_channels;
    const int group = o / (sizes.out_channels / sizes.groups);
    float sum = 0.0f;
    for (int c = 0; c < sizes.channels(); ++c) {
        const Index plane = (n * sizes.in_channels + group * sizes.channels() + c) * sizes.height;
#pragma unroll 1
        for (int ky = 0; ky < sizes.kernel_height; ++ky) {
            const int row = y * sizes.stride_y + ky * sizes.dilation_y - sizes.padding_y;
            if (row < 0 || row >= sizes.height) continue;
            for (int kx = 0; kx < sizes.kernel_width; ++kx) {
                const int column = x * sizes.stride_x + kx * sizes.dilation_x - sizes.padding_x;
                if (column < 0 || column >= sizes.width) continue;
                const int tap = ((o * sizes.channels() + c) * sizes.kernel_height + ky) * sizes.kernel_width + kx;
                sum = fmaf(input((plane + row) * sizes.width + column), weight(tap), sum);
            }
        }
    }
    return sum;
}

/// grad_output [N, C_out, H_out, W_out], weight -> grad_input [N, C_in, H, W]
template <class Grad, class Weight>
DEVICE float conv2d_grad_input(Conv2d sizes, Index at, Grad grad_output, Weight weight) {
    const int column = at % sizes.width;
    const int row = at / sizes.width % sizes.height;
    const Index image = at / (sizes.width * sizes.height);
    const int channel = image % sizes.in_channels;
    const Index n = image / sizes.in_channels;
    const int group = channel / sizes.channels();
    const int c = channel % sizes.channels();
    const int outputs = sizes.out_channels / sizes.groups;
    float sum = 0.0f;
    for (int o = group * outputs; o < (group + 1) * outputs; ++o) {
        const Index plane = (n * sizes.out_channels + o) * sizes.out_height();
#pragma unroll 1
        for (int ky = 0; ky < sizes.kernel_height; ++ky) {
            const int y = row + sizes.padding_y - ky * sizes.dilation_y;
            if (y < 0 || y % sizes.stride_y != 0 || y / sizes.stride_y >= sizes.out_height()) continue;
            for (int kx = 0; kx < sizes.kernel_width; ++kx) {
                const int x = column + sizes.padding_x - kx * sizes.dilation_x;
                if (x < 0 || x % sizes.stride_x != 0 || x / sizes.stride_x >= sizes.out_width()) continue;
                const int tap = ((o * sizes.channels() + c) * sizes.kernel_height + ky) * sizes.kernel_width + kx;
                const Index from = (plane + y / sizes.stride_y) * sizes.out_width() + x / sizes.stride_x;
                sum = fmaf(grad_output(from), weight(tap), sum);
            }
        }
    }
    return sum;
}

/// grad_output [N, C_out, H_out, W_out], input [N, C_in, H, W] -> grad_weight: the term of one position of one image
template <class Grad, class Input>
DEVICE float conv2d_grad_weight(Conv2d sizes, Index at, Index r, Grad grad_output, Input input) {
    const int kx = at % sizes.kernel_width;
    const int ky = at / sizes.kernel_width % sizes.kernel_height;
    const int c = at / (sizes.kernel_width * sizes.kernel_height) % sizes.channels();
    const int o = at / (sizes.kernel_width * sizes.kernel_height * sizes.channels());
    const int x = r % sizes.out_width();
    const int y = r / sizes.out_width() % sizes.out_height();
    const Index n = r / (sizes.out_width() * sizes.out_height());
    const int row = y * sizes.stride_y + ky * sizes.dilation_y - sizes.padding_y;
    const int column = x * sizes.stride_x + kx * sizes.dilation_x - sizes.padding_x;
    if (row < 0 || row >= sizes.height || column < 0 || column >= sizes.width) return 0.0f;
    const int channel = o / (sizes.out_channels / sizes.groups) * sizes.channels() + c;
    const Index from = ((n * sizes.out_channels + o) * sizes.out_height() + y) * sizes.out_width() + x;
    return grad_output(from) * input(((n * sizes.in_channels + channel) * sizes.height + row) * sizes.width + column);
}

}
