// Session's updates: dW tile by tile, penalties, clipping, the optimizer's step.
#pragma once

#include <algorithm>
#include <cmath>

#include "session.hpp"

namespace pellucid::PELLUCID_LEVEL {

namespace {

constexpr int PANELS_TOGETHER = 8;  // panels of dZ that stay in the L2 cache while all of A passes
constexpr int LONG = 1024;  // bytes of an example that is fetched while others are worked on

}  // namespace

// Call f(s, i, j) for thread t's blocks of W: its panels of each stage that is shared by panels (an
// even part of the work where whole panels are not), and an even part of all the rest together.
template <class T>
template <class F>
void Session<T>::for_blocks(int t, F f) {
  const Shares& shares = division_.shares;
  std::int64_t rest = 0;
  for (const auto& stage : stages_)
    if (!stage.by_panels) rest += stage.work();
  std::int64_t base = 0;
  for (int s = 0; s < int(stages_.size()); ++s) {
    const Stage<T>& stage = stages_[s];
    const std::int64_t all = stage.by_panels ? stage.work() : rest;
    const std::int64_t from = shares.cut(all, t) - (stage.by_panels ? 0 : base);
    const std::int64_t to = shares.cut(all, t + 1) - (stage.by_panels ? 0 : base);
    if (!stage.by_panels) base += stage.work();
    const int rows = stage.spec.dense ? stage.in_panels : 1;
    const int together = stage.by_panels ? PANELS_TOGETHER : 1;
    if (!division_.whole(s, GRADIENT).empty()) {
      for_panels(s, GRADIENT, t, [&](int begin, int end) {
        for (int g = begin; g < end; g += together)
          for (int i = 0; i < rows; ++i)
            for (int j = g; j < std::min(g + together, end); ++j) f(s, i, j);
      });
      continue;
    }
    for (int g = 0; g < stage.out_panels; g += together) {
      const int end = std::min(g + together, stage.out_panels);
      if (stage.work_before(rows, end - 1) <= from || stage.work_before(0, g) >= to) continue;
      for (int i = 0; i < rows; ++i)
        for (int j = g; j < end; ++j) {
          const std::int64_t middle = (stage.work_before(i, j) + stage.work_before(i + 1, j)) / 2;
          if (from <= middle && middle < to) f(s, i, j);
        }
    }
  }
}

// Block (i, j) of dW over some rows.
template <class T>
void Session<T>::gradient_block(int s, int i, int j, const Batch& batch, Share rows, bool go_on,
                                T* G) {
  const Stage<T>& stage = stages_[s];
  const size_t first = size_t(rows.begin) * P;
  const int count = rows.end - rows.begin;
  const T* D = stage.D + (j * stride() + first);
  if (s == 0 && batch.sparse) {
    const Turned<T>& x = turned_of(batch, i);
    D = stage.D + j * stride();
    if (stage.narrow) return sparse_tn_narrow(x, i, D, stage.spec.n_out, go_on, G);
    return sparse_tn(x, i, D, stage.rows(i), stage.columns(j), go_on, G);
  }
  const T* A = input_of(s, batch) + ((stage.spec.dense ? i : j) * stride() + first);
  if (stage.spec.dense) {
    if (!stage.narrow) {
      block_tn(A, D, count, stage.rows(i), stage.columns(j), go_on, G);
      return;
    }
    const int columns = stage.rows(i);
    block_tn(D, A, count, stage.spec.n_out, columns, go_on, G);
    for (int r = 0; columns < P && r < stage.spec.n_out; ++r)  // g(0) need not be 0
      std::memset(static_cast<void*>(G + r * P + columns), 0, (P - columns) * sizeof(T));
    return;
  }
  for (int v = 0; v < 2; ++v) {
    Vec<T> c = go_on ? load(G + v * L) : Vec<T>{};
    for (int r = 0; r < count; ++r)
      c = fma(load(D + size_t(r) * P + v * L), load(A + size_t(r) * P + v * L), c);
    store(G + v * L, c);
  }
}

// Panel j of db over some rows.
template <class T>
void Session<T>::gradient_sums(const Stage<T>& stage, int j, Share rows, bool go_on, T* sums) {
  column_sums(stage.D + (j * stride() + size_t(rows.begin) * P), rows.end - rows.begin,
              stage.columns(j), go_on, sums);
}

// dW and db of part k of a mini-batch.
template <class T>
void Session<T>::sum_part(const Batch& batch, int k, Share rows) {
  for (int s = 0; s < int(stages_.size()); ++s) {
    Stage<T>& stage = stages_[s];
    T* const G = stage.parts + k * stage.part();
    if (rows.begin == rows.end) std::memset(static_cast<void*>(G), 0, stage.part() * sizeof(T));
    for (int j = 0; j < stage.out_panels; ++j) {
      for (int i = 0; i < (stage.spec.dense ? stage.in_panels : 1); ++i)
        gradient_block(s, i, j, batch, rows, false, G + stage.block(i, j));
      if (stage.spec.dense)
        gradient_sums(stage, j, rows, false, G + stage.weights() + size_t(j) * P);
    }
  }
}

// n numbers of dW or db over all parts, in their order.
template <class T>
void Session<T>::add_parts(const Stage<T>& stage, size_t at, int n, T* G) const {
  for (int v = 0; v < n; v += L) {
    Vec<T> sum = load(stage.parts + at + v);
    for (int k = 1; k < parts_; ++k) sum = sum + load(stage.parts + k * stage.part() + at + v);
    store(G + v, sum);
  }
}

template <class T>
Update<T> Session<T>::update_for(const Stage<T>& stage, double factor, const Step& step,
                                 bool penalised) const {
  return update_of(spec_, step, factor, penalised ? stage.spec.decay : 0);
}

// Sums of squares and absolutes of a block of W, for the penalties' part of the next J.
template <class T>
void Session<T>::note_penalty(Stage<T>& stage, int i, int j, int side) {
  if (spec_.l1 == 0 && spec_.l2 == 0) return;
  const T* W = stage.Wf + stage.block(i, j);
  Vec<T> square{}, absolute{};
  for (int k = 0; k < stage.block_rows(i) * P; k += L) {
    const Vec<T> w = load(W + k);
    square = fma(w, w, square);
    absolute = absolute + abs<T>(w);
  }
  double sums[2] = {0, 0};
  for (int k = 0; k < L; ++k) {
    sums[0] += double(square[k]);
    sums[1] += double(absolute[k]);
  }
  const size_t at = stage.spec.dense ? size_t(j) * stage.in_panels + i : size_t(j);
  stage.squares[side][at] = sums[0];
  stage.absolutes[side][at] = sums[1];
}

template <class T>
double Session<T>::penalty(double weight, int side) const {
  if (spec_.l1 == 0 && spec_.l2 == 0) return 0;
  double total = 0;
  for (const auto& stage : stages_) {
    double squares = 0, absolutes = 0;
    for (size_t k = 0; k < stage.blocks(); ++k) {
      squares += stage.squares[side][k];
      absolutes += stage.absolutes[side][k];
    }
    total += stage.spec.decay * (spec_.l2 / 2 * squares + spec_.l1 * absolutes);
  }
  return spec_.penalty_per_weight ? total / weight : total;
}

// A skipped step: the next one's W is this one's.
template <class T>
void Session<T>::keep_penalty(int side) {
  for (auto& stage : stages_) {
    const size_t bytes = stage.blocks() * sizeof(double);
    std::memcpy(stage.squares[side ^ 1].get(), stage.squares[side].get(), bytes);
    std::memcpy(stage.absolutes[side ^ 1].get(), stage.absolutes[side].get(), bytes);
  }
}

template <class T>
void Session<T>::update_block(Stage<T>& stage, int i, int j, const T* G, const Update<T>& u,
                              int side) {
  const size_t at = stage.block(i, j);
  update(u, G, stage.Wf + at, stage.memory_W[0].at(at), stage.memory_W[1].at(at),
         stage.block_rows(i), stage.block_columns(i, j) > L ? 2 : 1);
  if (stage.Wb.size()) stage.transpose_block(i, j);
  note_penalty(stage, i, j, side);
}

template <class T>
void Session<T>::update_bias(Stage<T>& stage, int j, const T* sums, const Update<T>& u) {
  const size_t at = size_t(j) * P;
  update(u, sums, stage.b + at, stage.memory_b[0].at(at), stage.memory_b[1].at(at), 1,
         stage.columns(j) > L ? 2 : 1);
}

// Brings the examples that follow a mini-batch in the order from memory, piece by piece, while
// there is arithmetic to do. Always inlined: GCC takes a function that only prefetches for one that
// does nothing.
template <class T>
struct Session<T>::Fetch {
  Fetch() = default;
  Fetch(const Batch& batch, int n_in, size_t pieces) {
    const Rows& X = *batch.X;
    const std::int64_t start = batch.start + batch.count;
    if (X.sparse || batch.kept || X.feature_stride != 1 || !batch.order || start >= batch.m) return;
    const int size = X.number_size();
    values = static_cast<const char*>(X.values);
    stride = X.example_stride * size;
    bytes = n_in * size;
    if (bytes < LONG) return;
    next = batch.order + start;
    end = next + std::min<std::int64_t>(batch.m - start, batch.count);
    lines = int((size_t(bytes + 63) / 64 * size_t(end - next) + pieces - 1) / pieces);
    at = bytes;
  }

