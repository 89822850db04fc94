// A stand-in `libnvrtc.so`: compiles kernel text with g++ against emulation.h. Its "CUBIN" is a shared library that the
// stand-in driver (driver.cpp) loads. It takes the options of NVRTC and refuses what NVRTC refuses: unknown options,
// unknown architectures, includes.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#ifndef EMULATION_HEADER
#error "EMULATION_HEADER must be the path of emulation.h"
#endif

extern char** environ;

namespace {

enum Result {
    SUCCESS = 0,
    PROGRAM_CREATION_FAILURE = 2,
    INVALID_INPUT = 3,
    INVALID_PROGRAM = 4,
    INVALID_OPTION = 5,
    COMPILATION = 6,
    INTERNAL_ERROR = 11,
};

const int ARCHITECTURES[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

// The options that are known, with what may follow them.
const char* const OPTIONS[] = {
    "--std=c++17", "-std=c++17", "--std=c++20", "-std=c++20",
    "-default-device", "--device-as-default-execution-space",
    "--fmad=", "-fmad=", "--ftz=", "-ftz=", "--prec-div=", "-prec-div=", "--prec-sqrt=", "-prec-sqrt=",
    "--ptxas-options=", "--ptxas-options", "-Xptxas", "--maxrregcount=", "-maxrregcount=", "--split-compile=",
    "-lineinfo", "--generate-line-info", "--device-debug", "-G", "-dopt", "--dopt", "--minimal", "-minimal",
    "--restrict", "-restrict", "--extra-device-vectorization", "-w", "--disable-warnings", "--Ofast-compile=",
};

struct Program {
    std::string text, name, log, cubin, ptx;
};

struct Settings {
    std::string standard = "c++17", architecture = "compute_75";
    std::vector<std::string> definitions;
};

bool known_architecture(const std::string& text) {
    size_t start = text.compare(0, 3, "sm_") == 0 ? 3 : text.compare(0, 8, "compute_") == 0 ? 8 : std::string::npos;
    if (start == std::string::npos) return false;
    std::string number = text.substr(start);
    // `sm_90a`, `sm_100f`: what only this architecture, or its family, can do.
    bool special = !number.empty() && (number.back() == 'a' || number.back() == 'f');
    if (special) number.pop_back();
    for (int known : ARCHITECTURES)
        if (number == std::to_string(known)) return !special || known >= 90;
    return false;
}

bool starts_with(const std::string& text, const char* start) { return text.compare(0, strlen(start), start) == 0; }

// The value of an option such as `--gpu-architecture=sm_90`, or nothing.
bool option_value(const std::string& option, const char* long_name, const char* short_name, std::string& value) {
    for (const char* name : {long_name, short_name}) {
        if (!starts_with(option, name)) continue;
        value = option.substr(strlen(name));
        return true;
    }
    return false;
}

bool known_option(const std::string& option) {
    for (const char* known : OPTIONS) {
        bool takes_value = known[strlen(known) - 1] == '=';
        if (takes_value ? starts_with(option, known) : option == known) return true;
    }
    return false;
}

// Reads the options; what is wrong goes to the log.
Result read_options(const std::vector<std::string>& options, Settings& settings, std::string& log) {
    for (const std::string& option : options) {
        std::string value;
        if (option_value(option, "--gpu-architecture=", "-arch=", value)) {
            if (!known_architecture(value)) {
                log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
                return INVALID_OPTION;
            }
            settings.architecture = value;
        } else if (option_value(option, "--define-macro=", "-D", value)) {
            settings.definitions.push_back("-D" + value);
        } else if (known_option(option)) {
            if (option_value(option, "--std=", "-std=", value)) settings.standard = value;
        } else {
            log = "nvrtc: error: unrecognized option " + option + " found\n";
            return INVALID_OPTION;
        }
    }
    return SUCCESS;
}

// The same text with blanks for comments and literals, so that words in it are code.
std::string code_only(const std::string& text) {
    std::string code = text;
    for (size_t i = 0; i < text.size();) {
        size_t end = i + 1;
        if (text.compare(i, 2, "//") == 0) {
            end = text.find('\n', i);
        } else if (text.compare(i, 2, "/*") == 0) {
            end = text.find("*/", i + 2);
            if (end != std::string::npos) end += 2;
        } else if (text[i] == '"' || (text[i] == '\'' && (i == 0 || !isalnum((unsigned char)text[i - 1])))) {
            while (end < text.size() && text[end] != text[i] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
            end = end < text.size() ? end + 1 : end;
        } else {
            i = end;
            continue;
        }
        end = std::min(end, text.size());
        for (; i < end; i++)
            if (code[i] != '\n') code[i] = ' ';
    }
    return code;
}

bool word_character(char c) { return isalnum((unsigned char)c) || c == '_'; }

size_t closing(const std::string& code, size_t open) {
    int depth = 0;
    for (size_t i = open; i < code.size(); i++) {
        if (code[i] == '(') depth++;
        if (code[i] == ')' && --depth == 0) return i;
    }
    return std::string::npos;
}

// One line `EMULATION_KERNEL(name, (bounds))` for each `__global__` function.
std::string entries(const std::string& text) {
    std::string code = code_only(text), result;
    const std::string WORD = "__global__", BOUNDS = "__launch_bounds__";
    for (size_t at = code.find(WORD); at != std::string::npos; at = code.find(WORD, at + 1)) {
        size_t i = at + WORD.size();
        std::string bounds = "()", name;
        while (i < code.size() && code[i] != ';' && code[i] != '{') {
            if (!word_character(code[i]) && code[i] != '(') {
                i++;
            } else if (code[i] == '(') {
                size_t end = closing(code, i);
                if (end == std::string::npos) return result;
                if (name != BOUNDS) break;  // the parameters: `name` stands before them
                bounds = code.substr(i, end - i + 1);
                i = end + 1;
            } else {
                size_t end = i;
                while (end < code.size() && word_character(code[end])) end++;
                name = code.substr(i, end - i);
                i = end;
            }
        }
        if (i < code.size() && code[i] == '(') result += "EMULATION_KERNEL(" + name + ", " + bounds + ");\n";
    }
    return result;
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Runs a program; its messages go to a file.
bool run(const std::vector<std::string>& command, const std::string& messages) {
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, messages.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child;
    int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed) {
        std::ofstream(messages) << "cannot run " << command[0] << ": " << strerror(failed) << "\n";
        return false;
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// PTX is text without zeros: the library in hexadecimal digits. The driver reads it back.
std::string as_ptx(const std::string& library) {
    std::string ptx = "// emulated PTX\n";
    for (unsigned char byte : library) {
        ptx += "0123456789abcdef"[byte >> 4];
        ptx += "0123456789abcdef"[byte & 15];
    }
    return ptx;
}

Result compile(Program& program, const Settings& settings) {
    const char* temporary = getenv("TMPDIR");
    std::string folder = std::string(temporary ? temporary : "/tmp") + "/graven-emulation-XXXXXX";
    if (!mkdtemp(&folder[0])) {
        program.log = "cannot make a temporary folder: " + folder + "\n";
        return INTERNAL_ERROR;
    }
    std::string source = folder + "/kernel.cpp", library = folder + "/kernel.so", messages = folder + "/messages";
    std::ofstream(source) << "#line 1 \"" << program.name << "\"\n"
                          << program.text << "\n#line 1 \"entries of the emulation\"\n"
                          << "extern \"C\" __attribute__((visibility(\"default\"))) const char emulated_architecture[] = \""
                          << settings.architecture << "\";\n"
                          << entries(program.text);
    std::vector<std::string> command = {
        "g++", "-std=" + settings.standard, "-O1", "-w", "-shared", "-fPIC", "-pipe", "-nostdinc", "-nostdinc++",
        "-fno-exceptions", "-fno-rtti", "-fno-strict-aliasing", "-ffp-contract=off", "-fno-math-errno", "-fstack-clash-protection",
        "-fvisibility=hidden", "-fno-asynchronous-unwind-tables", "-fdiagnostics-color=never", "-fmax-errors=20",
        "-include", EMULATION_HEADER, source, "-o", library, "-nodefaultlibs", "-lm", "-lc", "-lgcc"};
    // So that `fmaf` is an instruction, which makes a convolution twice as fast; its result is the same as the function's.
    if (__builtin_cpu_supports("fma")) command.insert(command.begin() + 1, "-mfma");
    command.insert(command.begin() + 1, settings.definitions.begin(), settings.definitions.end());
    bool compiled = run(command, messages);
    program.log = read_file(messages);
    if (compiled) {
        std::string bytes = read_file(library);
        program.ptx = as_ptx(bytes);
        // As NVRTC: machine code only where a real architecture was named.
        if (starts_with(settings.architecture, "sm_")) program.cubin = bytes;
    }
    for (const std::string& path : {source, library, messages}) unlink(path.c_str());
    rmdir(folder.c_str());
    return compiled ? SUCCESS : COMPILATION;
}

Result give(const std::string& from, char* to, bool with_zero) {
    memcpy(to, from.data(), from.size() + with_zero);
    return SUCCESS;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT Result nvrtcVersion(int* major, int* minor) {
    *major = 13, *minor = 0;
    return SUCCESS;
}

EXPORT Result nvrtcGetNumSupportedArchs(int* count) {
    *count = sizeof(ARCHITECTURES) / sizeof(int);
    return SUCCESS;
}

EXPORT Result nvrtcGetSupportedArchs(int* architectures) {
    memcpy(architectures, ARCHITECTURES, sizeof(ARCHITECTURES));
    return SUCCESS;
}

EXPORT const char* nvrtcGetErrorString(Result result) {
    switch (result) {
        case SUCCESS: return "NVRTC_SUCCESS";
        case PROGRAM_CREATION_FAILURE: return "NVRTC_ERROR_PROGRAM_CREATION_FAILURE";
        case INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
        case INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
        case INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
        case COMPILATION: return "NVRTC_ERROR_COMPILATION";
        case INTERNAL_ERROR: return "NVRTC_ERROR_INTERNAL_ERROR";
    }
    return "NVRTC_ERROR unknown";
}

EXPORT Result nvrtcCreateProgram(Program** program, const char* text, const char* name, int n_headers,
                                 const char* const*, const char* const*) {
    if (!program || !text) return INVALID_INPUT;
    if (n_headers) return PROGRAM_CREATION_FAILURE;  // not emulated
    *program = new Program{text, name ? name : "default_program", "", "", ""};
    return SUCCESS;
}

EXPORT Result nvrtcDestroyProgram(Program** program) {
    if (!program || !*program) return INVALID_PROGRAM;
    delete *program;
    return SUCCESS;
}

EXPORT Result nvrtcCompileProgram(Program* program, int n_options, const char* const* options) {
    if (!program) return INVALID_PROGRAM;
    Settings settings;
    Result result = read_options({options, options + n_options}, settings, program->log);
    return result == SUCCESS ? compile(*program, settings) : result;
}

EXPORT Result nvrtcGetProgramLogSize(Program* program, size_t* size) {
    *size = program->log.size() + 1;
    return SUCCESS;
}

EXPORT Result nvrtcGetProgramLog(Program* program, char* log) { return give(program->log, log, true); }

EXPORT Result nvrtcGetCUBINSize(Program* program, size_t* size) {
    *size = program->cubin.size();
    return SUCCESS;
}

EXPORT Result nvrtcGetCUBIN(Program* program, char* cubin) { return give(program->cubin, cubin, false); }

EXPORT Result nvrtcGetPTXSize(Program* program, size_t* size) {
    *size = program->ptx.size() + 1;
    return SUCCESS;
}

EXPORT Result nvrtcGetPTX(Program* program, char* ptx) { return give(program->ptx, ptx, true); }
