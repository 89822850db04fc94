// Pooling of images [N, C, H, W]. Padding never wins a maximum; in an average it counts as zeros.

namespace graven {

struct Pool2d {
    int channels, height, width, kernel_height, kernel_width, stride_y, stride_x, padding_y, padding_x;

    DEVICE constexpr int out_height() const { return (height + 2 * padding_y - kernel_height) / stride_y + 1; }
    DEVICE constexpr int out_width() const { return (width + 2 * padding_x - kernel_width) / stride_x + 1; }
    /// The first window that holds a row or column, and the end of the windows that do.
    DEVICE static constexpr int first(int position, int padding, int kernel, int stride) {
        return position + padding < kernel ? 0 : (position + padding - kernel) / stride + 1;
    }
    DEVICE static constexpr int end(int position, int padding, int stride, int windows) {
        return (position + padding) / stride + 1 < windows ? (position + padding) / stride + 1 : windows;
    }
};

/// Calls `visit` with the position of every element in window (y, x) of a plane, in order, until it answers false.
template <class Visit>
DEVICE void pool2d_window(Pool2d sizes, Index plane, int y, int x, Visit visit) {
    for (int ky = 0; ky < sizes.kernel_height; ++ky) {
        const int row = y * sizes.stride_y + ky - sizes.padding_y;
        if (row < 0 || row >= sizes.height) continue;
        for (int kx = 0; kx < sizes.kernel_width; ++kx) {
            const int column = x * sizes.stride_x + kx - sizes.padding_x;
            if (column < 0 || column >= sizes.width) continue;
            if (!visit((plane * sizes.height + row) * sizes.width + column)) return;
        }
    }
}

/// Calls `visit` with the position in the output, the row and the column of every window that holds an element.
template <class Visit>
DEVICE void pool2d_windows(Pool2d sizes, Index at, Visit visit) {
    const int column = at % sizes.width;
    const int row = at / sizes.width % sizes.height;
    const Index plane = at / (sizes.width * sizes.height);
    const int top = Pool2d::first(row, sizes.padding_y, sizes.kernel_height, sizes.stride_y);
    const int bottom = Pool2d::end(row, sizes.padding_y, sizes.stride_y, sizes.out_height());
    const int left = Pool2d::first(column, sizes.padding_x, sizes.kernel_width, sizes.stride_x);
    const int right = Pool2d::end(column, sizes.padding_x, sizes.stride_x, sizes.out_width());
    for (int y = top; y < bottom; ++y)
        for (int x = left; x < right; ++x)
            visit((plane * sizes.out_height() + y) * sizes.out_width() + x, plane, y, x);
}

/// input -> output
template <class Input>
DEVICE float pool2d_max(Pool2d sizes, Index at, Input input) {
    const int x = at % sizes.out_width();
    const int y = at / sizes.out_width() % sizes.out_height();
    float largest = __int_as_float(0xff800000);
    pool2d_window(sizes, at / (sizes.out_width() * sizes.out_height()), y, x, [&](Index own) {
        largest = math::max(input(own), largest);
        return true;
    });
    return largest;
}

/// input, output, grad_output -> grad_input: the first of equal maxima takes the gradient
template <class Input, class Output, class Grad>
DEVICE float pool2d_max_grad(Pool2d sizes, Index at, Input input, Output output, Grad grad_output) {
    const float value = input(at);
    float sum = 0.0f;
    pool2d_windows(sizes, at, [&](Index window, Index plane, int y, int x) {
        if (value != output(window)) return;
        bool first = true;
        pool2d_window(sizes, plane, y, x, [&](Index own) {
            if (own == at) return false;
            first = first && input(own) != value;
            return first;
        });
        if (first) sum += grad_output(window);
    });
    return sum;
}

/// input -> output
template <class Input>
DEVICE float pool2d_avg(Pool2d sizes, Index at, Input input) {
    const int x = at % sizes.out_width();
    const int y = at / sizes.out_width() % sizes.out_height();
    float sum = 0.0f;
    pool2d_window(sizes, at / (sizes.out_width() * sizes.out_height()), y, x, [&](Index own) {
        sum += input(own);
        return true;
    });
    return sum / (sizes.kernel_height * sizes.kernel_width);
}

/// grad_output -> grad_input
template <class Grad>
DEVICE float pool2d_avg_grad(Pool2d sizes, Index at, Grad grad_output) {
    float sum = 0.0f;
    pool2d_windows(sizes, at, [&](Index window, Index, int, int) { sum += grad_output(window); });
    return sum / (sizes.kernel_height * sizes.kernel_width);
}

}
