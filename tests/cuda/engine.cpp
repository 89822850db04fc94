// See engine.h. Fibers, the schedule of a block, and blocks on several threads of the machine.
#include "engine.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

namespace emulation {
namespace {

enum class Order { Forward, Reverse, Random };
enum class State { Ready, AtWarp, AtBlock, Done };

constexpr unsigned WARP = 32;
constexpr unsigned char POISON = 0xFF;
// What a block has without asking for more, on every device.
constexpr Size SHARED_BYTES = 48 * 1024;
// Poisoned bytes behind each shared array; a write into them is reported when the block ends.
constexpr Size GUARD = 64;

struct Worker;

// A fiber runs one thread after the other; `thread` must come first, see `self`.
struct Fiber {
    Thread thread;
    void* stack;  // the stack pointer while another fiber runs
    Worker* worker;
    State state;
    int line;  // of the rendezvous that it waits at
    unsigned warp;
};
static_assert(sizeof(Fiber) <= TOP, "a fiber's data fit above its stack");

extern "C" void emulation_switch(void** save, void* to);
__asm__(
    ".text\n"
    ".type emulation_switch, @function\n"
    "emulation_switch:\n"
    "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, (%rdi)\n"
    "  mov %rsi, %rsp\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
    "  ret\n");
constexpr int SAVED_REGISTERS = 6;

struct Warp {
    Fiber* fibers[WARP];
    bool started[WARP];
    bool ready;  // one of its lanes can run
    unsigned size;
    unsigned phase;
    // Two, because a lane may come to the next rendezvous before the others have read this one.
    Exchange exchanges[2];
};

struct SharedArray {
    const void* declaration;
    const char* name;
    Size offset, bytes;
};

std::string index_text(Index index) {
    return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

// What one thread of the machine needs to run blocks. Kept between launches, stacks and all.
struct Worker {
    const Launch* launch = nullptr;
    Order order = Order::Forward;
    uint64_t random = 1;
    void* stack = nullptr;  // the scheduler's own, while a fiber runs
    std::vector<Fiber*> fibers, free;
    std::vector<Warp> warps;
    std::vector<SharedArray> shared_arrays;
    alignas(128) unsigned char shared_memory[SHARED_BYTES + 64 * GUARD];
    Size shared_used = sizeof(shared_memory), shared_payload = 0;
    Index block{};
    std::string fault;

    unsigned next_random(unsigned below) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        return (unsigned)((random >> 16) % below);
    }

    void report(const std::string& what) {
        if (fault.empty()) fault = "kernel `" + launch->name + "`, block " + index_text(block) + ": " + what;
    }

    Fiber* take_fiber();
    void start(unsigned warp, unsigned lane);
    void resume(Fiber* fiber);
    void run_lanes(Warp& warp, unsigned index);
    bool meet_warp(Warp& warp);
    bool meet_block();
    bool choose_warp(unsigned& chosen);
    void run_block(Index index);
    void check_guards();
    void abandon();
};

void give_way(Fiber* fiber) { emulation_switch(&fiber->stack, fiber->worker->stack); }

void fiber_main() {
    Fiber* fiber = reinterpret_cast<Fiber*>(self());
    for (;;) {
        fiber->worker->launch->entry.call(fiber->worker->launch->arguments);
        fiber->state = State::Done;
        give_way(fiber);
    }
}

void reset_stack(Fiber* fiber) {
    // As if `emulation_switch` had been called at the start of `fiber_main`; at a function's first instruction the stack
    // pointer is 8 below a multiple of 16.
    void** top = reinterpret_cast<void**>(fiber) - 2;
    *top = reinterpret_cast<void*>(&fiber_main);
    fiber->stack = top - SAVED_REGISTERS;
    memset(fiber->stack, 0, SAVED_REGISTERS * sizeof(void*));
}

Fiber* Worker::take_fiber() {
    if (free.empty()) {
        // A chunk of stacks, aligned to their size. The lowest page of each may not be touched: a kernel that needs more
        // stack ends there instead of writing over its neighbour.
        constexpr Size COUNT = 64, PAGE = 4096;
        char* memory = static_cast<char*>(mmap(nullptr, (COUNT + 1) * STACK, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (memory == MAP_FAILED) abort();
        char* first = reinterpret_cast<char*>((reinterpret_cast<Size>(memory) + STACK - 1) & ~(STACK - 1));
        for (Size i = COUNT; i-- > 0;) {
            char* stack = first + i * STACK;
            mprotect(stack, PAGE, PROT_NONE);
            Fiber* fiber = reinterpret_cast<Fiber*>(stack + STACK - TOP);
            reset_stack(fiber);
            fiber->worker = this;
            fibers.push_back(fiber);
            free.push_back(fiber);
        }
    }
    Fiber* fiber = free.back();
    free.pop_back();
    return fiber;
}

void engine_block_barrier(Thread* thread, int line) {
    Fiber* fiber = reinterpret_cast<Fiber*>(thread);
    fiber->state = State::AtBlock;
    fiber->line = line;
    give_way(fiber);
}

const Exchange* engine_warp_exchange(Thread* thread, unsigned mask, unsigned long long bits, int line) {
    Fiber* fiber = reinterpret_cast<Fiber*>(thread);
    Worker* worker = fiber->worker;
    if (mask != 0xffffffffu) worker->report("line " + std::to_string(line) + ": only the mask 0xffffffff is emulated");
    Warp& warp = worker->warps[fiber->warp];
    Exchange& exchange = warp.exchanges[warp.phase & 1];
    exchange.bits[thread->lane] = bits;
    exchange.arrived |= 1u << thread->lane;
    fiber->state = State::AtWarp;
    fiber->line = line;
    give_way(fiber);
    return &exchange;
}

void* engine_shared(Thread* thread, const void* declaration, const char* name, Size bytes, Size alignment) {
    Worker* worker = reinterpret_cast<Fiber*>(thread)->worker;
    for (const SharedArray& array : worker->shared_arrays)
        if (array.declaration == declaration) return worker->shared_memory + array.offset;
    alignment = std::max<Size>(alignment, 16);
    Size offset = (worker->shared_used + alignment - 1) / alignment * alignment;
    worker->shared_payload += bytes;
    if (worker->shared_payload > SHARED_BYTES || offset + bytes + GUARD > sizeof(worker->shared_memory)) {
        worker->report("more than 48 KB of shared memory, at `" + std::string(name) + "`");
        reinterpret_cast<Fiber*>(thread)->state = State::Done;
        give_way(reinterpret_cast<Fiber*>(thread));  // for ever: `abandon` takes the fiber back
    }
    worker->shared_arrays.push_back({declaration, name, offset, bytes});
    worker->shared_used = offset + bytes + GUARD;
    return worker->shared_memory + offset;
}

const Engine ENGINE = {engine_block_barrier, engine_warp_exchange, engine_shared};

void Worker::resume(Fiber* fiber) {
    fiber->state = State::Ready;
    emulation_switch(&stack, fiber->stack);
}

void Worker::start(unsigned warp, unsigned lane) {
    Fiber* fiber = take_fiber();
    unsigned i = warp * WARP + lane;
    Index size = launch->block;
    fiber->thread.thread = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    fiber->thread.block = block;
    fiber->thread.block_size = size;
    fiber->thread.grid_size = launch->grid;
    fiber->thread.lane = lane;
    fiber->thread.engine = &ENGINE;
    fiber->warp = warp;
    warps[warp].fibers[lane] = fiber;
    warps[warp].started[lane] = true;
    resume(fiber);
}

// Every lane that can run goes on to its next rendezvous, or to its end.
void Worker::run_lanes(Warp& warp, unsigned index) {
    unsigned lanes[WARP];
    for (unsigned i = 0; i < warp.size; i++) lanes[i] = order == Order::Reverse ? warp.size - 1 - i : i;
    if (order == Order::Random)
        for (unsigned i = warp.size - 1; i > 0; i--) std::swap(lanes[i], lanes[next_random(i + 1)]);
    for (unsigned i = 0; i < warp.size && fault.empty(); i++) {
        unsigned lane = lanes[i];
        if (!warp.started[lane]) {
            start(index, lane);
        } else {
            Fiber* fiber = warp.fibers[lane];
            if (!fiber || fiber->state != State::Ready) continue;
            resume(fiber);
        }
        Fiber* fiber = warp.fibers[lane];
        if (fiber->state != State::Done || !fault.empty()) continue;
        warp.fibers[lane] = nullptr;
        free.push_back(fiber);
    }
}

// If all lanes that live wait for each other, they go on. Whether the warp can run.
bool Worker::meet_warp(Warp& warp) {
    Fiber *first = nullptr, *other = nullptr;
    for (Fiber* fiber : warp.fibers) {
        if (!fiber) continue;
        if (!first) first = fiber;
        if (fiber->state != first->state || fiber->line != first->line) other = fiber;
    }
    if (!first) return false;
    if (other) {
        report("threads of a warp have parted: thread " + index_text(first->thread.thread) + " waits at line " +
               std::to_string(first->line) + ", thread " + index_text(other->thread.thread) + " at line " +
               std::to_string(other->line));
        return false;
    }
    if (first->state == State::AtBlock) return false;
    Exchange& exchange = warp.exchanges[warp.phase & 1];
    for (unsigned lane = 0; lane < WARP; lane++)
        if (!(exchange.arrived >> lane & 1)) memset(&exchange.bits[lane], POISON, sizeof(exchange.bits[lane]));
    warp.phase++;
    warp.exchanges[warp.phase & 1].arrived = 0;
    for (Fiber* fiber : warp.fibers)
        if (fiber) fiber->state = State::Ready;
    return true;
}

// No warp can run: all threads that live wait at a barrier of the block. If it is the same one, they go on.
bool Worker::meet_block() {
    Fiber* first = nullptr;
    for (Warp& warp : warps)
        for (Fiber* fiber : warp.fibers) {
            if (!fiber) continue;
            if (!first) first = fiber;
            if (fiber->line == first->line) continue;
            report("threads have parted: thread " + index_text(first->thread.thread) + " waits at line " +
                   std::to_string(first->line) + ", thread " + index_text(fiber->thread.thread) + " at line " +
                   std::to_string(fiber->line));
            return false;
        }
    for (Warp& warp : warps)
        for (Fiber* fiber : warp.fibers) {
            if (!fiber) continue;
            fiber->state = State::Ready;
            warp.ready = true;
        }
    return first != nullptr;
}

// One warp runs as far ahead of the others as it can; in random order, any warp goes on by one step.
bool Worker::choose_warp(unsigned& chosen) {
    unsigned count = (unsigned)warps.size();
    unsigned first = order == Order::Random ? next_random(count) : 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned candidate = order == Order::Reverse ? count - 1 - i : (first + i) % count;
        if (!warps[candidate].ready) continue;
        chosen = candidate;
        return true;
    }
    return false;
}

void Worker::run_block(Index index) {
    block = index;
    memset(shared_memory, POISON, shared_used);
    shared_arrays.clear();
    shared_used = shared_payload = 0;
    unsigned threads = launch->block.x * launch->block.y * launch->block.z;
    warps.resize((threads + WARP - 1) / WARP);
    for (unsigned i = 0; i < warps.size(); i++) {
        warps[i].size = std::min(WARP, threads - i * WARP);
        warps[i].ready = true;
        warps[i].phase = 0;
        warps[i].exchanges[0].arrived = 0;
        std::fill(warps[i].fibers, warps[i].fibers + WARP, nullptr);
        std::fill(warps[i].started, warps[i].started + WARP, false);
    }
    do {
        for (unsigned chosen; fault.empty() && choose_warp(chosen);) {
            run_lanes(warps[chosen], chosen);
            if (fault.empty()) warps[chosen].ready = meet_warp(warps[chosen]);
        }
    } while (fault.empty() && meet_block());
    if (fault.empty())
        check_guards();
    else
        abandon();
}

void Worker::check_guards() {
    for (const SharedArray& array : shared_arrays) {
        const unsigned char* guard = shared_memory + array.offset + array.bytes;
        for (Size i = 0; i < GUARD; i++)
            if (guard[i] != POISON) return report("wrote behind the end of the shared array `" + std::string(array.name) + "`");
    }
}

// Takes back the fibers of threads that will never go on.
void Worker::abandon() {
    free = fibers;
    for (Fiber* fiber : fibers) reset_stack(fiber);
}

Order order_from_environment() {
    const char* text = getenv("GRAVEN_EMULATION_ORDER");
    if (!text || !strcmp(text, "forward")) return Order::Forward;
    if (!strcmp(text, "reverse")) return Order::Reverse;
    if (!strcmp(text, "random")) return Order::Random;
    fprintf(stderr, "GRAVEN_EMULATION_ORDER is `%s`, and must be forward, reverse or random\n", text);
    abort();
}

// Workers at rest. They are never freed: their stacks are what makes the next launch cheap.
std::mutex resting_mutex;
std::vector<Worker*> resting;

Worker* take_worker() {
    std::lock_guard<std::mutex> lock(resting_mutex);
    if (resting.empty()) return new Worker;
    Worker* worker = resting.back();
    resting.pop_back();
    return worker;
}

void rest(Worker* worker) {
    std::lock_guard<std::mutex> lock(resting_mutex);
    resting.push_back(worker);
}

// The blocks of one launch, taken one by one by several workers.
struct Blocks {
    const Launch& launch;
    Order order;
    std::vector<unsigned> turns;  // the blocks in the order of their turns
    std::atomic<unsigned> next{0};
    std::atomic<bool> failed{false};
    std::mutex mutex;
    std::string fault;

    Blocks(const Launch& launch, Order order) : launch(launch), order(order) {
        turns.resize((Size)launch.grid.x * launch.grid.y * launch.grid.z);
        for (unsigned i = 0; i < turns.size(); i++) turns[i] = i;
        if (order == Order::Reverse) std::reverse(turns.begin(), turns.end());
        uint64_t random = 0x9e3779b97f4a7c15;
        if (order == Order::Random)
            for (Size i = turns.size() - 1; i > 0; i--) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                std::swap(turns[i], turns[random % (i + 1)]);
            }
    }

    // Runs blocks until none is left, or `time` has passed.
    void run(std::chrono::microseconds time) {
        auto end = std::chrono::steady_clock::now() + time;
        Worker* worker = take_worker();
        worker->launch = &launch;
        worker->order = order;
        worker->fault.clear();
        do {
            unsigned turn = next.fetch_add(1);
            if (turn >= turns.size()) break;
            unsigned i = turns[turn];
            worker->random = 0x9e3779b97f4a7c15 * (i + 1);
            Index grid = launch.grid;
            worker->run_block({i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y)});
            if (!worker->fault.empty()) {
                std::lock_guard<std::mutex> lock(mutex);
                if (fault.empty()) fault = worker->fault;
                failed = true;
            }
        } while (!failed && std::chrono::steady_clock::now() < end);
        rest(worker);
    }
};

unsigned threads_from_environment() {
    const char* text = getenv("GRAVEN_EMULATION_THREADS");
    return text ? (unsigned)std::max(1, atoi(text)) : std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

std::string run(const Launch& launch) {
    static const Order order = order_from_environment();
    static const unsigned n_threads = threads_from_environment();
    // Threads are started only where a launch takes long enough to gain from them.
    constexpr std::chrono::microseconds SHORT(300), LONG = std::chrono::hours(1000);
    Blocks blocks(launch, order);
    blocks.run(n_threads > 1 ? SHORT : LONG);
    if (!blocks.failed && blocks.next < blocks.turns.size()) {
        std::vector<std::thread> threads;
        for (unsigned i = 1; i < n_threads; i++) threads.emplace_back([&] { blocks.run(LONG); });
        blocks.run(LONG);
        for (std::thread& thread : threads) thread.join();
    }
    return blocks.fault;
}

}  // namespace emulation
