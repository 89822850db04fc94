// Runs kernels that were compiled against emulation.h: one fiber per CUDA thread.
#pragma once
#define EMULATION_ENGINE
#include <string>

#include "emulation.h"

namespace emulation {

struct Launch {
    std::string name;
    Entry entry;
    Index grid, block;
    void** arguments;
};

// Runs all blocks of a launch. Returns what went wrong, or nothing: "" is success.
//
// In which order threads, warps and blocks take their turns is told by GRAVEN_EMULATION_ORDER: `forward` (the default: the
// first one that can run), `reverse` or `random` (the same choices in each run). A kernel that lacks a barrier gives
// different results in different orders.
std::string run(const Launch& launch);

}  // namespace emulation
