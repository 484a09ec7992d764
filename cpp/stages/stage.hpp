// A stage: one layer on a slice of a mini-batch.
//
// A slice is 16 or 32 examples (`width`), and the examples are the vector: what enters and leaves a
// stage is a matrix with a row for each number of an example, `width` numbers a row, an example
// each, so that one or six channels fill a vector as well as sixty-four do. A slice goes through
// all stages and back on one thread, and leaves there what it adds to each gradient. The sums over
// the slices are added in their order, so the bits don't depend on how many threads there are; and
// an output is summed in the order of its inputs whatever the width, so they don't depend on the
// other examples of the batch either.
//
// A kind of stage is a file of this folder: its forward and backward pass on raw pointers, their
// shapes beside them. kinds.cpp names them all.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../activations.hpp"
#include "../buffer.hpp"
#include "../vec.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

// How the numbers of an example are arranged. The lectures unroll a volume row by row, column by
// column, the channels of a place together; a sequence is (1, steps, features). A convolution
// leaves the places of a channel together instead, which suits the next one.
struct Shape {
  int rows = 1, columns = 1, channels = 1;
  bool sequence = false;        // the columns are steps, which examples may have fewer of
  bool channels_first = false;  // [channel][row][column]; else [row][column][channel]

  int places() const { return rows * columns; }
  int n() const { return places() * channels; }
  // In rows of a slice's matrix: from a place to the next one of its row, from a channel to the
  // next.
  int place_stride() const { return channels_first ? 1 : channels; }
  int channel_stride() const { return channels_first ? places() : 1; }
  int at(int place, int channel) const {
    return place * place_stride() + channel * channel_stride();
  }
  // Of number k in the lectures' order.
  int row_of(int k) const { return at(k / channels, k % channels); }
};

// A parameter in the lectures' layout (W is Fortran-ordered: a column, the weights of one input to
// all units, lies together), what the optimizer remembers of it, and how it is learned. The memory
// is the caller's. A stage may keep copies in other layouts: see Stage::pack.
template <class T>
struct Parameter {
  T* values = nullptr;
  T* slots[2] = {nullptr, nullptr};
  size_t size = 0;
  double rate = 1;   // factor of the learning rate
  double decay = 0;  // factor of the penalties and of AdamW's decay; 0: not penalised
};

// What a layer is: its shapes, activation and parameters, and what its kind needs more, by name.
template <class T>
struct StageSpec {
  std::string kind;
  std::vector<int> inputs;    // numbers of the stages whose outputs enter; -1: X
  Shape in, out;              // `out.channels_first` is the stage's to say
  std::vector<Shape> others;  // of the inputs after the first
  int number = 0;             // the lectures' l, for the draws of dropout
  int activation = 0;         // g, an id of activations.hpp
  T parameter = 0;            // of g
  bool needs_Z = false;       // g' cannot be had from A
  double dropout = 0;
  std::vector<Parameter<T>> parameters;
  std::vector<T*> statistics;  // of BatchNorm: arrays of the caller's, in.channels numbers each
  std::vector<const T*> constants;  // other arrays of the caller's, such as a mask
  std::map<std::string, double> numbers;

  // Throws where it is missing: the Python side names them.
  double number_of(const std::string& name) const {
    const auto found = numbers.find(name);
    if (found == numbers.end()) throw std::invalid_argument(kind + " needs " + name);
    return found->second;
  }
  int whole(const std::string& name) const { return int(number_of(name)); }
};

// One slice at one stage.
struct Pass {
  int width = 16;  // examples, with those that only fill it up
  int count = 16;  // that are there; X of the others is 0, and so is their dZ[L]
  const std::int32_t* lengths = nullptr;  // (width,), steps of each that enter, or null: all
  bool training = false;                  // backward follows, statistics are the mini-batch's
  bool drop = false;                      // units are dropped
  std::int64_t first = 0;                 // place of the slice's first example in the mini-batch
  std::uint64_t step = 0;                 // counted from 1; with `seed`, for the draws
  std::uint64_t seed = 0;
};

template <class T>
class Stage {
 public:
  static constexpr int L = LANES<T>;

  explicit Stage(StageSpec<T> spec) : spec_(std::move(spec)) {}
  virtual ~Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const StageSpec<T>& spec() const { return spec_; }
  const Shape& in() const { return spec_.in; }
  const Shape& out() const { return spec_.out; }

