// A stand-in `libcuda.so.1`: device memory is memory of the host, kernels run on the engine (engine.h), streams and graphs
// are lists of closures. It exports what cudarc binds, and is stricter than it needs to be: device memory starts poisoned,
// what is copied must lie inside of one allocation, and what the driver refuses during a capture is refused here.
//
// Variables, read once:
//   GRAVEN_EMULATION_ORDER       forward, reverse, random: see engine.h
//   GRAVEN_EMULATION_THREADS     threads of the machine that share the blocks of a launch
//   GRAVEN_EMULATION_MEMORY      bytes of the device (default: 8 GiB)
//   GRAVEN_EMULATION_DEVICES     how many devices there are (default: 1)
//   GRAVEN_EMULATION_CAPABILITY  compute capability (default: 9.0)
//   GRAVEN_EMULATION_STREAMS     `eager` (default): work is done when it is given to a stream. `lazy`: it is done when
//                                something waits for it, as late as a device may do it; what forgets to wait sees old data.
//   GRAVEN_EMULATION_TRACE       a file; the name of each call is appended to it, a line each, and that of each kernel when it
//                                runs: `run NAME`
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <elf.h>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine.h"

namespace {

enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    FILE_NOT_FOUND = 301,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    CAPTURE_ISOLATION = 905,
    CAPTURE_IMPLICIT = 906,
    CAPTURED_EVENT = 907,
    CAPTURE_WRONG_THREAD = 908,
};

struct ResultText {
    Result result;
    const char *name, *text;
};

