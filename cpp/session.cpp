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
constexpr size_t CACHED_WEIGHTS = 96 * 1024;  // bytes of W from which it pays to keep it in place

// Never destroyed: a session may outlive what a program ends with.
Tunings& tunings() {
  static Tunings& all = *new Tunings;
  return all;
}

template <class T>
Tunings::Work work_of(const SessionSpec<T>& spec) {
  Tunings::Work work{int(sizeof(T)), spec.training, spec.threads, spec.batch_size,
                     spec.optimizer.id};
  for (const StageSpec& each : spec.stages)
    work.insert(work.end(), {each.dense, each.n_in, each.n_out, each.activation});
  return work;
}

}  // namespace

template <class T>
Session<T>::Session(const SessionSpec<T>& spec)
    : spec_(spec),
      capacity_(spec.batch_size < FEWEST_EXAMPLES ? FEWEST_EXAMPLES
                : spec.batch_size > MOST_EXAMPLES ? MOST_EXAMPLES
                                                  : spec.batch_size),
      team_(spec.threads),
      tuner_(spec.threads, tunings().recall(work_of(spec))),
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
    const bool large =
        stage.weights() * sizeof(T) >= CACHED_WEIGHTS && stage.spec.dense && !stage.narrow;
    stage.by_panels = large && stage.out_panels >= spec.threads && spec.threads > 1;
    stage.back_by_panels = large && stage.in_panels >= spec.threads && spec.threads > 1;
    stage.allocate_parameters(spec.training ? n_slots : 0, keep_gradients);
    stage.allocate_examples(capacity_, spec.training);
  }
  input_ = Buffer<T>(size_t(stages_[0].in_panels) * capacity_ * P);
  losses_ = Buffer<double>(capacity_);
  for (int t = 0; t < spec.threads; ++t) scratch_.emplace_back(scratch);
  read();
}

template <class T>
Session<T>::~Session() {
  tunings().keep(work_of(spec_), tuner_.findings());
}

template <class T>
void Session<T>::read() {
  for (auto& stage : stages_) {
    stage.read(spec_.training ? slots(spec_.optimizer.id) : 0);
    for (int j = 0; j < stage.out_panels; ++j)
      for (int i = 0; i < (stage.spec.dense ? stage.in_panels : 1); ++i)
        note_penalty(stage, i, j, (step_ + 1) & 1);
  }
}

template <class T>
void Session<T>::write() {
  for (auto& stage : stages_) stage.write(slots(spec_.optimizer.id));
}

template <class T>
double Session<T>::block_loss(int count) const {
  double a = 0, b = 0, c = 0, d = 0;
  int r = 0;
  for (; r + 4 <= count; r += 4) {
    a += losses_[r];
    b += losses_[r + 1];
    c += losses_[r + 2];
    d += losses_[r + 3];
  }
  if (r < count) a += losses_[r];
  if (r + 1 < count) b += losses_[r + 1];
  if (r + 2 < count) c += losses_[r + 2];
  return (a + b) + (c + d);
}

// One step on every thread: forward, backward, update. False where J was not finite.
template <class T>
bool Session<T>::mini_batch(Batch batch, int size, int t, double rate, double* J) {
  const bool fused = size <= capacity_ && spec_.clip_norm < 0;
  double total = 0;
  for (int first = 0; first < size; first += capacity_) {
    batch.first = first;
    batch.count = size - first < capacity_ ? size - first : capacity_;
    forward(batch, t);
    backward(batch, t);
    team_.barrier();
    total += block_loss(batch.count);
    if (fused) break;
    sum_gradients(t, batch.count, first > 0);
    team_.barrier();
  }
  total /= batch.total_weight;
  if (t == 0) *J = total + penalty(batch.total_weight, batch.step & 1);
  if (!std::isfinite(total)) return false;
  const Step step = step_of(batch.step, rate, batch.total_weight);
  if (fused)
    update_all(t, size, step);
  else
    update_from_gradients(t, step);
  return true;
}

// What one call of `run` asks for.
template <class T>
struct Session<T>::Request {
  const Rows& X;
  const Targets<T>& Y;
  const std::int64_t* order;
  std::int64_t m;
  int first, last;
  const double* rates;
  const double* weights;
  double* costs;
};

template <class T>
int Session<T>::run(const Rows& X, const Targets<T>& Y, const std::int64_t* order, std::int64_t m,
                    int first, int last, const double* rates, const double* weights, double* costs,
                    bool (*interrupted)(void*), void* context) {
  const Request request{X, Y, order, m, first, last, rates, weights, costs};
  auto asked = clock::now();
  tuner_.paused(std::chrono::duration<double>(asked - worked_).count());
  bool go_on = true;
  int k = first;
  while (go_on && k < last) {
    const int threads = tuner_.choose();
    const int count = std::min(last - k, tuner_.steps());
    const auto start = clock::now();
    int done = 0;
    auto job = [&](int t) { steps(request, k, k + count, t, &done, &go_on); };
    team_.run(threads, job);
    const auto now = clock::now();
    tuner_.note(done, std::chrono::duration<double>(now - start).count());
    step_ += std::uint64_t(done);
    k += done;
    if (interrupted && now - asked > std::chrono::milliseconds(20)) {
      if (interrupted(context)) break;
      asked = now;
    }
  }
  worked_ = clock::now();
  return k - first;
}