  // Numbers that forward keeps of a slice for backward, beside what enters and leaves; and those
  // that a thread needs while one of the two works.
  virtual size_t kept(int /*width*/) const { return 0; }
  virtual size_t scratch(int /*width*/) const { return 0; }

  // Thread t's share of the copies of the parameters, after they have changed.
  virtual void pack(int /*t*/, int /*threads*/) {}

  // A (out().n(), width) of A_prev (in().n(), width).
  virtual void forward(const Pass& /*pass*/, const T* /*A_prev*/, T* /*A*/, T* /*kept*/,
                       T* /*scratch*/) const {}

  // From dA, which it may overwrite, dA_prev (null where nothing below learns), and the sums over
  // the slice of each parameter's gradient, in the lectures' layout: set, or added where `add`.
  // Examples that only fill the slice up, and padded steps, have dA = 0 and add nothing.
  virtual void backward(const Pass& /*pass*/, const T* /*A_prev*/, const T* /*A*/, T* /*dA*/,
                        T* /*dA_prev*/, T* /*kept*/, T* /*scratch*/, T* const* /*gradients*/,
                        bool /*add*/) const {}

  // The same for a stage with several inputs, which has these two instead.
  virtual void join(const Pass& pass, const T* const* entered, T* A, T* kept, T* scratch) const {
    forward(pass, entered[0], A, kept, scratch);
  }
  virtual void part(const Pass& pass, const T* const* entered, const T* A, T* dA, T* const* back,
                    T* kept, T* scratch, T* const* gradients, bool add) const {
    backward(pass, entered[0], A, dA, back[0], kept, scratch, gradients, add);
  }

  // Whether X is to enter with the places of a channel together.
  virtual bool wants_channels_first() const { return false; }

  // How many of an example's steps are left; where its output has no steps this is not asked.
  virtual int length_after(int length) const { return length; }

  // Of a stage that mixes the examples of a mini-batch, before forward (backward) of any slice:
  // sums over one slice, so many numbers; then what all of them together say, the slices in their
  // order.
  virtual int sums() const { return 0; }
  virtual void sum_forward(const Pass&, const T* /*A_prev*/, double* /*sums*/) const {}
  virtual void settle_forward(const double* /*sums*/, int /*slices*/) {}
  virtual void sum_backward(const Pass&, const T* /*A_prev*/, const T* /*A*/, const T* /*dA*/,
                            const T* /*kept*/, double* /*sums*/) const {}
  virtual void settle_backward(const double* /*sums*/, int /*slices*/) {}
  // After a step: the statistics that prediction uses take in those of this mini-batch.
  virtual void learn_statistics() {}

 protected:
  // A = g(Z) on `n` numbers, a multiple of L, in place or not.
  void activate(const T* Z, T* A, size_t n) const {
    with_activation(spec_.activation, [&](auto g) {
      using G = decltype(g);
      for (size_t k = 0; k < n; k += L)
        store(A + k, G::template g<T>(load(Z + k), spec_.parameter));
    });
  }
  // dZ = dA * g'(Z), in place; Z may be A where g needs no Z.
  void slope(const T* Z, const T* A, T* dA, size_t n) const {
    with_activation(spec_.activation, [&](auto g) {
      using G = decltype(g);
      for (size_t k = 0; k < n; k += L)
        store(dA + k,
              load(dA + k) * G::template slope<T>(load(Z + k), load(A + k), spec_.parameter));
    });
  }

  StageSpec<T> spec_;
};

extern const std::vector<const char*> KIND_NAMES;

// At the end of a kind's file: how kinds.cpp makes one.
#define PELLUCID_KIND(name, Kind)                                       \
  template <class T>                                                    \
  std::unique_ptr<Stage<T>> make_##name(StageSpec<T> spec) {            \
    return std::make_unique<Kind<T>>(std::move(spec));                  \
  }                                                                     \
  template std::unique_ptr<Stage<float>> make_##name(StageSpec<float>); \
  template std::unique_ptr<Stage<double>> make_##name(StageSpec<double>);

template <class T>
std::unique_ptr<Stage<T>> make_stage(const StageSpec<T>& spec);

}  // namespace pellucid::PELLUCID_LEVEL::stages