const ResultText RESULTS[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {FILE_NOT_FOUND, "CUDA_ERROR_FILE_NOT_FOUND", "file not found"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
    {CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {CAPTURE_WRONG_THREAD, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"},
};

typedef uint64_t Address;
typedef std::function<Result()> Work;

constexpr size_t ALIGNMENT = 512;
constexpr int POISON = 0xFF;
// Poisoned bytes behind each allocation; a kernel that writes into them is reported.
constexpr size_t GUARD = 512;

const char* variable(const char* name, const char* otherwise) {
    const char* text = getenv(name);
    return text ? text : otherwise;
}

struct Settings {
    size_t memory = strtoull(variable("GRAVEN_EMULATION_MEMORY", "8589934592"), nullptr, 10);
    int devices = atoi(variable("GRAVEN_EMULATION_DEVICES", "1"));
    int major = 9, minor = 0;
    bool lazy = !strcmp(variable("GRAVEN_EMULATION_STREAMS", "eager"), "lazy");
    FILE* trace = nullptr;

    Settings() {
        sscanf(variable("GRAVEN_EMULATION_CAPABILITY", "9.0"), "%d.%d", &major, &minor);
        if (const char* path = getenv("GRAVEN_EMULATION_TRACE")) trace = fopen(path, "a");
    }
};

struct Capture {
    std::vector<Work> nodes;
    int mode;
    std::thread::id thread;
    bool invalid = false;
};
enum { GLOBAL = 0, THREAD_LOCAL = 1, RELAXED = 2 };

struct Graph {
    std::vector<Work> nodes;
};

struct Stream {
    bool blocking = true;
    std::shared_ptr<Capture> capture;
    // Work that is not done yet, and how much was given to the stream and done in all.
    std::deque<Work> queue;
    uint64_t given = 0, done = 0;
};

struct Event {
    std::shared_ptr<Capture> capture;  // if it was last recorded in one
    Stream* stream = nullptr;
    uint64_t position = 0;  // it is complete when the stream has done so much
    double ms = 0;
};

struct Module {
    void* library;
};

struct Function {
    const emulation::Entry* entry;
    std::string name;
    int shared_limit = 48 * 1024;
};

struct Driver {
    std::recursive_mutex mutex;
    Settings settings;
    bool initialized = false;
    std::map<Address, size_t> allocations;
    std::map<Address, size_t> pinned;
    size_t used = 0;
    Stream legacy;  // the stream 0
    std::set<Stream*> streams;
    std::set<Event*> events;
    std::set<Graph*> graphs;
    std::set<Function*> functions;
    // A fault of a kernel stays: every later call reports it, as the driver does.
    Result fault = SUCCESS;
    std::string fault_text;
};

Driver& driver() {
    static Driver* driver = new Driver;  // never freed: a program may call while it exits
    return *driver;
}

thread_local void* current_context = nullptr;
void* const PRIMARY_CONTEXT = reinterpret_cast<void*>(0x1000);
void* const MEMORY_POOL = reinterpret_cast<void*>(0x2000);

Result set_fault(Result result, const std::string& text) {
    Driver& d = driver();
    if (d.fault != SUCCESS) return d.fault;
    d.fault = result;
    d.fault_text = text;
    fprintf(stderr, "CUDA emulation: %s\n", text.c_str());
    return result;
}

void trace(const char* what, const char* name) {
    FILE* file = driver().settings.trace;
    if (!file) return;
    fprintf(file, "%s%s\n", what, name);
    fflush(file);
}

// Every call that the driver refuses before cuInit or after a fault goes through here.
template <class Body> Result call(const char* name, Body body) {
    Driver& d = driver();
    std::lock_guard<std::recursive_mutex> lock(d.mutex);
    trace("", name);
    if (!d.initialized) return NOT_INITIALIZED;
    if (d.fault != SUCCESS) return d.fault;
    return body();
}

template <class Body> Result call_in_context(const char* name, Body body) {
    return call(name, [&] { return current_context ? body() : INVALID_CONTEXT; });
}

// --- captures -----------------------------------------------------------------------------------------------------------

Result invalidate(Capture& capture, Result result) {
    capture.invalid = true;
    return result;
}

// What may wait for the device, or allocates, is not allowed while a capture forbids it to this thread.
Result unless_capturing() {
    Result result = SUCCESS;
    for (Stream* stream : driver().streams) {
        if (!stream->capture || stream->capture->mode == RELAXED) continue;
        bool here = stream->capture->thread == std::this_thread::get_id();
        if (stream->capture->mode == GLOBAL || here) result = invalidate(*stream->capture, CAPTURE_UNSUPPORTED);
    }
    return result;
}

// Work on the stream 0 waits for all blocking streams, which a capturing stream cannot do.
Result unless_implicit() {
    Result result = SUCCESS;
    for (Stream* stream : driver().streams)
        if (stream->capture && stream->blocking) result = invalidate(*stream->capture, CAPTURE_IMPLICIT);
    return result;
}

// --- streams ------------------------------------------------------------------------------------------------------------

bool find_stream(void* handle, Stream*& stream) {
    // 0, CU_STREAM_LEGACY and CU_STREAM_PER_THREAD.
    stream = reinterpret_cast<uintptr_t>(handle) <= 2 ? &driver().legacy : static_cast<Stream*>(handle);
    return stream == &driver().legacy || driver().streams.count(stream);
}

// Does the work of a stream up to a position.
Result finish(Stream& stream, uint64_t position) {
    while (stream.done < position && !stream.queue.empty()) {
        Work work = std::move(stream.queue.front());
        stream.queue.pop_front();
        stream.done++;
        Result result = work();
        if (result != SUCCESS) return set_fault(result, "work on a stream failed");
    }
    return SUCCESS;
}

Result finish(Stream& stream) { return finish(stream, stream.given); }

Result finish_all(bool only_blocking) {
    Result result = finish(driver().legacy);
    for (Stream* stream : driver().streams)
        if (result == SUCCESS && (stream->blocking || !only_blocking)) result = finish(*stream);
    return result;
}

// Gives work to a stream: it is recorded, put off, or done.
Result submit(void* handle, Work work) {
    Stream* stream;
    if (!find_stream(handle, stream)) return INVALID_HANDLE;
    if (stream->capture) {
        if (stream->capture->invalid) return CAPTURE_INVALIDATED;
        stream->capture->nodes.push_back(std::move(work));
        return SUCCESS;
    }
    bool legacy = stream == &driver().legacy;
    if (legacy)
        if (Result refused = unless_implicit()) return refused;
    stream->queue.push_back(std::move(work));
    stream->given++;
    if (driver().settings.lazy && !legacy) return SUCCESS;
    return legacy ? finish_all(true) : finish(*stream);
}

// --- memory -------------------------------------------------------------------------------------------------------------

bool inside(const std::map<Address, size_t>& ranges, Address address, size_t bytes) {
    auto next = ranges.upper_bound(address);
    if (next == ranges.begin()) return false;
    auto range = std::prev(next);
    return address - range->first <= range->second && bytes <= range->second - (address - range->first);
}

bool on_device(Address address, size_t bytes) { return bytes == 0 || inside(driver().allocations, address, bytes); }

bool is_pinned(const void* address, size_t bytes) {
    return inside(driver().pinned, reinterpret_cast<Address>(address), bytes);
}

Result allocate(Address* address, size_t bytes) {
    Driver& d = driver();
    if (bytes == 0) return INVALID_VALUE;
    if (bytes > d.settings.memory - d.used) return OUT_OF_MEMORY;
    void* memory;
    if (posix_memalign(&memory, ALIGNMENT, bytes + GUARD)) return OUT_OF_MEMORY;
    memset(memory, POISON, bytes + GUARD);
    *address = reinterpret_cast<Address>(memory);
    d.allocations[*address] = bytes;
    d.used += bytes;
    return SUCCESS;
}

Result release(Address address) {
    Driver& d = driver();
    if (address == 0) return SUCCESS;
    auto found = d.allocations.find(address);
    if (found == d.allocations.end()) return INVALID_VALUE;
    d.used -= found->second;
    d.allocations.erase(found);
    free(reinterpret_cast<void*>(address));
    return SUCCESS;
}

// Whether a kernel has written behind an allocation.
Result check_guards(const std::string& kernel) {
    for (auto& [address, bytes] : driver().allocations) {
        const unsigned char* guard = reinterpret_cast<unsigned char*>(address + bytes);
        for (size_t i = 0; i < GUARD; i++)
            if (guard[i] != POISON)
                return set_fault(ILLEGAL_ADDRESS, "kernel `" + kernel + "` wrote behind the end of an allocation of " +
                                                      std::to_string(bytes) + " bytes");
    }
    return SUCCESS;
}

// A copy is checked when it is asked for and when it is done: a graph may outlive the memory.
Work checked(Address first, Address second, size_t bytes, Work work) {
    return [=] {
        if ((first && !on_device(first, bytes)) || (second && !on_device(second, bytes)))
            return set_fault(ILLEGAL_ADDRESS, "a copy or memset of device memory that has been freed");
        return work();
    };
}

Work copying(void* to, const void* from, size_t bytes) {
    return [=] {
        memmove(to, from, bytes);
        return SUCCESS;
    };
}

void* pointer(Address address) { return reinterpret_cast<void*>(address); }

Result copy_to_device(Address to, const void* from, size_t bytes, void* stream) {
    if (!on_device(to, bytes) || (!from && bytes)) return INVALID_VALUE;
    Stream* found;
    if (!find_stream(stream, found)) return INVALID_HANDLE;
    if (found->capture || is_pinned(from, bytes))
        return submit(stream, checked(to, 0, bytes, copying(pointer(to), from, bytes)));
    // From memory that is not pinned, the driver has copied the data when the call returns.
    auto data = std::make_shared<std::vector<char>>((const char*)from, (const char*)from + bytes);
    return submit(stream, checked(to, 0, bytes, [=] { return copying(pointer(to), data->data(), bytes)(); }));
}

Result copy_to_host(void* to, Address from, size_t bytes, void* stream) {
    if (!on_device(from, bytes) || (!to && bytes)) return INVALID_VALUE;
    Result result = submit(stream, checked(from, 0, bytes, copying(to, pointer(from), bytes)));
    Stream* found;
    if (result != SUCCESS || !find_stream(stream, found) || found->capture || is_pinned(to, bytes)) return result;
    return finish(*found);  // into memory that is not pinned, the driver waits for the copy
}

Result copy_on_device(Address to, Address from, size_t bytes, void* stream) {
    if (!on_device(to, bytes) || !on_device(from, bytes)) return INVALID_VALUE;
    return submit(stream, checked(to, from, bytes, copying(pointer(to), pointer(from), bytes)));
}

template <class T> Result fill(Address to, T value, size_t count, void* stream) {
    if (!on_device(to, count * sizeof(T)) || to % sizeof(T)) return INVALID_VALUE;
    return submit(stream, checked(to, 0, count * sizeof(T), [=] {
                      std::fill_n(static_cast<T*>(pointer(to)), count, value);
                      return SUCCESS;
                  }));
}

// --- modules and launches -----------------------------------------------------------------------------------------------

const char PTX_HEADER[] = "// emulated PTX\n";

// The bytes of the library in an image, of which only the address is known.
bool read_image(const char* image, std::string& library) {
    if (!memcmp(image, ELFMAG, SELFMAG)) {
        // The table of sections is the last part of a file that the linker wrote.
        const Elf64_Ehdr* header = reinterpret_cast<const Elf64_Ehdr*>(image);
        library.assign(image, header->e_shoff + (size_t)header->e_shnum * header->e_shentsize);
        return true;
    }
    if (strncmp(image, PTX_HEADER, strlen(PTX_HEADER))) return false;
    unsigned byte;
    for (const char* digits = image + strlen(PTX_HEADER); sscanf(digits, "%2x", &byte) == 1; digits += 2)
        library += (char)byte;
    return true;
}

// As the driver: a CUBIN runs on its major version from its minor one on, that of an `sm_90a` on 9.0 only, PTX on all later.
bool runs_here(const std::string& architecture) {
    const Settings& settings = driver().settings;
    bool real = architecture.compare(0, 3, "sm_") == 0;
    int number = atoi(architecture.c_str() + architecture.find('_') + 1);
    int here = settings.major * 10 + settings.minor;
    if (architecture.back() == 'a') return number == here;
    return number <= here && (!real || number / 10 == settings.major);
}

Result load(Module** module, const std::string& library) {
    std::string path = std::string(variable("TMPDIR", "/tmp")) + "/graven-module-XXXXXX";
    int file = mkstemp(&path[0]);
    if (file < 0) return set_fault(OUT_OF_MEMORY, "cannot write " + path);
    bool written = write(file, library.data(), library.size()) == (ssize_t)library.size();
    close(file);
    void* handle = written ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
    unlink(path.c_str());
    if (!handle) return INVALID_IMAGE;
    const char* architecture = static_cast<const char*>(dlsym(handle, "emulated_architecture"));
    char** stacks = static_cast<char**>(dlsym(handle, "emulated_stacks"));
    if (!architecture || !stacks) return INVALID_IMAGE;
    *stacks = emulation::emulated_stacks;
    if (!runs_here(architecture)) return NO_BINARY_FOR_GPU;
    *module = new Module{handle};
    return SUCCESS;
}

Result launch(Function* function, emulation::Index grid, emulation::Index block, unsigned shared_bytes, void* stream,
              void** arguments) {
    if (!driver().functions.count(function)) return INVALID_HANDLE;
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    bool fits = threads >= 1 && threads <= function->entry->max_threads && block.z <= 64;
    bool grid_fits = grid.x >= 1 && grid.x <= 0x7fffffff && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535;
    if (!fits || !grid_fits || (int)shared_bytes > function->shared_limit) return INVALID_VALUE;
    if (shared_bytes) return NOT_SUPPORTED;  // kernels of this project declare their shared memory

    // Arguments are frozen by value, now.
    auto values = std::make_shared<std::vector<std::vector<char>>>();
    const emulation::Entry* entry = function->entry;
    for (unsigned i = 0; i < entry->n_parameters; i++) {
        const char* value = static_cast<const char*>(arguments[i]);
        values->emplace_back(value, value + entry->parameters[i].bytes);
    }
    return submit(stream, [=, name = function->name] {
        std::vector<void*> pointers;
        for (unsigned i = 0; i < entry->n_parameters; i++) {
            std::vector<char>& value = (*values)[i];
            pointers.push_back(value.data());
            Address address = 0;
            if (entry->parameters[i].pointer) memcpy(&address, value.data(), sizeof(address));
            if (address && !inside(driver().allocations, address, 0))
                return set_fault(ILLEGAL_ADDRESS, "kernel `" + name + "`: argument " + std::to_string(i) +
                                                      " does not point into device memory");
        }
        trace("run ", name.c_str());
        std::string fault = emulation::run({name, *entry, grid, block, pointers.data()});
        if (!fault.empty()) return set_fault(LAUNCH_FAILED, fault);
        return check_guards(name);
    });
}

double now_ms() {
    using namespace std::chrono;
    return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

// What cudarc or this project asks for. Numbers of an H100 where they matter.
int attribute(int which) {
    switch (which) {
        case 1: case 2: case 3: return 1024;        // threads of a block, its x and y
        case 4: return 64;                          // its z
        case 5: return 0x7fffffff;                  // blocks of a grid, x
        case 6: case 7: return 65535;               // y and z
        case 8: return 48 * 1024;                   // shared memory of a block
        case 10: return 32;                         // threads of a warp
        case 12: return 65536;                      // registers of a block
        case 13: return 1000000;                    // clock, kHz
        case 16: return 4;                          // multiprocessors
        case 38: return 50 << 20;                   // bytes of the second-level cache
        case 39: return 2048;                       // threads of a multiprocessor
        case 41: return 1;                          // unified addresses
        case 75: return driver().settings.major;    // compute capability
        case 76: return driver().settings.minor;
        case 81: return 228 * 1024;                 // shared memory of a multiprocessor
        case 97: return 227 * 1024;                 // shared memory of a block on demand
        case 106: return 32;                        // blocks of a multiprocessor
        case 115: return 1;                         // memory pools
        default: return 0;
    }
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default"))) Result

// --- the driver and its devices -----------------------------------------------------------------------------------------

EXPORT cuInit(unsigned) {
    if (driver().settings.devices < 1) return NO_DEVICE;
    driver().initialized = true;
    return SUCCESS;
}
EXPORT cuDriverGetVersion(int* version) {
    *version = 13000;
    return SUCCESS;
}
EXPORT cuGetErrorName(Result result, const char** name) {
    for (const ResultText& row : RESULTS)
        if (row.result == result) return *name = row.name, SUCCESS;
    return *name = nullptr, INVALID_VALUE;
}
// Beyond the driver's texts, that of a fault tells what happened.
EXPORT cuGetErrorString(Result result, const char** text) {
    std::lock_guard<std::recursive_mutex> lock(driver().mutex);
    if (result == driver().fault && result != SUCCESS) return *text = driver().fault_text.c_str(), SUCCESS;
    for (const ResultText& row : RESULTS)
        if (row.result == result) return *text = row.text, SUCCESS;
    return *text = nullptr, INVALID_VALUE;
}
EXPORT cuDeviceGetCount(int* count) {
    return call("cuDeviceGetCount", [&] { return *count = driver().settings.devices, SUCCESS; });
}
EXPORT cuDeviceGet(int* device, int ordinal) {
    return call("cuDeviceGet", [&] {
        if (ordinal < 0 || ordinal >= driver().settings.devices) return INVALID_DEVICE;
        return *device = ordinal, SUCCESS;
    });
}
EXPORT cuDeviceGetName(char* name, int length, int device) {
    return call("cuDeviceGetName", [&] { return snprintf(name, length, "CUDA emulation %d", device), SUCCESS; });
}
EXPORT cuDeviceGetUuid_v2(char* uuid, int device) {
    return call("cuDeviceGetUuid", [&] { return memset(uuid, device + 1, 16), SUCCESS; });
}
EXPORT cuDeviceGetUuid(char* uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }
EXPORT cuDeviceGetAttribute(int* value, int which, int) {
    return call("cuDeviceGetAttribute", [&] { return *value = attribute(which), SUCCESS; });
}
EXPORT cuDeviceTotalMem_v2(size_t* bytes, int) {
    return call("cuDeviceTotalMem", [&] { return *bytes = driver().settings.memory, SUCCESS; });
}

// --- contexts -----------------------------------------------------------------------------------------------------------

EXPORT cuDevicePrimaryCtxRetain(void** context, int) {
    return call("cuDevicePrimaryCtxRetain", [&] { return *context = PRIMARY_CONTEXT, SUCCESS; });
}
EXPORT cuDevicePrimaryCtxRelease_v2(int) {
    return call("cuDevicePrimaryCtxRelease", [&] { return SUCCESS; });
}
EXPORT cuCtxSetCurrent(void* context) {
    return call("cuCtxSetCurrent", [&] { return current_context = context, SUCCESS; });
}
EXPORT cuCtxGetCurrent(void** context) {
    return call("cuCtxGetCurrent", [&] { return *context = current_context, SUCCESS; });
}
EXPORT cuCtxSynchronize() {
    return call_in_context("cuCtxSynchronize", [&] {
        Result refused = unless_capturing();
        return refused ? refused : finish_all(false);
    });
}
EXPORT cuCtxSetFlags(unsigned) {
    return call_in_context("cuCtxSetFlags", [&] { return SUCCESS; });
}
EXPORT cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    return call_in_context("cuCtxGetStreamPriorityRange", [&] { return *least = 0, *greatest = -5, SUCCESS; });
}
EXPORT cuCtxGetLimit(size_t* value, int) {
    return call_in_context("cuCtxGetLimit", [&] { return *value = 1024, SUCCESS; });
}
EXPORT cuCtxSetLimit(int, size_t) {
    return call_in_context("cuCtxSetLimit", [&] { return SUCCESS; });
}

// --- memory -------------------------------------------------------------------------------------------------------------

EXPORT cuMemGetInfo_v2(size_t* free, size_t* total) {
    return call_in_context("cuMemGetInfo", [&] {
        *total = driver().settings.memory;
        *free = driver().settings.memory - driver().used;
        return SUCCESS;
    });
}
EXPORT cuMemAlloc_v2(Address* address, size_t bytes) {
    return call_in_context("cuMemAlloc", [&] {
        Result refused = unless_capturing();
        return refused ? refused : allocate(address, bytes);
    });
}
EXPORT cuMemFree_v2(Address address) {
    return call_in_context("cuMemFree", [&] {
        Result refused = unless_capturing();
        if (refused == SUCCESS) refused = finish_all(false);
        return refused ? refused : release(address);
    });
}
EXPORT cuMemAllocAsync(Address* address, size_t bytes, void* stream) {
    return call_in_context("cuMemAllocAsync", [&] {
        Stream* found;
        if (!find_stream(stream, found)) return INVALID_HANDLE;
        // The driver would make it a node of the graph; this project allocates nothing in a step.
        if (found->capture) return invalidate(*found->capture, CAPTURE_UNSUPPORTED);
        return allocate(address, bytes);
    });
}
EXPORT cuMemAllocFromPoolAsync(Address* address, size_t bytes, void*, void* stream) {
    return cuMemAllocAsync(address, bytes, stream);
}
EXPORT cuMemFreeAsync(Address address, void* stream) {
    return call_in_context("cuMemFreeAsync", [&] {
        Stream* found;
        if (!find_stream(stream, found)) return INVALID_HANDLE;
        if (found->capture) return invalidate(*found->capture, CAPTURE_UNSUPPORTED);
        return submit(stream, [=] { return release(address); });
    });
}
EXPORT cuDeviceGetDefaultMemPool(void** pool, int) {
    return call("cuDeviceGetDefaultMemPool", [&] { return *pool = MEMORY_POOL, SUCCESS; });
}
EXPORT cuDeviceGetMemPool(void** pool, int) {
    return call("cuDeviceGetMemPool", [&] { return *pool = MEMORY_POOL, SUCCESS; });
}
EXPORT cuMemPoolSetAttribute(void*, int, void*) {
    return call("cuMemPoolSetAttribute", [&] { return SUCCESS; });
}
EXPORT cuMemPoolGetAttribute(void*, int, uint64_t* value) {
    return call("cuMemPoolGetAttribute", [&] { return *value = 0, SUCCESS; });
}
EXPORT cuMemPoolTrimTo(void*, size_t) {
    return call("cuMemPoolTrimTo", [&] { return SUCCESS; });
}
EXPORT cuMemHostAlloc(void** address, size_t bytes, unsigned) {
    return call_in_context("cuMemHostAlloc", [&] {
        if (Result refused = unless_capturing()) return refused;
        if (posix_memalign(address, ALIGNMENT, std::max<size_t>(bytes, 1))) return OUT_OF_MEMORY;
        memset(*address, POISON, bytes);
        driver().pinned[reinterpret_cast<Address>(*address)] = bytes;
        return SUCCESS;
    });
}
EXPORT cuMemAllocHost_v2(void** address, size_t bytes) { return cuMemHostAlloc(address, bytes, 0); }
EXPORT cuMemFreeHost(void* address) {
    return call_in_context("cuMemFreeHost", [&] {
        Result refused = unless_capturing();
        if (refused == SUCCESS) refused = finish_all(false);
        if (refused) return refused;
        if (!driver().pinned.erase(reinterpret_cast<Address>(address))) return INVALID_VALUE;
        free(address);
        return SUCCESS;
    });
}

// A copy or memset without a stream runs on the stream 0 and waits.
#define BLOCKING(name, work)                              \
    return call_in_context(name, [&] {                    \
        Result result = unless_capturing();               \
        return result != SUCCESS ? result : work;         \
    })
EXPORT cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    BLOCKING("cuMemcpyHtoD", copy_to_device(to, from, bytes, nullptr));
}
EXPORT cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    BLOCKING("cuMemcpyDtoH", copy_to_host(to, from, bytes, nullptr));
}
EXPORT cuMemcpyDtoD_v2(Address to, Address from, size_t bytes) {
    BLOCKING("cuMemcpyDtoD", copy_on_device(to, from, bytes, nullptr));
}
EXPORT cuMemsetD8_v2(Address to, unsigned char value, size_t count) {
    BLOCKING("cuMemsetD8", fill(to, value, count, nullptr));
}
EXPORT cuMemsetD32_v2(Address to, unsigned value, size_t count) {
    BLOCKING("cuMemsetD32", fill(to, value, count, nullptr));
}
EXPORT cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
    return call_in_context("cuMemcpyHtoDAsync", [&] { return copy_to_device(to, from, bytes, stream); });
}
EXPORT cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
    return call_in_context("cuMemcpyDtoHAsync", [&] { return copy_to_host(to, from, bytes, stream); });
}
EXPORT cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* stream) {
    return call_in_context("cuMemcpyDtoDAsync", [&] { return copy_on_device(to, from, bytes, stream); });
}
EXPORT cuMemsetD8Async(Address to, unsigned char value, size_t count, void* stream) {
    return call_in_context("cuMemsetD8Async", [&] { return fill(to, value, count, stream); });
}
EXPORT cuMemsetD32Async(Address to, unsigned value, size_t count, void* stream) {
    return call_in_context("cuMemsetD32Async", [&] { return fill(to, value, count, stream); });
}

