// One stage on one slice, for the tests: examples in the lectures' order go in and come out.
#pragma once

#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "check.hpp"
#include "stages/stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

// Numbers in -1 ... 1, the same each time.
template <class T>
std::vector<T> draws(size_t n, unsigned seed, double scale = 1) {
  std::mt19937 random(seed);
  std::vector<T> made(n);
  for (T& each : made) each = T(scale * (double(random()) / 2147483648.0 - 1));
  return made;
}

// Examples as columns of numbers in the lectures' order, (m, n): to a slice's matrix and back.
template <class T>
void into_slice(const Shape& shape, const std::vector<T>& examples, int count, int width, T* to) {
  const int n = shape.n();
  for (int k = 0; k < n; ++k)
    for (int e = 0; e < width; ++e)
      to[size_t(shape.row_of(k)) * width + e] = e < count ? examples[size_t(e) * n + k] : T(0);
}

template <class T>
std::vector<T> out_of_slice(const Shape& shape, const T* from, int count, int width) {
  const int n = shape.n();
  std::vector<T> examples(size_t(count) * n);
  for (int k = 0; k < n; ++k)
    for (int e = 0; e < count; ++e)
      examples[size_t(e) * n + k] = from[size_t(shape.row_of(k)) * width + e];
  return examples;
}

// What a stage makes of some examples: A of A_prev, and of dA dA_prev and the gradients.
template <class T>
struct Trial {
  std::vector<T> A, dA_prev;
  std::vector<std::vector<T>> gradients;
};

template <class T>
Trial<T> try_stage(Stage<T>& stage, const Pass& pass, const std::vector<T>& A_prev,
                   const std::vector<T>& dA) {
  const int w = pass.width;
  const auto& in = stage.in();
  const auto& out = stage.out();
  Buffer<T> entered(size_t(in.n()) * w), left(size_t(out.n()) * w), back(size_t(out.n()) * w),
      returned(size_t(in.n()) * w), kept(stage.kept(w)), scratch(stage.scratch(w));
  for (size_t k = 0; k < returned.size(); ++k) returned[k] = T(NAN);  // all of it is to be set
  for (size_t k = 0; k < left.size(); ++k) left[k] = T(NAN);
  stage.pack(0, 1);
  into_slice(in, A_prev, pass.count, w, entered.get());
  into_slice(out, dA, pass.count, w, back.get());
  stage.forward(pass, entered.get(), left.get(), kept.get(), scratch.get());
  Trial<T> trial;
  trial.A = out_of_slice(out, left.get(), pass.count, w);
  std::vector<T*> to;
  for (const auto& each : stage.spec().parameters) trial.gradients.emplace_back(each.size, T(NAN));
  for (auto& each : trial.gradients) to.push_back(each.data());
  stage.backward(pass, entered.get(), left.get(), back.get(), returned.get(), kept.get(),
                 scratch.get(), to.data(), false);
  trial.dA_prev = out_of_slice(in, returned.get(), pass.count, w);
  return trial;
}

// The largest difference of two arrays.
template <class T>
double apart(const std::vector<T>& a, const std::vector<T>& b) {
  double most = a.size() == b.size() ? 0 : INFINITY;
  for (size_t k = 0; k < a.size() && k < b.size(); ++k) {
    const double d = std::abs(double(a[k]) - double(b[k]));
    if (!(d <= most)) most = std::isnan(d) ? INFINITY : d;
  }
  return most;
}

}  // namespace pellucid::PELLUCID_LEVEL::stages
