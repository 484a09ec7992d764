// NetworkSession's passes: a slice through the stages and back, and all slices of a mini-batch.
#pragma once

#include <algorithm>

#include "network.hpp"

namespace pellucid::PELLUCID_LEVEL {

// ------------------------------------------------------------------------------ a slice

template <class T>
stages::Pass NetworkSession<T>::pass_of(const Batch& batch, int k) const {
  stages::Pass pass;
  pass.width = width_;
  pass.count = std::min(batch.count - k * width_, width_);
  pass.training = batch.training;
  pass.drop = batch.drop;
  pass.first = batch.position + std::int64_t(k) * width_;
  pass.step = batch.step;
  pass.seed = spec_.seed;
  return pass;
}

// X of slice k, and how many steps of its examples there are after each stage.
template <class T>
void NetworkSession<T>::enter(const Batch& batch, int k, Slot& slot) {
  std::int64_t examples[MOST_WIDE];
  const stages::Pass pass = pass_of(batch, k);
  for (int e = 0; e < pass.count; ++e) examples[e] = batch.example(k * width_ + e);
  Gather<T>(*batch.X, examples, pass.count, width_, X_shape_, slot.X.get()).run();
  const std::int64_t* lengths = batch.X->lengths;
  slot.steps[0] = lengths ? slot.lengths[0].data() : nullptr;
  for (int e = 0; lengths && e < width_; ++e)
    slot.lengths[0][size_t(e)] = e < pass.count ? std::int32_t(lengths[examples[e]]) : 0;
  hold_steps(X_shape_, slot.steps[0], slot.X.get());
  for (size_t s = 0; s < stages_.size(); ++s) {
    const Stage& stage = *stages_[s];
    const std::int32_t* before = slot.steps[size_t(stage.spec().inputs[0] + 1)];
    const bool steps = before && stage.out().sequence;
    slot.steps[s + 1] = steps ? slot.lengths[s + 1].data() : nullptr;
    for (int e = 0; steps && e < width_; ++e)
      slot.lengths[s + 1][size_t(e)] = std::max(0, std::int32_t(stage.length_after(before[e])));
  }
}

// Padded steps are 0, whatever stands there. Of word numbers each is a step.
template <class T>
void NetworkSession<T>::hold_steps(const Shape& shape, const std::int32_t* lengths, T* A) const {
  if (!lengths) return;
  const int steps = shape.sequence ? shape.columns : shape.n();
  const int numbers = shape.n() / steps;
  for (int e = 0; e < width_; ++e)
    for (int k = lengths[e] * numbers; k < shape.n(); ++k)
      A[size_t(shape.row_of(k)) * width_ + e] = 0;
}

template <class T>
void NetworkSession<T>::hold(const Slot& slot, int s, T* A) const {
  hold_steps(stages_[size_t(s)]->out(), slot.steps[size_t(s + 1)], A);
}

// Stages s0 ... s1 - 1 of slice k, forward.
template <class T>
void NetworkSession<T>::slice_there(const Batch& batch, int k, Slot& slot, int t, int s0, int s1) {
  Bench& bench = benches_[size_t(t)];
  if (s0 == 0) enter(batch, k, slot);
  stages::Pass pass = pass_of(batch, k);
  for (int s = s0; s < s1; ++s) {
    const Stage& stage = *stages_[size_t(s)];
    T* A = slot.A[size_t(s)].get();
    enter_stage(slot, stage, bench, pass);
    stage.join(pass, bench.entered.data(), A, slot.kept[size_t(s)].get(), bench.scratch.get());
    hold(slot, s, A);
  }
  if (s1 == int(stages_.size())) leave(batch, k, slot, bench);
}

template <class T>
void NetworkSession<T>::enter_stage(const Slot& slot, const Stage& stage, Bench& bench,
                                    stages::Pass& pass) const {
  const std::vector<int>& inputs = stage.spec().inputs;
  bench.entered.clear();
  for (int input : inputs) bench.entered.push_back(output_of(slot, input));
  pass.lengths = slot.steps[size_t(inputs[0] + 1)];
}

// Stages s1 - 1 ... s0 of slice k, backward; the gradients go into `part`.
template <class T>
void NetworkSession<T>::slice_back(const Batch& batch, int k, Slot& slot, int t, int s0, int s1,
                                   T* part, bool add) {
  Bench& bench = benches_[size_t(t)];
  stages::Pass pass = pass_of(batch, k);
  for (int s = s1 - 1; s >= s0; --s) {
    if (!wants_[size_t(s)]) continue;
    const Stage& stage = *stages_[size_t(s)];
    enter_stage(slot, stage, bench, pass);
    T* dA = derivative_of(slot, s);
    hold(slot, s, dA);
    bench.gradients.clear();
    for (size_t p = 0; p < stage.spec().parameters.size(); ++p)
      bench.gradients.push_back(part + parameters_[first_parameter_[size_t(s)] + p].at);
    bench.back.clear();
    T* spare = bench.spare.get();
    for (int input : stage.spec().inputs) {
      const bool wanted = input >= 0 && wants_[size_t(input)];
      const bool alone = wanted && readers_[size_t(input)] == 1;
      bench.back.push_back(!wanted ? nullptr : alone ? derivative_of(slot, input) : spare);
      if (!wanted || alone) continue;
      spare += numbers_of(input);
      if (last_reader_[size_t(input)] == s)  // the first to go back
        std::fill_n(derivative_of(slot, input), numbers_of(input), T(0));
    }
    stage.part(pass, bench.entered.data(), slot.A[size_t(s)].get(), dA, bench.back.data(),
               slot.kept[size_t(s)].get(), bench.scratch.get(), bench.gradients.data(), add);
    add_spare(slot, s, bench);
  }
}

// The derivative of an output that several stages read is the sum of what they say, the last first.
template <class T>
void NetworkSession<T>::add_spare(Slot& slot, int s, const Bench& bench) const {
  const std::vector<int>& inputs = stages_[size_t(s)]->spec().inputs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!bench.back[i] || readers_[size_t(inputs[i])] == 1) continue;
    T* to = derivative_of(slot, inputs[i]);
    for (size_t k = 0; k < numbers_of(inputs[i]); k += L)
      store(to + k, load(to + k) + load(bench.back[i] + k));
  }
}

