// The forward pass of a few examples straight from the lectures' arrays: nothing is packed, no
// thread is woken. Every unit is summed in the same order as in a session, so the bits are the
// same.
#pragma once

#include <vector>

#include "activations.hpp"
#include "losses.hpp"
#include "session.hpp"

namespace pellucid::PELLUCID_LEVEL {

template <class T>
struct PredictStage {
  bool dense = true;
  int n_in = 0, n_out = 0, activation = 0;
  T parameter = 0;
  const T* W = nullptr;  // Fortran-ordered (n_out, n_in); s of a Scale
  const T* b = nullptr;
};

template <class T>
class Predictor {
 public:
  explicit Predictor(std::vector<PredictStage<T>> stages) : stages_(std::move(stages)) {
    for (const auto& stage : stages_) widest_ = widest_ < stage.n_out ? stage.n_out : widest_;
    if (widest_ < stages_[0].n_in) widest_ = stages_[0].n_in;
    const size_t padded = size_t(panels(widest_, PANEL<T>)) * PANEL<T>;
    here_ = Buffer<T>(padded);
    there_ = Buffer<T>(padded);
    output_.output_activation = stages_.back().activation;
    output_.activation_parameter = stages_.back().parameter;
  }

  int n_in() const { return stages_[0].n_in; }
  int n_out() const { return stages_.back().n_out; }

  // `out` gets n_out numbers an example; x has n_in consecutive numbers an example.
  void run(const T* x, int m, T* out) {
    for (int i = 0; i < m; ++i) {
      std::memcpy(here_.get(), x + size_t(i) * n_in(), n_in() * sizeof(T));
      rest(0, out + size_t(i) * n_out());
    }
  }

  // The same of sparse examples; the first stage is dense.
  void run_sparse(const Rows& X, T* out) {
    X.with_values([&](auto number) {
      for (std::int64_t i = 0; i < X.examples; ++i) {
        first(X.entries<decltype(number)>(i));
        if (stages_.size() > 1) activate(stages_[0]);
        rest(1, out + i * n_out());
      }
    });
  }

 private:
  static constexpr int L = LANES<T>;

  bool is_narrow(const PredictStage<T>& stage) const {
    return stage.dense && &stage == &stages_.back() && stage.n_out <= NARROW<T>;
  }

  // The first stage of an example from its entries.
  template <class S>
  void first(Entries<S> x) {
    const PredictStage<T>& stage = stages_[0];
    const int n = stage.n_out;
    if (is_narrow(stage)) {
      for (int j = 0; j < n; ++j)
        here_[j] = sparse_dot(x, stage.W, stage.b[j], [&](int k) { return size_t(k) * n + j; });
      return;
    }
    std::memcpy(there_.get(), stage.b, n * sizeof(T));  // with room for whole vectors
    sparse_nn(x, stage.W, {size_t(n), PANEL<T>}, false, there_.get(), here_.get(), PANEL<T>, 0, n,
              AsIs<T>{});
  }

  // Stages s ... of the example whose numbers are here_.
  void rest(size_t s, T* out) {
    for (; s < stages_.size(); ++s) {
      const PredictStage<T>& stage = stages_[s];
      if (is_narrow(stage))
        dots(stage);
      else if (stage.dense)
        product(stage);
      else
        for (int k = 0; k < stage.n_out; ++k) here_[k] *= stage.W[k];
      if (&stage != &stages_.back()) activate(stage);
    }
    output_activation(output_, n_out(), here_.get(), out);
  }

  void product(const PredictStage<T>& stage) {
    const int n = stage.n_out;
    T* z = there_.get();
    int j = 0;
    for (; j + 4 * L <= n; j += 4 * L) columns<4>(stage, j, z);
    for (; j + L <= n; j += L) columns<1>(stage, j, z);
    for (; j < n; ++j) {
      Vec<T> sum = broadcast(stage.b[j]);
      for (int k = 0; k < stage.n_in; ++k)
        sum = fma(broadcast(here_[k]), broadcast(stage.W[size_t(k) * n + j]), sum);
      z[j] = sum[0];
    }
    std::swap(here_, there_);
  }

  // A narrow output layer, lane by lane as product_dots.
  void dots(const PredictStage<T>& stage) {
    const int K = stage.n_in, n = stage.n_out;
    for (int j = 0; j < n; ++j) {
      Vec<T> sum{};
      for (int k = 0; k < K; k += L) {
        const int count = K - k < L ? K - k : L;
        T w[L] = {};
        for (int i = 0; i < count; ++i) w[i] = stage.W[size_t(k + i) * n + j];
        sum = fma(load_up_to(here_ + k, count), load(w), sum);
      }
      there_[j] = lane_sum<T>(sum) + stage.b[j];
    }
    std::swap(here_, there_);
  }

  template <int NV>
  void columns(const PredictStage<T>& stage, int j, T* z) {
    Vec<T> c[NV];
    for (int v = 0; v < NV; ++v) c[v] = load(stage.b + j + v * L);
    const T* W = stage.W + j;
    for (int k = 0; k < stage.n_in; ++k, W += stage.n_out) {
      const Vec<T> a = broadcast(here_[k]);
      for (int v = 0; v < NV; ++v) c[v] = fma(a, load(W + v * L), c[v]);
    }
    for (int v = 0; v < NV; ++v) store(z + j + v * L, c[v]);
  }

  void activate(const PredictStage<T>& stage) {
    if (!stage.dense) return;
    with_activation(stage.activation, [&](auto g) {
      using G = decltype(g);
      for (int k = 0; k < stage.n_out; k += L)
        store(here_ + k, G::template g<T>(load(here_ + k), stage.parameter));
    });
  }

  std::vector<PredictStage<T>> stages_;
  int widest_ = 0;
  Buffer<T> here_, there_;
  LossSpec<T> output_;
};

}  // namespace pellucid::PELLUCID_LEVEL
