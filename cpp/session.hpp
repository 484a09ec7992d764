// A training session: the steps of an epoch, shared among the threads of a team.
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "phases.hpp"
#include "runs.hpp"
#include "shares.hpp"
#include "stage.hpp"
#include "training.hpp"

namespace pellucid::PELLUCID_LEVEL {

template <class T>
struct SessionSpec : TrainingSpec<T> {
  std::vector<StageSpec> stages;
  std::vector<Lecture<T>> W, b;  // of each stage
  std::vector<double> speeds;    // of the threads, to begin with; those not given are 1
  bool in_place = false;  // evaluate sparse examples, with layer 1's W where the caller keeps it
};

template <class T>
class Session {
 public:
  explicit Session(const SessionSpec<T>& spec);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Steps first ... last - 1, counted through epochs of m examples each, for each of which an order
  // has m numbers; returns how many costs were written. A step's cost is NaN where its weights sum
  // to 0 and inf where it was not finite; the run ends there. Where an epoch ends before the last
  // step, the parameters are written, or if they are not finite the run ends. `interrupted` is
  // asked now and then, by the calling thread.
  int run(const Rows& X, const Targets<T>& Y, const std::int64_t* order, std::int64_t m, int first,
          int last, const double* rates, const double* weights, double* costs,
          bool (*interrupted)(void*), void* context);

  // J over the m examples of an order (null: 0 ... m - 1) and its gradients, penalties included, in
  // the lectures' layout. The examples stand in the next step's mini-batch from `position` on, by
  // which units are dropped: none where it is negative. The penalties are divided, where they are
  // at all, by `whole_weight`, that of the whole mini-batch; negative: these are the whole.
  double gradients(const Rows& X, const Targets<T>& Y, const std::int64_t* order, std::int64_t m,
                   const double* weights, std::int64_t position, double whole_weight, T* const* dW,
                   T* const* db);

  // One step of the optimizer from gradients in the lectures' layout that hold the penalties.
  void apply(const T* const* dW, const T* const* db, double rate);

  // Count a step and change nothing, as `run` does where the weights sum to 0.
  void skip();

  // A[L] of m examples into `out`, n[L] numbers an example, and each one's loss times its weight
  // into `losses`; either may be null.
  void evaluate(const Rows& X, const Targets<T>& Y, const std::int64_t* order, std::int64_t m,
                const double* weights, T* out, double* losses);

  // The caller's X may be other numbers from here on, at the same place.
  void forget();

  void read();          // parameters from the lectures' layout
  void write();         // and back
  void read_memory();   // the optimizer's
  void write_memory();  // and back
  bool same();          // whether the parameters are alike in both layouts
  bool finite();        // and whether all are finite

  std::uint64_t step() const { return step_; }
  int threads() const { return team_.size(); }

 private:
  friend class Windows;
  static constexpr int P = PANEL<T>, L = LANES<T>;

  // The examples of one forward pass: of a mini-batch, or of a block of one too large for a pass.
  struct Batch {
    const Rows* X;
    const Targets<T>* Y;
    const std::int64_t* order;  // null: the examples themselves
    const double* weights;
    std::int64_t m = 0;       // examples of the order
    std::int64_t start = 0;   // of the mini-batch in the order; negative: that is its later part
    int first = 0;            // example `first` + r of the mini-batch stands in row r
    int count = 0;            // of this block
    double total_weight = 1;  // of the whole mini-batch
    std::uint64_t step = 0;   // counted from 1
    bool drop = false;        // units are dropped
    bool gradient = true;     // dZ[L] is wanted
    int side = 0;             // of input_, that holds X
    bool gathered = false;    // X is there already
    bool sparse = false;      // X is not gathered: its entries are visited
    int part = 0;             // of the mini-batch
    T* kept = nullptr;        // X of this pass, where it is kept in panels
    std::int64_t example(int r) const {
      const std::int64_t at = start + first + r;
      return order ? order[at] : at;
    }
  };

  enum Product { FORWARD, BACKWARD, GRADIENT, PRODUCTS };

  // How a number of threads share a step.
  struct Division {
    const std::vector<int>& whole(int s, Product product) const {
      return (product == BACKWARD ? in : out)[s];
    }
    Shares shares;
    std::vector<std::vector<int>> out, in;  // of each stage, its panels: Shares::whole
    std::vector<double> work;               // of each thread, in products
  };
  Division division_of(int threads) const;
  void divide(int threads);
  void begin_window(const Request<T>& request, int k, int threads);
  void end_window(int threads, int steps, double seconds);

  // How long a thread was busy, in a window of steps, with what it has a share of.
  struct alignas(128) Pace {
    std::uint64_t since = 0, busy = 0;
    double more = 0;  // products beyond its share
  };
  void go(int t) {
    if (team_.active() > 1) paces_[t].since = ticks();
  }
  void halt(int t) {
    if (team_.active() > 1) paces_[t].busy += ticks() - paces_[t].since;
  }

  // Rows between the parts of a mini-batch: what a core fetches ahead is not its neighbour's.
  static constexpr int GAP = 32;
  static constexpr int APART = 8;  // doubles of a cache line
  static constexpr int ODD = 8;    // rows more: panels of an example lie in several sets of a cache
  Share rows_of_part(int k, int count) const {
    const Share part = even_share(count, k, parts_);
    return {part.begin + GAP * k, part.end + GAP * k};
  }

