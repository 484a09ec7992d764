// A stage: one layer's parameters and work space, in panels.
#pragma once

#include <algorithm>

#include "buffer.hpp"
#include "kernels.hpp"
#include "optimizers.hpp"

namespace pellucid::PELLUCID_LEVEL {

struct StageSpec {
  bool dense = true;  // else Scale: A = s * A_prev
  int n_in = 0, n_out = 0;
  int number = 0;  // the lectures' l, for the draws of dropout
  int activation = 0;
  double parameter = 0;  // of the activation
  bool needs_Z = false;  // g' cannot be had from A
  double dropout = 0;
  double rate_W = 1, rate_b = 1;  // factors of the learning rate (rate_W: of s)
  double decay = 1;               // factor of the penalties and of AdamW's decay
};

// A parameter array in the lectures' layout, and what the optimizer remembers of it: memory that
// belongs to the caller. W is Fortran-ordered (n_out, n_in): n_out numbers for each input.
template <class T>
struct Lecture {
  T* values = nullptr;
  T* slots[2] = {nullptr, nullptr};
};

template <class T>
struct Stage {
  static constexpr int P = PANEL<T>;

  StageSpec spec;
  Lecture<T> lecture_W, lecture_b;  // lecture_W is s of a Scale
  int in_panels, out_panels, depth_in, depth_out;
  bool narrow = false;          // an output layer of few units: Wf in Wb's layout, and no Wb
  bool wants_dA = false;        // something below learns: dA_prev is needed
  bool by_panels = false;       // forward and update shared among threads by panels of W
  bool back_by_panels = false;  // backward likewise, by panels of Wb
  bool taken_over = false;      // panels: by threads that are done with theirs
  bool in_place = false;        // W is read in the lectures' layout: there is no Wf
  Buffer<T> Wf, Wb, b, memory_W[2], memory_b[2], gradient_W, gradient_b;
  Buffer<T> parts;             // dW, then db, of each part of a mini-batch
  Buffer<T> A, Z, G, mask, D;  // output; Z where needed; g(Z) before dropout, its mask; dZ (or dA)
  Buffer<double> squares[2], absolutes[2];  // of W, a block each: this step's and the next one's

  Stage(const StageSpec& s, const Lecture<T>& W, const Lecture<T>& bias)
      : spec(s),
        lecture_W(W),
        lecture_b(bias),
        in_panels(panels(s.n_in, P)),
        out_panels(panels(s.n_out, P)),
        depth_in(in_panels * P),
        depth_out(out_panels * P) {}

  size_t weights() const {
    return narrow       ? size_t(in_panels) * depth_out * P
           : spec.dense ? size_t(out_panels) * depth_in * P
                        : depth_out;
  }
  size_t part() const { return weights() + depth_out; }
  size_t blocks() const { return spec.dense ? size_t(in_panels) * out_panels : out_panels; }

  void allocate_parameters(int n_slots, bool keep_gradients) {
    if (!in_place) Wf = Buffer<T>(weights());
    if (spec.dense && wants_dA && !narrow) Wb = Buffer<T>(size_t(in_panels) * depth_out * P);
    b = Buffer<T>(depth_out);
    for (int k = 0; k < n_slots; ++k) {
      memory_W[k] = Buffer<T>(weights());
      memory_b[k] = Buffer<T>(depth_out);
    }
    if (keep_gradients) {
      gradient_W = Buffer<T>(weights());
      gradient_b = Buffer<T>(depth_out);
    }
    for (int k = 0; k < 2; ++k) {
      squares[k] = Buffer<double>(blocks());
      absolutes[k] = Buffer<double>(blocks());
    }
  }

  void allocate_examples(int capacity, bool training) {
    const size_t n = size_t(out_panels) * capacity * P;
    A = Buffer<T>(n);
    if (spec.needs_Z) Z = Buffer<T>(n);
    if (!training) return;
    D = Buffer<T>(n);
    if (spec.dropout > 0) {
      G = Buffer<T>(n);
      mask = Buffer<T>(n);
    }
  }

  // A parameter and what the optimizer remembers of it, in both layouts: number 0 is the parameter.
  Buffer<T>& panels_of_W(int number) { return number ? memory_W[number - 1] : Wf; }
  Buffer<T>& panels_of_b(int number) { return number ? memory_b[number - 1] : b; }
  static T* lecture(const Lecture<T>& from, int number) {
    return number ? from.slots[number - 1] : from.values;
  }

  // Lecture layout -> panels, for the panels of inputs i0 ... i1 - 1. The biases go with the first.
  void read(int number, int i0, int i1) {
    Buffer<T>& to = panels_of_W(number);
    const T* from = lecture(lecture_W, number);
    if (!in_place) pack(from, to, i0, i1);
    if (spec.dense && i0 == 0)
      copy(panels_of_b(number).get(), lecture(lecture_b, number), spec.n_out);
    if (number == 0 && Wb.size())
      for (int i = i0; i < i1; ++i)
        for (int j = 0; j < out_panels; ++j) transpose_block(i, j);
  }

