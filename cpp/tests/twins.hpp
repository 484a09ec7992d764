// A stage beside its naive twin (stages/naive.hpp), for the tests.
#pragma once

#include <algorithm>

#include "slices.hpp"
#include "stages/naive.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

using TwinOf = naive::Twin (*)(const naive::Given&);

// How some examples enter a slice: from column `first` on, the others as full of numbers as these,
// as a layer's bias leaves them.
struct Way {
  int width = 16, first = 0;
  bool add = false, back = true;
};

template <class T>
struct Beside {
  naive::Given given;
  StageSpec<T> spec;
  std::vector<std::vector<T>> parameters;
  std::vector<T> mask;

  // With m examples of numbers as T has them; the twin computes with the same ones.
  Beside(const char* kind, const naive::Given& from, unsigned seed) : given(from) {
    spec.kind = kind;
    spec.in = given.in;
    spec.out = given.out;
    spec.activation = given.activation;
    spec.needs_Z = given.activation == ID_SiLU;
    spec.numbers = given.numbers;
    for (auto& each : given.parameters) {
      parameters.push_back(draws<T>(each.size(), ++seed, 0.5));
      each.assign(parameters.back().begin(), parameters.back().end());
    }
    for (auto& each : parameters) {
      spec.parameters.emplace_back();
      spec.parameters.back().values = each.data();
      spec.parameters.back().size = each.size();
    }
    mask.assign(given.mask.begin(), given.mask.end());
    if (!mask.empty()) spec.constants = {mask.data()};
    if (given.A_prev.empty()) fill(given.A_prev, given.in, ++seed);
    fill(given.dA, given.out, ++seed);
  }
  Beside(const Beside&) = delete;

  void fill(naive::Numbers& to, const Shape& shape, unsigned seed) const {
    const auto drawn = draws<T>(size_t(given.m) * shape.n(), seed);
    to.assign(drawn.begin(), drawn.end());
    hide(to, shape);
  }
  // Padded steps are 0: the session sees to it.
  template <class N>
  void hide(std::vector<N>& of, const Shape& shape) const {
    for (int e = 0; e < given.m && shape.sequence; ++e)
      for (int k = 0; k < shape.n(); ++k)
        if (!given.there(e, k / shape.channels)) of[size_t(e) * shape.n() + k] = 0;
  }

  Trial<T> run(const Way& way) const {
    const auto stage = make_stage<T>(spec);
    const int w = way.width, m = given.m;
    const Shape &in = stage->in(), &out = stage->out();
    Buffer<T> entered(size_t(in.n()) * w), left(size_t(out.n()) * w), back(size_t(out.n()) * w),
        returned(size_t(in.n()) * w), kept(stage -> kept(w)), scratch(stage->scratch(w));
    const auto place = [&](const Shape& shape, const naive::Numbers& from, int others, T* to) {
      for (int k = 0; k < shape.n(); ++k)
        for (int e = 0; e < w; ++e) {
          const int own = e - way.first, it = own < 0 || own >= m ? others : own;
          to[size_t(shape.row_of(k)) * w + e] = it < 0 ? T(0) : T(from[size_t(it) * shape.n() + k]);
        }
    };
    place(in, given.A_prev, given.lengths.empty() ? 0 : -1, entered.get());
    place(out, given.dA, -1, back.get());
    std::vector<std::int32_t> lengths(size_t(w), 0);
    for (size_t e = 0; e < given.lengths.size(); ++e) lengths[e + way.first] = given.lengths[e];
    Pass pass;
    pass.width = w;
    pass.count = way.first + m;
    pass.training = true;
    pass.lengths = given.lengths.empty() ? nullptr : lengths.data();
    std::fill_n(returned.get(), returned.size(), T(NAN));  // all of it is to be set
    std::fill_n(left.get(), left.size(), T(NAN));
    std::fill_n(kept.get(), kept.size(), T(NAN));
    std::fill_n(scratch.get(), scratch.size(), T(NAN));
    for (int t = 0; t < 3; ++t) stage->pack(t, 3);
    std::vector<double> sums(size_t(stage->sums()) + 1);
    if (stage->sums()) {
      stage->sum_forward(pass, entered.get(), sums.data());
      stage->settle_forward(sums.data(), 1);
    }
    stage->forward(pass, entered.get(), left.get(), kept.get(), scratch.get());
    Trial<T> trial;
    trial.A = taken(out, left.get(), way);
    hide(trial.A, out);
    if (stage->sums()) {
      stage->sum_backward(pass, entered.get(), left.get(), back.get(), kept.get(), sums.data());
      stage->settle_backward(sums.data(), 1);
    }
    std::vector<T*> to;
    for (const auto& each : parameters)
      trial.gradients.emplace_back(each.size(), way.add ? T(1) : T(NAN));
    if (way.add && !mask.empty()) trial.gradients[0] = mask;  // never anything where there is none
    for (auto& each : trial.gradients) to.push_back(each.data());
    stage->backward(pass, entered.get(), left.get(), back.get(),
                    way.back ? returned.get() : nullptr, kept.get(), scratch.get(), to.data(),
                    way.add);
    if (!way.back) return trial;
    for (int k = 0; k < in.n(); ++k)
      for (int e = 0; e < w; ++e)
        if ((e < way.first || e >= way.first + m) && !stage->sums())
          CHECK(returned[size_t(k) * w + e] == 0, "%s: %g of no example", spec.kind.c_str(),
                double(returned[size_t(k) * w + e]));
    trial.dA_prev = taken(in, returned.get(), way);
    hide(trial.dA_prev, in);
    return trial;
  }

