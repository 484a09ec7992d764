#include "network.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "network_passes.hpp"

namespace pellucid::PELLUCID_LEVEL {

namespace {

template <class T>
Tunings::Work work_of(const NetworkSpec<T>& spec) {
  constexpr int SLICES = -1;  // where a dense session has its parts
  Tunings::Work work{int(sizeof(T)),  spec.training,     spec.threads,
                     spec.batch_size, spec.optimizer.id, SLICES};
  for (const auto& each : spec.stages) {
    size_t weights = 0;
    for (const auto& parameter : each.parameters) weights += parameter.size;
    work.insert(work.end(), {each.in.n(), each.out.n(), int(weights)});
  }
  return work;
}

template <class T>
Tuner tuner_of(const NetworkSpec<T>& spec) {
  const double speed = sizeof(T) == 4 ? 40e9 : 20e9;  // operations a second of one thread, about
  return tuner_for(spec, work_of(spec), spec.flops * spec.batch_size / speed);
}

}  // namespace

template <class T>
NetworkSession<T>::NetworkSession(const NetworkSpec<T>& spec)
    : spec_(spec),
      width_(spec.batch_size <= MOST_WIDE / 2 ? MOST_WIDE / 2 : MOST_WIDE),
      team_(spec.threads),
      tuner_(tuner_of(started(spec_, team_.size()))),
      plain_loss_(spec.loss),
      step_(spec.step) {
  plain_loss_.smoothing = 0;
  X_shape_ = spec.stages[0].in;
  plan();
  read();
  if (spec.training) read_memory();
}

template <class T>
NetworkSession<T>::~NetworkSession() {
  tunings().keep(work_of(spec_), tuner_.findings());
}

// Arrays of the session's own for the parameters and statistics of a stage.
template <class T>
void NetworkSession<T>::own(stages::StageSpec<T>& stage) {
  const int n_slots = spec_.training ? slots(spec_.optimizer.id) : 0;
  first_parameter_.push_back(parameters_.size());
  for (auto& each : stage.parameters) {
    Own own;
    own.lecture = each;
    own.values = Buffer<T>(size_t(panels(int(each.size), P)) * P);
    for (int k = 0; k < n_slots; ++k) own.slots[k] = Buffer<T>(own.values.size());
    own.at = size_;
    size_ += own.values.size();
    for (size_t at = 0; at < each.size; at += CHUNK)
      chunks_.push_back({int(parameters_.size()), at, std::min(CHUNK, each.size - at)});
    each.values = own.values.get();
    parameters_.push_back(std::move(own));
  }
  for (T*& each : stage.statistics) {
    Own own;
    own.lecture.values = each;
    own.lecture.size = size_t(stage.in.channels);
    own.values = Buffer<T>(own.lecture.size);
    each = own.values.get();
    statistics_.push_back(std::move(own));
  }
}

template <class T>
void NetworkSession<T>::plan() {
  size_t scratch = 0, spare = SliceEnd<T>::scratch(spec_.stages.back().out);
  for (const auto& given : spec_.stages) {
    const int s = int(stages_.size());
    auto spec = given;
    own(spec);
    bool wants = !spec.parameters.empty();
    size_t shared = 0;
    for (size_t k = 0; k < spec.inputs.size(); ++k) {
      const int input = spec.inputs[k];
      (k ? spec.others[k - 1] : spec.in).channels_first =
          (input < 0 ? X_shape_ : stages_[size_t(input)]->out()).channels_first;
      if (input < 0) continue;
      wants |= bool(wants_[size_t(input)]);
      ++readers_[size_t(input)];
      last_reader_[size_t(input)] = s;
      shared += numbers_of(input);
    }
    auto made = stages::make_stage(spec);
    if (s == 0 && made->wants_channels_first()) {
      spec.in.channels_first = X_shape_.channels_first = true;
      made = stages::make_stage(spec);
    }
    stages_.push_back(std::move(made));
    const Stage& stage = *stages_.back();
    if (stage.sums()) mixers_.push_back(s);
    wants_.push_back(spec_.training && wants);
    readers_.push_back(0);
    last_reader_.push_back(-1);
    scratch = std::max(scratch, stage.scratch(width_));
    spare = std::max(spare, shared);
  }
  if (spec_.training) place_derivatives();
  for (int t = 0; t < spec_.threads; ++t) {
    benches_.emplace_back();
    benches_.back().scratch = Buffer<T>(scratch);
    benches_.back().spare = Buffer<T>(spare);
  }
  penalties_.resize(chunks_.size());
  norms_.resize(chunks_.size());
  sums_.resize(mixers_.size());
}

// Which memory of a slot holds the derivative of each output: it is free again when the stage that
// made the output has gone back.
template <class T>
void NetworkSession<T>::place_derivatives() {
  const int count = int(stages_.size());
  std::vector<int> free;
  D_of_.assign(size_t(count), -1);
  const auto take = [&](int s) {
    int& D = D_of_[size_t(s)];
    if (D >= 0 || !wants_[size_t(s)]) return;
    if (free.empty()) {
      free.push_back(int(D_sizes_.size()));
      D_sizes_.push_back(0);
    }
    D = free.back();
    free.pop_back();
    D_sizes_[size_t(D)] = std::max(D_sizes_[size_t(D)], numbers_of(s));
  };
  take(count - 1);
  for (int s = count - 1; s >= 0; --s) {
    for (int input : stages_[size_t(s)]->spec().inputs)
      if (input >= 0) take(input);
    if (D_of_[size_t(s)] >= 0) free.push_back(D_of_[size_t(s)]);
  }
}

template <class T>
typename NetworkSession<T>::Slot NetworkSession<T>::new_slot() const {
  Slot slot;
  const size_t w = size_t(width_);
  slot.X = Buffer<T>(size_t(X_shape_.n()) * w);
  slot.lengths.emplace_back(w);
  for (const auto& stage : stages_) {
    slot.A.emplace_back(size_t(stage->out().n()) * w);
    slot.kept.emplace_back(stage->kept(width_));
    slot.lengths.emplace_back(w);
  }
  slot.steps.resize(stages_.size() + 1);
  for (size_t n : D_sizes_) slot.D.emplace_back(n);
  return slot;
}

// Slots, gradients and sums for the slices of a pass: before it, on one thread.
template <class T>
void NetworkSession<T>::make_room(const Batch& batch, int threads) {
  const int slices = slices_of(batch.count);
  const bool mixed = batch.training && !mixers_.empty();
  while (int(slots_.size()) < (mixed ? slices : threads)) slots_.push_back(new_slot());
  while (batch.gradient && int(parts_.size()) < parts_of(batch.count)) parts_.emplace_back(size_);
  slice_losses_.resize(size_t(slices));
  example_losses_.resize(size_t(slices) * size_t(width_));
  for (size_t k = 0; mixed && k < mixers_.size(); ++k)
    sums_[k].resize(size_t(slices) * size_t(stages_[size_t(mixers_[k])]->sums()));
}

// ------------------------------------------------------------------------- parameters

template <class T>
void NetworkSession<T>::read() {
  const auto all = [](std::vector<Own>& owned) {
    for (Own& own : owned)
      std::memcpy(own.values.get(), own.lecture.values, own.lecture.size * sizeof(T));
  };
  all(parameters_);
  all(statistics_);
  for (auto& stage : stages_) stage->pack(0, 1);
  for (size_t c = 0; c < chunks_.size(); ++c) note_penalty(int(c));
}

template <class T>
void NetworkSession<T>::write() {
  const auto all = [](const std::vector<Own>& owned) {
    for (const Own& own : owned)
      std::memcpy(own.lecture.values, own.values.get(), own.lecture.size * sizeof(T));
  };
  all(parameters_);
  all(statistics_);
}

template <class T>
void NetworkSession<T>::read_memory() {
  for (Own& own : parameters_)
    for (int k = 0; k < slots(spec_.optimizer.id); ++k)
      std::memcpy(own.slots[k].get(), own.lecture.slots[k], own.lecture.size * sizeof(T));
}

template <class T>
void NetworkSession<T>::write_memory() {
  for (const Own& own : parameters_)
    for (int k = 0; k < slots(spec_.optimizer.id); ++k)
      std::memcpy(own.lecture.slots[k], own.slots[k].get(), own.lecture.size * sizeof(T));
}

template <class T>
bool NetworkSession<T>::same() {
  const auto all = [](const std::vector<Own>& owned) {
    return std::all_of(owned.begin(), owned.end(), [](const Own& own) {
      const size_t bytes = own.lecture.size * sizeof(T);
      return std::memcmp(own.values.get(), own.lecture.values, bytes) == 0;
    });
  };
  return all(parameters_) && all(statistics_);
}

template <class T>
bool NetworkSession<T>::finite() {
  T sum = 0;  // NaN where one is not
  for (const auto* owned : {&parameters_, &statistics_})
    for (const Own& own : *owned)
      for (size_t k = 0; k < own.lecture.size; ++k) sum += own.values[k] * 0;
  return sum == 0;
}

// ------------------------------------------------------------------------------- steps

template <class T>
int NetworkSession<T>::run(const Rows& X, const Targets<T>& Y, const std::int64_t* order,
                           std::int64_t m, int first, int last, const double* rates,
                           const double* weights, double* costs, bool (*interrupted)(void*),
                           void* context) {
  const int per_epoch = int((m + spec_.batch_size - 1) / spec_.batch_size);
  const Request<T> request{X, Y, order, m, first, last, per_epoch, rates, weights, costs};
  return windows_.run(*this, request, team_, tuner_, step_, {interrupted, context});
}

template <class T>
void NetworkSession<T>::begin_window(const Request<T>& request, int k, int threads) {
  make_room(mini_batch_of(request, k, step_ - std::uint64_t(k)), threads);
  begin();
}

// Step k of a call, `before` steps having been done before its first.
template <class T>
typename NetworkSession<T>::Batch NetworkSession<T>::mini_batch_of(const Request<T>& request, int k,
                                                                   std::uint64_t before) const {
  Batch batch{&request.X, &request.Y, request.order_of(k), request.weights};
  batch.start = std::int64_t(k % request.per_epoch) * spec_.batch_size;
  batch.count = int(std::min<std::int64_t>(request.m - batch.start, spec_.batch_size));
  batch.step = before + std::uint64_t(k) + 1;
  batch.drop = batch.training = batch.gradient = true;
  batch.side = int(batch.step & 1);
  batch.total_weight = total_weight(batch.weights, batch.order, batch.start, batch.count);
  return batch;
}

// Steps k ... end - 1 on thread t. `go_on` becomes false where J was not finite.
template <class T>
void NetworkSession<T>::steps(const Request<T>& request, int k, int end, int t, int* done,
                              bool* go_on) {
  const std::uint64_t before = step_ - std::uint64_t(k);
  for (; k < end; ++k) {
    const Batch batch = mini_batch_of(request, k, before);
    double& cost = request.costs[k - request.first];
    if (t == 0) {
      ++*done;
      cost = std::numeric_limits<double>::quiet_NaN();
    }
    if (batch.total_weight == 0) {
      if (t == 0) next_part_[batch.side ^ 1].store(0, std::memory_order_relaxed);
      team_.barrier();
      continue;
    }
    double J = 0;
    const bool finite = mini_batch(batch, t, request.rates[k - request.first], &J);
    if (t == 0) cost = finite && std::isfinite(J) ? J : std::numeric_limits<double>::infinity();
    if (t == 0 && !finite) *go_on = false;
    if (!finite) return;
  }
}

// One step on every thread: forward, backward, update. False where J was not finite.
template <class T>
bool NetworkSession<T>::mini_batch(const Batch& batch, int t, double rate, double* J) {
  // Before any thread updates: the penalties are of this step's W.
  const double extra = t == 0 ? penalty(batch.total_weight) : 0;
  const double total = pass(batch, t) / batch.total_weight;
  if (t == 0) *J = total + extra;
  if (!std::isfinite(total)) return false;
  if (t == 0)
    for (int s : mixers_) stages_[size_t(s)]->learn_statistics();
  update_all(t, parts_of(batch.count),
             step_of(spec_.optimizer, batch.step, rate, batch.total_weight));
  return true;
}

template <class T>
double NetworkSession<T>::gradients(const Rows& X, const Targets<T>& Y, const std::int64_t* order,
                                    std::int64_t m, const double* weights, std::int64_t position,
                                    double whole_weight, T* const* d) {
  Batch batch{&X, &Y, order, weights};
  batch.count = int(m);
  batch.total_weight = total_weight(weights, order, 0, m);
  batch.position = std::max<std::int64_t>(position, 0);
  batch.drop = position >= 0;
  batch.training = batch.gradient = true;
  batch.step = step_ + 1;
  if (whole_weight < 0) whole_weight = batch.total_weight;
  const double total = one_pass(batch) / batch.total_weight;
  hold_gradient();
  for (const Chunk& chunk : chunks_) {
    const Own& own = parameters_[size_t(chunk.parameter)];
    T* const G = gradient_ + (own.at + chunk.at);
    const T* from = sum_chunk(chunk, parts_of(batch.count), G);
    Update<T> u = update_of(spec_, {1, 1, whole_weight, 1}, 1, own.lecture.decay);
    u.bound = T(-1);
    const T* W = own.values + chunk.at;
    for (size_t k = 0; k < chunk.n; k += L)
      store(G + k, shaped_gradient(u, load(from + k), load(W + k)));
    std::memcpy(d[chunk.parameter] + chunk.at, G, chunk.n * sizeof(T));
  }
  return total + penalty(whole_weight);
}

template <class T>
void NetworkSession<T>::apply(const T* const* d, double rate) {
  hold_gradient();
  for (size_t p = 0; p < parameters_.size(); ++p)
    std::memcpy(gradient_ + parameters_[p].at, d[p], parameters_[p].lecture.size * sizeof(T));
  Step step = step_of(spec_.optimizer, step_ + 1, rate, 1);
  step.penalise = false;
  auto job = [&](int t) { update_all(t, 0, step); };
  team_.run(tuner_.choose(), job);
  ++step_;
}

template <class T>
void NetworkSession<T>::evaluate(const Rows& X, const Targets<T>& Y, const std::int64_t* order,
                                 std::int64_t m, const double* weights, T* out, double* losses) {
  const int n = stages_.back()->out().n();
  for (std::int64_t start = 0; start < m; start += MOST_AT_ONCE) {
    Batch batch{&X, losses ? &Y : nullptr, order, weights};
    batch.start = start;
    batch.count = int(std::min<std::int64_t>(m - start, MOST_AT_ONCE));
    batch.out = out ? out + size_t(start) * size_t(n) : nullptr;
    one_pass(batch);
    if (losses) std::copy_n(example_losses_.data(), batch.count, losses + start);
  }
}

// Before a run of the team: the first part is the next to be taken.
template <class T>
void NetworkSession<T>::begin() {
  for (auto& each : next_part_) each.store(0, std::memory_order_relaxed);
}

template <class T>
double NetworkSession<T>::one_pass(const Batch& batch) {
  const int threads = tuner_.choose();
  make_room(batch, threads);
  double total = 0;
  auto job = [&](int t) {
    const double sum = pass(batch, t);
    if (t == 0) total = sum;
  };
  begin();
  team_.run(threads, job);
  return total;
}

// ------------------------------------------------------------------------------ updates

template <class T>
void NetworkSession<T>::hold_gradient() {
  if (gradient_.size() < size_) gradient_ = Buffer<T>(size_);
}

// A chunk of the gradient over all parts, in their order; without parts it is there already.
template <class T>
const T* NetworkSession<T>::sum_chunk(const Chunk& chunk, int parts, T* to) const {
  const size_t at = parameters_[size_t(chunk.parameter)].at + chunk.at;
  if (parts == 0) return gradient_ + at;
  if (parts == 1) to = nullptr;
  for (size_t k = 0; to && k < chunk.n; k += L) {
    Vec<T> sum = load(parts_[0] + (at + k));
    for (int p = 1; p < parts; ++p) sum = sum + load(parts_[size_t(p)] + (at + k));
    store(to + k, sum);
  }
  return to ? to : parts_[0] + at;
}

// The optimizer's step on thread t's chunks of the parameters, from `parts` of a gradient.
template <class T>
void NetworkSession<T>::update_all(int t, int parts, const Step& step) {
  const Share own = even_share(int(chunks_.size()), t, team_.active());
  T scale = 1;
  if (spec_.clip_norm >= 0) {
    for (int c = own.begin; c < own.end; ++c) norms_[size_t(c)] = square_of(c, parts, step);
    team_.barrier();
    double total = 0;
    for (double each : norms_) total += each;
    if (std::sqrt(total) > spec_.clip_norm) scale = T(spec_.clip_norm / std::sqrt(total));
  }
  alignas(64) T sums[CHUNK];
  Update<T> u{};
  for (int c = own.begin, last = -1; c < own.end; ++c) {
    const Chunk& chunk = chunks_[size_t(c)];
    Own& array = parameters_[size_t(chunk.parameter)];
    if (chunk.parameter != last) {
      u = update_of(spec_, step, array.lecture.rate, array.lecture.decay);
      u.scale = scale;
    }
    last = chunk.parameter;
    update(u, sum_chunk(chunk, parts, sums), array.values + chunk.at, array.slots[0].at(chunk.at),
           array.slots[1].at(chunk.at), int((chunk.n + P - 1) / P), 2);
    note_penalty(c);
  }
  team_.barrier();
  for (auto& stage : stages_) stage->pack(t, team_.active());
  team_.barrier();
}

// The sum of squares of a chunk of the gradient, penalties included.
template <class T>
double NetworkSession<T>::square_of(int c, int parts, const Step& step) const {
  const Chunk& chunk = chunks_[size_t(c)];
  const Own& own = parameters_[size_t(chunk.parameter)];
  alignas(64) T sums[CHUNK];
  const T* G = sum_chunk(chunk, parts, sums);
  Update<T> u = update_of(spec_, step, 1, own.lecture.decay);
  u.bound = T(-1);
  double total = 0;
  for (size_t k = 0; k < chunk.n; k += L) {
    const Vec<T> g = shaped_gradient(u, load(G + k), load(own.values + (chunk.at + k)));
    for (size_t q = 0; q < L && k + q < chunk.n; ++q) total += double(g[q]) * double(g[q]);
  }
  return total;
}

// Sums of squares and absolutes of a chunk of W, for the penalties' part of the next J.
template <class T>
void NetworkSession<T>::note_penalty(int c) {
  if (spec_.l1 == 0 && spec_.l2 == 0) return;
  const Chunk& chunk = chunks_[size_t(c)];
  const Own& own = parameters_[size_t(chunk.parameter)];
  double squares = 0, absolutes = 0;
  for (size_t k = 0; own.lecture.decay != 0 && k < chunk.n; ++k) {
    const double w = double(own.values[chunk.at + k]);
    squares += w * w;
    absolutes += std::abs(w);
  }
  penalties_[size_t(c)] = own.lecture.decay * (spec_.l2 / 2 * squares + spec_.l1 * absolutes);
}

template <class T>
double NetworkSession<T>::penalty(double weight) const {
  if (spec_.l1 == 0 && spec_.l2 == 0) return 0;
  double total = 0;
  for (double each : penalties_) total += each;
  return spec_.penalty_per_weight ? total / weight : total;
}

template class NetworkSession<float>;
template class NetworkSession<double>;

}  // namespace pellucid::PELLUCID_LEVEL
