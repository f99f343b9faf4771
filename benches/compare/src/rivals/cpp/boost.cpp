#include "table.hpp"
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <boost/version.hpp>
#include <new>

namespace ipc = boost::interprocess;

// Its capacity is fixed at compile time: that is what may lie in shared memory.
template <std::size_t N, std::size_t Capacity> struct Spsc {
    using Queue = boost::lockfree::spsc_queue<Frame<N>, boost::lockfree::capacity<Capacity>>;

    static Queue &queue(void *end) noexcept {
        return *static_cast<Queue *>(static_cast<ipc::mapped_region *>(end)->get_address());
    }
    static ipc::mapped_region *map(const char *name) {
        ipc::shared_memory_object object(ipc::open_only, name, ipc::read_write);
        return new ipc::mapped_region(object, ipc::read_write);
    }
    static void *make(const char *name, std::size_t) noexcept {
        ipc::shared_memory_object object(ipc::create_only, name, ipc::read_write);
        object.truncate(sizeof(Queue));
        ipc::mapped_region region(object, ipc::read_write);
        new (region.get_address()) Queue;
        return nullptr;
    }
    static void unmake(void *, const char *name) noexcept { ipc::shared_memory_object::remove(name); }
    static void *end(void *, const char *name) noexcept { return map(name); }
    static void drop(void *end) noexcept { delete static_cast<ipc::mapped_region *>(end); }
    static bool push(void *end, const std::uint64_t *frame) noexcept {
        return queue(end).push(*reinterpret_cast<const Frame<N> *>(frame));
    }
    static bool push_all(void *end, const std::uint64_t *frames, std::size_t count) noexcept {
        Queue &to = queue(end);
        if (to.write_available() < count)
            return false;
        to.push(reinterpret_cast<const Frame<N> *>(frames), count);
        return true;
    }
    static std::size_t pop(void *end, std::uint64_t *frames, std::size_t most) noexcept {
        auto *to = reinterpret_cast<Frame<N> *>(frames);
        return most == 1 ? queue(end).pop(*to) : queue(end).pop(to, most);
    }
    static const std::uint64_t *next(void *end, bool give_back) noexcept {
        Queue &from = queue(end);
        if (give_back)
            from.pop();
        return from.read_available() ? from.front().words : nullptr;
    }
    static constexpr Table table = {make, unmake, end, drop, end, drop, push, push_all, pop, next, nullptr};
};

template <std::size_t N> using Spsc64 = Spsc<N, 64>;
template <std::size_t N> using Spsc1024 = Spsc<N, 1024>;
template <std::size_t N> using Spsc4096 = Spsc<N, 4096>;

extern "C" const Table *boost_spsc(std::size_t words, std::size_t capacity) noexcept {
    if (capacity <= 64)
        return table_of<Spsc64>(words);
    if (capacity <= 1024)
        return table_of<Spsc1024>(words);
    return capacity <= 4096 ? table_of<Spsc4096>(words) : nullptr;
}

template <std::size_t N> struct Messages {
    static void *make(const char *name, std::size_t capacity) noexcept {
        ipc::message_queue(ipc::create_only, name, capacity, sizeof(Frame<N>));
        return nullptr;
    }
    static void unmake(void *, const char *name) noexcept { ipc::message_queue::remove(name); }
    static void *end(void *, const char *name) noexcept { return new ipc::message_queue(ipc::open_only, name); }
    static void drop(void *end) noexcept { delete static_cast<ipc::message_queue *>(end); }
    static bool push(void *end, const std::uint64_t *frame) noexcept {
        return static_cast<ipc::message_queue *>(end)->try_send(frame, sizeof(Frame<N>), 0);
    }
    static std::size_t pop(void *end, std::uint64_t *frames, std::size_t most) noexcept {
        std::size_t taken = 0;
        ipc::message_queue::size_type size;
        unsigned priority;
        while (taken < most && static_cast<ipc::message_queue *>(end)->try_receive(frames + taken * N, sizeof(Frame<N>), size, priority))
            ++taken;
        return taken;
    }
    static void wait(void *end, std::uint64_t *frame) noexcept {
        ipc::message_queue::size_type size;
        unsigned priority;
        static_cast<ipc::message_queue *>(end)->receive(frame, sizeof(Frame<N>), size, priority);
    }
    static constexpr Table table = {make, unmake, end, drop, end, drop, push, nullptr, pop, nullptr, wait};
};

extern "C" const Table *boost_messages(std::size_t words, std::size_t) noexcept { return table_of<Messages>(words); }

extern "C" const char *boost_version() noexcept { return BOOST_LIB_VERSION; }