// The end of slice k: its losses, dZ[L] where it goes back, and what the caller wants of it.
template <class T>
void NetworkSession<T>::leave(const Batch& batch, int k, Slot& slot, Bench& bench) {
  const stages::Pass pass = pass_of(batch, k);
  const Shape& shape = stages_.back()->out();
  const SliceEnd<T> end(batch.gradient ? spec_.loss : plain_loss_, shape, width_, pass.count,
                        slot.steps.back(), slot.A.back().get(), bench.spare.get());
  std::int64_t examples[MOST_WIDE];
  for (int e = 0; e < pass.count; ++e) examples[e] = batch.example(k * width_ + e);
  const size_t first = size_t(k) * size_t(width_);
  double* const losses = example_losses_.data() + first;
  end.run(batch.Y, examples, batch.weights, batch.total_weight, losses,
          batch.gradient ? derivative_of(slot, int(stages_.size()) - 1) : nullptr,
          batch.out ? batch.out + first * size_t(shape.n()) : nullptr);
  double sum = 0;
  for (int e = 0; e < pass.count; ++e) sum += losses[e];
  slice_losses_[size_t(k)] = sum;
}

// ------------------------------------------------------------------------------- a pass

// All slices forward and, where gradients are wanted, backward; returns the sum of the losses times
// their weights, to every thread.
template <class T>
double NetworkSession<T>::pass(const Batch& batch, int t) {
  if (batch.training && !mixers_.empty()) {
    mixed_pass(batch, t);
  } else {
    const int all = int(stages_.size()), parts = parts_of(batch.count);
    for (int p; (p = next_part_[batch.side].fetch_add(1, std::memory_order_relaxed)) < parts;) {
      const Share own = slices_of_part(p, batch.count);
      for (int k = own.begin; k < own.end; ++k) {
        Slot& slot = slots_[size_t(t)];
        slice_there(batch, k, slot, t, 0, all);
        if (batch.gradient) slice_back(batch, k, slot, t, 0, all, part_of(p), k > own.begin);
      }
    }
    team_.barrier();
    if (t == 0) next_part_[batch.side ^ 1].store(0, std::memory_order_relaxed);
  }
  double total = 0;
  for (int k = 0; k < slices_of(batch.count); ++k) total += slice_losses_[size_t(k)];
  return total;
}

// Where stages mix the examples: all slices come to such a stage before any goes on.
template <class T>
void NetworkSession<T>::mixed_pass(const Batch& batch, int t) {
  const int all = int(stages_.size()), n = int(mixers_.size());
  const Share parts = even_share(parts_of(batch.count), t, team_.active());
  const auto for_slices = [&](auto f) {
    for (int p = parts.begin; p < parts.end; ++p) {
      const Share own = slices_of_part(p, batch.count);
      for (int k = own.begin; k < own.end; ++k) f(k, p, k > own.begin);
    }
  };
  const auto sums_of = [&](int i, int k) {
    return sums_[size_t(i)].data() +
           size_t(k) * size_t(stages_[size_t(mixers_[size_t(i)])]->sums());
  };
  const auto settle = [&](auto f) {
    team_.barrier();
    if (t == 0) f();
    team_.barrier();
  };
  for (int i = 0; i <= n; ++i) {
    const int from = i ? mixers_[size_t(i - 1)] : 0, to = i < n ? mixers_[size_t(i)] : all;
    for_slices([&](int k, int, bool) {
      Slot& slot = slots_[size_t(k)];
      slice_there(batch, k, slot, t, from, to);
      if (i == n) return;
      stages::Pass pass = pass_of(batch, k);
      const Stage& stage = *stages_[size_t(to)];
      enter_stage(slot, stage, benches_[size_t(t)], pass);
      stage.sum_forward(pass, benches_[size_t(t)].entered[0], sums_of(i, k));
    });
    if (i == n) break;
    settle([&] { stages_[size_t(to)]->settle_forward(sums_of(i, 0), slices_of(batch.count)); });
  }
  for (int i = n; batch.gradient && i >= 0; --i) {
    const int from = i < n ? mixers_[size_t(i)] + 1 : all, to = i ? mixers_[size_t(i - 1)] + 1 : 0;
    for_slices([&](int k, int p, bool add) {
      Slot& slot = slots_[size_t(k)];
      slice_back(batch, k, slot, t, to, from, part_of(p), add);
      if (i == 0) return;
      stages::Pass pass = pass_of(batch, k);
      const int s = to - 1;
      const Stage& stage = *stages_[size_t(s)];
      enter_stage(slot, stage, benches_[size_t(t)], pass);
      hold(slot, s, derivative_of(slot, s));
      stage.sum_backward(pass, benches_[size_t(t)].entered[0], slot.A[size_t(s)].get(),
                         derivative_of(slot, s), slot.kept[size_t(s)].get(), sums_of(i - 1, k));
    });
    if (i == 0) break;
    settle([&] {
      stages_[size_t(to - 1)]->settle_backward(sums_of(i - 1, 0), slices_of(batch.count));
    });
  }
  team_.barrier();
}

}  // namespace pellucid::PELLUCID_LEVEL