// Steps k ... end - 1 on thread t. `go_on` becomes false where J was not finite.
template <class T>
void Session<T>::steps(const Request& request, int k, int end, int t, int* done, bool* go_on) {
  const std::uint64_t before = step_ - std::uint64_t(k);
  for (; k < end; ++k) {
    Batch batch{&request.X, &request.Y, request.order, request.weights};
    batch.start = std::int64_t(k) * spec_.batch_size;
    batch.step = before + std::uint64_t(k) + 1;
    batch.drop = true;
    const std::int64_t left = request.m - batch.start;
    const int size = int(left < spec_.batch_size ? left : spec_.batch_size);
    batch.total_weight = size;
    if (batch.weights) {
      batch.total_weight = 0;
      for (int r = 0; r < size; ++r) batch.total_weight += batch.weights[batch.example(r)];
    }
    double& cost = request.costs[k - request.first];
    if (t == 0) {
      ++*done;
      cost = std::numeric_limits<double>::quiet_NaN();
    }
    if (batch.total_weight == 0) {
      if (t == 0) keep_penalty(batch.step & 1);
      continue;
    }
    double J = 0;
    const bool finite = mini_batch(batch, size, t, request.rates[k - request.first], &J);
    if (t == 0) {
      cost = finite && std::isfinite(J) ? J : std::numeric_limits<double>::infinity();
      if (!finite) *go_on = false;
    }
    if (!finite) return;
    team_.barrier();
  }
}

template <class T>
double Session<T>::loss_and_gradients(const Rows& X, const Targets<T>& Y, const std::int64_t* order,
                                      std::int64_t m, const double* weights, T* const* dW,
                                      T* const* db) {
  double weight = double(m), J = 0;
  if (weights) {
    weight = 0;
    for (std::int64_t k = 0; k < m; ++k) weight += weights[order ? order[k] : k];
  }
  for (auto& stage : stages_)
    if (!stage.gradient_W.size()) {
      stage.gradient_W = Buffer<T>(stage.weights());
      stage.gradient_b = Buffer<T>(stage.depth_out);
    }
  auto job = [&](int t) {
    double total = 0;
    for (std::int64_t start = 0; start < m; start += capacity_) {
      const std::int64_t left = m - start;
      Batch batch{&X, &Y, order, weights};
      batch.start = start;
      batch.count = int(left < capacity_ ? left : capacity_);
      batch.total_weight = weight;
      forward(batch, t);
      backward(batch, t);
      team_.barrier();
      total += block_loss(batch.count);
      sum_gradients(t, batch.count, start > 0);
      team_.barrier();
    }
    if (t == 0) J = total / weight + penalty(weight, (step_ + 1) & 1);
  };
  const auto begun = clock::now();
  team_.run(tuner_.choose(), job);
  tuner_.note(1, std::chrono::duration<double>(clock::now() - begun).count());
  for (size_t s = 0; s < stages_.size(); ++s) {
    Stage<T>& stage = stages_[s];
    Update<T> u = update_for(stage, 1, {1, 1, weight, 1}, true);
    u.bound = T(-1);
    for (size_t k = 0; k < stage.weights(); k += L)
      store(stage.gradient_W + k,
            shaped_gradient(u, load(stage.gradient_W + k), load(stage.Wf + k)));
    stage.unpack(stage.gradient_W, dW[s]);
    if (stage.spec.dense) std::memcpy(db[s], stage.gradient_b.get(), stage.spec.n_out * sizeof(T));
  }
  return J;
}

template <class T>
void Session<T>::evaluate(const Rows& X, const Targets<T>& Y, const std::int64_t* order,
                          std::int64_t m, const double* weights, T* out, double* losses) {
  const int n = stages_.back().spec.n_out;
  auto job = [&](int t) {
    for (std::int64_t start = 0; start < m; start += capacity_) {
      const std::int64_t left = m - start;
      Batch batch{&X, losses ? &Y : nullptr, order, weights};
      batch.start = start;
      batch.count = int(left < capacity_ ? left : capacity_);
      batch.gradient = false;
      forward(batch, t);
      const Share rows = share(batch.count, t, team_.active());
      for (int r = rows.begin; r < rows.end; ++r) {
        if (losses) losses[start + r] = losses_[r];
        for (int k = 0; out && k < n; ++k)
          out[(start + r) * n + k] = stages_.back().A[(k / P) * stride() + size_t(r) * P + k % P];
      }
      team_.barrier();
    }
  };
  team_.run(tuner_.choose(), job);
}

template class Session<float>;
template class Session<double>;

}  // namespace pellucid::PELLUCID_LEVEL
