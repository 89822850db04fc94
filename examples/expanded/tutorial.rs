//! What the compiler writes for the network in `tests/stages/tutorial.rs`, as `cargo expand` would show it.
//!
//! Written and compared by `tests/stages.rs`, which also trains it.

use graven::prelude::*;
/// The convolutional network of the PyTorch tutorials, for 28 x 28 grey images in ten classes.
pub struct Network {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    out: Linear,
}
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    dead_code,
    non_local_definitions,
    non_snake_case,
    non_upper_case_globals,
    unused_doc_comments,
    unused_imports,
    unused_qualifications,
    unused_variables
)]
const _: () = {
    use ::graven::__private as graven;
    use graven::kernels;
    use graven::kernels::cpu::math;
    /// What `Network::forward` does, as the compiler planned it.
    fn forward_plan() -> &'static graven::Plan {
        /// `t`, [1, 28, 28, 16].
        const T: graven::Range = 97280..109824;
        /// `relu`, [6, 12, 12, 16].
        const RELU: graven::Range = 83456..97280;
        /// Scratch memory of `conv2`.
        const CONV2_SCRATCH: graven::Range = 0..34176;
        /// What `conv2` keeps from tile to tile.
        const CONV2_KEPT: graven::Range = 117504..122112;
        /// `conv2`, [12, 8, 8, 16].
        const CONV2: graven::Range = 34176..46464;
        /// `relu`, [12, 4, 4, 16].
        const RELU_2: graven::Range = 0..3072;
        /// `relu`, [16, 12, 4, 4].
        const RELU_ROWS: graven::Range = 3072..6144;
        /// What `fc1` keeps from tile to tile.
        const FC1_KEPT: graven::Range = 58880..83456;
        /// `fc1`, [16, 120].
        const FC1_ROWS: graven::Range = 0..1920;
        /// `relu`, [16, 120].
        const RELU_ROWS_2: graven::Range = 0..1920;
        /// What `fc2` keeps from tile to tile.
        const FC2_KEPT: graven::Range = 109824..117504;
        /// `fc2`, [16, 60].
        const FC2_ROWS: graven::Range = 1920..2880;
        /// `relu`, [16, 60].
        const RELU_ROWS_3: graven::Range = 1920..2880;
        /// `out`, [16, 10].
        const OUT_ROWS: graven::Range = 0..160;
        /// `out`, [16, 10].
        const OUT_ROWS_2: graven::Range = 0..160;
        /// Scratch memory of `relu`.
        const RELU_SCRATCH: graven::Range = 0..58880;
        /// What `relu` keeps from tile to tile.
        const RELU_KEPT: graven::Range = 122112..122352;
        /// Parameter `conv1.weight`, [6, 1, 5, 5].
        const CONV1_WEIGHT: graven::Range = 0..150;
        /// Parameter `conv1.bias`, [6].
        const CONV1_BIAS: graven::Range = 160..166;
        const CONV1_SIZES: kernels::conv2d::Sizes = kernels::conv2d::Sizes {
            in_channels: 1,
            out_channels: 6,
            height: 28,
            width: 28,
            kernel_size: [5, 5],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        /// Parameter `conv2.weight`, [12, 6, 5, 5].
        const CONV2_WEIGHT: graven::Range = 176..1976;
        const CONV2_SIZES: kernels::conv2d::Sizes = kernels::conv2d::Sizes {
            in_channels: 6,
            out_channels: 12,
            height: 12,
            width: 12,
            kernel_size: [5, 5],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        /// Parameter `conv2.bias`, [12].
        const CONV2_BIAS: graven::Range = 1984..1996;
        const MAX_POOL2D_SIZES: kernels::pool2d::Sizes = kernels::pool2d::Sizes {
            channels: 12,
            height: 8,
            width: 8,
            kernel_size: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
        };
        /// Parameter `fc1.weight`, [120, 192].
        const FC1_WEIGHT: graven::Range = 2000..25040;
        const FC1_SIZES: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 192,
            out_features: 120,
            transposed: false,
        };
        /// Parameter `fc1.bias`, [120].
        const FC1_BIAS: graven::Range = 25040..25160;
        const RELU_SIZES: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [16, 120],
            strides: [[120, 1], [0, 1]],
        };
        /// Parameter `fc2.weight`, [60, 120].
        const FC2_WEIGHT: graven::Range = 25168..32368;
        const FC2_SIZES: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 120,
            out_features: 60,
            transposed: false,
        };
        /// Parameter `fc2.bias`, [60].
        const FC2_BIAS: graven::Range = 32368..32428;
        const RELU_SIZES_2: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [16, 60],
            strides: [[60, 1], [0, 1]],
        };
        /// Parameter `out.weight`, [10, 60].
        const OUT_WEIGHT: graven::Range = 32432..33032;
        const OUT_SIZES: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 60,
            out_features: 10,
            transposed: false,
        };
        /// Parameter `out.bias`, [10].
        const OUT_BIAS: graven::Range = 33040..33050;
        const OUT_SIZES_2: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [16, 10],
            strides: [[10, 1], [0, 1]],
        };
        /// Scratch memory of `conv1`.
        const CONV1_SCRATCH: graven::Range = 3456..6832;
        /// `conv1`, [1, 6, 24, 24].
        const CONV1_ONE: graven::Range = 0..3456;
        /// Scratch memory of `max_pool2d`.
        const MAX_POOL2D_SCRATCH: graven::Range = 3456..5216;
        /// `max_pool2d`, [1, 6, 12, 12].
        const MAX_POOL2D_ONE: graven::Range = 5216..6080;
        /// `relu`, [1, 6, 12, 12].
        const RELU_ONE: graven::Range = 5216..6080;
        /// Scratch memory of `conv2`.
        const CONV2_SCRATCH_2: graven::Range = 0..2896;
        /// `conv2`, [1, 12, 8, 8].
        const CONV2_ONE: graven::Range = 2896..3664;
        /// Scratch memory of `max_pool2d`.
        const MAX_POOL2D_SCRATCH_2: graven::Range = 0..416;
        /// `max_pool2d`, [1, 12, 4, 4].
        const MAX_POOL2D_ONE_2: graven::Range = 416..608;
        /// `relu`, [1, 12, 4, 4].
        const RELU_ONE_2: graven::Range = 416..608;
        /// `fc1`, [1, 120].
        const FC1_ONE: graven::Range = 0..120;
        /// `relu`, [1, 120].
        const RELU_ONE_3: graven::Range = 0..120;
        /// `fc2`, [1, 60].
        const FC2_ONE: graven::Range = 128..188;
        /// `relu`, [1, 60].
        const RELU_ONE_4: graven::Range = 128..188;
        /// `out`, [1, 10].
        const OUT_ONE: graven::Range = 0..10;
        /// `out`, [1, 10].
        const OUT_ONE_2: graven::Range = 0..10;
        const MAX_POOL2D_SIZES_2: kernels::pool2d::Sizes = kernels::pool2d::Sizes {
            channels: 6,
            height: 24,
            width: 24,
            kernel_size: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
        };
        const RELU_SIZES_3: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [6, 144],
            strides: [[144, 1], [1, 0]],
        };
        const RELU_SIZES_4: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [12, 16],
            strides: [[16, 1], [1, 0]],
        };
        const RELU_SIZES_5: kernels::cpu::map::Map<2, 1> = kernels::cpu::map::Map {
            dims: [120],
            strides: [[1], [1]],
        };
        const RELU_SIZES_6: kernels::cpu::map::Map<2, 1> = kernels::cpu::map::Map {
            dims: [60],
            strides: [[1], [1]],
        };
        const OUT_SIZES_3: kernels::cpu::map::Map<2, 1> = kernels::cpu::map::Map {
            dims: [10],
            strides: [[1], [1]],
        };
        fn relu_formula() -> impl Fn([f32; 2]) -> f32 + Copy {
            std::convert::identity(
                #[inline(always)]
                |[a, b]: [f32; 2]| math::max(a + b, 0.0),
            )
        }
        fn out_formula() -> impl Fn([f32; 2]) -> f32 + Copy {
            std::convert::identity(#[inline(always)] |[a, b]: [f32; 2]| a + b)
        }
        /// One tile: 16 samples pass through every operation of the loop over N samples.
        #[inline(never)]
        fn tile_of_samples(tile: &mut graven::Tile<'_>) {
            tile.load_samples(0, T, 784);
            /// `conv1`: conv2d, [N, 1, 28, 28] and [6, 1, 5, 5] -> [N, 6, 24, 24], 86400 multiply-adds a sample.
            /// `max_pool2d`: max_pool2d, [N, 6, 24, 24] -> [N, 6, 12, 12], 3456 multiply-adds a sample.
            /// `relu`: relu(add(a, b)), [N, 6, 12, 12] and [6, 1, 1] -> [N, 6, 12, 12], 1728 multiply-adds a sample.
            let [t, relu, relu_scratch, relu_kept] = graven::disjoint(
                tile.floats,
                [T, RELU, RELU_SCRATCH, RELU_KEPT],
            );
            kernels::conv2d::forward_pooled_relu(
                &tile.cx,
                &CONV1_SIZES,
                t,
                &tile.parameters[CONV1_WEIGHT],
                &tile.parameters[CONV1_BIAS],
                relu,
                relu_scratch,
                relu_kept,
            );
            /// `conv2`: conv2d, [N, 6, 12, 12] and [12, 6, 5, 5] -> [N, 12, 8, 8], 115200 multiply-adds a sample.
            let [relu, conv2_scratch, conv2_kept, conv2] = graven::disjoint(
                tile.floats,
                [RELU, CONV2_SCRATCH, CONV2_KEPT, CONV2],
            );
            kernels::conv2d::forward(
                &tile.cx,
                &CONV2_SIZES,
                relu,
                &tile.parameters[CONV2_WEIGHT],
                conv2,
                conv2_scratch,
                conv2_kept,
            );
            /// `max_pool2d`: max_pool2d, [N, 12, 8, 8] -> [N, 12, 4, 4], 768 multiply-adds a sample.
            /// `relu`: relu(add(a, b)), [N, 12, 4, 4] and [12, 1, 1] -> [N, 12, 4, 4], 384 multiply-adds a sample.
            let [conv2, relu_2] = graven::disjoint(tile.floats, [CONV2, RELU_2]);
            kernels::pool2d::max_forward_relu(
                &tile.cx,
                &MAX_POOL2D_SIZES,
                conv2,
                &tile.parameters[CONV2_BIAS],
                relu_2,
            );
            let [relu_2, relu_rows] = graven::disjoint(tile.floats, [RELU_2, RELU_ROWS]);
            kernels::cpu::layout::rows_from_samples(&tile.cx, 192, relu_2, relu_rows);
            /// `fc1`: linear, [N, 192] and [120, 192] -> [N, 120], 23040 multiply-adds a sample.
            let [relu_rows, fc1_kept, fc1_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS, FC1_KEPT, FC1_ROWS],
            );
            kernels::linear::forward_packed(
                &tile.cx,
                &FC1_SIZES,
                relu_rows,
                &tile.parameters[FC1_WEIGHT],
                fc1_rows,
                fc1_kept,
            );
            /// `relu`: relu(add(a, b)), [N, 120] and [120] -> [N, 120], 240 multiply-adds a sample.
            let [relu_rows_2] = graven::disjoint(tile.floats, [RELU_ROWS_2]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES,
                [&[], &tile.parameters[FC1_BIAS]],
                relu_rows_2,
                relu_formula(),
            );
            /// `fc2`: linear, [N, 120] and [60, 120] -> [N, 60], 7200 multiply-adds a sample.
            let [relu_rows_2, fc2_kept, fc2_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_2, FC2_KEPT, FC2_ROWS],
            );
            kernels::linear::forward_packed(
                &tile.cx,
                &FC2_SIZES,
                relu_rows_2,
                &tile.parameters[FC2_WEIGHT],
                fc2_rows,
                fc2_kept,
            );
            /// `relu`: relu(add(a, b)), [N, 60] and [60] -> [N, 60], 120 multiply-adds a sample.
            let [relu_rows_3] = graven::disjoint(tile.floats, [RELU_ROWS_3]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES_2,
                [&[], &tile.parameters[FC2_BIAS]],
                relu_rows_3,
                relu_formula(),
            );
            /// `out`: linear, [N, 60] and [10, 60] -> [N, 10], 600 multiply-adds a sample.
            let [relu_rows_3, out_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_3, OUT_ROWS],
            );
            kernels::linear::forward(
                &tile.cx,
                &OUT_SIZES,
                relu_rows_3,
                &tile.parameters[OUT_WEIGHT],
                out_rows,
            );
            /// `out`: add(a, b), [N, 10] and [10] -> [N, 10], 10 multiply-adds a sample.
            let [out_rows_2] = graven::disjoint(tile.floats, [OUT_ROWS_2]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &OUT_SIZES_2,
                [&[], &tile.parameters[OUT_BIAS]],
                out_rows_2,
                out_formula(),
            );
            tile.store_rows(OUT_ROWS_2, 0, 10);
        }
        /// One sample passes through every operation of the loop, when there are only a few.
        #[inline(never)]
        fn one_sample(tile: &mut graven::Tile<'_>) {
            /// `conv1`: conv2d, [N, 1, 28, 28] and [6, 1, 5, 5] -> [N, 6, 24, 24], 86400 multiply-adds a sample.
            let [conv1_scratch, conv1_one] = graven::disjoint(
                tile.floats,
                [CONV1_SCRATCH, CONV1_ONE],
            );
            kernels::conv2d::forward_rows(
                &tile.cx,
                &CONV1_SIZES,
                graven::sample(tile.reads[0], &tile.cx, 784),
                &tile.parameters[CONV1_WEIGHT],
                conv1_one,
                conv1_scratch,
            );
            /// `max_pool2d`: max_pool2d, [N, 6, 24, 24] -> [N, 6, 12, 12], 3456 multiply-adds a sample.
            let [conv1_one, max_pool2d_scratch, max_pool2d_one] = graven::disjoint(
                tile.floats,
                [CONV1_ONE, MAX_POOL2D_SCRATCH, MAX_POOL2D_ONE],
            );
            kernels::pool2d::max_rows(
                &tile.cx,
                &MAX_POOL2D_SIZES_2,
                conv1_one,
                max_pool2d_one,
                max_pool2d_scratch,
            );
            /// `relu`: relu(add(a, b)), [N, 6, 12, 12] and [6, 1, 1] -> [N, 6, 12, 12], 1728 multiply-adds a sample.
            let [relu_one] = graven::disjoint(tile.floats, [RELU_ONE]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES_3,
                [&[], &tile.parameters[CONV1_BIAS]],
                relu_one,
                relu_formula(),
            );
            /// `conv2`: conv2d, [N, 6, 12, 12] and [12, 6, 5, 5] -> [N, 12, 8, 8], 115200 multiply-adds a sample.
            let [relu_one, conv2_scratch_2, conv2_one] = graven::disjoint(
                tile.floats,
                [RELU_ONE, CONV2_SCRATCH_2, CONV2_ONE],
            );
            kernels::conv2d::forward_rows(
                &tile.cx,
                &CONV2_SIZES,
                relu_one,
                &tile.parameters[CONV2_WEIGHT],
                conv2_one,
                conv2_scratch_2,
            );
            /// `max_pool2d`: max_pool2d, [N, 12, 8, 8] -> [N, 12, 4, 4], 768 multiply-adds a sample.
            let [conv2_one, max_pool2d_scratch_2, max_pool2d_one_2] = graven::disjoint(
                tile.floats,
                [CONV2_ONE, MAX_POOL2D_SCRATCH_2, MAX_POOL2D_ONE_2],
            );
            kernels::pool2d::max_rows(
                &tile.cx,
                &MAX_POOL2D_SIZES,
                conv2_one,
                max_pool2d_one_2,
                max_pool2d_scratch_2,
            );
            /// `relu`: relu(add(a, b)), [N, 12, 4, 4] and [12, 1, 1] -> [N, 12, 4, 4], 384 multiply-adds a sample.
            let [relu_one_2] = graven::disjoint(tile.floats, [RELU_ONE_2]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES_4,
                [&[], &tile.parameters[CONV2_BIAS]],
                relu_one_2,
                relu_formula(),
            );
            /// `fc1`: linear, [N, 192] and [120, 192] -> [N, 120], 23040 multiply-adds a sample.
            let [relu_one_2, fc1_one] = graven::disjoint(
                tile.floats,
                [RELU_ONE_2, FC1_ONE],
            );
            kernels::linear::forward(
                &tile.cx,
                &FC1_SIZES,
                relu_one_2,
                &tile.parameters[FC1_WEIGHT],
                fc1_one,
            );
            /// `relu`: relu(add(a, b)), [N, 120] and [120] -> [N, 120], 240 multiply-adds a sample.
            let [relu_one_3] = graven::disjoint(tile.floats, [RELU_ONE_3]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES_5,
                [&[], &tile.parameters[FC1_BIAS]],
                relu_one_3,
                relu_formula(),
            );
            /// `fc2`: linear, [N, 120] and [60, 120] -> [N, 60], 7200 multiply-adds a sample.
            let [relu_one_3, fc2_one] = graven::disjoint(
                tile.floats,
                [RELU_ONE_3, FC2_ONE],
            );
            kernels::linear::forward(
                &tile.cx,
                &FC2_SIZES,
                relu_one_3,
                &tile.parameters[FC2_WEIGHT],
                fc2_one,
            );
            /// `relu`: relu(add(a, b)), [N, 60] and [60] -> [N, 60], 120 multiply-adds a sample.
            let [relu_one_4] = graven::disjoint(tile.floats, [RELU_ONE_4]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES_6,
                [&[], &tile.parameters[FC2_BIAS]],
                relu_one_4,
                relu_formula(),
            );
            /// `out`: linear, [N, 60] and [10, 60] -> [N, 10], 600 multiply-adds a sample.
            let [relu_one_4, out_one] = graven::disjoint(
                tile.floats,
                [RELU_ONE_4, OUT_ONE],
            );
            kernels::linear::forward(
                &tile.cx,
                &OUT_SIZES,
                relu_one_4,
                &tile.parameters[OUT_WEIGHT],
                out_one,
            );
            /// `out`: add(a, b), [N, 10] and [10] -> [N, 10], 10 multiply-adds a sample.
            let [out_one_2] = graven::disjoint(tile.floats, [OUT_ONE_2]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &OUT_SIZES_3,
                [&[], &tile.parameters[OUT_BIAS]],
                out_one_2,
                out_formula(),
            );
            tile.store_rows(OUT_ONE_2, 0, 10);
        }
        static PLAN: graven::Plan = graven::Plan {
            function: "Network::forward",
            symbols: &["N"],
            inputs: &[
                graven::InputPlan {
                    name: "t",
                    dtype: graven::Dtype::F32,
                    dims: &[
                        graven::Size {
                            factor: 1,
                            symbols: &[0],
                        },
                        graven::Size {
                            factor: 1,
                            symbols: &[],
                        },
                        graven::Size {
                            factor: 28,
                            symbols: &[],
                        },
                        graven::Size {
                            factor: 28,
                            symbols: &[],
                        },
                    ],
                    classes: None,
                },
            ],
            outputs: &[
                graven::OutputPlan {
                    dtype: graven::Dtype::F32,
                    dims: &[
                        graven::Size {
                            factor: 1,
                            symbols: &[0],
                        },
                        graven::Size {
                            factor: 10,
                            symbols: &[],
                        },
                    ],
                    copied_from: None,
                },
            ],
            values: &[],
            stages: &[
                graven::Stage {
                    whole: &[],
                    loops: &[
                        graven::LoopPlan {
                            extent: graven::Size {
                                factor: 1,
                                symbols: &[0],
                            },
                            tiles_per_chunk: 1,
                            reads: &[graven::Place::Input(0)],
                            int_reads: &[],
                            writes: &[graven::Place::Output(0)],
                            int_writes: &[],
                            sums: 0,
                            int_sums: 0,
                            results: &[],
                            int_results: &[],
                            tile: graven::TilePlan {
                                samples: 16,
                                floats: 122352,
                                ints: 0,
                                steps: &[tile_of_samples],
                            },
                            one: Some(graven::TilePlan {
                                samples: 1,
                                floats: 6832,
                                ints: 0,
                                steps: &[one_sample],
                            }),
                            few: 4,
                        },
                    ],
                },
            ],
            gradients: &[],
            parameters: 33056,
            trained: &[],
            cuda: None,
        };
        &PLAN
    }
    /// What `Network::loss` does, as the compiler planned it.
    fn loss_plan() -> &'static graven::Plan {
        /// The sum of `cross_entropy` over samples, [].
        const CROSS_ENTROPY_SUM: graven::Range = 0..1;
        /// The sum of `correct` over samples, [] of i64.
        const CORRECT_SUM: graven::Range = 0..1;
        /// `images`, [1, 28, 28, 16].
        const IMAGES: graven::Range = 97280..109824;
        /// `relu`, [6, 12, 12, 16].
        const RELU: graven::Range = 83456..97280;
        /// Scratch memory of `conv2`.
        const CONV2_SCRATCH: graven::Range = 0..34176;
        /// What `conv2` keeps from tile to tile.
        const CONV2_KEPT: graven::Range = 117504..122112;
        /// `conv2`, [12, 8, 8, 16].
        const CONV2: graven::Range = 34176..46464;
        /// `relu`, [12, 4, 4, 16].
        const RELU_2: graven::Range = 0..3072;
        /// `relu`, [16, 12, 4, 4].
        const RELU_ROWS: graven::Range = 3072..6144;
        /// What `fc1` keeps from tile to tile.
        const FC1_KEPT: graven::Range = 58880..83456;
        /// `fc1`, [16, 120].
        const FC1_ROWS: graven::Range = 0..1920;
        /// `relu`, [16, 120].
        const RELU_ROWS_2: graven::Range = 0..1920;
        /// What `fc2` keeps from tile to tile.
        const FC2_KEPT: graven::Range = 109824..117504;
        /// `fc2`, [16, 60].
        const FC2_ROWS: graven::Range = 1920..2880;
        /// `relu`, [16, 60].
        const RELU_ROWS_3: graven::Range = 1920..2880;
        /// `out`, [16, 10].
        const OUT_ROWS: graven::Range = 0..160;
        /// `out`, [16, 10].
        const OUT_ROWS_2: graven::Range = 0..160;
        /// `out`, [10, 16].
        const OUT: graven::Range = 160..320;
        /// `labels`, [16].
        const LABELS: graven::Range = 0..16;
        /// `cross_entropy`, [16].
        const CROSS_ENTROPY: graven::Range = 320..336;
        /// `correct`, [16].
        const CORRECT_ROWS: graven::Range = 0..16;
        /// `labels`, [16].
        const LABELS_ROWS: graven::Range = 16..32;
        /// Scratch memory of `relu`.
        const RELU_SCRATCH: graven::Range = 0..58880;
        /// What `relu` keeps from tile to tile.
        const RELU_KEPT: graven::Range = 122112..122352;
        /// Parameter `conv1.weight`, [6, 1, 5, 5].
        const CONV1_WEIGHT: graven::Range = 0..150;
        /// Parameter `conv1.bias`, [6].
        const CONV1_BIAS: graven::Range = 160..166;
        const CONV1_SIZES: kernels::conv2d::Sizes = kernels::conv2d::Sizes {
            in_channels: 1,
            out_channels: 6,
            height: 28,
            width: 28,
            kernel_size: [5, 5],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        /// Parameter `conv2.weight`, [12, 6, 5, 5].
        const CONV2_WEIGHT: graven::Range = 176..1976;
        const CONV2_SIZES: kernels::conv2d::Sizes = kernels::conv2d::Sizes {
            in_channels: 6,
            out_channels: 12,
            height: 12,
            width: 12,
            kernel_size: [5, 5],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        /// Parameter `conv2.bias`, [12].
        const CONV2_BIAS: graven::Range = 1984..1996;
        const MAX_POOL2D_SIZES: kernels::pool2d::Sizes = kernels::pool2d::Sizes {
            channels: 12,
            height: 8,
            width: 8,
            kernel_size: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
        };
        /// Parameter `fc1.weight`, [120, 192].
        const FC1_WEIGHT: graven::Range = 2000..25040;
        const FC1_SIZES: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 192,
            out_features: 120,
            transposed: false,
        };
        /// Parameter `fc1.bias`, [120].
        const FC1_BIAS: graven::Range = 25040..25160;
        const RELU_SIZES: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [16, 120],
            strides: [[120, 1], [0, 1]],
        };
        /// Parameter `fc2.weight`, [60, 120].
        const FC2_WEIGHT: graven::Range = 25168..32368;
        const FC2_SIZES: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 120,
            out_features: 60,
            transposed: false,
        };
        /// Parameter `fc2.bias`, [60].
        const FC2_BIAS: graven::Range = 32368..32428;
        const RELU_SIZES_2: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [16, 60],
            strides: [[60, 1], [0, 1]],
        };
        /// Parameter `out.weight`, [10, 60].
        const OUT_WEIGHT: graven::Range = 32432..33032;
        const OUT_SIZES: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 60,
            out_features: 10,
            transposed: false,
        };
        /// Parameter `out.bias`, [10].
        const OUT_BIAS: graven::Range = 33040..33050;
        const OUT_SIZES_2: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [16, 10],
            strides: [[10, 1], [0, 1]],
        };
        const CROSS_ENTROPY_SIZES: kernels::softmax::Axis = kernels::softmax::Axis {
            outer: 1,
            size: 10,
            inner: 16,
        };
        const CROSS_ENTROPY_SIZES_2: kernels::reduce::Sum<1> = kernels::reduce::Sum {
            dims: [16],
            summed: [true],
            samples: Some(0),
        };
        const CORRECT_SIZES: kernels::softmax::Axis = kernels::softmax::Axis {
            outer: 16,
            size: 10,
            inner: 1,
        };
        const CORRECT_SIZES_2: kernels::argmax::Count = kernels::argmax::Count {
            samples: 16,
            features: 1,
            samples_last: false,
            tile: true,
        };
        const CROSS_ENTROPY_SIZES_3: kernels::cpu::map::Map<1, 0> = kernels::cpu::map::Map {
            dims: [],
            strides: [[]],
        };
        fn relu_formula() -> impl Fn([f32; 2]) -> f32 + Copy {
            std::convert::identity(
                #[inline(always)]
                |[a, b]: [f32; 2]| math::max(a + b, 0.0),
            )
        }
        fn out_formula() -> impl Fn([f32; 2]) -> f32 + Copy {
            std::convert::identity(#[inline(always)] |[a, b]: [f32; 2]| a + b)
        }
        /// One tile: 16 samples pass through every operation of the loop over N samples.
        #[inline(never)]
        fn tile_of_samples(tile: &mut graven::Tile<'_>) {
            tile.load_samples(0, IMAGES, 784);
            /// `conv1`: conv2d, [N, 1, 28, 28] and [6, 1, 5, 5] -> [N, 6, 24, 24], 86400 multiply-adds a sample.
            /// `max_pool2d`: max_pool2d, [N, 6, 24, 24] -> [N, 6, 12, 12], 3456 multiply-adds a sample.
            /// `relu`: relu(add(a, b)), [N, 6, 12, 12] and [6, 1, 1] -> [N, 6, 12, 12], 1728 multiply-adds a sample.
            let [images, relu, relu_scratch, relu_kept] = graven::disjoint(
                tile.floats,
                [IMAGES, RELU, RELU_SCRATCH, RELU_KEPT],
            );
            kernels::conv2d::forward_pooled_relu(
                &tile.cx,
                &CONV1_SIZES,
                images,
                &tile.parameters[CONV1_WEIGHT],
                &tile.parameters[CONV1_BIAS],
                relu,
                relu_scratch,
                relu_kept,
            );
            /// `conv2`: conv2d, [N, 6, 12, 12] and [12, 6, 5, 5] -> [N, 12, 8, 8], 115200 multiply-adds a sample.
            let [relu, conv2_scratch, conv2_kept, conv2] = graven::disjoint(
                tile.floats,
                [RELU, CONV2_SCRATCH, CONV2_KEPT, CONV2],
            );
            kernels::conv2d::forward(
                &tile.cx,
                &CONV2_SIZES,
                relu,
                &tile.parameters[CONV2_WEIGHT],
                conv2,
                conv2_scratch,
                conv2_kept,
            );
            /// `max_pool2d`: max_pool2d, [N, 12, 8, 8] -> [N, 12, 4, 4], 768 multiply-adds a sample.
            /// `relu`: relu(add(a, b)), [N, 12, 4, 4] and [12, 1, 1] -> [N, 12, 4, 4], 384 multiply-adds a sample.
            let [conv2, relu_2] = graven::disjoint(tile.floats, [CONV2, RELU_2]);
            kernels::pool2d::max_forward_relu(
                &tile.cx,
                &MAX_POOL2D_SIZES,
                conv2,
                &tile.parameters[CONV2_BIAS],
                relu_2,
            );
            let [relu_2, relu_rows] = graven::disjoint(tile.floats, [RELU_2, RELU_ROWS]);
            kernels::cpu::layout::rows_from_samples(&tile.cx, 192, relu_2, relu_rows);
            /// `fc1`: linear, [N, 192] and [120, 192] -> [N, 120], 23040 multiply-adds a sample.
            let [relu_rows, fc1_kept, fc1_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS, FC1_KEPT, FC1_ROWS],
            );
            kernels::linear::forward_packed(
                &tile.cx,
                &FC1_SIZES,
                relu_rows,
                &tile.parameters[FC1_WEIGHT],
                fc1_rows,
                fc1_kept,
            );
            /// `relu`: relu(add(a, b)), [N, 120] and [120] -> [N, 120], 240 multiply-adds a sample.
            let [relu_rows_2] = graven::disjoint(tile.floats, [RELU_ROWS_2]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES,
                [&[], &tile.parameters[FC1_BIAS]],
                relu_rows_2,
                relu_formula(),
            );
            /// `fc2`: linear, [N, 120] and [60, 120] -> [N, 60], 7200 multiply-adds a sample.
            let [relu_rows_2, fc2_kept, fc2_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_2, FC2_KEPT, FC2_ROWS],
            );
            kernels::linear::forward_packed(
                &tile.cx,
                &FC2_SIZES,
                relu_rows_2,
                &tile.parameters[FC2_WEIGHT],
                fc2_rows,
                fc2_kept,
            );
            /// `relu`: relu(add(a, b)), [N, 60] and [60] -> [N, 60], 120 multiply-adds a sample.
            let [relu_rows_3] = graven::disjoint(tile.floats, [RELU_ROWS_3]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES_2,
                [&[], &tile.parameters[FC2_BIAS]],
                relu_rows_3,
                relu_formula(),
            );
            /// `out`: linear, [N, 60] and [10, 60] -> [N, 10], 600 multiply-adds a sample.
            let [relu_rows_3, out_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_3, OUT_ROWS],
            );
            kernels::linear::forward(
                &tile.cx,
                &OUT_SIZES,
                relu_rows_3,
                &tile.parameters[OUT_WEIGHT],
                out_rows,
            );
            /// `out`: add(a, b), [N, 10] and [10] -> [N, 10], 10 multiply-adds a sample.
            let [out_rows_2] = graven::disjoint(tile.floats, [OUT_ROWS_2]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &OUT_SIZES_2,
                [&[], &tile.parameters[OUT_BIAS]],
                out_rows_2,
                out_formula(),
            );
            let [out_rows_2, out] = graven::disjoint(tile.floats, [OUT_ROWS_2, OUT]);
            kernels::cpu::layout::samples_from_rows(&tile.cx, 10, out_rows_2, out);
            tile.load_int_samples(0, LABELS, 1);
            /// `cross_entropy`: cross_entropy, [N, 10] and [N] of i64 -> [N], 80 multiply-adds a sample.
            let [out, cross_entropy] = graven::disjoint(
                tile.floats,
                [OUT, CROSS_ENTROPY],
            );
            let [labels] = graven::disjoint(tile.ints, [LABELS]);
            kernels::cross_entropy::forward(
                &tile.cx,
                &CROSS_ENTROPY_SIZES,
                out,
                labels,
                cross_entropy,
            );
            /// `cross_entropy`: sum, [N] -> [], 1 multiply-adds a sample.
            let [cross_entropy] = graven::disjoint(tile.floats, [CROSS_ENTROPY]);
            kernels::reduce::sum_into(
                &tile.cx,
                &CROSS_ENTROPY_SIZES_2,
                cross_entropy,
                &mut tile.sums[CROSS_ENTROPY_SUM],
            );
            /// `correct`: argmax, [N, 10] -> [N] of i64, 10 multiply-adds a sample.
            let [out_rows_2] = graven::disjoint(tile.floats, [OUT_ROWS_2]);
            let [correct_rows] = graven::disjoint(tile.ints, [CORRECT_ROWS]);
            kernels::argmax::argmax(&tile.cx, &CORRECT_SIZES, out_rows_2, correct_rows);
            tile.load_int_rows(0, LABELS_ROWS, 1);
            /// `correct`: count_equal, [N] of i64 and [N] of i64 -> [] of i64, 1 multiply-adds a sample.
            let [correct_rows, labels_rows] = graven::disjoint(
                tile.ints,
                [CORRECT_ROWS, LABELS_ROWS],
            );
            kernels::argmax::count_equal(
                &tile.cx,
                &CORRECT_SIZES_2,
                correct_rows,
                labels_rows,
                &mut tile.int_sums[CORRECT_SUM],
            );
        }
        /// Operations of stage 1 on complete tensors.
        #[inline(never)]
        fn whole_tensors(whole: &mut graven::Whole<'_>) {
            let N = whole.symbols[0];
            /// `cross_entropy`: mul(a, 1 / N), [] -> [], 1 multiply-adds a sample.
            let [value_0, value_2] = graven::disjoint(
                whole.floats,
                [whole.slots[0].clone(), whole.slots[2].clone()],
            );
            kernels::cpu::map::map(
                &whole.cx,
                &CROSS_ENTROPY_SIZES_3,
                [value_2],
                value_0,
                #[inline(always)]
                |[a]: [f32; 1]| a * (1.0 / N as f32),
            );
        }
        static PLAN: graven::Plan = graven::Plan {
            function: "Network::loss",
            symbols: &["N"],
            inputs: &[
                graven::InputPlan {
                    name: "images",
                    dtype: graven::Dtype::F32,
                    dims: &[
                        graven::Size {
                            factor: 1,
                            symbols: &[0],
                        },
                        graven::Size {
                            factor: 1,
                            symbols: &[],
                        },
                        graven::Size {
                            factor: 28,
                            symbols: &[],
                        },
                        graven::Size {
                            factor: 28,
                            symbols: &[],
                        },
                    ],
                    classes: None,
                },
                graven::InputPlan {
                    name: "labels",
                    dtype: graven::Dtype::I64,
                    dims: &[
                        graven::Size {
                            factor: 1,
                            symbols: &[0],
                        },
                    ],
                    classes: Some(10),
                },
            ],
            outputs: &[
                graven::OutputPlan {
                    dtype: graven::Dtype::F32,
                    dims: &[],
                    copied_from: Some(0),
                },
                graven::OutputPlan {
                    dtype: graven::Dtype::I64,
                    dims: &[],
                    copied_from: Some(1),
                },
            ],
            values: &[
                graven::ValuePlan {
                    dtype: graven::Dtype::F32,
                    size: graven::Size {
                        factor: 1,
                        symbols: &[],
                    },
                },
                graven::ValuePlan {
                    dtype: graven::Dtype::I64,
                    size: graven::Size {
                        factor: 1,
                        symbols: &[],
                    },
                },
                graven::ValuePlan {
                    dtype: graven::Dtype::F32,
                    size: graven::Size {
                        factor: 1,
                        symbols: &[],
                    },
                },
            ],
            stages: &[
                graven::Stage {
                    whole: &[],
                    loops: &[
                        graven::LoopPlan {
                            extent: graven::Size {
                                factor: 1,
                                symbols: &[0],
                            },
                            tiles_per_chunk: 1,
                            reads: &[graven::Place::Input(0)],
                            int_reads: &[graven::Place::Input(1)],
                            writes: &[],
                            int_writes: &[],
                            sums: 16,
                            int_sums: 16,
                            results: &[
                                graven::SumPlan {
                                    from: CROSS_ENTROPY_SUM,
                                    to: graven::SumTarget::Value(2),
                                },
                            ],
                            int_results: &[
                                graven::SumPlan {
                                    from: CORRECT_SUM,
                                    to: graven::SumTarget::Value(1),
                                },
                            ],
                            tile: graven::TilePlan {
                                samples: 16,
                                floats: 122352,
                                ints: 32,
                                steps: &[tile_of_samples],
                            },
                            one: None,
                            few: 0,
                        },
                    ],
                },
                graven::Stage {
                    whole: &[whole_tensors],
                    loops: &[],
                },
            ],
            gradients: &[],
            parameters: 33056,
            trained: &[],
            cuda: None,
        };
        &PLAN
    }
    /// What `Network::loss_grad` does, as the compiler planned it.
    fn loss_grad_plan() -> &'static graven::Plan {
        /// The sum of `cross_entropy` over samples, [].
        const CROSS_ENTROPY_SUM: graven::Range = 0..1;
        /// The sum of `correct` over samples, [] of i64.
        const CORRECT_SUM: graven::Range = 0..1;
        /// The sum of `out_grad` over samples, [10].
        const OUT_GRAD_SUM: graven::Range = 16..26;
        /// The sum of `out_grad` over samples, [10, 60].
        const OUT_GRAD_SUM_2: graven::Range = 32..632;
        /// The sum of `fc2_grad` over samples, [60].
        const FC2_GRAD_SUM: graven::Range = 640..700;
        /// The sum of `fc2_grad` over samples, [60, 120].
        const FC2_GRAD_SUM_2: graven::Range = 704..7904;
        /// The sum of `fc1_grad` over samples, [120].
        const FC1_GRAD_SUM: graven::Range = 7904..8024;
        /// The sum of `fc1_grad` over samples, [120, 192].
        const FC1_GRAD_SUM_2: graven::Range = 8032..31072;
        /// The sum of `conv2_grad` over samples, [12].
        const CONV2_GRAD_SUM: graven::Range = 31072..31084;
        /// The sum of `conv2_grad` over samples, [12, 6, 5, 5].
        const CONV2_GRAD_SUM_2: graven::Range = 31088..32888;
        /// The sum of `conv1_grad` over samples, [6].
        const CONV1_GRAD_SUM: graven::Range = 32896..32902;
        /// The sum of `conv1_grad` over samples, [6, 1, 5, 5].
        const CONV1_GRAD_SUM_2: graven::Range = 32912..33062;
        /// `images`, [1, 28, 28, 16].
        const IMAGES: graven::Range = 115184..127728;
        /// `relu`, [6, 12, 12, 16].
        const RELU: graven::Range = 87536..101360;
        /// Scratch memory of `conv2`.
        const CONV2_SCRATCH: graven::Range = 0..34176;
        /// What `conv2` keeps from tile to tile.
        const CONV2_KEPT: graven::Range = 135408..140016;
        /// `conv2`, [12, 8, 8, 16].
        const CONV2: graven::Range = 34176..46464;
        /// `relu`, [12, 4, 4, 16].
        const RELU_2: graven::Range = 0..3072;
        /// `relu`, [16, 12, 4, 4].
        const RELU_ROWS: graven::Range = 3072..6144;
        /// What `fc1` keeps from tile to tile.
        const FC1_KEPT: graven::Range = 62960..87536;
        /// `fc1`, [16, 120].
        const FC1_ROWS: graven::Range = 0..1920;
        /// `relu`, [16, 120].
        const RELU_ROWS_2: graven::Range = 0..1920;
        /// What `fc2` keeps from tile to tile.
        const FC2_KEPT: graven::Range = 127728..135408;
        /// `fc2`, [16, 60].
        const FC2_ROWS: graven::Range = 1920..2880;
        /// `relu`, [16, 60].
        const RELU_ROWS_3: graven::Range = 1920..2880;
        /// `out`, [16, 10].
        const OUT_ROWS: graven::Range = 2880..3040;
        /// `out`, [16, 10].
        const OUT_ROWS_2: graven::Range = 2880..3040;
        /// `out`, [10, 16].
        const OUT: graven::Range = 6144..6304;
        /// `labels`, [16].
        const LABELS: graven::Range = 0..16;
        /// `cross_entropy`, [16].
        const CROSS_ENTROPY: graven::Range = 3040..3056;
        /// `correct`, [16].
        const CORRECT_ROWS: graven::Range = 16..32;
        /// `labels`, [16].
        const LABELS_ROWS: graven::Range = 32..48;
        /// `cross_entropy_grad`, [16].
        const CROSS_ENTROPY_GRAD: graven::Range = 3040..3056;
        /// `cross_entropy_grad`, [10, 16].
        const CROSS_ENTROPY_GRAD_2: graven::Range = 2880..3040;
        /// `cross_entropy_grad`, [16, 10].
        const CROSS_ENTROPY_GRAD_ROWS: graven::Range = 6144..6304;
        /// `out_grad`, [16, 60].
        const OUT_GRAD_ROWS: graven::Range = 8064..9024;
        /// `relu_grad`, [16, 60].
        const RELU_GRAD_ROWS: graven::Range = 8064..9024;
        /// `fc2_grad`, [16, 120].
        const FC2_GRAD_ROWS: graven::Range = 6144..8064;
        /// `relu_grad`, [16, 120].
        const RELU_GRAD_ROWS_2: graven::Range = 6144..8064;
        /// `fc1_grad`, [16, 192].
        const FC1_GRAD_ROWS: graven::Range = 0..3072;
        /// `relu_grad`, [16, 12, 4, 4].
        const RELU_GRAD_ROWS_3: graven::Range = 0..3072;
        /// What `max_pool2d` saves for its gradient.
        const MAX_POOL2D_SAVED: graven::Range = 49536..49920;
        /// `relu_grad`, [12, 4, 4, 16].
        const RELU_GRAD: graven::Range = 46464..49536;
        /// `max_pool2d_grad`, [12, 8, 8, 16].
        const MAX_POOL2D_GRAD: graven::Range = 34176..46464;
        /// Scratch memory of `conv2_grad`.
        const CONV2_GRAD_SCRATCH: graven::Range = 0..34176;
        /// What `conv2_grad` keeps from tile to tile.
        const CONV2_GRAD_KEPT: graven::Range = 140016..144624;
        /// `conv2_grad`, [6, 12, 12, 16].
        const CONV2_GRAD: graven::Range = 101360..115184;
        /// `relu_grad`, [6, 12, 12, 16].
        const RELU_GRAD_2: graven::Range = 101360..115184;
        /// What `max_pool2d` saves for its gradient.
        const MAX_POOL2D_SAVED_2: graven::Range = 144624..146352;
        /// Scratch memory of `relu`.
        const RELU_SCRATCH: graven::Range = 0..58880;
        /// What `relu` keeps from tile to tile.
        const RELU_KEPT: graven::Range = 146352..146592;
        /// Scratch memory of `conv2_grad`.
        const CONV2_GRAD_SCRATCH_2: graven::Range = 0..12288;
        /// Scratch memory of `conv1_grad`.
        const CONV1_GRAD_SCRATCH: graven::Range = 0..62960;
        /// Parameter `conv1.weight`, [6, 1, 5, 5].
        const CONV1_WEIGHT: graven::Range = 0..150;
        /// Parameter `conv1.bias`, [6].
        const CONV1_BIAS: graven::Range = 160..166;
        const CONV1_SIZES: kernels::conv2d::Sizes = kernels::conv2d::Sizes {
            in_channels: 1,
            out_channels: 6,
            height: 28,
            width: 28,
            kernel_size: [5, 5],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        /// Parameter `conv2.weight`, [12, 6, 5, 5].
        const CONV2_WEIGHT: graven::Range = 176..1976;
        const CONV2_SIZES: kernels::conv2d::Sizes = kernels::conv2d::Sizes {
            in_channels: 6,
            out_channels: 12,
            height: 12,
            width: 12,
            kernel_size: [5, 5],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        /// Parameter `conv2.bias`, [12].
        const CONV2_BIAS: graven::Range = 1984..1996;
        const MAX_POOL2D_SIZES: kernels::pool2d::Sizes = kernels::pool2d::Sizes {
            channels: 12,
            height: 8,
            width: 8,
            kernel_size: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
        };
        /// Parameter `fc1.weight`, [120, 192].
        const FC1_WEIGHT: graven::Range = 2000..25040;
        const FC1_SIZES: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 192,
            out_features: 120,
            transposed: false,
        };
        /// Parameter `fc1.bias`, [120].
        const FC1_BIAS: graven::Range = 25040..25160;
        const RELU_SIZES: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [16, 120],
            strides: [[120, 1], [0, 1]],
        };
        /// Parameter `fc2.weight`, [60, 120].
        const FC2_WEIGHT: graven::Range = 25168..32368;
        const FC2_SIZES: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 120,
            out_features: 60,
            transposed: false,
        };
        /// Parameter `fc2.bias`, [60].
        const FC2_BIAS: graven::Range = 32368..32428;
        const RELU_SIZES_2: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [16, 60],
            strides: [[60, 1], [0, 1]],
        };
        /// Parameter `out.weight`, [10, 60].
        const OUT_WEIGHT: graven::Range = 32432..33032;
        const OUT_SIZES: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 60,
            out_features: 10,
            transposed: false,
        };
        /// Parameter `out.bias`, [10].
        const OUT_BIAS: graven::Range = 33040..33050;
        const OUT_SIZES_2: kernels::cpu::map::Map<2, 2> = kernels::cpu::map::Map {
            dims: [16, 10],
            strides: [[10, 1], [0, 1]],
        };
        const CROSS_ENTROPY_SIZES: kernels::softmax::Axis = kernels::softmax::Axis {
            outer: 1,
            size: 10,
            inner: 16,
        };
        const CROSS_ENTROPY_SIZES_2: kernels::reduce::Sum<1> = kernels::reduce::Sum {
            dims: [16],
            summed: [true],
            samples: Some(0),
        };
        const CORRECT_SIZES: kernels::softmax::Axis = kernels::softmax::Axis {
            outer: 16,
            size: 10,
            inner: 1,
        };
        const CORRECT_SIZES_2: kernels::argmax::Count = kernels::argmax::Count {
            samples: 16,
            features: 1,
            samples_last: false,
            tile: true,
        };
        const CROSS_ENTROPY_GRAD_SIZES: kernels::cpu::map::Map<0, 1> = kernels::cpu::map::Map {
            dims: [16],
            strides: [],
        };
        const OUT_GRAD_SIZES: kernels::reduce::Sum<2> = kernels::reduce::Sum {
            dims: [10, 16],
            summed: [false, true],
            samples: Some(1),
        };
        const OUT_GRAD_SIZES_2: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 10,
            out_features: 60,
            transposed: true,
        };
        const OUT_GRAD_SIZES_3: kernels::linear::GradSizes = kernels::linear::GradSizes {
            vectors: 1,
            rows: 10,
            columns: 60,
        };
        const RELU_GRAD_SIZES: kernels::cpu::map::Map<2, 1> = kernels::cpu::map::Map {
            dims: [960],
            strides: [[1], [1]],
        };
        const FC2_GRAD_SIZES: kernels::reduce::Sum<2> = kernels::reduce::Sum {
            dims: [16, 60],
            summed: [true, false],
            samples: Some(0),
        };
        const FC2_GRAD_SIZES_2: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 60,
            out_features: 120,
            transposed: true,
        };
        const FC2_GRAD_SIZES_3: kernels::linear::GradSizes = kernels::linear::GradSizes {
            vectors: 1,
            rows: 60,
            columns: 120,
        };
        const RELU_GRAD_SIZES_2: kernels::cpu::map::Map<2, 1> = kernels::cpu::map::Map {
            dims: [1920],
            strides: [[1], [1]],
        };
        const FC1_GRAD_SIZES: kernels::reduce::Sum<2> = kernels::reduce::Sum {
            dims: [16, 120],
            summed: [true, false],
            samples: Some(0),
        };
        const FC1_GRAD_SIZES_2: kernels::linear::Sizes = kernels::linear::Sizes {
            vectors: 1,
            in_features: 120,
            out_features: 192,
            transposed: true,
        };
        const FC1_GRAD_SIZES_3: kernels::linear::GradSizes = kernels::linear::GradSizes {
            vectors: 1,
            rows: 120,
            columns: 192,
        };
        const RELU_GRAD_SIZES_3: kernels::cpu::map::Map<2, 1> = kernels::cpu::map::Map {
            dims: [3072],
            strides: [[1], [1]],
        };
        const CONV2_GRAD_SIZES: kernels::reduce::Sum<3> = kernels::reduce::Sum {
            dims: [16, 12, 16],
            summed: [true, false, true],
            samples: Some(0),
        };
        const RELU_GRAD_SIZES_4: kernels::cpu::map::Map<2, 1> = kernels::cpu::map::Map {
            dims: [13824],
            strides: [[1], [1]],
        };
        const CONV1_GRAD_SIZES: kernels::reduce::Sum<3> = kernels::reduce::Sum {
            dims: [6, 144, 16],
            summed: [false, true, true],
            samples: Some(2),
        };
        const CROSS_ENTROPY_SIZES_3: kernels::cpu::map::Map<1, 0> = kernels::cpu::map::Map {
            dims: [],
            strides: [[]],
        };
        fn relu_formula() -> impl Fn([f32; 2]) -> f32 + Copy {
            std::convert::identity(
                #[inline(always)]
                |[a, b]: [f32; 2]| math::max(a + b, 0.0),
            )
        }
        fn out_formula() -> impl Fn([f32; 2]) -> f32 + Copy {
            std::convert::identity(#[inline(always)] |[a, b]: [f32; 2]| a + b)
        }
        fn relu_grad_formula() -> impl Fn([f32; 2]) -> f32 + Copy {
            std::convert::identity(
                #[inline(always)]
                |[a, b]: [f32; 2]| math::select(b > 0.0, a, 0.0),
            )
        }
        /// One tile: 16 samples pass through every operation of the loop over N samples.
        #[inline(never)]
        fn tile_of_samples(tile: &mut graven::Tile<'_>) {
            let N = tile.symbols[0];
            tile.load_samples(0, IMAGES, 784);
            /// `conv1`: conv2d, [N, 1, 28, 28] and [6, 1, 5, 5] -> [N, 6, 24, 24], 86400 multiply-adds a sample.
            /// `max_pool2d`: max_pool2d, [N, 6, 24, 24] -> [N, 6, 12, 12], 3456 multiply-adds a sample.
            /// `relu`: relu(add(a, b)), [N, 6, 12, 12] and [6, 1, 1] -> [N, 6, 12, 12], 1728 multiply-adds a sample.
            let [images, relu, max_pool2d_saved_2, relu_scratch, relu_kept] = graven::disjoint(
                tile.floats,
                [IMAGES, RELU, MAX_POOL2D_SAVED_2, RELU_SCRATCH, RELU_KEPT],
            );
            kernels::conv2d::forward_pooled_saving_relu(
                &tile.cx,
                &CONV1_SIZES,
                images,
                &tile.parameters[CONV1_WEIGHT],
                &tile.parameters[CONV1_BIAS],
                relu,
                relu_scratch,
                relu_kept,
                max_pool2d_saved_2,
            );
            /// `conv2`: conv2d, [N, 6, 12, 12] and [12, 6, 5, 5] -> [N, 12, 8, 8], 115200 multiply-adds a sample.
            let [relu, conv2_scratch, conv2_kept, conv2] = graven::disjoint(
                tile.floats,
                [RELU, CONV2_SCRATCH, CONV2_KEPT, CONV2],
            );
            kernels::conv2d::forward(
                &tile.cx,
                &CONV2_SIZES,
                relu,
                &tile.parameters[CONV2_WEIGHT],
                conv2,
                conv2_scratch,
                conv2_kept,
            );
            /// `max_pool2d`: max_pool2d, [N, 12, 8, 8] -> [N, 12, 4, 4], 768 multiply-adds a sample.
            /// `relu`: relu(add(a, b)), [N, 12, 4, 4] and [12, 1, 1] -> [N, 12, 4, 4], 384 multiply-adds a sample.
            let [conv2, relu_2, max_pool2d_saved] = graven::disjoint(
                tile.floats,
                [CONV2, RELU_2, MAX_POOL2D_SAVED],
            );
            kernels::pool2d::max_forward_saving_relu(
                &tile.cx,
                &MAX_POOL2D_SIZES,
                conv2,
                &tile.parameters[CONV2_BIAS],
                relu_2,
                max_pool2d_saved,
            );
            let [relu_2, relu_rows] = graven::disjoint(tile.floats, [RELU_2, RELU_ROWS]);
            kernels::cpu::layout::rows_from_samples(&tile.cx, 192, relu_2, relu_rows);
            /// `fc1`: linear, [N, 192] and [120, 192] -> [N, 120], 23040 multiply-adds a sample.
            let [relu_rows, fc1_kept, fc1_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS, FC1_KEPT, FC1_ROWS],
            );
            kernels::linear::forward_packed(
                &tile.cx,
                &FC1_SIZES,
                relu_rows,
                &tile.parameters[FC1_WEIGHT],
                fc1_rows,
                fc1_kept,
            );
            /// `relu`: relu(add(a, b)), [N, 120] and [120] -> [N, 120], 240 multiply-adds a sample.
            let [relu_rows_2] = graven::disjoint(tile.floats, [RELU_ROWS_2]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES,
                [&[], &tile.parameters[FC1_BIAS]],
                relu_rows_2,
                relu_formula(),
            );
            /// `fc2`: linear, [N, 120] and [60, 120] -> [N, 60], 7200 multiply-adds a sample.
            let [relu_rows_2, fc2_kept, fc2_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_2, FC2_KEPT, FC2_ROWS],
            );
            kernels::linear::forward_packed(
                &tile.cx,
                &FC2_SIZES,
                relu_rows_2,
                &tile.parameters[FC2_WEIGHT],
                fc2_rows,
                fc2_kept,
            );
            /// `relu`: relu(add(a, b)), [N, 60] and [60] -> [N, 60], 120 multiply-adds a sample.
            let [relu_rows_3] = graven::disjoint(tile.floats, [RELU_ROWS_3]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_SIZES_2,
                [&[], &tile.parameters[FC2_BIAS]],
                relu_rows_3,
                relu_formula(),
            );
            /// `out`: linear, [N, 60] and [10, 60] -> [N, 10], 600 multiply-adds a sample.
            let [relu_rows_3, out_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_3, OUT_ROWS],
            );
            kernels::linear::forward(
                &tile.cx,
                &OUT_SIZES,
                relu_rows_3,
                &tile.parameters[OUT_WEIGHT],
                out_rows,
            );
            /// `out`: add(a, b), [N, 10] and [10] -> [N, 10], 10 multiply-adds a sample.
            let [out_rows_2] = graven::disjoint(tile.floats, [OUT_ROWS_2]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &OUT_SIZES_2,
                [&[], &tile.parameters[OUT_BIAS]],
                out_rows_2,
                out_formula(),
            );
            let [out_rows_2, out] = graven::disjoint(tile.floats, [OUT_ROWS_2, OUT]);
            kernels::cpu::layout::samples_from_rows(&tile.cx, 10, out_rows_2, out);
            tile.load_int_samples(0, LABELS, 1);
            /// `cross_entropy`: cross_entropy, [N, 10] and [N] of i64 -> [N], 80 multiply-adds a sample.
            let [out, cross_entropy] = graven::disjoint(
                tile.floats,
                [OUT, CROSS_ENTROPY],
            );
            let [labels] = graven::disjoint(tile.ints, [LABELS]);
            kernels::cross_entropy::forward(
                &tile.cx,
                &CROSS_ENTROPY_SIZES,
                out,
                labels,
                cross_entropy,
            );
            /// `cross_entropy`: sum, [N] -> [], 1 multiply-adds a sample.
            let [cross_entropy] = graven::disjoint(tile.floats, [CROSS_ENTROPY]);
            kernels::reduce::sum_into(
                &tile.cx,
                &CROSS_ENTROPY_SIZES_2,
                cross_entropy,
                &mut tile.sums[CROSS_ENTROPY_SUM],
            );
            /// `correct`: argmax, [N, 10] -> [N] of i64, 10 multiply-adds a sample.
            let [out_rows_2] = graven::disjoint(tile.floats, [OUT_ROWS_2]);
            let [correct_rows] = graven::disjoint(tile.ints, [CORRECT_ROWS]);
            kernels::argmax::argmax(&tile.cx, &CORRECT_SIZES, out_rows_2, correct_rows);
            tile.load_int_rows(0, LABELS_ROWS, 1);
            /// `correct`: count_equal, [N] of i64 and [N] of i64 -> [] of i64, 1 multiply-adds a sample.
            let [correct_rows, labels_rows] = graven::disjoint(
                tile.ints,
                [CORRECT_ROWS, LABELS_ROWS],
            );
            kernels::argmax::count_equal(
                &tile.cx,
                &CORRECT_SIZES_2,
                correct_rows,
                labels_rows,
                &mut tile.int_sums[CORRECT_SUM],
            );
            /// `cross_entropy_grad`: mul'(1, 1 / N),  -> [N], 1 multiply-adds a sample.
            let [cross_entropy_grad] = graven::disjoint(
                tile.floats,
                [CROSS_ENTROPY_GRAD],
            );
            kernels::cpu::map::map(
                &tile.cx,
                &CROSS_ENTROPY_GRAD_SIZES,
                [],
                cross_entropy_grad,
                #[inline(always)]
                |[]: [f32; 0]| 1.0 * (1.0 / N as f32),
            );
            /// `cross_entropy_grad`: cross_entropy_grad, [N, 10] and [N] of i64 and [N] -> [N, 10], 80 multiply-adds a sample.
            let [out, cross_entropy_grad, cross_entropy_grad_2] = graven::disjoint(
                tile.floats,
                [OUT, CROSS_ENTROPY_GRAD, CROSS_ENTROPY_GRAD_2],
            );
            let [labels] = graven::disjoint(tile.ints, [LABELS]);
            kernels::cross_entropy::grad(
                &tile.cx,
                &CROSS_ENTROPY_SIZES,
                out,
                labels,
                cross_entropy_grad,
                cross_entropy_grad_2,
            );
            /// `out_grad`: sum, [N, 10] -> [10], 10 multiply-adds a sample.
            let [cross_entropy_grad_2] = graven::disjoint(
                tile.floats,
                [CROSS_ENTROPY_GRAD_2],
            );
            kernels::reduce::sum_into(
                &tile.cx,
                &OUT_GRAD_SIZES,
                cross_entropy_grad_2,
                &mut tile.sums[OUT_GRAD_SUM],
            );
            let [cross_entropy_grad_2, cross_entropy_grad_rows] = graven::disjoint(
                tile.floats,
                [CROSS_ENTROPY_GRAD_2, CROSS_ENTROPY_GRAD_ROWS],
            );
            kernels::cpu::layout::rows_from_samples(
                &tile.cx,
                10,
                cross_entropy_grad_2,
                cross_entropy_grad_rows,
            );
            /// `out_grad`: linear, [N, 10] and [10, 60] -> [N, 60], 600 multiply-adds a sample.
            let [cross_entropy_grad_rows, out_grad_rows] = graven::disjoint(
                tile.floats,
                [CROSS_ENTROPY_GRAD_ROWS, OUT_GRAD_ROWS],
            );
            kernels::linear::forward(
                &tile.cx,
                &OUT_GRAD_SIZES_2,
                cross_entropy_grad_rows,
                &tile.parameters[OUT_WEIGHT],
                out_grad_rows,
            );
            /// `out_grad`: outer_sum, [N, 10] and [N, 60] -> [10, 60], 600 multiply-adds a sample.
            let [relu_rows_3, cross_entropy_grad_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_3, CROSS_ENTROPY_GRAD_ROWS],
            );
            kernels::linear::grad_weight(
                &tile.cx,
                &OUT_GRAD_SIZES_3,
                cross_entropy_grad_rows,
                relu_rows_3,
                &mut tile.sums[OUT_GRAD_SUM_2],
            );
            /// `relu_grad`: relu'(a, b), [N, 60] and [N, 60] -> [N, 60], 60 multiply-adds a sample.
            let [relu_rows_3, relu_grad_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_3, RELU_GRAD_ROWS],
            );
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_GRAD_SIZES,
                [&[], relu_rows_3],
                relu_grad_rows,
                relu_grad_formula(),
            );
            /// `fc2_grad`: sum, [N, 60] -> [60], 60 multiply-adds a sample.
            let [relu_grad_rows] = graven::disjoint(tile.floats, [RELU_GRAD_ROWS]);
            kernels::reduce::sum_into(
                &tile.cx,
                &FC2_GRAD_SIZES,
                relu_grad_rows,
                &mut tile.sums[FC2_GRAD_SUM],
            );
            /// `fc2_grad`: linear, [N, 60] and [60, 120] -> [N, 120], 7200 multiply-adds a sample.
            let [relu_grad_rows, fc2_grad_rows] = graven::disjoint(
                tile.floats,
                [RELU_GRAD_ROWS, FC2_GRAD_ROWS],
            );
            kernels::linear::forward(
                &tile.cx,
                &FC2_GRAD_SIZES_2,
                relu_grad_rows,
                &tile.parameters[FC2_WEIGHT],
                fc2_grad_rows,
            );
            /// `fc2_grad`: outer_sum, [N, 60] and [N, 120] -> [60, 120], 7200 multiply-adds a sample.
            let [relu_rows_2, relu_grad_rows] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_2, RELU_GRAD_ROWS],
            );
            kernels::linear::grad_weight(
                &tile.cx,
                &FC2_GRAD_SIZES_3,
                relu_grad_rows,
                relu_rows_2,
                &mut tile.sums[FC2_GRAD_SUM_2],
            );
            /// `relu_grad`: relu'(a, b), [N, 120] and [N, 120] -> [N, 120], 120 multiply-adds a sample.
            let [relu_rows_2, relu_grad_rows_2] = graven::disjoint(
                tile.floats,
                [RELU_ROWS_2, RELU_GRAD_ROWS_2],
            );
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_GRAD_SIZES_2,
                [&[], relu_rows_2],
                relu_grad_rows_2,
                relu_grad_formula(),
            );
            /// `fc1_grad`: sum, [N, 120] -> [120], 120 multiply-adds a sample.
            let [relu_grad_rows_2] = graven::disjoint(tile.floats, [RELU_GRAD_ROWS_2]);
            kernels::reduce::sum_into(
                &tile.cx,
                &FC1_GRAD_SIZES,
                relu_grad_rows_2,
                &mut tile.sums[FC1_GRAD_SUM],
            );
            /// `fc1_grad`: linear, [N, 120] and [120, 192] -> [N, 192], 23040 multiply-adds a sample.
            let [relu_grad_rows_2, fc1_grad_rows] = graven::disjoint(
                tile.floats,
                [RELU_GRAD_ROWS_2, FC1_GRAD_ROWS],
            );
            kernels::linear::forward(
                &tile.cx,
                &FC1_GRAD_SIZES_2,
                relu_grad_rows_2,
                &tile.parameters[FC1_WEIGHT],
                fc1_grad_rows,
            );
            /// `fc1_grad`: outer_sum, [N, 120] and [N, 192] -> [120, 192], 23040 multiply-adds a sample.
            let [relu_rows, relu_grad_rows_2] = graven::disjoint(
                tile.floats,
                [RELU_ROWS, RELU_GRAD_ROWS_2],
            );
            kernels::linear::grad_weight(
                &tile.cx,
                &FC1_GRAD_SIZES_3,
                relu_grad_rows_2,
                relu_rows,
                &mut tile.sums[FC1_GRAD_SUM_2],
            );
            /// `relu_grad`: relu'(a, b), [N, 12, 4, 4] and [N, 12, 4, 4] -> [N, 12, 4, 4], 192 multiply-adds a sample.
            let [relu_rows, relu_grad_rows_3] = graven::disjoint(
                tile.floats,
                [RELU_ROWS, RELU_GRAD_ROWS_3],
            );
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_GRAD_SIZES_3,
                [&[], relu_rows],
                relu_grad_rows_3,
                relu_grad_formula(),
            );
            /// `conv2_grad`: sum, [N, 12, 4, 4] -> [12], 192 multiply-adds a sample.
            let [relu_grad_rows_3] = graven::disjoint(tile.floats, [RELU_GRAD_ROWS_3]);
            kernels::reduce::sum_into(
                &tile.cx,
                &CONV2_GRAD_SIZES,
                relu_grad_rows_3,
                &mut tile.sums[CONV2_GRAD_SUM],
            );
            let [relu_grad_rows_3, relu_grad] = graven::disjoint(
                tile.floats,
                [RELU_GRAD_ROWS_3, RELU_GRAD],
            );
            kernels::cpu::layout::samples_from_rows(
                &tile.cx,
                192,
                relu_grad_rows_3,
                relu_grad,
            );
            /// `max_pool2d_grad`: max_pool2d_grad, [N, 12, 8, 8] and [N, 12, 4, 4] and [N, 12, 4, 4] -> [N, 12, 8, 8], 768 multiply-adds a sample.
            let [max_pool2d_saved, relu_grad, max_pool2d_grad] = graven::disjoint(
                tile.floats,
                [MAX_POOL2D_SAVED, RELU_GRAD, MAX_POOL2D_GRAD],
            );
            kernels::pool2d::max_grad_saved(
                &tile.cx,
                &MAX_POOL2D_SIZES,
                max_pool2d_saved,
                relu_grad,
                max_pool2d_grad,
            );
            /// `conv2_grad`: conv2d_grad_input, [N, 12, 8, 8] and [12, 6, 5, 5] -> [N, 6, 12, 12], 115200 multiply-adds a sample.
            let [max_pool2d_grad, conv2_grad_scratch, conv2_grad_kept, conv2_grad] = graven::disjoint(
                tile.floats,
                [MAX_POOL2D_GRAD, CONV2_GRAD_SCRATCH, CONV2_GRAD_KEPT, CONV2_GRAD],
            );
            kernels::conv2d::grad_input(
                &tile.cx,
                &CONV2_SIZES,
                max_pool2d_grad,
                &tile.parameters[CONV2_WEIGHT],
                conv2_grad,
                conv2_grad_scratch,
                conv2_grad_kept,
            );
            /// `max_pool2d_grad`: max_pool2d_grad, [N, 12, 8, 8] and [N, 12, 4, 4] and [N, 12, 4, 4] -> [N, 12, 8, 8], 768 multiply-adds a sample.
            /// `conv2_grad`: conv2d_grad_weight, [N, 12, 8, 8] and [N, 6, 12, 12] -> [12, 6, 5, 5], 115200 multiply-adds a sample.
            let [relu, max_pool2d_saved, relu_grad, conv2_grad_scratch_2] = graven::disjoint(
                tile.floats,
                [RELU, MAX_POOL2D_SAVED, RELU_GRAD, CONV2_GRAD_SCRATCH_2],
            );
            kernels::conv2d::grad_weight_pooled(
                &tile.cx,
                &CONV2_SIZES,
                max_pool2d_saved,
                relu_grad,
                relu,
                &mut tile.sums[CONV2_GRAD_SUM_2],
                conv2_grad_scratch_2,
            );
            /// `relu_grad`: relu'(a, b), [N, 6, 12, 12] and [N, 6, 12, 12] -> [N, 6, 12, 12], 864 multiply-adds a sample.
            let [relu, relu_grad_2] = graven::disjoint(tile.floats, [RELU, RELU_GRAD_2]);
            kernels::cpu::map::map_in_place::<
                0,
                _,
                _,
            >(
                &tile.cx,
                &RELU_GRAD_SIZES_4,
                [&[], relu],
                relu_grad_2,
                relu_grad_formula(),
            );
            /// `conv1_grad`: sum, [N, 6, 12, 12] -> [6], 864 multiply-adds a sample.
            let [relu_grad_2] = graven::disjoint(tile.floats, [RELU_GRAD_2]);
            kernels::reduce::sum_into(
                &tile.cx,
                &CONV1_GRAD_SIZES,
                relu_grad_2,
                &mut tile.sums[CONV1_GRAD_SUM],
            );
            /// `max_pool2d_grad`: max_pool2d_grad, [N, 6, 24, 24] and [N, 6, 12, 12] and [N, 6, 12, 12] -> [N, 6, 24, 24], 3456 multiply-adds a sample.
            /// `conv1_grad`: conv2d_grad_weight, [N, 6, 24, 24] and [N, 1, 28, 28] -> [6, 1, 5, 5], 86400 multiply-adds a sample.
            let [images, relu_grad_2, max_pool2d_saved_2, conv1_grad_scratch] = graven::disjoint(
                tile.floats,
                [IMAGES, RELU_GRAD_2, MAX_POOL2D_SAVED_2, CONV1_GRAD_SCRATCH],
            );
            kernels::conv2d::grad_weight_pooled(
                &tile.cx,
                &CONV1_SIZES,
                max_pool2d_saved_2,
                relu_grad_2,
                images,
                &mut tile.sums[CONV1_GRAD_SUM_2],
                conv1_grad_scratch,
            );
        }
        /// Operations of stage 1 on complete tensors.
        #[inline(never)]
        fn whole_tensors(whole: &mut graven::Whole<'_>) {
            let N = whole.symbols[0];
            /// `cross_entropy`: mul(a, 1 / N), [] -> [], 1 multiply-adds a sample.
            let [value_0, value_2] = graven::disjoint(
                whole.floats,
                [whole.slots[0].clone(), whole.slots[2].clone()],
            );
            kernels::cpu::map::map(
                &whole.cx,
                &CROSS_ENTROPY_SIZES_3,
                [value_2],
                value_0,
                #[inline(always)]
                |[a]: [f32; 1]| a * (1.0 / N as f32),
            );
        }
        static PLAN: graven::Plan = graven::Plan {
            function: "Network::loss_grad",
            symbols: &["N"],
            inputs: &[
                graven::InputPlan {
                    name: "images",
                    dtype: graven::Dtype::F32,
                    dims: &[
                        graven::Size {
                            factor: 1,
                            symbols: &[0],
                        },
                        graven::Size {
                            factor: 1,
                            symbols: &[],
                        },
                        graven::Size {
                            factor: 28,
                            symbols: &[],
                        },
                        graven::Size {
                            factor: 28,
                            symbols: &[],
                        },
                    ],
                    classes: None,
                },
                graven::InputPlan {
                    name: "labels",
                    dtype: graven::Dtype::I64,
                    dims: &[
                        graven::Size {
                            factor: 1,
                            symbols: &[0],
                        },
                    ],
                    classes: Some(10),
                },
            ],
            outputs: &[
                graven::OutputPlan {
                    dtype: graven::Dtype::F32,
                    dims: &[],
                    copied_from: Some(0),
                },
                graven::OutputPlan {
                    dtype: graven::Dtype::I64,
                    dims: &[],
                    copied_from: Some(1),
                },
            ],
            values: &[
                graven::ValuePlan {
                    dtype: graven::Dtype::F32,
                    size: graven::Size {
                        factor: 1,
                        symbols: &[],
                    },
                },
                graven::ValuePlan {
                    dtype: graven::Dtype::I64,
                    size: graven::Size {
                        factor: 1,
                        symbols: &[],
                    },
                },
                graven::ValuePlan {
                    dtype: graven::Dtype::F32,
                    size: graven::Size {
                        factor: 1,
                        symbols: &[],
                    },
                },
            ],
            stages: &[
                graven::Stage {
                    whole: &[],
                    loops: &[
                        graven::LoopPlan {
                            extent: graven::Size {
                                factor: 1,
                                symbols: &[0],
                            },
                            tiles_per_chunk: 1,
                            reads: &[graven::Place::Input(0)],
                            int_reads: &[graven::Place::Input(1)],
                            writes: &[],
                            int_writes: &[],
                            sums: 33072,
                            int_sums: 16,
                            results: &[
                                graven::SumPlan {
                                    from: CONV1_GRAD_SUM_2,
                                    to: graven::SumTarget::Gradient(0),
                                },
                                graven::SumPlan {
                                    from: CONV1_GRAD_SUM,
                                    to: graven::SumTarget::Gradient(160),
                                },
                                graven::SumPlan {
                                    from: CONV2_GRAD_SUM_2,
                                    to: graven::SumTarget::Gradient(176),
                                },
                                graven::SumPlan {
                                    from: CONV2_GRAD_SUM,
                                    to: graven::SumTarget::Gradient(1984),
                                },
                                graven::SumPlan {
                                    from: FC1_GRAD_SUM_2,
                                    to: graven::SumTarget::Gradient(2000),
                                },
                                graven::SumPlan {
                                    from: FC1_GRAD_SUM,
                                    to: graven::SumTarget::Gradient(25040),
                                },
                                graven::SumPlan {
                                    from: FC2_GRAD_SUM_2,
                                    to: graven::SumTarget::Gradient(25168),
                                },
                                graven::SumPlan {
                                    from: FC2_GRAD_SUM,
                                    to: graven::SumTarget::Gradient(32368),
                                },
                                graven::SumPlan {
                                    from: OUT_GRAD_SUM_2,
                                    to: graven::SumTarget::Gradient(32432),
                                },
                                graven::SumPlan {
                                    from: OUT_GRAD_SUM,
                                    to: graven::SumTarget::Gradient(33040),
                                },
                                graven::SumPlan {
                                    from: CROSS_ENTROPY_SUM,
                                    to: graven::SumTarget::Value(2),
                                },
                            ],
                            int_results: &[
                                graven::SumPlan {
                                    from: CORRECT_SUM,
                                    to: graven::SumTarget::Value(1),
                                },
                            ],
                            tile: graven::TilePlan {
                                samples: 16,
                                floats: 146592,
                                ints: 48,
                                steps: &[tile_of_samples],
                            },
                            one: None,
                            few: 0,
                        },
                    ],
                },
                graven::Stage {
                    whole: &[whole_tensors],
                    loops: &[],
                },
            ],
            gradients: &[],
            parameters: 33056,
            trained: &[0..33056],
            cuda: None,
        };
        &PLAN
    }
    /// The layers and the layout of the parameters.
    static MODULE: graven::ModulePlan = graven::ModulePlan {
        name: "Network",
        layers: &[
            graven::LayerPlan {
                name: "conv1",
                description: "Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))",
                parameters: 2,
            },
            graven::LayerPlan {
                name: "conv2",
                description: "Conv2d(6, 12, kernel_size=(5, 5), stride=(1, 1))",
                parameters: 2,
            },
            graven::LayerPlan {
                name: "fc1",
                description: "Linear(in_features=192, out_features=120, bias=True)",
                parameters: 2,
            },
            graven::LayerPlan {
                name: "fc2",
                description: "Linear(in_features=120, out_features=60, bias=True)",
                parameters: 2,
            },
            graven::LayerPlan {
                name: "out",
                description: "Linear(in_features=60, out_features=10, bias=True)",
                parameters: 2,
            },
        ],
        modules: &[],
        parameters: &[
            graven::ParameterPlan {
                name: "conv1.weight",
                dims: &[6, 1, 5, 5],
                offset: 0,
                bound: 0.2f32,
                trained: true,
            },
            graven::ParameterPlan {
                name: "conv1.bias",
                dims: &[6],
                offset: 160,
                bound: 0.2f32,
                trained: true,
            },
            graven::ParameterPlan {
                name: "conv2.weight",
                dims: &[12, 6, 5, 5],
                offset: 176,
                bound: 0.08164966f32,
                trained: true,
            },
            graven::ParameterPlan {
                name: "conv2.bias",
                dims: &[12],
                offset: 1984,
                bound: 0.08164966f32,
                trained: true,
            },
            graven::ParameterPlan {
                name: "fc1.weight",
                dims: &[120, 192],
                offset: 2000,
                bound: 0.07216878f32,
                trained: true,
            },
            graven::ParameterPlan {
                name: "fc1.bias",
                dims: &[120],
                offset: 25040,
                bound: 0.07216878f32,
                trained: true,
            },
            graven::ParameterPlan {
                name: "fc2.weight",
                dims: &[60, 120],
                offset: 25168,
                bound: 0.09128709f32,
                trained: true,
            },
            graven::ParameterPlan {
                name: "fc2.bias",
                dims: &[60],
                offset: 32368,
                bound: 0.09128709f32,
                trained: true,
            },
            graven::ParameterPlan {
                name: "out.weight",
                dims: &[10, 60],
                offset: 32432,
                bound: 0.12909944f32,
                trained: true,
            },
            graven::ParameterPlan {
                name: "out.bias",
                dims: &[10],
                offset: 33040,
                bound: 0.12909944f32,
                trained: true,
            },
        ],
        length: 33056,
    };
    /// Where editors look layers up; it is never called.
    fn layers(network: &Network) {
        {
            /// Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
            ///
            /// `[N, 1, 28, 28]` -> `[N, 6, 24, 24]`, 156 parameters in 624 bytes, 89,856 multiply-adds a sample.
            const conv1: () = ();
            let _ = (&network.conv1, conv1);
        }
        {
            /// Conv2d(6, 12, kernel_size=(5, 5), stride=(1, 1))
            ///
            /// `[N, 6, 12, 12]` -> `[N, 12, 8, 8]`, 1,812 parameters in 7,248 bytes, 115,968 multiply-adds a sample.
            const conv2: () = ();
            let _ = (&network.conv2, conv2);
        }
        {
            /// Linear(in_features=192, out_features=120, bias=True)
            ///
            /// `[N, 192]` -> `[N, 120]`, 23,160 parameters in 92,640 bytes, 23,160 multiply-adds a sample.
            const fc1: () = ();
            let _ = (&network.fc1, fc1);
        }
        {
            /// Linear(in_features=120, out_features=60, bias=True)
            ///
            /// `[N, 120]` -> `[N, 60]`, 7,260 parameters in 29,040 bytes, 7,260 multiply-adds a sample.
            const fc2: () = ();
            let _ = (&network.fc2, fc2);
        }
        {
            /// Linear(in_features=60, out_features=10, bias=True)
            ///
            /// `[N, 60]` -> `[N, 10]`, 610 parameters in 2,440 bytes, 610 multiply-adds a sample.
            const out: () = ();
            let _ = (&network.out, out);
        }
    }
    impl Network {
        /// The logits of ten classes.
        ///
        /// Computes the function on a batch. In evaluation: nothing is dropped, no gradient is kept.
        ///
        /// `t`: `[N, 1, 28, 28]` -> `[N, 10]`.
        /// The module has 32998 parameters.
        ///
        /// | layer | input | output | parameters | bytes | multiply-adds |
        /// | - | - | - | -: | -: | -: |
        /// | `conv1` | `[N, 1, 28, 28]` | `[N, 6, 24, 24]` | 156 | 624 | 89,856 |
        /// | `relu` | `[N, 6, 24, 24]` | `[N, 6, 24, 24]` |  |  | 3,456 |
        /// | `max_pool2d` | `[N, 6, 24, 24]` | `[N, 6, 12, 12]` |  |  | 3,456 |
        /// | `conv2` | `[N, 6, 12, 12]` | `[N, 12, 8, 8]` | 1,812 | 7,248 | 115,968 |
        /// | `relu` | `[N, 12, 8, 8]` | `[N, 12, 8, 8]` |  |  | 768 |
        /// | `max_pool2d` | `[N, 12, 8, 8]` | `[N, 12, 4, 4]` |  |  | 768 |
        /// | `reshape` | `[N, 12, 4, 4]` | `[N, 192]` |  |  |  |
        /// | `fc1` | `[N, 192]` | `[N, 120]` | 23,160 | 92,640 | 23,160 |
        /// | `relu` | `[N, 120]` | `[N, 120]` |  |  | 120 |
        /// | `fc2` | `[N, 120]` | `[N, 60]` | 7,260 | 29,040 | 7,260 |
        /// | `relu` | `[N, 60]` | `[N, 60]` |  |  | 60 |
        /// | `out` | `[N, 60]` | `[N, 10]` | 610 | 2,440 | 610 |
        /// | total | | | 32,998 | 131,992 | 245,482 |
        pub fn forward(
            &self,
            t: &::graven::Tensor,
        ) -> ::graven::Result<::graven::Tensor> {
            let mut output = ::graven::Tensor::empty();
            self.forward_into(t, &mut output)?;
            Ok(output)
        }
        /// The logits of ten classes.
        ///
        /// As `forward`, into tensors that are there: allocates nothing after the first call with a batch of that size.
        ///
        /// `t`: `[N, 1, 28, 28]` -> `[N, 10]`.
        /// The module has 32998 parameters.
        pub fn forward_into(
            &self,
            t: &::graven::Tensor,
            output: &mut ::graven::Tensor,
        ) -> ::graven::Result<()> {
            graven::run(
                forward_plan(),
                graven::bind(self, &MODULE, forward_plan())?,
                &[t.into()],
                &mut [output.into()],
            )
        }
        /// Mean loss, and how many of the batch were classified correctly.
        ///
        /// Computes the function on a batch. In evaluation: nothing is dropped, no gradient is kept.
        ///
        /// `images`: `[N, 1, 28, 28]`, `labels`: `[N] of i64` -> `[]`, `[] of i64`.
        /// The module has 32998 parameters.
        ///
        /// | layer | input | output | parameters | bytes | multiply-adds |
        /// | - | - | - | -: | -: | -: |
        /// | `conv1` | `[N, 1, 28, 28]` | `[N, 6, 24, 24]` | 156 | 624 | 89,856 |
        /// | `relu` | `[N, 6, 24, 24]` | `[N, 6, 24, 24]` |  |  | 3,456 |
        /// | `max_pool2d` | `[N, 6, 24, 24]` | `[N, 6, 12, 12]` |  |  | 3,456 |
        /// | `conv2` | `[N, 6, 12, 12]` | `[N, 12, 8, 8]` | 1,812 | 7,248 | 115,968 |
        /// | `relu` | `[N, 12, 8, 8]` | `[N, 12, 8, 8]` |  |  | 768 |
        /// | `max_pool2d` | `[N, 12, 8, 8]` | `[N, 12, 4, 4]` |  |  | 768 |
        /// | `reshape` | `[N, 12, 4, 4]` | `[N, 192]` |  |  |  |
        /// | `fc1` | `[N, 192]` | `[N, 120]` | 23,160 | 92,640 | 23,160 |
        /// | `relu` | `[N, 120]` | `[N, 120]` |  |  | 120 |
        /// | `fc2` | `[N, 120]` | `[N, 60]` | 7,260 | 29,040 | 7,260 |
        /// | `relu` | `[N, 60]` | `[N, 60]` |  |  | 60 |
        /// | `out` | `[N, 60]` | `[N, 10]` | 610 | 2,440 | 610 |
        /// | `cross_entropy` | `[N, 10]` | `[]` |  |  | 82 |
        /// | `correct` | `[N, 10]` | `[]` |  |  | 11 |
        /// | total | | | 32,998 | 131,992 | 245,575 |
        pub fn loss(
            &self,
            images: &::graven::Tensor,
            labels: &::graven::Tensor<i64>,
        ) -> ::graven::Result<(::graven::Tensor, ::graven::Tensor<i64>)> {
            let mut output_0 = ::graven::Tensor::empty();
            let mut output_1 = ::graven::Tensor::empty();
            self.loss_into(images, labels, &mut output_0, &mut output_1)?;
            Ok((output_0, output_1))
        }
        /// Mean loss, and how many of the batch were classified correctly.
        ///
        /// As `loss`, into tensors that are there: allocates nothing after the first call with a batch of that size.
        ///
        /// `images`: `[N, 1, 28, 28]`, `labels`: `[N] of i64` -> `[]`, `[] of i64`.
        /// The module has 32998 parameters.
        pub fn loss_into(
            &self,
            images: &::graven::Tensor,
            labels: &::graven::Tensor<i64>,
            output_0: &mut ::graven::Tensor,
            output_1: &mut ::graven::Tensor<i64>,
        ) -> ::graven::Result<()> {
            graven::run(
                loss_plan(),
                graven::bind(self, &MODULE, loss_plan())?,
                &[images.into(), labels.into()],
                &mut [output_0.into(), output_1.into()],
            )
        }
        /// Mean loss, and how many of the batch were classified correctly.
        ///
        /// In training: the results, and the gradient of the first one with respect to every parameter that is trained.
        ///
        /// `images`: `[N, 1, 28, 28]`, `labels`: `[N] of i64` -> `[]`, `[] of i64`.
        /// The module has 32998 parameters.
        pub fn loss_grad(
            &self,
            images: &::graven::Tensor,
            labels: &::graven::Tensor<i64>,
        ) -> ::graven::Result<
            (::graven::Tensor, ::graven::Tensor<i64>, ::graven::Gradients),
        > {
            let mut gradients = graven::gradients(self, &MODULE, loss_grad_plan())?;
            let (output_0, output_1) = self
                .loss_grad_into(images, labels, &mut gradients)?;
            Ok((output_0, output_1, gradients))
        }
        /// Mean loss, and how many of the batch were classified correctly.
        ///
        /// As `loss_grad`, into gradients that are there: allocates nothing after the first call with a batch of that size.
        ///
        /// `images`: `[N, 1, 28, 28]`, `labels`: `[N] of i64` -> `[]`, `[] of i64`.
        /// The module has 32998 parameters.
        pub fn loss_grad_into(
            &self,
            images: &::graven::Tensor,
            labels: &::graven::Tensor<i64>,
            gradients: &mut ::graven::Gradients,
        ) -> ::graven::Result<(::graven::Tensor, ::graven::Tensor<i64>)> {
            let mut output_0 = ::graven::Tensor::empty();
            let mut output_1 = ::graven::Tensor::empty();
            let bound = graven::bind(self, &MODULE, loss_grad_plan())?;
            graven::run_grad(
                loss_grad_plan(),
                bound,
                &[images.into(), labels.into()],
                &mut [(&mut output_0).into(), (&mut output_1).into()],
                gradients,
            )?;
            Ok((output_0, output_1))
        }
        /// Mean loss, and how many of the batch were classified correctly.
        ///
        /// One training step: forward, backward, and the optimizer's update of the parameters. Allocates nothing after the first call with a batch of that size.
        ///
        /// `images`: `[N, 1, 28, 28]`, `labels`: `[N] of i64` -> `[]`, `[] of i64`.
        /// The module has 32998 parameters.
        pub fn loss_step(
            &mut self,
            images: &::graven::Tensor,
            labels: &::graven::Tensor<i64>,
            optimizer: &mut impl ::graven::Optimizer,
        ) -> ::graven::Result<(::graven::Tensor, ::graven::Tensor<i64>)> {
            let mut output_0 = ::graven::Tensor::empty();
            let mut output_1 = ::graven::Tensor::empty();
            let bound = graven::bind_mut(self, &MODULE, loss_grad_plan())?;
            graven::run_step(
                loss_grad_plan(),
                bound,
                &[images.into(), labels.into()],
                &mut [(&mut output_0).into(), (&mut output_1).into()],
                optimizer,
            )?;
            Ok((output_0, output_1))
        }
    }
    impl ::graven::Model for Network {
        const SUMMARY: &'static graven::SummaryPlan = &graven::SummaryPlan {
            function: "Network::forward",
            inputs: &[("t", "[N, 1, 28, 28]")],
            rows: &[
                graven::SummaryRow {
                    layer: "conv1",
                    kind: "Conv2d",
                    input: "[N, 1, 28, 28]",
                    output: "[N, 6, 24, 24]",
                    parameters: 156,
                    shared: false,
                    multiply_adds: 89856,
                    kept_bytes: 0,
                },
                graven::SummaryRow {
                    layer: "",
                    kind: "relu",
                    input: "[N, 6, 24, 24]",
                    output: "[N, 6, 24, 24]",
                    parameters: 0,
                    shared: false,
                    multiply_adds: 3456,
                    kept_bytes: 0,
                },
                graven::SummaryRow {
                    layer: "",
                    kind: "max_pool2d",
                    input: "[N, 6, 24, 24]",
                    output: "[N, 6, 12, 12]",
                    parameters: 0,
                    shared: false,
                    multiply_adds: 3456,
                    kept_bytes: 6912,
                },
                graven::SummaryRow {
                    layer: "conv2",
                    kind: "Conv2d",
                    input: "[N, 6, 12, 12]",
                    output: "[N, 12, 8, 8]",
                    parameters: 1812,
                    shared: false,
                    multiply_adds: 115968,
                    kept_bytes: 0,
                },
                graven::SummaryRow {
                    layer: "",
                    kind: "relu",
                    input: "[N, 12, 8, 8]",
                    output: "[N, 12, 8, 8]",
                    parameters: 0,
                    shared: false,
                    multiply_adds: 768,
                    kept_bytes: 0,
                },
                graven::SummaryRow {
                    layer: "",
                    kind: "max_pool2d",
                    input: "[N, 12, 8, 8]",
                    output: "[N, 12, 4, 4]",
                    parameters: 0,
                    shared: false,
                    multiply_adds: 768,
                    kept_bytes: 1536,
                },
                graven::SummaryRow {
                    layer: "",
                    kind: "reshape",
                    input: "[N, 12, 4, 4]",
                    output: "[N, 192]",
                    parameters: 0,
                    shared: false,
                    multiply_adds: 0,
                    kept_bytes: 0,
                },
                graven::SummaryRow {
                    layer: "fc1",
                    kind: "Linear",
                    input: "[N, 192]",
                    output: "[N, 120]",
                    parameters: 23160,
                    shared: false,
                    multiply_adds: 23160,
                    kept_bytes: 0,
                },
                graven::SummaryRow {
                    layer: "",
                    kind: "relu",
                    input: "[N, 120]",
                    output: "[N, 120]",
                    parameters: 0,
                    shared: false,
                    multiply_adds: 120,
                    kept_bytes: 480,
                },
                graven::SummaryRow {
                    layer: "fc2",
                    kind: "Linear",
                    input: "[N, 120]",
                    output: "[N, 60]",
                    parameters: 7260,
                    shared: false,
                    multiply_adds: 7260,
                    kept_bytes: 0,
                },
                graven::SummaryRow {
                    layer: "",
                    kind: "relu",
                    input: "[N, 60]",
                    output: "[N, 60]",
                    parameters: 0,
                    shared: false,
                    multiply_adds: 60,
                    kept_bytes: 240,
                },
                graven::SummaryRow {
                    layer: "out",
                    kind: "Linear",
                    input: "[N, 60]",
                    output: "[N, 10]",
                    parameters: 610,
                    shared: false,
                    multiply_adds: 610,
                    kept_bytes: 0,
                },
            ],
            notes: &[],
            parameters: 32998,
            multiply_adds: 245482,
        };
        fn plan() -> &'static graven::ModulePlan {
            &MODULE
        }
        fn functions() -> Vec<&'static graven::Plan> {
            vec![forward_plan(), loss_plan(), loss_grad_plan()]
        }
    }
    impl std::fmt::Display for Network {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            graven::display(&MODULE, f)
        }
    }
    impl graven::Structure for Network {
        fn build(builder: &mut graven::Builder<'_>) -> Self {
            Self {
                conv1: graven::Structure::build(builder),
                conv2: graven::Structure::build(builder),
                fc1: graven::Structure::build(builder),
                fc2: graven::Structure::build(builder),
                out: graven::Structure::build(builder),
            }
        }
        fn visit<'a>(&'a self, visitor: &mut dyn graven::Visitor<'a>) {
            graven::Structure::visit(&self.conv1, visitor);
            graven::Structure::visit(&self.conv2, visitor);
            graven::Structure::visit(&self.fc1, visitor);
            graven::Structure::visit(&self.fc2, visitor);
            graven::Structure::visit(&self.out, visitor);
        }
        fn visit_mut<'a>(&'a mut self, visitor: &mut dyn graven::VisitorMut<'a>) {
            graven::Structure::visit_mut(&mut self.conv1, visitor);
            graven::Structure::visit_mut(&mut self.conv2, visitor);
            graven::Structure::visit_mut(&mut self.fc1, visitor);
            graven::Structure::visit_mut(&mut self.fc2, visitor);
            graven::Structure::visit_mut(&mut self.out, visitor);
        }
    }
    impl ::graven::Module for Network {}
};