  void forward(const Batch& batch, int t);
  void backward(const Batch& batch, int t);
  void wait_for_all(int t) {
    halt(t);
    team_.barrier();
    go(t);
    mark(t, Phase::WAIT);
  }
  double pass(const Batch& batch, int t);
  double pass_in_parts(const Batch& batch, int t);
  void part(Batch batch, int k, int t);
  bool by_entries(const Rows& X) const;
  void prepare(const Rows& X, const std::int64_t* order, std::int64_t m, bool learning);
  void pack(const Rows& X, const std::int64_t* order, std::int64_t m);
  T* kept(const Batch& batch) const;
  size_t kept_size() const { return size_t(stages_[0].in_panels) * stride(); }
  void gather(const Batch& batch, int r0, int r1);
  struct Fetch;
  template <class S>
  void gather_dense(const Batch& batch, int r0, int r1, const S* values);
  void gather_sparse(const Batch& batch, int r0, int r1);
  void turn(const Batch& batch, int which, Share inputs, Share rows);
  const Turned<T>& turned_of(const Batch& batch, int i) const;
  template <class F>
  void for_inputs(F f);
  template <class F>
  void for_panels(int s, Product product, int t, F f);
  template <class F>
  void for_pieces(int s, Product product, int count, int t, F f);
  void forward_stage(const Batch& batch, int s, int p0, int p1, int r0, int r1);
  template <class Finish>
  void forward_sparse(const Batch& batch, int p0, int p1, int r0, int r1, T* out, Finish finish);
  void dots_sparse(const Batch& batch, int r0, int r1);
  void activate(const Batch& batch, Stage<T>& stage, int p, int r0, int r1);
  void drop_units(const Batch& batch, Stage<T>& stage, int p, int r0, int r1);
  void backward_stage(const Batch& batch, int s, int p0, int p1, int r0, int r1);
  void output_rows(const Batch& batch, int t, int r0, int r1);
  double sum_of_losses(Share rows) const;

  Batch mini_batch_of(const Request<T>& request, int k, std::uint64_t before) const;
  void gather_next(const Batch& next);
  void steps(const Request<T>& request, int k, int end, int t, int* done, bool* go_on);
  bool mini_batch(Batch batch, int t, double rate, double* J);
  void update_all(int t, const Batch& batch, const Step& step);
  void sum_gradients(int t, const Batch& batch, bool go_on);
  void sum_part(const Batch& batch, int k, Share rows);
  void add_parts(const Stage<T>& stage, size_t at, int n, T* G) const;
  void update_from_gradients(int t, const Step& step);
  double gradient_norm(const Step& step);
  Update<T> update_for(const Stage<T>& stage, double factor, const Step& step,
                       bool penalised) const;
  template <class F>
  void for_blocks(int t, F f);
  void gradient_block(int s, int i, int j, const Batch& batch, Share rows, bool go_on, T* G);
  void gradient_sums(const Stage<T>& stage, int j, Share rows, bool go_on, T* sums);
  void update_block(Stage<T>& stage, int i, int j, const T* G, const Update<T>& u, int side);
  void update_bias(Stage<T>& stage, int j, const T* sums, const Update<T>& u);
  void note_penalty(Stage<T>& stage, int i, int j, int side);
  double penalty(double weight, int side) const;
  void hold_gradients();
  void keep_penalty(int side);

  const T* input_of(int s, const Batch& batch) const {
    if (s) return stages_[s - 1].A.get();
    return batch.kept ? batch.kept : input_[batch.side].get();
  }
  size_t stride() const { return size_t(capacity_) * P; }

  SessionSpec<T> spec_;
  int most_;       // examples of one pass
  int parts_ = 1;  // of a mini-batch: where W is small, gradients are summed part by part
  int capacity_;   // rows that there is room for
  Team team_;
  Tuner tuner_;
  Speeds speeds_;
  Division division_;         // of the run under way
  std::vector<Pace> paces_;   // a thread each
  std::vector<Taken> taken_;  // of each thread's panels in each product of each stage
  LossSpec<T> plain_loss_;    // without label smoothing: for evaluation
  std::vector<Stage<T>> stages_;
  Buffer<T> input_[2];                        // X of a pass, and of the next one
  SameExamples seen_;                         // by the latest steps
  Buffer<T> kept_;                            // those in panels, pass by pass, if they came again
  bool keeping_ = false;                      // the call under way takes them from there
  std::vector<Turned<T>> turned_;             // sparse X of a pass: a thread each, or a part each
  Buffer<double> losses_;                     // of the examples of a pass
  Buffer<double> part_losses_;                // their sums over parts, a cache line each
  std::vector<Buffer<T>> scratch_;            // a thread each
  alignas(64) std::atomic<int> next_row_{0};  // of the next step's X: the first not yet gathered
  Windows windows_;
  std::uint64_t step_;  // steps done; the next one's penalty sums lie on its parity
};

}  // namespace pellucid::PELLUCID_LEVEL
