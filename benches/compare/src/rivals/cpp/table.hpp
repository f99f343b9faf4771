// What each C++ rival offers, for one size of frame. Exceptions end the process: everything is noexcept.
#pragma once
#include <cstddef>
#include <cstdint>

template <std::size_t N> struct Frame {
    std::uint64_t words[N];
};

struct Table {
    void *(*make)(const char *name, std::size_t capacity) noexcept;
    void (*unmake)(void *made, const char *name) noexcept;
    void *(*tx)(void *made, const char *name) noexcept;
    void (*drop_tx)(void *tx) noexcept;
    void *(*rx)(void *made, const char *name) noexcept;
    void (*drop_rx)(void *rx) noexcept;
    bool (*push)(void *tx, const std::uint64_t *frame) noexcept;
    // All of them, or none.
    bool (*push_all)(void *tx, const std::uint64_t *frames, std::size_t count) noexcept;
    std::size_t (*pop)(void *rx, std::uint64_t *frames, std::size_t most) noexcept;
    // The oldest frame, in place; first gives back the one that was shown before, where there was one. May be absent.
    const std::uint64_t *(*next)(void *rx, bool give_back) noexcept;
    // Sleeps until there is a frame. May be absent.
    void (*wait)(void *rx, std::uint64_t *frame) noexcept;
};

// The table of `Of<N>` for the sizes that are measured, or null.
template <template <std::size_t> class Of> const Table *table_of(std::size_t words) noexcept {
    switch (words) {
    case 1: return &Of<1>::table;
    case 2: return &Of<2>::table;
    case 8: return &Of<8>::table;
    case 32: return &Of<32>::table;
    case 2048: return &Of<2048>::table;
    default: return nullptr;
    }
}