// --- streams and events -------------------------------------------------------------------------------------------------

EXPORT cuStreamCreate(void** handle, unsigned flags) {
    return call_in_context("cuStreamCreate", [&] {
        Stream* stream = new Stream;
        stream->blocking = !(flags & 1);  // CU_STREAM_NON_BLOCKING
        driver().streams.insert(stream);
        return *handle = stream, SUCCESS;
    });
}
EXPORT cuStreamCreateWithPriority(void** handle, unsigned flags, int) { return cuStreamCreate(handle, flags); }
EXPORT cuStreamDestroy_v2(void* handle) {
    return call("cuStreamDestroy", [&] {
        Stream* stream = static_cast<Stream*>(handle);
        if (!driver().streams.count(stream)) return INVALID_HANDLE;
        Result result = finish(*stream);
        driver().streams.erase(stream);
        for (Event* event : driver().events)
            if (event->stream == stream) event->stream = nullptr;
        delete stream;
        return result;
    });
}
EXPORT cuStreamSynchronize(void* handle) {
    return call_in_context("cuStreamSynchronize", [&] {
        Stream* stream;
        if (!find_stream(handle, stream)) return INVALID_HANDLE;
        if (stream->capture) return invalidate(*stream->capture, CAPTURE_UNSUPPORTED);
        if (stream != &driver().legacy) return finish(*stream);
        Result refused = unless_implicit();
        return refused ? refused : finish_all(true);
    });
}
EXPORT cuStreamQuery(void* handle) {
    return call_in_context("cuStreamQuery", [&] {
        Stream* stream;
        if (!find_stream(handle, stream)) return INVALID_HANDLE;
        if (stream->capture) return invalidate(*stream->capture, CAPTURE_UNSUPPORTED);
        // A step each time, so that who polls comes to an end.
        Result result = finish(*stream, stream->done + 1);
        return result ? result : stream->queue.empty() ? SUCCESS : NOT_READY;
    });
}
EXPORT cuStreamWaitEvent(void* handle, void* event_handle, unsigned) {
    return call_in_context("cuStreamWaitEvent", [&] {
        Stream* stream;
        Event* event = static_cast<Event*>(event_handle);
        if (!find_stream(handle, stream) || !driver().events.count(event)) return INVALID_HANDLE;
        if (stream->capture && event->capture != stream->capture) return invalidate(*stream->capture, CAPTURE_ISOLATION);
        if (stream->capture) return SUCCESS;
        // The driver would let this stream join the capture; not emulated.
        if (event->capture) return invalidate(*event->capture, NOT_SUPPORTED);
        if (!event->stream || event->stream == stream) return SUCCESS;
        Stream* other = event->stream;
        uint64_t position = event->position;
        return submit(handle, [=] {
            bool gone = other != &driver().legacy && !driver().streams.count(other);
            return gone ? SUCCESS : finish(*other, position);
        });
    });
}
EXPORT cuEventCreate(void** handle, unsigned) {
    return call_in_context("cuEventCreate", [&] {
        Event* event = new Event;
        driver().events.insert(event);
        return *handle = event, SUCCESS;
    });
}
EXPORT cuEventDestroy_v2(void* handle) {
    return call("cuEventDestroy", [&] {
        if (!driver().events.erase(static_cast<Event*>(handle))) return INVALID_HANDLE;
        delete static_cast<Event*>(handle);
        return SUCCESS;
    });
}
EXPORT cuEventRecord(void* handle, void* stream_handle) {
    return call_in_context("cuEventRecord", [&] {
        Stream* stream;
        Event* event = static_cast<Event*>(handle);
        if (!find_stream(stream_handle, stream) || !driver().events.count(event)) return INVALID_HANDLE;
        event->capture = stream->capture;
        if (stream->capture) return SUCCESS;
        Result result = submit(stream_handle, [=] {
            if (driver().events.count(event)) event->ms = now_ms();
            return SUCCESS;
        });
        event->stream = stream;
        event->position = stream->given;
        return result;
    });
}
EXPORT cuEventSynchronize(void* handle) {
    return call_in_context("cuEventSynchronize", [&] {
        Event* event = static_cast<Event*>(handle);
        if (!driver().events.count(event)) return INVALID_HANDLE;
        if (event->capture) return invalidate(*event->capture, CAPTURED_EVENT);
        return event->stream ? finish(*event->stream, event->position) : SUCCESS;
    });
}
EXPORT cuEventQuery(void* handle) {
    return call_in_context("cuEventQuery", [&] {
        Event* event = static_cast<Event*>(handle);
        if (!driver().events.count(event)) return INVALID_HANDLE;
        if (event->capture) return invalidate(*event->capture, CAPTURED_EVENT);
        if (!event->stream || event->stream->done >= event->position) return SUCCESS;
        Result result = finish(*event->stream, event->stream->done + 1);
        return result ? result : NOT_READY;
    });
}
EXPORT cuEventElapsedTime_v2(float* ms, void* start, void* end) {
    return call_in_context("cuEventElapsedTime", [&] {
        Event *first = static_cast<Event*>(start), *last = static_cast<Event*>(end);
        if (!driver().events.count(first) || !driver().events.count(last)) return INVALID_HANDLE;
        if (first->ms == 0 || last->ms == 0) return NOT_READY;
        return *ms = (float)(last->ms - first->ms), SUCCESS;
    });
}
EXPORT cuEventElapsedTime(float* ms, void* start, void* end) { return cuEventElapsedTime_v2(ms, start, end); }
EXPORT cuLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
    return call_in_context("cuLaunchHostFunc", [&] {
        return submit(stream, [=] { return function(data), SUCCESS; });
    });
}

