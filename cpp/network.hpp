// A training session of a network of any stages: convolutions, recurrence, embeddings, ...
//
// A mini-batch is cut into slices (stages/stage.hpp). A thread takes a slice through all stages and
// back, so that what it works on stays in its caches, and then an even share of the parameters
// through the optimizer. Networks of Dense layers alone have a session of their own (session.hpp),
// which shares each layer's product among the threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "runs.hpp"
#include "shares.hpp"
#include "slices.hpp"
#include "training.hpp"

namespace pellucid::PELLUCID_LEVEL {

template <class T>
struct NetworkSpec : TrainingSpec<T> {
  std::vector<stages::StageSpec<T>> stages;  // an input stands before what it enters
  double flops = 0;                          // of a step for one example, about
};

template <class T>
class NetworkSession {
 public:
  explicit NetworkSession(const NetworkSpec<T>& spec);
  ~NetworkSession();
  NetworkSession(const NetworkSession&) = delete;
  NetworkSession& operator=(const NetworkSession&) = delete;

  // As those of Session; `gradients` and `apply` have an array for each parameter, stage by stage.
  int run(const Rows& X, const Targets<T>& Y, const std::int64_t* order, std::int64_t m, int first,
          int last, const double* rates, const double* weights, double* costs,
          bool (*interrupted)(void*), void* context);
  double gradients(const Rows& X, const Targets<T>& Y, const std::int64_t* order, std::int64_t m,
                   const double* weights, std::int64_t position, double whole_weight, T* const* d);
  void apply(const T* const* d, double rate);
  void skip() { ++step_; }
  void forget() {}  // nothing of X is kept between calls
  void evaluate(const Rows& X, const Targets<T>& Y, const std::int64_t* order, std::int64_t m,
                const double* weights, T* out, double* losses);
  void read();
  void write();
  void read_memory();
  void write_memory();
  bool same();
  bool finite();
  std::uint64_t step() const { return step_; }
  int threads() const { return team_.size(); }

 private:
  friend class Windows;
  using Stage = stages::Stage<T>;
  using Shape = stages::Shape;
  static constexpr int L = LANES<T>, P = PANEL<T>;

  // A parameter, what the optimizer remembers of it, or a statistic (which has no slots): the
  // session's own array, and the caller's.
  struct Own {
    Buffer<T> values, slots[2];  // a whole number of panels; what is beyond the end stays 0
    stages::Parameter<T> lecture;
    size_t at = 0;  // of its gradient among all of them
  };
  // Some numbers of a parameter, that one thread updates.
  struct Chunk {
    int parameter;
    size_t at, n;
  };

  // The examples of a mini-batch.
  struct Batch {
    const Rows* X;
    const Targets<T>* Y;
    const std::int64_t* order;  // null: the examples themselves
    const double* weights;
    std::int64_t start = 0;     // of the mini-batch in the order
    int count = 0;              // of examples
    std::int64_t position = 0;  // of the first in the whole mini-batch, by which units are dropped
    double total_weight = 1;    // of the whole mini-batch
    std::uint64_t step = 0;     // counted from 1
    bool drop = false;          // units are dropped
    bool training = false;      // statistics are the mini-batch's
    bool gradient = false;      // backward follows
    int side = 0;               // of the counters of parts
    T* out = nullptr;           // where A[L] is wanted, n[L] numbers an example
    std::int64_t example(int r) const { return order ? order[start + r] : start + r; }
  };

  // Where a slice is worked on.
  struct Slot {
    Buffer<T> X;
    std::vector<Buffer<T>> A, kept;                  // of each stage
    std::vector<Buffer<T>> D;                        // some, which the stages use in turn
    std::vector<std::vector<std::int32_t>> lengths;  // of X, then of each stage's output
    std::vector<const std::int32_t*> steps;          // the same, or null
  };

  // What a thread needs to work on a slice.
  struct Bench {
    Buffer<T> scratch;  // of a stage
    Buffer<T> spare;    // of derivatives that are to be added up; of the loss
    std::vector<const T*> entered;
    std::vector<T*> back, gradients;
  };

