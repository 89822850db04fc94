// See engine.h. Fibers, the schedule of a block, and blocks on several threads of the machine.
#include "engine.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

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
enum class Meeting { Warp, Block };

constexpr unsigned WARP = 32;
constexpr unsigned char POISON = 0xFF;
// What a block has without asking for more, on every device.
constexpr Size SHARED_BYTES = 48 * 1024;
// Poisoned bytes behind each shared array; a write into them is reported when the block ends.
constexpr Size GUARD = 64;

// 1024 for each of the threads of the machine, of which there are at most MOST_WORKERS. Memory that is not touched is not taken.
constexpr Size MOST_WORKERS = 16, MOST_FIBERS = MOST_WORKERS * 1024;

struct Worker;

// A fiber runs one thread after the other; `thread` must come first, see `self`.
struct Fiber {
    Thread thread;
    void* stack;  // the stack pointer while another fiber runs
    Worker* worker;
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
    // The lanes: threads that have begun and not ended.
    Fiber* fibers[WARP];
    bool started[WARP];
    unsigned size, live;
    // Its lanes can run; else the warp waits for the others of its block, or has ended.
    bool ready;
    // How many lanes wait, and where the first of them does.
    unsigned waiting;
    Meeting meeting;
    int line;
    Index first;
    // What the lanes show each other: two, because a lane may come to the next rendezvous before the others have read this.
    Exchange exchanges[2];
    unsigned phase;
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
    Fiber* start(unsigned lane);
    void wait(Fiber* fiber, Meeting meeting, int line);
    void finish(Fiber* fiber);
    Fiber* next();
    void meet_warp(Warp& warp);
    bool meet_block();
    bool choose_warp();
    void run_block(Index index);
    void check_guards();
    void abandon();

    // Whose turn it is: the warp, its lanes in the order of their turns, and how many of them have had theirs.
    unsigned current;
    unsigned lanes[WARP];
    unsigned n_turns;
};

// Who stops chooses who goes on, so there is one switch of stacks from thread to thread. Through a scheduler there were two,
// at each of which the processor guessed the return wrong: a shuffle took 47 ns, and takes 28 (100 blocks of 256 threads, 100
// shuffles each; a busy EPYC).
void give_way(Fiber* fiber) {
    Worker* worker = fiber->worker;
    Fiber* next = worker->next();
    if (next != fiber) emulation_switch(&fiber->stack, next ? next->stack : worker->stack);
}