  // Panels -> lecture layout.
  void write(int number, int i0, int i1) {
    unpack(panels_of_W(number), lecture(lecture_W, number), i0, i1);
    if (spec.dense && i0 == 0)
      copy(lecture(lecture_b, number), panels_of_b(number).get(), spec.n_out);
  }
  void unpack(const Buffer<T>& from, T* to, int i0, int i1) const {
    for_runs(i0, i1, [&](size_t at, size_t place, int n) { copy(to + place, from + at, n); });
  }
  void pack(const T* from, Buffer<T>& to, int i0, int i1) const {
    for_runs(i0, i1, [&](size_t at, size_t place, int n) { copy(to + at, from + place, n); });
  }

  // Whether the parameters are alike in both.
  bool same(int i0, int i1) const {
    bool differ = spec.dense && i0 == 0 && differs(b.get(), lecture_b.values, spec.n_out);
    for_runs(i0, i1, [&](size_t at, size_t place, int n) {
      differ = differ || differs(Wf + at, lecture_W.values + place, n);
    });
    return !differ;
  }

  // Whether thread t's share of the parameters are finite numbers, and what surrounds W in panels.
  bool finite(int t, int threads) const {
    constexpr int L = LANES<T>;
    Vec<T> sum{};  // NaN where one is not
    const auto add = [&](const Buffer<T>& from) {
      const size_t vectors = from.size() / L;
      for (size_t k = vectors * t / threads; k < vectors * (t + 1) / threads; ++k)
        sum = sum + load(from + k * L) * T(0);
    };
    add(Wf);
    add(b);
    bool all = true;
    for (int k = 0; k < L; ++k) all &= sum[k] == 0;
    return all;
  }

  // Block (i, j) of W: where it begins, its rows and the columns in use. (Of a Scale (0, j).)
  size_t block(int i, int j) const {
    if (!spec.dense) return size_t(j) * P;
    return (narrow ? size_t(i) * depth_out : size_t(j) * depth_in + size_t(i) * P) * P;
  }
  int block_rows(int i) const { return !spec.dense ? 1 : narrow ? spec.n_out : rows(i); }
  int block_columns(int i, int j) const { return narrow ? rows(i) : columns(j); }

  // The work of an update on the blocks before (i, j), those of panel j last, in the order of
  // panels; i may be one too many. A half-empty panel is more than half the work of a full one, and
  // so are less than four rows more than they seem: the sums wait for each other.
  std::int64_t work_before(int i, int j) const {
    const int full = !spec.dense ? 1 : narrow ? std::max(4, spec.n_out) : P;
    const int last = !spec.dense || narrow ? full : std::max(4, rows(in_panels - 1));
    const int height = (spec.dense ? in_panels - 1 : 0) * full + last;
    return std::int64_t(4) * j * height + panel_work(j) * std::int64_t(std::min(i * full, height));
  }
  std::int64_t work() const { return work_before(in_panels, out_panels - 1); }
  int panel_work(int j) const { return narrow || columns(j) > P / 2 ? 4 : 3; }

  // W with a row for each output, as the backward product takes it.
  const T* W_back() const { return narrow ? Wf.get() : Wb.get(); }

  // What lies together in both layouts: f(at, place, n), n numbers of W from `at` in panels, from
  // `place` in the lectures' arrays.
  template <class F>
  void for_runs(int i0, int i1, F f) const {
    for (int i = i0; i < i1; ++i) {
      if (!spec.dense) {
        f(size_t(i) * P, size_t(i) * P, columns(i));
        continue;
      }
      const int k0 = i * P, k1 = k0 + rows(i);
      for (int k = k0; narrow && k < k1; ++k)
        for (int o = 0; o < spec.n_out; ++o) f(narrow_place(k, o), size_t(k) * spec.n_out + o, 1);
      for (int j = 0; !narrow && j < out_panels; ++j)
        for (int k = k0; k < k1; ++k)
          f((size_t(j) * depth_in + k) * P, size_t(k) * spec.n_out + j * P, columns(j));
    }
  }

  size_t narrow_place(int k, int o) const { return (size_t(k / P) * depth_out + o) * P + k % P; }
  int columns(int j) const { return spec.n_out - j * P < P ? spec.n_out - j * P : P; }
  int rows(int i) const { return spec.n_in - i * P < P ? spec.n_in - i * P : P; }

  // Refresh Wb's copy of block (i, j) of Wf: whole squares, as what lies beyond W's edges is 0.
  void transpose_block(int i, int j) {
    constexpr int L = LANES<T>;
    const T* from = Wf + (size_t(j) * depth_in + size_t(i) * P) * P;
    T* to = Wb + (size_t(i) * depth_out + size_t(j) * P) * P;
    const int height = rows(i), width = columns(j);
    for (int r = 0; r < height; r += L)
      for (int c = 0; c < width; c += L) {
        Vec<T> square[L];
        for (int k = 0; k < L; ++k) square[k] = load(from + (r + k) * P + c);
        transpose<T>(square);
        for (int k = 0; k < L; ++k) store(to + (c + k) * P + r, square[k]);
      }
  }

 private:
  // Of runs of a whole panel the compiler knows the length.
  static void copy(T* to, const T* from, int n) {
    std::memcpy(to, from, (n == P ? P : n) * sizeof(T));
  }
  static bool differs(const T* a, const T* b, int n) {
    return std::memcmp(a, b, (n == P ? P : n) * sizeof(T)) != 0;
  }
};

}  // namespace pellucid::PELLUCID_LEVEL
