// Session's passes: gather, forward, loss, backward.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "activations.hpp"
#include "philox.hpp"
#include "session.hpp"

namespace pellucid::PELLUCID_LEVEL {

namespace {

constexpr int TOGETHER = 32;         // examples whose losses are worked out in one call
constexpr size_t AHEAD = 4096;       // bytes of examples that are fetched from memory before
constexpr double MOST_KEPT = 128e6;  // bytes of X in panels that a session keeps,
constexpr double MOST_PADDED = 2;    // and times as many as the caller's X has

// How many examples of so many bytes make AHEAD bytes: `fewest` to 16.
inline int examples_ahead(size_t bytes, size_t fewest) {
  return int(std::clamp<size_t>(AHEAD / bytes, fewest, 16));
}

// n numbers, the features of an example, into a row of each panel; panels are `stride` apart.
template <class S, class T>
PELLUCID_INLINE void copy_dense(const S* from, std::ptrdiff_t step, int n, T* to, size_t stride) {
  constexpr int P = PANEL<T>, L = LANES<T>;
  if constexpr (std::is_same_v<S, T>) {
    if (step == 1) {
      for (; n > L; n -= P, from += P, to += stride) {
        store(to, load(from));
        store(to + L, load_up_to(from + L, n < P ? n - L : L));
      }
      if (n > 0) store(to, load_up_to(from, n));
      return;
    }
  }
  for (; n > 0; n -= P, from += P * step, to += stride)
    for (int k = 0; k < n && k < P; ++k) to[k] = T(from[k * step]);
}

// The same of n features whose examples lie together, for some examples at once: squares are
// turned. Features are `step` apart.
template <class T>
void copy_turned(const T* from, std::ptrdiff_t step, int n, int examples, T* to, size_t stride) {
  constexpr int P = PANEL<T>, L = LANES<T>;
  for (int k = 0; k < n; k += L) {
    T* const column = to + size_t(k / P) * stride + k % P;
    const int features = std::min(L, n - k);
    for (int e = 0; e < examples; e += L) {
      const int count = std::min(L, examples - e);
      Vec<T> square[L] = {};
      for (int f = 0; f < features; ++f) square[f] = load_up_to(from + (k + f) * step + e, count);
      transpose<T>(square);
      for (int q = 0; q < count; ++q) store(column + size_t(e + q) * P, square[q]);
    }
  }
}

// n numbers of an example from a row of each panel, and back.
template <class T>
PELLUCID_INLINE void from_panels(const T* from, size_t stride, int n, T* to) {
  constexpr int P = PANEL<T>;
  for (; n >= P; n -= P, from += stride, to += P) std::memcpy(to, from, P * sizeof(T));
  std::memcpy(to, from, size_t(n) * sizeof(T));
}
template <class T>
PELLUCID_INLINE void to_panels(const T* from, int n, T* to, size_t stride) {
  constexpr int P = PANEL<T>;
  for (; n >= P; n -= P, from += P, to += stride) std::memcpy(to, from, P * sizeof(T));
  std::memcpy(to, from, size_t(n) * sizeof(T));
}

// ReLU is worked out on its way to A or to dZ; other activations are a pass of their own.
template <class T>
struct IntoReLU {
  PELLUCID_INLINE IntoReLU from(size_t) const { return *this; }
  PELLUCID_INLINE Vec<T> operator()(Vec<T> z, size_t) const { return ReLU::g<T>(z, T(0)); }
};
template <class T>
struct ThroughReLU {
  const T* A;
  PELLUCID_INLINE ThroughReLU from(size_t k) const { return {A + k}; }
  PELLUCID_INLINE Vec<T> operator()(Vec<T> dA, size_t at) const {
    const Vec<T> a = load(A + at);
    return dA * ReLU::slope<T>(a, a, T(0));
  }
};

}  // namespace

// Whether the entries of X are visited, or else gathered among zeros.
template <class T>
bool Session<T>::by_entries(const Rows& X) const {
  const Stage<T>& first = stages_[0];
  return X.sparse && first.spec.dense &&
         (first.in_place || worth_sparse(X.starts[X.examples], X.examples, first.spec.n_in));
}

// Before a call: room for X, where it is gathered. Steps on the same examples as those before find
// X in panels, if it is not too large and whole passes begin where they did.
template <class T>
void Session<T>::prepare(const Rows& X, const std::int64_t* order, std::int64_t m, bool learning) {
  keeping_ = false;
  if (by_entries(X)) return;
  for (int k = 0; k <= int(spec_.training); ++k)
    if (!input_[k].size()) input_[k] = Buffer<T>(kept_size());
  const double bytes = double(sizeof(T)) * double(m) * stages_[0].in_panels * P;
  const bool whole = m <= spec_.batch_size || spec_.batch_size % most_ == 0;
  if (X.sparse || parts_ > 1 || !spec_.training || !whole || bytes > MOST_KEPT ||
      bytes > MOST_PADDED * X.number_size() * double(m) * stages_[0].spec.n_in)
    return;
  const bool again = seen_.are(X, order, m);
  if (learning && !again) {
    kept_ = {};
    seen_.note(X, order, m);
  } else if (learning && !kept_.size()) {
    pack(X, order, m);
  }
  keeping_ = again && kept_.size();
}

template <class T>
void Session<T>::pack(const Rows& X, const std::int64_t* order, std::int64_t m) {
  const int passes = int((m + most_ - 1) / most_), threads = tuner_.choose();
  kept_ = Buffer<T>(passes * kept_size());
  auto job = [&](int t) {
    const Share own = even_share(passes, t, threads);
    for (int k = own.begin; k < own.end; ++k) {
      Batch batch{&X, nullptr, order, nullptr, m};
      batch.start = std::int64_t(k) * most_;
      batch.kept = kept_ + k * kept_size();
      gather(batch, 0, int(std::min<std::int64_t>(m - batch.start, most_)));
    }
  };
  team_.run(threads, job);
}

// Where X of a pass is kept; null where it is not.
template <class T>
T* Session<T>::kept(const Batch& batch) const {
  const std::int64_t at = batch.start + batch.first;
  if (!keeping_ || at % most_ || batch.count < std::min<std::int64_t>(most_, batch.m - at))
    return nullptr;
  return const_cast<T*>(kept_.get()) + size_t(at / most_) * kept_size();
}

template <class T>
void Session<T>::forget() {
  seen_.forget();
  kept_ = {};
}

template <class T>
void Session<T>::gather(const Batch& batch, int r0, int r1) {
  const Rows& X = *batch.X;
  if (X.sparse) return gather_sparse(batch, r0, r1);
  X.with_numbers([&](const auto* values) { gather_dense(batch, r0, r1, values); });
}

template <class T>
template <class S>
void Session<T>::gather_dense(const Batch& batch, int r0, int r1, const S* values) {
  const Batch own = batch;  // no store below can change the copy: it stays in registers
  const std::ptrdiff_t step = own.X->feature_stride, stride = own.X->example_stride;
  const int n = stages_[0].spec.n_in;
  T* to = own.kept ? own.kept : input_[own.side].get();
  if constexpr (std::is_same_v<S, T>) {
    if (n <= L && step == 1) {  // too short to be fetched before: many are on their way at once
      for (int r = r0; r < r1; ++r)
        store(to + size_t(r) * P, load_up_to(values + own.example(r) * stride, n));
      return;
    }
    if (stride == 1 && step != 1 && !own.order)
      return copy_turned(values + own.example(r0), step, n, r1 - r0, to + size_t(r0) * P,
                         this->stride());
  }
  const std::int64_t* labels = own.Y ? own.Y->labels : nullptr;
  const int ahead = examples_ahead(n * sizeof(S), 1);
  for (int r = r0; r < r1; ++r) {
    if (own.order && step == 1 && own.start + own.first + r + ahead < own.m) {
      const std::int64_t e = own.example(r + ahead);
      const char* row = reinterpret_cast<const char*>(values + e * stride);
      for (size_t at = 0; at < n * sizeof(S) && at < AHEAD; at += 64) __builtin_prefetch(row + at);
      if (labels) __builtin_prefetch(labels + e);
    }
    copy_dense(values + own.example(r) * stride, step, n, to + size_t(r) * P, this->stride());
  }
}

template <class T>
void Session<T>::gather_sparse(const Batch& batch, int r0, int r1) {
  T* to = input_[batch.side].get();
  batch.X->with_values([&](auto number) {
    for (int r = r0; r < r1; ++r) {
      for (int p = 0; p < stages_[0].in_panels; ++p)
        std::memset(static_cast<void*>(to + p * stride() + size_t(r) * P), 0, P * sizeof(T));
      const auto x = batch.X->template entries<decltype(number)>(batch.example(r));
      for (std::ptrdiff_t q = 0; q < x.n; ++q)
        to[size_t(x.inputs[q] / P) * stride() + size_t(r) * P + x.inputs[q] % P] += T(x.values[q]);
    }
  });
}

// The entries of some rows and panels of inputs, for dW.
template <class T>
void Session<T>::turn(const Batch& batch, int which, Share inputs, Share rows) {
  const Batch own = batch;
  own.X->with_values([&](auto number) {
    turned_[size_t(which)].turn(inputs.begin, inputs.end, rows.begin, rows.end, [&](int r) {
      return own.X->template entries<decltype(number)>(own.example(r));
    });
  });
}

// Those that hold panel i of the inputs: of a part, or of the first thread that has it.
template <class T>
const Turned<T>& Session<T>::turned_of(const Batch& batch, int i) const {
  size_t which = size_t(batch.part);
  while (!turned_[which].has(i)) ++which;
  return turned_[which];
}

// Rows of the examples by threads, except where a layer's W is large: then a thread takes panels of
// W, for all examples, and what it has updated it also uses.
template <class T>
void Session<T>::forward(const Batch& batch, int t) {
  const Share rows = division_.shares.of(batch.count, t);
  const bool ready = batch.gathered || batch.sparse || batch.kept;
  if (!ready) gather(batch, rows.begin, rows.end);
  if (batch.sparse && batch.gradient)
    turn(batch, t, even_share(stages_[0].in_panels, t, team_.active()), {0, batch.count});
  mark(t, Phase::GATHER);
  go(t);
  bool scattered = false;  // the latest output lies in panels of several threads
  for (int s = 0; s < int(stages_.size()); ++s) {
    Stage<T>& stage = stages_[s];
    if (stage.by_panels) {
      if (s > 0 || !ready) wait_for_all(t);
      for_pieces(s, FORWARD, batch.count, t,
                 [&](int p0, int p1, int r0, int r1) { forward_stage(batch, s, p0, p1, r0, r1); });
      scattered = true;
    } else {
      if (scattered) wait_for_all(t);
      scattered = false;
      forward_stage(batch, s, 0, stage.out_panels, rows.begin, rows.end);
    }
    mark(t, Phase::FORWARD);
  }
  if (scattered) wait_for_all(t);
  output_rows(batch, t, rows.begin, rows.end);
  mark(t, Phase::LOSS);
  go(t);
}

// Part k of a mini-batch there and back through layers of small W. Only dW, db and the loss leave
// the core: A and dZ would be many more numbers.
template <class T>
void Session<T>::part(Batch batch, int k, int t) {
  const Share rows = rows_of_part(k, batch.count);
  batch.first = -GAP * k;
  batch.part = k;
  if (batch.sparse)
    turn(batch, k, {0, stages_[0].in_panels}, rows);
  else
    gather(batch, rows.begin, rows.end);
  mark(t, Phase::GATHER);
  for (int s = 0; s < int(stages_.size()); ++s)
    forward_stage(batch, s, 0, stages_[s].out_panels, rows.begin, rows.end);
  mark(t, Phase::FORWARD);
  output_rows(batch, t, rows.begin, rows.end);
  part_losses_[size_t(k) * APART] = sum_of_losses(rows);
  mark(t, Phase::LOSS);
  for (int s = int(stages_.size()) - 1; s > 0; --s)
    backward_stage(batch, s, 0, stages_[s].in_panels, rows.begin, rows.end);
  mark(t, Phase::BACKWARD);
  sum_part(batch, k, rows);
  mark(t, Phase::GRADIENT);
}

// Call f(p0, p1) for thread t's whole panels of a product, and, where a panel takes long enough to
// be worth the way, for those that others have not come to.
template <class T>
template <class F>
void Session<T>::for_panels(int s, Product product, int t, F f) {
  const Stage<T>& stage = stages_[s];
  const std::vector<int>& whole = division_.whole(s, product);
  const int threads = team_.active(), mine = whole[t + 1] - whole[t];
  if (threads == 1 || !stage.taken_over) return f(whole[t], whole[t + 1]);
  const auto taken = [&](int v) -> Taken& {
    return taken_[(size_t(v) * stages_.size() + s) * PRODUCTS + product];
  };
  const unsigned side = taken(t).phase++ & 1;
  taken(t).count[side ^ 1].store(0, std::memory_order_relaxed);
  int done = 0;
  for (int k = 0; k < threads; ++k) {
    const int v = (t + k) % threads, all = whole[v + 1] - whole[v];
    const int together = std::max(1, all / 8);
    std::atomic<int>& count = taken(v).count[side];
    if (k > 0 && count.load(std::memory_order_relaxed) >= all) continue;
    for (int p; (p = count.fetch_add(together, std::memory_order_relaxed)) < all;) {
      const int n = std::min(together, all - p);
      f(whole[v] + p, whole[v] + p + n);
      done += n;
    }
  }
  paces_[t].more += double(done - mine) * stage.weights() / whole.back();
}

// Call f(p0, p1, r0, r1) for thread t's part of a product of `count` rows: whole panels, or, where
// that is uneven, some rows of those that it shares with its neighbours.
template <class T>
template <class F>
void Session<T>::for_pieces(int s, Product product, int count, int t, F f) {
  if (!division_.whole(s, product).empty())
    return for_panels(s, product, t, [&](int p0, int p1) { f(p0, p1, 0, count); });
  const Stage<T>& stage = stages_[s];
  const int n = product == BACKWARD ? stage.spec.n_in : stage.spec.n_out;
  const int panels = product == BACKWARD ? stage.in_panels : stage.out_panels;
  const int last = n - (panels - 1) * P > L ? 4 : 3;
  const std::int64_t all = std::int64_t(count) * (4 * (panels - 1) + last);
  const std::int64_t from = division_.shares.cut(all, t), to = division_.shares.cut(all, t + 1);
  int waiting = 0;  // panels before p, to be done in one call
  for (int p = 0; p < panels; ++p) {
    const std::int64_t before = std::int64_t(4) * p * count;
    const int each = p == panels - 1 ? last : 4;  // the work of a row
    const auto row = [&](std::int64_t at) {
      return int(std::clamp<std::int64_t>((at - before + each - 1) / each, 0, count));
    };
    const int r0 = row(from), r1 = row(to);
    if (r0 == 0 && r1 == count) {
      ++waiting;
      continue;
    }
    if (waiting) f(p - waiting, p, 0, count);
    waiting = 0;
    if (r0 < r1) f(p, p + 1, r0, r1);
  }
  if (waiting) f(panels - waiting, panels, 0, count);
}

template <class T>
void Session<T>::forward_stage(const Batch& batch, int s, int p0, int p1, int r0, int r1) {
  Stage<T>& stage = stages_[s];
  const T* in = input_of(s, batch);
  if (!stage.spec.dense) {
    for (int p = p0; p < p1; ++p) {
      const Vec<T> s0 = load(stage.Wf + p * P), s1 = load(stage.Wf + p * P + L);
      for (int r = r0; r < r1; ++r) {
        const size_t at = p * stride() + size_t(r) * P;
        store(stage.A + at, s0 * load(in + at));
        store(stage.A + at + L, s1 * load(in + at + L));
      }
    }
    return;
  }
  const bool sparse = s == 0 && batch.sparse;
  if (stage.narrow) {
    if (sparse) return dots_sparse(batch, r0, r1);
    product_dots(in, stride(), stage.Wf.get(), stage.depth_out, stage.spec.n_in, stage.spec.n_out,
                 stage.b.get(), stage.Z.get(), capacity_, r0, r1);
    return;
  }
  T* out = stage.spec.needs_Z ? stage.Z.get() : stage.A.get();
  const auto product = [&](auto finish) {
    if (sparse) return forward_sparse(batch, p0, p1, r0, r1, out, finish);
    product_nn(in, stride(), stage.Wf.get(), stage.depth_in, stage.spec.n_in, stage.spec.n_out,
               stage.b.get(), out, p0, p1, r0, r1, finish);
  };
  const bool drop = batch.drop && stage.spec.dropout > 0;
  if (stage.spec.activation == ID_ReLU && !stage.spec.needs_Z && !drop)
    return product(IntoReLU<T>{});
  product(AsIs<T>{});
  if (s == int(stages_.size()) - 1) return;  // output_rows goes on from Z
  for (int p = p0; p < p1; ++p) activate(batch, stage, p, r0, r1);
}

// Z of a first layer from the entries of X, example by example.
template <class T>
template <class Finish>
void Session<T>::forward_sparse(const Batch& batch, int p0, int p1, int r0, int r1, T* out,
                                Finish finish) {
  const Stage<T>& stage = stages_[0];
  const bool in_place = stage.in_place;
  const T* W = in_place ? stage.lecture_W.values : stage.Wf.get();
  const Places at = in_place ? Places{size_t(stage.spec.n_out), size_t(P)}
                             : Places{size_t(P), size_t(stage.depth_in) * P};
  const int end = std::min(stage.spec.n_out, p1 * P);
  batch.X->with_values([&](auto number) {
    for (int r = r0; r < r1; ++r)
      sparse_nn(batch.X->template entries<decltype(number)>(batch.example(r)), W, at, !in_place,
                stage.b.get(), out + size_t(r) * P, stride(), p0 * P, end,
                finish.from(size_t(r) * P));
  });
}

// The same of a first layer that is also the last, of few units.
template <class T>
void Session<T>::dots_sparse(const Batch& batch, int r0, int r1) {
  Stage<T>& stage = stages_[0];
  const int n = stage.spec.n_out;
  const T* W = stage.in_place ? stage.lecture_W.values : stage.Wf.get();
  batch.X->with_values([&](auto number) {
    for (int r = r0; r < r1; ++r) {
      const auto x = batch.X->template entries<decltype(number)>(batch.example(r));
      for (int o = 0; o < n; ++o)
        stage.Z[size_t(o) * capacity_ + r] =
            stage.in_place
                ? sparse_dot(x, W, stage.b[o], [&](int k) { return size_t(k) * n + o; })
                : sparse_dot(x, W, stage.b[o], [&](int k) { return stage.narrow_place(k, o); });
    }
  });
}

// A = g(Z) on rows of one panel.
template <class T>
void Session<T>::activate(const Batch& batch, Stage<T>& stage, int p, int r0, int r1) {
  const bool drop = batch.drop && stage.spec.dropout > 0;
  const size_t at = p * stride() + size_t(r0) * P;
  const int n = (r1 - r0) * P, next = stage.columns(p) > L ? L : P;
  const T* from = (stage.spec.needs_Z ? stage.Z : stage.A) + at;
  T* to = (drop ? stage.G : stage.A) + at;
  const T parameter = T(stage.spec.parameter);
  with_activation(stage.spec.activation, [&](auto g) {
    using G = decltype(g);
    for (int k = 0; k < n; k += next) store(to + k, G::template g<T>(load(from + k), parameter));
  });
  if (drop) drop_units(batch, stage, p, r0, r1);
}

// A = g(Z) * mask, the mask drawn by position in the mini-batch and unit.
template <class T>
void Session<T>::drop_units(const Batch& batch, Stage<T>& stage, int p, int r0, int r1) {
  const int units = stage.columns(p);
  const auto threshold = std::uint64_t(std::nearbyint(stage.spec.dropout * 4294967296.0));
  const T scale = T(1) / (T(1) - T(stage.spec.dropout));
  std::uint32_t draws[P];
  for (int r = r0; r < r1; ++r) {
    const size_t element = size_t(batch.first + r) * stage.spec.n_out + size_t(p) * P;
    philox_words(draws, element, size_t(units), std::uint32_t(stage.spec.number),
                 std::uint32_t(batch.step), DROPOUT_STREAM, spec_.seed);
    const size_t at = p * stride() + size_t(r) * P;
    for (int k = 0; k < units; ++k) {
      stage.mask[at + k] = draws[k] >= threshold ? scale : T(0);
      stage.A[at + k] = stage.G[at + k] * stage.mask[at + k];
    }
  }
}

// The loss of each example and dZ[L], from Z[L], some examples a call; where their outputs lie in
// several panels they are gathered first.
template <class T>
void Session<T>::output_rows(const Batch& batch, int t, int r0, int r1) {
  Stage<T>& last = stages_.back();
  const int n = last.spec.n_out;
  const bool gathered = n > P;
  const int together = gathered && n > FEW ? 1 : TOGETHER;
  T* const own = scratch_[t].get();
  const T* y[TOGETHER];
  Label<T> labels[TOGETHER];
  T weights[TOGETHER];
  std::fill_n(labels, TOGETHER, Label<T>(-1));
  std::fill_n(weights, TOGETHER, T(1 / batch.total_weight));
  const T* values = batch.Y ? batch.Y->values : nullptr;
  const std::int64_t* numbers = batch.Y ? batch.Y->labels : nullptr;
  for (int r = r0; r < r1; r += together) {
    const size_t at = size_t(r) * P;
    const int count = std::min(together, r1 - r);
    T* const z = gathered ? own : last.narrow ? last.Z + r : last.Z + at;
    T* const a = gathered ? own + together * n : last.A + at;
    const bool keep_a = !batch.gradient || n > FEW;  // training has no use for it
    T* const dz = gathered ? own + 2 * together * n : last.D.at(at);
    const auto row = [&](int q) { return at + size_t(q) * P; };
    for (int q = 0; gathered && q < count; ++q)
      from_panels(last.Z + row(q), stride(), n, z + q * n);
    for (int q = 0; values && q < count; ++q) y[q] = values + batch.example(r + q) * n;
    for (int q = 0; numbers && q < count; ++q) labels[q] = Label<T>(numbers[batch.example(r + q)]);
    for (int q = 0; batch.weights && q < count; ++q)
      weights[q] = T(batch.weights[batch.example(r + q)] / batch.total_weight);
    loss_rows(
        batch.gradient ? spec_.loss : plain_loss_, n,
        LossRows<T>{count, size_t(gathered ? n : P), z, keep_a ? a : nullptr, values ? y : nullptr,
                    labels, weights, batch.Y ? losses_ + size_t(r) : nullptr,
                    batch.gradient ? dz : nullptr, size_t(last.narrow ? capacity_ : 0)});
    for (int q = 0; batch.Y && batch.weights && q < count; ++q)
      losses_[r + q] *= batch.weights[batch.example(r + q)];
    for (int q = 0; gathered && q < count; ++q) {
      if (keep_a) to_panels(a + q * n, n, last.A + row(q), stride());
      if (batch.gradient) to_panels(dz + q * n, n, last.D + row(q), stride());
    }
  }
}

// --------------------------------------------------------------------------------- backward

template <class T>
void Session<T>::backward(const Batch& batch, int t) {
  const Share rows = division_.shares.of(batch.count, t);
  bool scattered = false;
  for (int s = int(stages_.size()) - 1; s > 0; --s) {
    Stage<T>& stage = stages_[s];
    if (stage.back_by_panels) {
      wait_for_all(t);
      for_pieces(s, BACKWARD, batch.count, t,
                 [&](int p0, int p1, int r0, int r1) { backward_stage(batch, s, p0, p1, r0, r1); });
      scattered = true;
    } else {
      if (scattered) wait_for_all(t);
      scattered = false;
      backward_stage(batch, s, 0, stage.in_panels, rows.begin, rows.end);
    }
    mark(t, Phase::BACKWARD);
  }
}

// From dZ (or dA of a Scale) of stage s to that of the stage below.
template <class T>
void Session<T>::backward_stage(const Batch& batch, int s, int p0, int p1, int r0, int r1) {
  Stage<T>& stage = stages_[s];
  Stage<T>& below = stages_[s - 1];
  const bool dropped = batch.drop && below.spec.dropout > 0;
  if (stage.spec.dense) {
    const auto product = [&](auto finish) {
      product_nn(stage.D.get(), stride(), stage.W_back(), stage.depth_out, stage.spec.n_out,
                 stage.spec.n_in, static_cast<const T*>(nullptr), below.D.get(), p0, p1, r0, r1,
                 finish);
    };
    if (below.spec.dense && below.spec.activation == ID_ReLU && !dropped)
      return product(ThroughReLU<T>{below.A.get()});
    product(AsIs<T>{});
  } else {
    for (int p = p0; p < p1; ++p)
      for (int r = r0; r < r1; ++r)
        for (int v = 0; v < 2; ++v) {
          const size_t at = p * stride() + size_t(r) * P + v * L;
          store(below.D + at, load(stage.Wf + p * P + v * L) * load(stage.D + at));
        }
  }
  if (!below.spec.dense) return;
  const T parameter = T(below.spec.parameter);
  const Buffer<T>& values = dropped ? below.G : below.A;
  const Buffer<T>& Z = below.spec.needs_Z ? below.Z : values;
  const int n = (r1 - r0) * P;
  for (int p = p0; p < p1; ++p) {
    const size_t at = p * stride() + size_t(r0) * P;
    const int next = below.columns(p) > L ? L : P;
    with_activation(below.spec.activation, [&](auto g) {
      using G = decltype(g);
      for (int k = 0; k < n; k += next) {
        Vec<T> d = load(below.D + at + k);
        if (dropped) d = d * load(below.mask + at + k);
        const Vec<T> slope =
            G::template slope<T>(load(Z + at + k), load(values + at + k), parameter);
        store(below.D + at + k, d * slope);
      }
    });
  }
}

}  // namespace pellucid::PELLUCID_LEVEL