void fiber_main() {
    Fiber* fiber = reinterpret_cast<Fiber*>(self());
    for (;;) {
        Worker* worker = fiber->worker;
        worker->launch->entry.call(worker->launch->arguments);
        worker->finish(fiber);
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

Fiber* new_fiber() {
    static std::atomic<Size> count{0};
    Size i = count.fetch_add(1);
    if (i >= MOST_FIBERS) {
        fprintf(stderr, "CUDA emulation: more threads at a time than there are stacks\n");
        abort();
    }
    char* stack = emulated_stacks + i * STACK;
    // The lowest whole page may not be touched: a kernel that needs more stack ends there, and does not write over the
    // stack below.
    constexpr Size PAGE = 4096;
    mprotect(reinterpret_cast<void*>((reinterpret_cast<Size>(stack) + PAGE - 1) & ~(PAGE - 1)), PAGE, PROT_NONE);
    Fiber* fiber = reinterpret_cast<Fiber*>(stack + STACK - TOP);
    reset_stack(fiber);
    return fiber;
}

Fiber* Worker::take_fiber() {
    if (free.empty()) {
        Fiber* fiber = new_fiber();
        fiber->worker = this;
        fibers.push_back(fiber);
        free.push_back(fiber);
    }
    Fiber* fiber = free.back();
    free.pop_back();
    return fiber;
}

void engine_block_barrier(Thread* thread, int line) {
    Fiber* fiber = reinterpret_cast<Fiber*>(thread);
    fiber->worker->wait(fiber, Meeting::Block, line);
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
    worker->wait(fiber, Meeting::Warp, line);
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
        give_way(reinterpret_cast<Fiber*>(thread));  // for ever: `abandon` takes the fiber back
    }
    worker->shared_arrays.push_back({declaration, name, offset, bytes});
    worker->shared_used = offset + bytes + GUARD;
    return worker->shared_memory + offset;
}

const Engine ENGINE = {engine_block_barrier, engine_warp_exchange, engine_shared};

// A fiber for the next thread of the current warp.
Fiber* Worker::start(unsigned lane) {
    Fiber* fiber = take_fiber();
    unsigned i = current * WARP + lane;
    Index size = launch->block;
    fiber->thread.thread = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    fiber->thread.block = block;
    fiber->thread.block_size = size;
    fiber->thread.grid_size = launch->grid;
    fiber->thread.lane = lane;
    fiber->thread.engine = &ENGINE;
    fiber->warp = current;
    warps[current].fibers[lane] = fiber;
    warps[current].started[lane] = true;
    return fiber;
}

void Worker::finish(Fiber* fiber) {
    Warp& warp = warps[fiber->warp];
    warp.fibers[fiber->thread.lane] = nullptr;
    warp.live--;
    free.push_back(fiber);
}

void Worker::wait(Fiber* fiber, Meeting meeting, int line) {
    Warp& warp = warps[fiber->warp];
    if (warp.waiting++ == 0) {
        warp.meeting = meeting;
        warp.line = line;
        warp.first = fiber->thread.thread;
    } else if (warp.meeting != meeting || warp.line != line) {
        report("threads of a warp have parted: thread " + index_text(warp.first) + " waits at line " +
               std::to_string(warp.line) + ", thread " + index_text(fiber->thread.thread) + " at line " +
               std::to_string(line));
    }
}

// The thread that runs next; nobody if the block has ended or failed.
Fiber* Worker::next() {
    for (;;) {
        Warp& warp = warps[current];
        while (n_turns < warp.size && fault.empty()) {
            unsigned lane = lanes[n_turns++];
            if (!warp.started[lane]) return start(lane);
            if (warp.fibers[lane]) return warp.fibers[lane];
        }
        if (!fault.empty()) return nullptr;
        meet_warp(warp);
        if (!choose_warp()) return nullptr;
    }
}

// Each lane has ended or waits, all at the same place.
void Worker::meet_warp(Warp& warp) {
    warp.ready = warp.live > 0 && warp.meeting == Meeting::Warp;
    if (!warp.ready) return;
    warp.waiting = 0;
    Exchange& exchange = warp.exchanges[warp.phase & 1];
    if (exchange.arrived != 0xffffffffu)
        for (unsigned lane = 0; lane < WARP; lane++)
            if (!(exchange.arrived >> lane & 1)) memset(&exchange.bits[lane], POISON, sizeof(exchange.bits[lane]));
    warp.phase++;
    warp.exchanges[warp.phase & 1].arrived = 0;
}

// Each thread has ended or waits at a barrier of the block. If it is the same one, they go on; if none waits, nobody does.
bool Worker::meet_block() {
    const Warp* first = nullptr;
    for (const Warp& warp : warps) {
        if (warp.live == 0) continue;
        if (!first) first = &warp;
        if (warp.line == first->line) continue;
        report("threads have parted: thread " + index_text(first->first) + " waits at line " + std::to_string(first->line) +
               ", thread " + index_text(warp.first) + " at line " + std::to_string(warp.line));
        return false;
    }
    for (Warp& warp : warps) {
        warp.waiting = 0;
        warp.ready = warp.live > 0;
    }
    return first != nullptr;
}

// Whose turn it is. One warp runs as far ahead of the others as it can; in random order, any warp goes on by one step.
bool Worker::choose_warp() {
    unsigned count = (unsigned)warps.size();
    unsigned first = order == Order::Random ? next_random(count) : 0, i = 0;
    auto candidate = [&] { return order == Order::Reverse ? count - 1 - i : (first + i) % count; };
    while (i < count && !warps[candidate()].ready) i++;
    if (i == count) return meet_block() && choose_warp();

    current = candidate();
    n_turns = 0;
    unsigned size = warps[current].size;
    for (unsigned k = 0; k < size; k++) lanes[k] = order == Order::Reverse ? size - 1 - k : k;
    if (order == Order::Random)
        for (unsigned k = size - 1; k > 0; k--) std::swap(lanes[k], lanes[next_random(k + 1)]);
    return true;
}

void Worker::run_block(Index index) {
    block = index;
    memset(shared_memory, POISON, shared_used);
    shared_arrays.clear();
    shared_used = shared_payload = 0;
    unsigned threads = launch->block.x * launch->block.y * launch->block.z;
    warps.resize((threads + WARP - 1) / WARP);
    for (unsigned i = 0; i < warps.size(); i++) {
        Warp& warp = warps[i];
        std::fill(warp.fibers, warp.fibers + WARP, nullptr);
        std::fill(warp.started, warp.started + WARP, false);
        warp.size = warp.live = std::min(WARP, threads - i * WARP);
        warp.ready = true;
        warp.waiting = warp.phase = 0;
        warp.exchanges[0].arrived = 0;
    }
    choose_warp();
    emulation_switch(&stack, next()->stack);
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

// The worker of this thread of the machine, while it runs blocks.
thread_local Worker* running = nullptr;

struct sigaction former_actions[NSIG];

// A kernel that touches memory which is not there ends the process. This says which one it was.
void on_signal(int signal, siginfo_t*, void* context) {
    sigaction(signal, &former_actions[signal], nullptr);  // the fault happens again when this returns
    if (!running) return;
    // Not all that stands here may be called in a handler; at worst, the process ends in another way.
    char* stack = reinterpret_cast<char*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RSP]);
    std::string thread = "unknown";
    if (stack >= emulated_stacks && stack < emulated_stacks + MOST_FIBERS * STACK) {
        Size i = (Size)(stack - emulated_stacks) / STACK;
        thread = index_text(reinterpret_cast<Thread*>(emulated_stacks + (i + 1) * STACK - TOP)->thread);
    }
    fprintf(stderr, "CUDA emulation: kernel `%s`, block %s, thread %s: %s\n", running->launch->name.c_str(),
            index_text(running->block).c_str(), thread.c_str(), strsignal(signal));
}

// What runs blocks does so between these two.
struct Running {
    explicit Running(Worker* worker) {
        static std::once_flag once;
        std::call_once(once, [] {
            struct sigaction action = {};
            action.sa_sigaction = on_signal;
            action.sa_flags = SA_SIGINFO | SA_ONSTACK;
            for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, &former_actions[signal]);
        });
        // A fiber that has used up its stack has none left for the handler, and the stack that Rust has for its own is small.
        static thread_local std::vector<char> memory(64 * 1024);
        stack_t own = {memory.data(), 0, memory.size()};
        sigaltstack(&own, &former);
        running = worker;
    }
    ~Running() {
        running = nullptr;
        sigaltstack(&former, nullptr);
    }
    stack_t former = {};
};

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
        Running running(worker);
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
    int count = text ? atoi(text) : (int)std::thread::hardware_concurrency();
    return (unsigned)std::clamp(count, 1, (int)MOST_WORKERS);
}

}  // namespace

char* emulated_stacks = static_cast<char*>(mmap(nullptr, MOST_FIBERS * STACK, PROT_READ | PROT_WRITE,
                                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));

std::string run(const Launch& launch) {
    if (emulated_stacks == MAP_FAILED) return "there is no memory for stacks";
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