  PELLUCID_INLINE void piece() {
    for (int k = 0; k < lines; ++k, at += 64) {
      if (at >= bytes) {
        if (next == end) return;
        row = values + *next++ * stride;
        at = 0;
      }
      __builtin_prefetch(row + at, 0, 0);  // not into the second cache: W needs it
    }
  }

  const char *values = nullptr, *row = nullptr;
  std::ptrdiff_t stride = 0;
  const std::int64_t *next = nullptr, *end = nullptr;  // examples
  int bytes = 0, at = 0, lines = 0;                    // of an example; fetched of it; of a piece
};

// dW tile by tile and the optimizer's step on it: dW never reaches memory. (Where it is summed in
// parts, it is there already.)
template <class T>
void Session<T>::update_all(int t, const Batch& batch, const Step& step) {
  T* G = scratch_[t].get();
  const Share rows{0, batch.count};
  int current = -1;
  Update<T> on_W{}, on_b{};
  Fetch fetch;
  if (team_.active() == 1) fetch = Fetch(batch, stages_[0].spec.n_in, stages_[0].blocks());
  for_blocks(t, [&](int s, int i, int j) {
    Stage<T>& stage = stages_[s];
    if (s != current) {
      on_W = update_for(stage, stage.spec.rate_W, step, true);
      on_b = update_for(stage, stage.spec.rate_b, step, false);
      current = s;
    }
    if (parts_ > 1)
      add_parts(stage, stage.block(i, j), stage.block_rows(i) * P, G);
    else
      gradient_block(s, i, j, batch, rows, false, G);
    if (s == 0) fetch.piece();
    mark(t, Phase::GRADIENT);
    update_block(stage, i, j, G, on_W, (step.number + 1) & 1);
    mark(t, Phase::UPDATE);
    if (i > 0 || !stage.spec.dense) return;
    if (parts_ > 1)
      add_parts(stage, stage.weights() + size_t(j) * P, P, G);
    else
      gradient_sums(stage, j, rows, false, G);
    update_bias(stage, j, G, on_b);
  });
}

template <class T>
void Session<T>::sum_gradients(int t, const Batch& batch, bool go_on) {
  const Share rows{0, batch.count};
  for_blocks(t, [&](int s, int i, int j) {
    Stage<T>& stage = stages_[s];
    gradient_block(s, i, j, batch, rows, go_on, stage.gradient_W + stage.block(i, j));
    if (i == 0 && stage.spec.dense)
      gradient_sums(stage, j, rows, go_on, stage.gradient_b + size_t(j) * P);
  });
}

// The norm of all gradients together, penalties included, in a fixed order.
template <class T>
double Session<T>::gradient_norm(const Step& step) {
  double total = 0;
  for (auto& stage : stages_) {
    Update<T> u = update_for(stage, 1, step, true);
    u.bound = T(-1);
    const size_t n = stage.weights();
    for (size_t k = 0; k < n; k += L) {
      const Vec<T> g = shaped_gradient(u, load(stage.gradient_W + k), load(stage.Wf + k));
      for (int q = 0; q < L; ++q) total += double(g[q]) * double(g[q]);
    }
    if (!stage.spec.dense) continue;
    for (int k = 0; k < stage.spec.n_out; ++k)
      total += double(stage.gradient_b[k]) * double(stage.gradient_b[k]);
  }
  return std::sqrt(total);
}

template <class T>
void Session<T>::update_from_gradients(int t, const Step& step) {
  T scale = 1;
  if (spec_.clip_norm >= 0) {
    const double norm = gradient_norm(step);
    if (norm > spec_.clip_norm) scale = T(spec_.clip_norm / norm);
    wait_for_all(t);  // all have read W before anybody changes it
  }
  for_blocks(t, [&](int s, int i, int j) {
    Stage<T>& stage = stages_[s];
    Update<T> u = update_for(stage, stage.spec.rate_W, step, true);
    u.scale = scale;
    update_block(stage, i, j, stage.gradient_W + stage.block(i, j), u, (step.number + 1) & 1);
    if (i == 0 && stage.spec.dense) {
      u = update_for(stage, stage.spec.rate_b, step, false);
      u.scale = scale;
      update_bias(stage, j, stage.gradient_b + size_t(j) * P, u);
    }
  });
}

}  // namespace pellucid::PELLUCID_LEVEL
