// Predictions of a few examples of a network of any stages, straight from the caller's arrays:
// nothing is packed, no thread is woken. The bits are those of NetworkSession.
#pragma once

#include <memory>
#include <vector>

#include "losses.hpp"
#include "stages/stage.hpp"

namespace pellucid::PELLUCID_LEVEL {

namespace stages {

// One layer on one example, everything in the lectures' order.
template <class T>
class One {
 public:
  explicit One(const StageSpec<T>& spec) : spec_(spec) {}
  virtual ~One() = default;
  virtual void run(const T* const* entered, T* a) = 0;
  const StageSpec<T>& spec() const { return spec_; }

 protected:
  void activate(T* z, size_t n) const {
    if (spec_.activation == ID_Identity) return;
    constexpr int L = LANES<T>;
    with_activation(spec_.activation, [&](auto g) {
      using G = decltype(g);
      for (size_t k = 0; k < n; k += L) {
        const int some = int(std::min<size_t>(L, n - k));
        store_up_to(z + k, G::template g<T>(load_up_to(z + k, some), spec_.parameter), some);
      }
    });
  }

  StageSpec<T> spec_;
};

// Null where no kind has this name.
template <class T>
std::unique_ptr<One<T>> make_one(const StageSpec<T>& spec);

}  // namespace stages

template <class T>
class NetworkPredictor {
 public:
  NetworkPredictor(const std::vector<stages::StageSpec<T>>& specs, const LossSpec<T>& output)
      : output_(output) {
    for (const auto& spec : specs) {
      ones_.push_back(stages::make_one(spec));
      if (!ones_.back())
        throw std::invalid_argument("one example cannot go through '" + spec.kind + "'");
      A_.emplace_back(size_t(spec.out.n()) + PANEL<T>);
    }
  }

  NetworkPredictor(const NetworkPredictor&) = delete;
  NetworkPredictor& operator=(const NetworkPredictor&) = delete;

  int n_in() const { return ones_[0]->spec().in.n(); }
  int n_out() const { return ones_.back()->spec().out.n(); }

  // `out` gets n_out numbers an example; x has n_in consecutive numbers an example.
  void run(const T* x, int m, T* out) {
    const int n = ones_.back()->spec().out.channels;  // of each step or place
    for (int i = 0; i < m; ++i, x += n_in(), out += n_out()) {
      for (size_t s = 0; s < ones_.size(); ++s) {
        entered_.clear();
        for (int input : ones_[s]->spec().inputs)
          entered_.push_back(input < 0 ? x : A_[size_t(input)].get());
        ones_[s]->run(entered_.data(), A_[s].get());
      }
      const int steps = n_out() / n;
      loss_rows(output_, n,
                LossRows<T>{steps, size_t(n), A_.back().get(), out, nullptr, nullptr, nullptr,
                            nullptr, nullptr});
    }
  }

 private:
  LossSpec<T> output_;
  std::vector<std::unique_ptr<stages::One<T>>> ones_;
  std::vector<Buffer<T>> A_;
  std::vector<const T*> entered_;
};

}  // namespace pellucid::PELLUCID_LEVEL
