// BatchNorm: A = gamma * A_norm + beta, A_norm = (A_prev - mean) / sqrt(variance + epsilon), the
// mean and the variance those of a channel over all places of all examples of the mini-batch; where
// a network predicts, those that it has kept.
#include <cmath>

#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

template <class T>
class BatchNorm : public Stage<T> {
 public:
  explicit BatchNorm(StageSpec<T> spec)
      : Stage<T>(std::move(spec)),
        n_(this->in().channels),
        epsilon_(this->spec_.number_of("epsilon")),
        momentum_(T(this->spec_.number_of("momentum"))),
        mean_(size_t(n_)),
        variance_(size_t(n_)),
        sum_(size_t(n_)),
        along_(size_t(n_)) {
    this->spec_.out.channels_first = this->spec_.in.channels_first;
  }

  // A_norm, (n, width).
  size_t kept(int width) const override { return size_t(this->in().n()) * width; }

  // Of each channel N, the mean and the sum of squares around it; of backward two of these.
  int sums() const override { return 3 * n_; }

  void sum_forward(const Pass& pass, const T* A_prev, double* sums) const override {
    for (int c = 0; c < n_; ++c, sums += 3) {
      double N = 0, sum = 0, squares = 0;
      for_numbers(pass, c, [&](size_t at) {
        ++N;
        sum += double(A_prev[at]);
      });
      const double mean = N ? sum / N : 0;
      for_numbers(pass, c, [&](size_t at) {
        const double apart = double(A_prev[at]) - mean;
        squares += apart * apart;
      });
      sums[0] = N;
      sums[1] = mean;
      sums[2] = squares;
    }
  }

  // Two parts of N and M numbers: the squares around the common mean are those around each one's
  // own, and d^2 N M / (N + M) for the distance d of the two.
  void settle_forward(const double* sums, int slices) override {
    for (int c = 0; c < n_; ++c) {
      double N = 0, mean = 0, squares = 0;
      for (int k = 0; k < slices; ++k) {
        const double* own = sums + (size_t(k) * n_ + c) * 3;
        const double all = N + own[0], d = own[1] - mean;
        if (own[0] == 0) continue;
        mean += d * own[0] / all;
        squares += own[2] + d * d * N * own[0] / all;
        N = all;
      }
      mean_[c] = T(mean);
      variance_[c] = T(N ? squares / N : 0);
      N_ = N;
    }
  }

  void forward(const Pass& pass, const T* A_prev, T* A, T* kept, T*) const override {
    const T *gamma = this->spec_.parameters[0].values, *beta = this->spec_.parameters[1].values;
    for (int c = 0; c < n_; ++c) {
      const Vec<T> mean = broadcast(pass.training ? mean_[c] : this->spec_.statistics[0][c]);
      const Vec<T> std = broadcast(std_of(pass, c));
      const Vec<T> factor = broadcast(gamma[c]), start = broadcast(beta[c]);
      for_vectors(pass, c, [&](size_t at) {
        const Vec<T> norm = (load(A_prev + at) - mean) / std;
        store(kept + at, norm);
        store(A + at, fma(factor, norm, start));
      });
    }
  }

  // Of each channel the sums of dA_norm and of dA_norm * A_norm.
  void sum_backward(const Pass& pass, const T*, const T*, const T* dA, const T* kept,
                    double* sums) const override {
    for (int c = 0; c < n_; ++c, sums += 3) {
      double sum = 0, along = 0;
      for_numbers(pass, c, [&](size_t at) {
        sum += double(dA[at]);
        along += double(dA[at]) * double(kept[at]);
      });
      sums[0] = sum;
      sums[1] = along;
    }
  }

  void settle_backward(const double* sums, int slices) override {
    for (int c = 0; c < n_; ++c) {
      double sum = 0, along = 0;
      for (int k = 0; k < slices; ++k) {
        sum += sums[(size_t(k) * n_ + c) * 3];
        along += sums[(size_t(k) * n_ + c) * 3 + 1];
      }
      sum_[c] = T(sum / N_);
      along_[c] = T(along / N_);
    }
  }

  void backward(const Pass& pass, const T*, const T*, T* dA, T* dA_prev, T* kept, T*,
                T* const* gradients, bool add) const override {
    const T* gamma = this->spec_.parameters[0].values;
    for (int c = 0; c < n_; ++c) {
      Vec<T> dgamma{}, dbeta{};
      for_vectors(pass, c, [&](size_t at) {
        dgamma = fma(load(dA + at), load(kept + at), dgamma);
        dbeta = dbeta + load(dA + at);
      });
      gradients[0][c] = (add ? gradients[0][c] : T(0)) + lane_sum<T>(dgamma);
      gradients[1][c] = (add ? gradients[1][c] : T(0)) + lane_sum<T>(dbeta);
      if (!dA_prev) continue;
      const Vec<T> factor = broadcast(gamma[c] / std_of(pass, c));
      const Vec<T> sum = broadcast(pass.training ? sum_[c] : T(0));
      const Vec<T> along = broadcast(pass.training ? along_[c] : T(0));
      for_vectors(pass, c, [&](size_t at) {
        store(dA_prev + at, factor * (load(dA + at) - sum - load(kept + at) * along));
      });
      for (int place = 0; place < this->in().places(); ++place)  // those that only fill up
        for (int e = pass.count; e < pass.width; ++e)
          dA_prev[size_t(this->in().at(place, c)) * pass.width + e] = 0;
    }
  }

  void learn_statistics() override {
    if (N_ < 2) return;
    const T bias = T(N_ / (N_ - 1));
    for (int c = 0; c < n_; ++c) {
      T &mean = this->spec_.statistics[0][c], &variance = this->spec_.statistics[1][c];
      mean = momentum_ * mean + (T(1) - momentum_) * mean_[c];
      variance = momentum_ * variance + (T(1) - momentum_) * bias * variance_[c];
    }
  }

 private:
  T std_of(const Pass& pass, int c) const {
    const T variance = pass.training ? variance_[c] : this->spec_.statistics[1][c];
    return T(std::sqrt(double(variance) + epsilon_));
  }

  // Call f(at) for each number of a channel that is there.
  template <class F>
  void for_numbers(const Pass& pass, int c, F f) const {
    for (int place = 0; place < this->in().places(); ++place)
      for (int e = 0; e < pass.count; ++e)
        if (!pass.lengths || place < pass.lengths[e])
          f(size_t(this->in().at(place, c)) * pass.width + e);
  }
  // And for each vector of them, whether it is there or not.
  template <class F>
  void for_vectors(const Pass& pass, int c, F f) const {
    for (int place = 0; place < this->in().places(); ++place)
      for (int e = 0; e < pass.width; e += LANES<T>)
        f(size_t(this->in().at(place, c)) * pass.width + e);
  }

  int n_;
  double epsilon_;
  T momentum_;
  double N_ = 0;               // numbers of a channel in the mini-batch
  Buffer<T> mean_, variance_;  // of this mini-batch
  Buffer<T> sum_, along_;      // means of dA and of dA * A_norm
};

}  // namespace

PELLUCID_KIND(batchnorm, BatchNorm)

}  // namespace pellucid::PELLUCID_LEVEL::stages