// --- modules and launches -----------------------------------------------------------------------------------------------

EXPORT cuModuleLoadData(Module** module, const char* image) {
    return call_in_context("cuModuleLoadData", [&] {
        if (Result refused = unless_capturing()) return refused;
        std::string library;
        return read_image(image, library) ? load(module, library) : INVALID_IMAGE;
    });
}
EXPORT cuModuleLoad(Module** module, const char* path) {
    return call_in_context("cuModuleLoad", [&] {
        if (Result refused = unless_capturing()) return refused;
        FILE* file = fopen(path, "rb");
        if (!file) return FILE_NOT_FOUND;
        std::string image;
        for (int byte; (byte = fgetc(file)) != EOF;) image += (char)byte;
        fclose(file);
        std::string library;
        return read_image(image.c_str(), library) ? load(module, library) : INVALID_IMAGE;
    });
}
// The library stays loaded: a graph may still hold one of its kernels.
EXPORT cuModuleUnload(Module* module) {
    return call("cuModuleUnload", [&] { return delete module, SUCCESS; });
}
EXPORT cuModuleGetFunction(Function** function, Module* module, const char* name) {
    return call_in_context("cuModuleGetFunction", [&] {
        void* entry = dlsym(module->library, (std::string("emulated_") + name).c_str());
        if (!entry) return NOT_FOUND;
        *function = new Function{static_cast<const emulation::Entry*>(entry), name};
        driver().functions.insert(*function);
        return SUCCESS;
    });
}
EXPORT cuFuncGetAttribute(int* value, int which, Function* function) {
    return call("cuFuncGetAttribute", [&] {
        if (!driver().functions.count(function)) return INVALID_HANDLE;
        *value = which == 0 ? (int)function->entry->max_threads : which == 8 ? function->shared_limit : 0;
        return SUCCESS;
    });
}
EXPORT cuFuncSetAttribute(Function* function, int which, int value) {
    return call("cuFuncSetAttribute", [&] {
        if (!driver().functions.count(function)) return INVALID_HANDLE;
        if (which == 8 && value > attribute(97)) return INVALID_VALUE;
        if (which == 8) function->shared_limit = value;
        return SUCCESS;
    });
}
EXPORT cuFuncSetCacheConfig(Function*, int) {
    return call("cuFuncSetCacheConfig", [&] { return SUCCESS; });
}
EXPORT cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function* function, int threads, size_t) {
    return call("cuOccupancyMaxActiveBlocksPerMultiprocessor", [&] {
        if (!driver().functions.count(function)) return INVALID_HANDLE;
        if (threads < 1 || threads > 1024) return INVALID_VALUE;
        return *blocks = attribute(39) / threads, SUCCESS;
    });
}
EXPORT cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                      unsigned block_y, unsigned block_z, unsigned shared_bytes, void* stream, void** arguments, void**) {
    return call_in_context("cuLaunchKernel", [&] {
        return launch(function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, stream, arguments);
    });
}

