#include "session.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "passes.hpp"
#include "updates.hpp"

namespace pellucid::PELLUCID_LEVEL {

namespace {

constexpr int MOST_EXAMPLES = 1024;   // of one pass: a larger mini-batch is a sum over blocks
constexpr int FEWEST_EXAMPLES = 128;  // room for, so that evaluation has something to share
constexpr size_t CACHED_WEIGHTS = 16 * 1024;  // bytes of W from which it pays to keep it in place
constexpr double WORTH_TAKING = 1e6;  // products of a panel that another thread may take over
constexpr size_t SMALL_WEIGHTS = 32 * 1024;  // of all W up to which gradients are summed in parts,
constexpr int PARTS = 4, FEWEST_OF_PART = 48;  // so many, each of so many examples

template <class T>
double weights_of(const SessionSpec<T>& spec) {
  double weights = 0;
  for (const StageSpec& each : spec.stages)
    weights += double(each.dense ? each.n_in : 1) * each.n_out;
  return weights;
}

// Never a matter of how many threads there are: the sums' bits depend on it.
template <class T>
int parts_of(const SessionSpec<T>& spec) {
  if (!spec.training || spec.clip_norm >= 0 || spec.batch_size > MOST_EXAMPLES) return 1;
  if (weights_of(spec) * sizeof(T) > SMALL_WEIGHTS) return 1;
  return std::clamp(spec.batch_size / FEWEST_OF_PART, 1, PARTS);
}

template <class T>
Tunings::Work work_of(const SessionSpec<T>& spec) {
  Tunings::Work work{int(sizeof(T)),  spec.training,     spec.threads,
                     spec.batch_size, spec.optimizer.id, parts_of(spec)};
  for (const StageSpec& each : spec.stages)
    work.insert(work.end(), {each.dense, each.n_in, each.n_out, each.activation});
  return work;
}

template <class T>
Tuner tuner_of(const SessionSpec<T>& spec) {
  const double speed = sizeof(T) == 4 ? 80e9 : 40e9;  // operations a second of one thread, about
  return tuner_for(spec, work_of(spec), 6 * weights_of(spec) * spec.batch_size / speed);
}

}  // namespace

template <class T>
Session<T>::Session(const SessionSpec<T>& spec)
    : spec_(spec),
      most_(std::clamp(spec.batch_size, FEWEST_EXAMPLES, MOST_EXAMPLES)),
      parts_(parts_of(spec)),
      capacity_(most_ + (parts_ > 1 ? GAP * parts_ : ODD)),
      team_(spec.threads),
      tuner_(tuner_of(started(spec_, team_.size()))),
      speeds_(spec_.threads, spec.speeds),
      paces_(spec_.threads),
      plain_loss_(spec.loss),
      step_(spec.step) {
  plain_loss_.smoothing = 0;
  const int count = int(spec.stages.size()), n_slots = slots(spec.optimizer.id);
  const bool keep_gradients =
      spec.training && (spec.clip_norm >= 0 || spec.batch_size > MOST_EXAMPLES);
  const int n_out = spec.stages.back().n_out;
  const size_t scratch = size_t(P) * P + 3 * size_t(n_out) * (n_out > FEW ? 1 : TOGETHER);
  stages_.reserve(count);
  for (int s = 0; s < count; ++s) {
    stages_.emplace_back(spec.stages[s], spec.W[s], spec.b[s]);
    Stage<T>& stage = stages_.back();
    stage.spec.needs_Z |= s == count - 1;     // the loss is worked out from Z
    stage.wants_dA = spec.training && s > 0;  // every stage learns
    stage.narrow = s == count - 1 && stage.spec.dense && stage.spec.n_out <= NARROW<T>;
    const bool large = stage.weights() * sizeof(T) >= CACHED_WEIGHTS && stage.spec.dense &&
                       !stage.narrow && parts_ == 1;
    stage.in_place = spec.in_place && s == 0;
    stage.by_panels =
        large && !stage.in_place && stage.out_panels >= spec_.threads && spec_.threads > 1;
    stage.back_by_panels = large && stage.in_panels >= spec_.threads && spec_.threads > 1;
    stage.taken_over = large && double(stage.spec.n_in) * P * spec.batch_size >= WORTH_TAKING;
    if (stage.taken_over && taken_.empty())
      taken_ = std::vector<Taken>(spec_.threads * spec.stages.size() * PRODUCTS);
    stage.allocate_parameters(spec.training ? n_slots : 0, keep_gradients);
    stage.allocate_examples(capacity_, spec.training);
  }
  turned_.resize(size_t(std::max(spec_.threads, parts_)));
  losses_ = Buffer<double>(capacity_);
  if (parts_ > 1) {
    part_losses_ = Buffer<double>(size_t(parts_) * APART);
    for (auto& stage : stages_) stage.parts = Buffer<T>(size_t(parts_) * stage.part());
  }
  for (int t = 0; t < spec_.threads; ++t) scratch_.emplace_back(scratch);
  read();
  if (spec.training) read_memory();
}

template <class T>
Session<T>::~Session() {
  tunings().keep(work_of(spec_), tuner_.findings());
}

// Call f(stage, i0, i1) for the panels of inputs of all stages, shared among the threads.
template <class T>
template <class F>
void Session<T>::for_inputs(F f) {
  const int threads = tuner_.choose();
  auto job = [&](int t) {
    for (auto& stage : stages_) {
      const Share own = even_share(stage.in_panels, t, threads);
      if (own.begin < own.end) f(stage, own.begin, own.end);
    }
  };
  team_.run(threads, job);
}

template <class T>
void Session<T>::read() {
  for_inputs([&](Stage<T>& stage, int i0, int i1) {
    stage.read(0, i0, i1);
    for (int i = i0; i < i1; ++i)
      for (int j = 0; j < (stage.spec.dense ? stage.out_panels : 1); ++j)
        note_penalty(stage, i, stage.spec.dense ? j : i, (step_ + 1) & 1);
  });
}

template <class T>
void Session<T>::write() {
  for_inputs([](Stage<T>& stage, int i0, int i1) { stage.write(0, i0, i1); });
}

template <class T>
void Session<T>::read_memory() {
  for_inputs([&](Stage<T>& stage, int i0, int i1) {
    for (int k = 1; k <= slots(spec_.optimizer.id); ++k) stage.read(k, i0, i1);
  });
}

template <class T>
void Session<T>::write_memory() {
  for_inputs([&](Stage<T>& stage, int i0, int i1) {
    for (int k = 1; k <= slots(spec_.optimizer.id); ++k) stage.write(k, i0, i1);
  });
}

template <class T>
bool Session<T>::same() {
  std::atomic<bool> all{true};
  for_inputs([&](Stage<T>& stage, int i0, int i1) {
    if (!stage.same(i0, i1)) all = false;
  });
  return all;
}

template <class T>
bool Session<T>::finite() {
  const int threads = tuner_.choose();
  std::atomic<bool> all{true};
  auto job = [&](int t) {
    for (const auto& stage : stages_)
      if (!stage.finite(t, threads)) all = false;
  };
  team_.run(threads, job);
  return all;
}

template <class T>
double Session<T>::sum_of_losses(Share rows) const {
  double sums[4] = {0, 0, 0, 0};
  for (int r = rows.begin; r < rows.end; ++r) sums[(r - rows.begin) % 4] += losses_[r];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Forward and backward; returns the sum of the losses, to every thread.
template <class T>
double Session<T>::pass(const Batch& batch, int t) {
  forward(batch, t);
  backward(batch, t);
  wait_for_all(t);
  return sum_of_losses({0, batch.count});
}

template <class T>
double Session<T>::pass_in_parts(const Batch& batch, int t) {
  const Share own = even_share(parts_, t, team_.active());
  for (int k = own.begin; k < own.end; ++k) part(batch, k, t);
  wait_for_all(t);
  double total = 0;
  for (int k = 0; k < parts_; ++k) total += part_losses_[size_t(k) * APART];
  return total;
}

// One step on every thread: forward, backward, update. False where J was not finite.
template <class T>
bool Session<T>::mini_batch(Batch batch, int t, double rate, double* J) {
  const int size = batch.count;
  const bool fused = size <= most_ && spec_.clip_norm < 0;
  double total = 0;
  for (; batch.first < size; batch.first += most_) {
    batch.count = std::min(size - batch.first, most_);
    batch.kept = kept(batch);
    total += parts_ > 1 ? pass_in_parts(batch, t) : pass(batch, t);
    if (fused) break;
    sum_gradients(t, batch, batch.first > 0);
    wait_for_all(t);
  }
  total /= batch.total_weight;
  if (t == 0) *J = total + penalty(batch.total_weight, batch.step & 1);
  if (!std::isfinite(total)) return false;
  const Step step = step_of(spec_.optimizer, batch.step, rate, batch.total_weight);
  if (fused)
    update_all(t, batch, step);
  else
    update_from_gradients(t, step);
  return true;
}

template <class T>
int Session<T>::run(const Rows& X, const Targets<T>& Y, const std::int64_t* order, std::int64_t m,
                    int first, int last, const double* rates, const double* weights, double* costs,
                    bool (*interrupted)(void*), void* context) {
  const int per_epoch = int((m + spec_.batch_size - 1) / spec_.batch_size);
  const Request<T> request{X, Y, order, m, first, last, per_epoch, rates, weights, costs};
  return windows_.run(*this, request, team_, tuner_, step_, {interrupted, context});
}

template <class T>
void Session<T>::begin_window(const Request<T>& request, int k, int threads) {
  if (k == request.first || k % request.per_epoch == 0)
    prepare(request.X, request.order_of(k), request.m, true);
  divide(threads);
}

template <class T>
typename Session<T>::Division Session<T>::division_of(int threads) const {
  Division division;
  division.shares = Shares(speeds_.of(threads));
  division.work.resize(threads);
  const auto add = [&](const std::vector<int>& whole, double work) {
    for (int t = 0; t < threads; ++t)
      division.work[t] += work * (whole.empty() ? division.shares.part(t)
                                                : double(whole[t + 1] - whole[t]) / whole.back());
  };
  for (int s = 0; s < int(stages_.size()); ++s) {
    const Stage<T>& stage = stages_[s];
    const auto whole = [&](bool wanted, int panels) {
      return wanted ? division.shares.whole(panels) : std::vector<int>();
    };
    division.out.push_back(whole(stage.by_panels, stage.out_panels));
    division.in.push_back(whole(stage.back_by_panels, stage.in_panels));
    add(division.out[s], 2.0 * stage.weights());
    if (s > 0) add(division.in[s], stage.weights());
  }
  return division;
}

// Before a run of so many.
template <class T>
void Session<T>::divide(int threads) {
  if (int(division_.work.size()) != threads) division_ = division_of(threads);
  for (Taken& each : taken_) {
    each.count[0] = each.count[1] = 0;
    each.phase = 0;
  }
}

// After a window of steps: share the next ones otherwise, if that is worth it.
template <class T>
void Session<T>::end_window(int threads, int steps, double seconds) {
  if (!spec_.tuned || threads == 1 || parts_ > 1) return;
  std::vector<double> work, busy;
  for (int t = 0; t < threads; ++t) {
    work.push_back(division_.work[t] * steps + paces_[t].more);
    busy.push_back(double(paces_[t].busy));
  }
  speeds_.note(work, busy, seconds);
  Division next = division_of(threads);
  if (speeds_.worth(division_.work, next.work)) division_ = std::move(next);
}

// Step k of a call, `before` steps having been done before its first.
template <class T>
typename Session<T>::Batch Session<T>::mini_batch_of(const Request<T>& request, int k,
                                                     std::uint64_t before) const {
  Batch batch{&request.X, &request.Y, request.order_of(k), request.weights, request.m};
  batch.start = std::int64_t(k % request.per_epoch) * spec_.batch_size;
  batch.count = int(std::min<std::int64_t>(request.m - batch.start, spec_.batch_size));
  batch.step = before + std::uint64_t(k) + 1;
  batch.drop = true;
  batch.sparse = by_entries(request.X);
  batch.total_weight = total_weight(batch.weights, batch.order, batch.start, batch.count);
  return batch;
}

// Where every thread needs the whole of X: those that are done with a step gather the next one's.
template <class T>
void Session<T>::gather_next(const Batch& next) {
  // A few short rows are gathered before the count of what is taken has come from another core.
  const int rows = examples_ahead(stages_[0].spec.n_in * sizeof(T), 2);
  for (int r; (r = next_row_.fetch_add(rows, std::memory_order_relaxed)) < next.count;)
    gather(next, r, std::min(r + rows, next.count));
}

// Steps k ... end - 1 on thread t. `go_on` becomes false where J was not finite.
template <class T>
void Session<T>::steps(const Request<T>& request, int k, int end, int t, int* done, bool* go_on) {
  const std::uint64_t before = step_ - std::uint64_t(k);
  const bool ahead = stages_[0].by_panels && team_.active() > 1 && spec_.batch_size <= most_ &&
                     !keeping_ && !by_entries(request.X);
  paces_[t].busy = 0;
  paces_[t].more = 0;
  go(t);
  mark(t, Phase::OTHER);
  Batch batch = mini_batch_of(request, k, before), next = batch;
  for (; k < end; ++k, batch = next) {
    if (k + 1 < end) next = mini_batch_of(request, k + 1, before);
    double& cost = request.costs[k - request.first];
    if (t == 0) {
      ++*done;
      cost = std::numeric_limits<double>::quiet_NaN();
      next_row_.store(0, std::memory_order_relaxed);
    }
    if (batch.total_weight == 0) {
      if (t == 0) keep_penalty(batch.step & 1);
      continue;
    }
    double J = 0;
    const bool finite = mini_batch(batch, t, request.rates[k - request.first], &J);
    if (t == 0) {
      cost = finite && std::isfinite(J) ? J : std::numeric_limits<double>::infinity();
      if (!finite) {
        *go_on = false;
        keep_penalty(batch.step & 1);
      }
    }
    if (!finite) return;
    if (ahead && k + 1 < end) {
      next.side = batch.side ^ 1;
      next.gathered = true;
      halt(t);
      gather_next(next);
      go(t);
      mark(t, Phase::GATHER);
    }
    wait_for_all(t);
  }
}

// Room for dW and db, where no step has needed it yet.
template <class T>
void Session<T>::hold_gradients() {
  for (auto& stage : stages_)
    if (!stage.gradient_W.size()) {
      stage.gradient_W = Buffer<T>(stage.weights());
      stage.gradient_b = Buffer<T>(stage.depth_out);
    }
}

template <class T>
double Session<T>::gradients(const Rows& X, const Targets<T>& Y, const std::int64_t* order,
                             std::int64_t m, const double* weights, std::int64_t position,
                             double whole_weight, T* const* dW, T* const* db) {
  const double weight = total_weight(weights, order, 0, m);
  double J = 0;
  if (whole_weight < 0) whole_weight = weight;
  hold_gradients();
  prepare(X, order, m, true);
  const std::int64_t before = std::max<std::int64_t>(position, 0);
  auto job = [&](int t) {
    double total = 0;
    for (std::int64_t start = 0; start < m; start += most_) {
      Batch batch{&X, &Y, order, weights, m};
      batch.start = -before;
      batch.first = int(before + start);
      batch.count = int(std::min<std::int64_t>(m - start, most_));
      batch.total_weight = weight;
      batch.drop = position >= 0;
      batch.sparse = by_entries(X);
      batch.step = step_ + 1;
      batch.kept = kept(batch);
      total += pass(batch, t);
      sum_gradients(t, batch, start > 0);
      wait_for_all(t);
    }
    if (t == 0) J = total / weight + penalty(whole_weight, (step_ + 1) & 1);
  };
  using clock = std::chrono::steady_clock;
  const auto begun = clock::now();
  const int threads = tuner_.choose();
  divide(threads);
  team_.run(threads, job);
  tuner_.note(1, std::chrono::duration<double>(clock::now() - begun).count());
  for (size_t s = 0; s < stages_.size(); ++s) {
    Stage<T>& stage = stages_[s];
    Update<T> u = update_for(stage, 1, {1, 1, whole_weight, 1}, true);
    u.bound = T(-1);
    for (size_t k = 0; k < stage.weights(); k += L)
      store(stage.gradient_W + k,
            shaped_gradient(u, load(stage.gradient_W + k), load(stage.Wf + k)));
    stage.unpack(stage.gradient_W, dW[s], 0, stage.in_panels);
    if (stage.spec.dense) std::memcpy(db[s], stage.gradient_b.get(), stage.spec.n_out * sizeof(T));
  }
  return J;
}

template <class T>
void Session<T>::apply(const T* const* dW, const T* const* db, double rate) {
  hold_gradients();
  for_inputs([&](Stage<T>& stage, int i0, int i1) {
    const auto s = &stage - stages_.data();
    stage.pack(dW[s], stage.gradient_W, i0, i1);
    if (stage.spec.dense && i0 == 0)
      std::memcpy(stage.gradient_b.get(), db[s], stage.spec.n_out * sizeof(T));
  });
  Step step = step_of(spec_.optimizer, step_ + 1, rate, 1);
  step.penalise = false;
  const int threads = tuner_.choose();
  divide(threads);
  auto job = [&](int t) { update_from_gradients(t, step); };
  team_.run(threads, job);
  ++step_;
}

template <class T>
void Session<T>::skip() {
  ++step_;
  keep_penalty(step_ & 1);
}

template <class T>
void Session<T>::evaluate(const Rows& X, const Targets<T>& Y, const std::int64_t* order,
                          std::int64_t m, const double* weights, T* out, double* losses) {
  const int n = stages_.back().spec.n_out;
  prepare(X, order, m, false);
  auto job = [&](int t) {
    for (std::int64_t start = 0; start < m; start += most_) {
      Batch batch{&X, losses ? &Y : nullptr, order, weights, m};
      batch.start = start;
      batch.count = int(std::min<std::int64_t>(m - start, most_));
      batch.gradient = false;
      batch.kept = kept(batch);
      batch.sparse = by_entries(X);
      forward(batch, t);
      const Share rows = division_.shares.of(batch.count, t);
      for (int r = rows.begin; r < rows.end; ++r) {
        if (losses) losses[start + r] = losses_[r];
        if (out) from_panels(stages_.back().A + size_t(r) * P, stride(), n, out + (start + r) * n);
      }
      wait_for_all(t);
    }
  };
  const int threads = tuner_.choose();
  divide(threads);
  team_.run(threads, job);
}

template class Session<float>;
template class Session<double>;

}  // namespace pellucid::PELLUCID_LEVEL
