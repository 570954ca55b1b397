// Aligned memory without initialisation, and a pool that lends it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace skrnn {

inline constexpr std::size_t alignment = 64;

/// a * b, or bad_alloc where the product does not fit: sizes come from users.
inline std::size_t checked_product(std::size_t a, std::size_t b) {
    std::size_t product;
    if (__builtin_mul_overflow(a, b, &product)) throw std::bad_alloc();
    return product;
}

/// Owns `bytes` bytes aligned to a cache line; their contents are undefined.
class Block {
public:
    Block() = default;
    explicit Block(std::size_t bytes) : bytes_(bytes) {
        if (bytes == 0) return;
        if (bytes > std::numeric_limits<std::size_t>::max() - alignment) throw std::bad_alloc();
        data_.reset(std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment));
        if (!data_) throw std::bad_alloc();
    }
    void* data() const noexcept { return data_.get(); }
    std::size_t bytes() const noexcept { return bytes_; }

private:
    struct Free {
        void operator()(void* p) const noexcept { std::free(p); }
    };
    std::unique_ptr<void, Free> data_;
    std::size_t bytes_ = 0;
};

/// Keeps returned blocks and lends the smallest that is large enough but not far too large, so that the steps of a
/// training loop work in the same memory instead of having the system zero new pages for each. What is kept and lent
/// together never exceeds the most that was ever lent at once.
class Workspace {
public:
    Block lend(std::size_t bytes) {
        const std::lock_guard<std::mutex> lock(mutex_);
        auto best = kept_.end();
        for (auto block = kept_.begin(); block != kept_.end(); ++block)
            if (block->bytes() >= bytes && block->bytes() <= 2 * bytes + page &&
                (best == kept_.end() || block->bytes() < best->bytes()))
                best = block;
        Block found;
        if (best == kept_.end()) {
            found = Block(bytes);
        } else {
            found = std::move(*best);
            kept_.erase(best);
        }
        lent_ += found.bytes();
        peak_ = std::max(peak_, lent_);
        shrink();
        return found;
    }

    void take_back(Block block) noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (block.bytes() == 0) return;
        lent_ -= block.bytes();
        try {
            kept_.push_back(std::move(block));
        } catch (const std::bad_alloc&) {
            return;  // no room to note it: the block is freed
        }
        shrink();
    }

    std::size_t bytes() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return kept_bytes();
    }

private:
    static constexpr std::size_t page = 4096;

    std::size_t kept_bytes() const {
        std::size_t sum = 0;
        for (const Block& block : kept_) sum += block.bytes();
        return sum;
    }

    /// Frees the blocks that were unused for longest until the bound holds.
    void shrink() noexcept {
        std::size_t kept = kept_bytes();
        while (!kept_.empty() && kept + lent_ > peak_) {
            kept -= kept_.front().bytes();
            kept_.erase(kept_.begin());
        }
    }

    mutable std::mutex mutex_;
    std::vector<Block> kept_;
    std::size_t lent_ = 0, peak_ = 0;
};

/// An array of T in a block, from a workspace if there is one.
template <class T>
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(std::size_t size, std::shared_ptr<Workspace> workspace = nullptr)
        : workspace_(std::move(workspace)) {
        const std::size_t bytes = checked_product(size, sizeof(T));
        block_ = workspace_ ? workspace_->lend(bytes) : Block(bytes);
    }
    Buffer(Buffer&&) noexcept = default;
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(workspace_, other.workspace_);
        std::swap(block_, other.block_);
        return *this;
    }
    [[gnu::always_inline]] ~Buffer() {  // a call of a small layer is short enough to notice
        if (workspace_) workspace_->take_back(std::move(block_));
    }

    T* data() const noexcept { return static_cast<T*>(block_.data()); }
    std::size_t bytes() const noexcept { return block_.bytes(); }

private:
    std::shared_ptr<Workspace> workspace_;
    Block block_;
};

}  // namespace skrnn
