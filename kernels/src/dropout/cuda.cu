// Dropout: which elements are kept depends on the seed, the stream and the position alone (rng.rs).

namespace graven {

DEVICE Word random_mix(Word word) {
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ull;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBull;
    return word ^ (word >> 31);
}

DEVICE float random_uniform(Word seed, Word stream, Word index) {
    const Word key = random_mix(seed ^ random_mix(stream + 0x9E3779B97F4A7C15ull));
    return (float) (random_mix(key + index * 0x9E3779B97F4A7C15ull) >> 40) * (1.0f / (1 << 24));
}

struct Dropout {
    float p;
    Word stream;
};

template <class Input>
DEVICE float dropout(Dropout sizes, Index at, Word seed, Input input) {
    const bool kept = random_uniform(seed, sizes.stream, at) >= sizes.p;
    return kept ? input(at) * (1.0f / (1.0f - sizes.p)) : 0.0f;
}

}