  std::vector<T> taken(const Shape& shape, const T* from, const Way& way) const {
    const auto all = out_of_slice(shape, from, way.first + given.m, way.width);
    return {all.begin() + std::ptrdiff_t(way.first) * shape.n(), all.end()};
  }

  // The largest difference, beside numbers above 1 in proportion.
  static double far(const std::vector<T>& got, const naive::Numbers& wanted) {
    if (got.size() != wanted.size()) return INFINITY;
    double most = 0;
    for (size_t k = 0; k < got.size(); ++k) {
      const double d = std::abs(double(got[k]) - wanted[k]) / (1 + std::abs(wanted[k]));
      if (!(d <= most)) most = std::isnan(d) ? INFINITY : d;
    }
    return most;
  }

  // The twin's numbers; the same bits of each example at other places of slices of both widths; dW
  // added to what stands there; the same dW where nothing below learns.
  void check(TwinOf twin, const char* what) const {
    const naive::Twin wanted = twin(given);
    const double near = sizeof(T) == 4 ? 2e-5 : 1e-12;
    naive::Numbers dA_prev = wanted.dA_prev;
    hide(dA_prev, given.in);
    const Trial<T> plain = run({});
    const bool mixes = make_stage<T>(spec)->sums() > 0;
    CHECK(far(plain.A, wanted.A) <= near, "%s: A by %g", what, far(plain.A, wanted.A));
    CHECK(far(plain.dA_prev, dA_prev) <= near, "%s: dA_prev by %g", what,
          far(plain.dA_prev, dA_prev));
    const Way ways[] = {{16, 0, true, true},
                        {16, 0, false, false},
                        {32, 0, false, true},
                        {16, 16 - given.m, false, true},
                        {32, 32 - given.m, true, false}};
    for (size_t p = 0; p < wanted.gradients.size(); ++p)
      CHECK(far(plain.gradients[p], wanted.gradients[p]) <= near, "%s: gradient %d by %g", what,
            int(p), far(plain.gradients[p], wanted.gradients[p]));
    for (const Way& way : ways) {
      if (mixes && way.first > 0) continue;  // the examples before would count
      const Trial<T> other = run(way);
      CHECK(other.A == plain.A, "%s: other bits of A, width %d from %d", what, way.width,
            way.first);
      CHECK(!way.back || other.dA_prev == plain.dA_prev, "%s: other bits of dA_prev, width %d",
            what, way.width);
      for (size_t p = 0; p < wanted.gradients.size(); ++p) {
        naive::Numbers sum = wanted.gradients[p];
        for (size_t k = 0; k < sum.size() && way.add; ++k)
          sum[k] += p == 0 && !mask.empty() ? double(mask[k]) : 1;
        const double d = far(other.gradients[p], sum);
        CHECK(d <= near, "%s: gradient %d by %g, width %d from %d", what, int(p), d, way.width,
              way.first);
      }
    }
  }
};

// In float and double.
inline void check_both(const char* kind, TwinOf twin, const naive::Given& given, const char* what,
                       unsigned seed = 1) {
  Beside<float>(kind, given, seed).check(twin, what);
  Beside<double>(kind, given, seed).check(twin, what);
}

}  // namespace pellucid::PELLUCID_LEVEL::stages
