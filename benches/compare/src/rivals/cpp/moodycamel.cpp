#include "table.hpp"
#if __has_include(<readerwriterqueue/readerwriterqueue.h>)
#include <readerwriterqueue/readerwriterqueue.h>
#else
#include <readerwriterqueue.h>
#endif
#if __has_include(<concurrentqueue/moodycamel/concurrentqueue.h>)
#include <concurrentqueue/moodycamel/concurrentqueue.h>
#elif __has_include(<concurrentqueue/concurrentqueue.h>)
#include <concurrentqueue/concurrentqueue.h>
#else
#include <concurrentqueue.h>
#endif

// One producer, one consumer.
template <std::size_t N> struct Pair {
    using Queue = moodycamel::ReaderWriterQueue<Frame<N>>;

    static Queue &queue(void *made) noexcept { return *static_cast<Queue *>(made); }
    static void *make(const char *, std::size_t capacity) noexcept { return new Queue(capacity); }
    static void unmake(void *made, const char *) noexcept { delete &queue(made); }
    static void *end(void *made, const char *) noexcept { return made; }
    static void drop(void *) noexcept {}
    static bool push(void *end, const std::uint64_t *frame) noexcept {
        return queue(end).try_enqueue(*reinterpret_cast<const Frame<N> *>(frame));
    }
    static std::size_t pop(void *end, std::uint64_t *frames, std::size_t most) noexcept {
        std::size_t taken = 0;
        while (taken < most && queue(end).try_dequeue(*reinterpret_cast<Frame<N> *>(frames + taken * N)))
            ++taken;
        return taken;
    }
    static const std::uint64_t *next(void *end, bool give_back) noexcept {
        if (give_back)
            queue(end).pop();
        const Frame<N> *front = queue(end).peek();
        return front ? front->words : nullptr;
    }
    static constexpr Table table = {make, unmake, end, drop, end, drop, push, nullptr, pop, next, nullptr};
};

extern "C" const Table *moodycamel_pair(std::size_t words, std::size_t) noexcept { return table_of<Pair>(words); }

// Any number of both; each has its token. What is not taken is bounded here: its own bound, `try_enqueue`, never gives the
// blocks that one producer took first to another.
template <std::size_t N> struct Many {
    struct Queue : moodycamel::ConcurrentQueue<Frame<N>> {
        std::size_t capacity;
        explicit Queue(std::size_t most) : moodycamel::ConcurrentQueue<Frame<N>>(2 * most), capacity(most) {}
    };
    struct Tx {
        Queue &queue;
        moodycamel::ProducerToken token;
        std::size_t credit = 0;
        explicit Tx(Queue &to) : queue(to), token(to) {}

        bool room(std::size_t count) {
            if (credit < count) {
                std::size_t size = queue.size_approx();
                std::size_t left = size < queue.capacity ? queue.capacity - size : 0;
                if (left < count)
                    return false;
                credit = left / 4 < count ? count : left / 4;
            }
            credit -= count;
            return true;
        }
    };
    struct Rx {
        Queue &queue;
        moodycamel::ConsumerToken token;
        explicit Rx(Queue &from) : queue(from), token(from) {}
    };

    static Queue &queue(void *made) noexcept { return *static_cast<Queue *>(made); }
    static void *make(const char *, std::size_t capacity) noexcept { return new Queue(capacity); }
    static void unmake(void *made, const char *) noexcept { delete &queue(made); }
    static void *tx(void *made, const char *) noexcept { return new Tx(queue(made)); }
    static void drop_tx(void *tx) noexcept { delete static_cast<Tx *>(tx); }
    static void *rx(void *made, const char *) noexcept { return new Rx(queue(made)); }
    static void drop_rx(void *rx) noexcept { delete static_cast<Rx *>(rx); }
    static bool push(void *end, const std::uint64_t *frame) noexcept {
        Tx &tx = *static_cast<Tx *>(end);
        return tx.room(1) && tx.queue.enqueue(tx.token, *reinterpret_cast<const Frame<N> *>(frame));
    }
    static bool push_all(void *end, const std::uint64_t *frames, std::size_t count) noexcept {
        Tx &tx = *static_cast<Tx *>(end);
        return tx.room(count) && tx.queue.enqueue_bulk(tx.token, reinterpret_cast<const Frame<N> *>(frames), count);
    }
    static std::size_t pop(void *end, std::uint64_t *frames, std::size_t most) noexcept {
        Rx &rx = *static_cast<Rx *>(end);
        auto *to = reinterpret_cast<Frame<N> *>(frames);
        return most == 1 ? rx.queue.try_dequeue(rx.token, *to) : rx.queue.try_dequeue_bulk(rx.token, to, most);
    }
    static constexpr Table table = {make, unmake, tx, drop_tx, rx, drop_rx, push, push_all, pop, nullptr, nullptr};
};

extern "C" const Table *moodycamel_many(std::size_t words, std::size_t) noexcept { return table_of<Many>(words); }