  Batch mini_batch_of(const Request<T>& request, int k, std::uint64_t before) const;
  void begin();
  void begin_window(const Request<T>& request, int k, int threads);
  void end_window(int, int, double) {}
  void steps(const Request<T>& request, int k, int end, int t, int* done, bool* go_on);
  bool mini_batch(const Batch& batch, int t, double rate, double* J);

  void plan();
  void own(stages::StageSpec<T>& stage);
  void place_derivatives();
  Slot new_slot() const;
  void make_room(const Batch& batch, int threads);

  double one_pass(const Batch& batch);
  double pass(const Batch& batch, int t);
  void mixed_pass(const Batch& batch, int t);
  void slice_there(const Batch& batch, int k, Slot& slot, int t, int s0, int s1);
  void slice_back(const Batch& batch, int k, Slot& slot, int t, int s0, int s1, T* part, bool add);
  stages::Pass pass_of(const Batch& batch, int k) const;
  void enter(const Batch& batch, int k, Slot& slot);
  void enter_stage(const Slot& slot, const Stage& stage, Bench& bench, stages::Pass& pass) const;
  void hold_steps(const Shape& shape, const std::int32_t* lengths, T* A) const;
  void hold(const Slot& slot, int s, T* A) const;
  void add_spare(Slot& slot, int s, const Bench& bench) const;
  void leave(const Batch& batch, int k, Slot& slot, Bench& bench);

  int slices_of(int count) const { return (count + width_ - 1) / width_; }
  int parts_of(int count) const { return std::min(slices_of(count), MOST_PARTS); }
  Share slices_of_part(int k, int count) const {
    return even_share(slices_of(count), k, parts_of(count));
  }
  T* part_of(int p) { return parts_[size_t(p)].get(); }
  size_t numbers_of(int s) const { return size_t(stages_[size_t(s)]->out().n()) * size_t(width_); }
  const T* output_of(const Slot& slot, int s) const {
    return s < 0 ? slot.X.get() : slot.A[size_t(s)].get();
  }
  T* derivative_of(Slot& slot, int s) const { return slot.D[size_t(D_of_[size_t(s)])].get(); }

  void hold_gradient();
  const T* sum_chunk(const Chunk& chunk, int parts, T* to) const;
  void update_all(int t, int parts, const Step& step);
  double square_of(int c, int parts, const Step& step) const;
  void note_penalty(int c);
  double penalty(double weight) const;

  static constexpr int MOST_PARTS = 8;          // of a gradient
  static constexpr size_t CHUNK = 1024;         // numbers of a parameter, a multiple of a panel
  static constexpr int MOST_AT_ONCE = 1 << 16;  // examples of an evaluation

  NetworkSpec<T> spec_;
  int width_;
  Team team_;
  Tuner tuner_;
  LossSpec<T> plain_loss_;  // without label smoothing: for evaluation
  Shape X_shape_;           // as X enters
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<Own> parameters_;
  std::vector<Own> statistics_;
  std::vector<size_t> first_parameter_;  // of each stage
  std::vector<int> mixers_;              // stages that mix the examples
  std::vector<char> wants_;              // of each stage: whether its output's derivative is needed
  std::vector<int> readers_, last_reader_;  // and how many stages it enters
  std::vector<int> D_of_;                   // of each stage: which of a slot's D is its own
  std::vector<size_t> D_sizes_;
  std::vector<Chunk> chunks_;
  size_t size_ = 0;  // of all gradients
  std::vector<Slot> slots_;
  std::vector<Buffer<T>> parts_;
  Buffer<T> gradient_;          // where the whole is needed at once
  std::vector<Bench> benches_;  // a thread each
  std::vector<double> slice_losses_, example_losses_;
  std::vector<std::vector<double>> sums_;  // of each mixing stage, slice by slice
  std::vector<double> penalties_, norms_;  // of each chunk: its part of J, and of the norm's square
  std::atomic<int> next_part_[2] = {0, 0};
  Windows windows_;
  std::uint64_t step_;
};

}  // namespace pellucid::PELLUCID_LEVEL