// --- graphs -------------------------------------------------------------------------------------------------------------

EXPORT cuStreamBeginCapture_v2(void* handle, int mode) {
    return call_in_context("cuStreamBeginCapture", [&] {
        Stream* stream;
        if (!find_stream(handle, stream)) return INVALID_HANDLE;
        if (stream == &driver().legacy || stream->capture) return CAPTURE_UNSUPPORTED;
        stream->capture = std::make_shared<Capture>();
        stream->capture->mode = mode;
        stream->capture->thread = std::this_thread::get_id();
        return SUCCESS;
    });
}
EXPORT cuStreamEndCapture(void* handle, Graph** graph) {
    return call_in_context("cuStreamEndCapture", [&] {
        Stream* stream;
        *graph = nullptr;
        if (!find_stream(handle, stream)) return INVALID_HANDLE;
        std::shared_ptr<Capture> capture = stream->capture;
        if (!capture) return CAPTURE_UNMATCHED;
        if (capture->mode != RELAXED && capture->thread != std::this_thread::get_id()) return CAPTURE_WRONG_THREAD;
        stream->capture = nullptr;
        if (capture->invalid) return CAPTURE_INVALIDATED;
        *graph = new Graph{capture->nodes};
        driver().graphs.insert(*graph);
        return SUCCESS;
    });
}
EXPORT cuStreamIsCapturing(void* handle, int* status) {
    return call_in_context("cuStreamIsCapturing", [&] {
        Stream* stream;
        if (!find_stream(handle, stream)) return INVALID_HANDLE;
        *status = !stream->capture ? 0 : stream->capture->invalid ? 2 : 1;
        return SUCCESS;
    });
}
EXPORT cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long) {
    return call_in_context("cuGraphInstantiate", [&] {
        if (!driver().graphs.count(graph)) return INVALID_HANDLE;
        *executable = new Graph(*graph);
        driver().graphs.insert(*executable);
        return SUCCESS;
    });
}
EXPORT cuGraphUpload(Graph* executable, void*) {
    return call_in_context("cuGraphUpload", [&] { return driver().graphs.count(executable) ? SUCCESS : INVALID_HANDLE; });
}
EXPORT cuGraphLaunch(Graph* executable, void* handle) {
    return call_in_context("cuGraphLaunch", [&] {
        Stream* stream;
        if (!driver().graphs.count(executable) || !find_stream(handle, stream)) return INVALID_HANDLE;
        if (stream->capture) return invalidate(*stream->capture, NOT_SUPPORTED);
        for (const Work& work : executable->nodes)
            if (Result result = submit(handle, work)) return result;
        return SUCCESS;
    });
}
Result destroy_graph(Graph* graph) {
    if (!driver().graphs.erase(graph)) return INVALID_HANDLE;
    delete graph;
    return SUCCESS;
}
EXPORT cuGraphExecDestroy(Graph* executable) {
    return call("cuGraphExecDestroy", [&] { return destroy_graph(executable); });
}
EXPORT cuGraphDestroy(Graph* graph) {
    return call("cuGraphDestroy", [&] { return destroy_graph(graph); });
}
EXPORT cuGraphGetNodes(Graph* graph, void**, size_t* count) {
    return call("cuGraphGetNodes", [&] {
        if (!driver().graphs.count(graph)) return INVALID_HANDLE;
        return *count = graph->nodes.size(), SUCCESS;
    });
}
EXPORT cuProfilerStart() { return SUCCESS; }
EXPORT cuProfilerStop() { return SUCCESS; }
