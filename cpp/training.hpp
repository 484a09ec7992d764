// What is minimised, and how: the same for every kind of session.
#pragma once

#include <cmath>
#include <cstdint>

#include "losses.hpp"
#include "optimizers.hpp"

namespace pellucid::PELLUCID_LEVEL {

template <class T>
struct TrainingSpec {
  LossSpec<T> loss;
  OptimizerSpec optimizer;
  double l1 = 0, l2 = 0;
  bool penalty_per_weight = false;
  double clip_value = -1, clip_norm = -1;  // negative: none
  int batch_size = 1;
  int threads = 1;
  bool tuned = true;  // else all threads take part in every step, in shares that stay
  std::uint64_t seed = 0;
  std::uint64_t step = 0;  // steps done before
  bool training = true;    // else only evaluate
};

// One step as an optimizer sees it.
struct Step {
  std::uint64_t number;  // counted from 1
  double rate;           // alpha
  double weight;         // of the mini-batch
  double correction;     // Adam's sqrt(1 - beta2^t) / (1 - beta1^t)
  bool penalise = true;  // else the gradients hold the penalties already
};

inline Step step_of(const OptimizerSpec& o, std::uint64_t number, double rate, double weight) {
  // pow is slow where it underflows; long before that its result no longer counts beside 1.
  const auto left = [&](double beta) {
    return double(number) > 40 / (1 - beta) ? 0 : std::pow(beta, double(number));
  };
  const double correction = o.id == ADAM ? std::sqrt(1 - left(o.beta2)) / (1 - left(o.beta1)) : 1;
  return {number, rate, weight, correction};
}

// What a step does to a parameter: `factor` is that of its learning rate, `decay` that of the
// penalties and of AdamW's decay.
template <class T>
Update<T> update_of(const TrainingSpec<T>& spec, const Step& step, double factor, double decay) {
  const OptimizerSpec& o = spec.optimizer;
  const double alpha = step.rate * factor;
  const double per = spec.penalty_per_weight ? step.weight : 1;
  Update<T> u;
  u.id = o.id;
  u.alpha = T(alpha);
  u.alpha_t = T(alpha * step.correction);
  u.keep = T(1 - alpha * o.decay * decay);
  u.beta1 = T(o.beta1);
  u.beta2 = T(o.beta2);
  u.epsilon = T(o.epsilon);
  u.inside = T(o.alpha_inside ? alpha : 1);
  u.outside = T(o.alpha_inside ? 1 : alpha);
  u.l1 = step.penalise ? T(decay * spec.l1 / per) : T(0);
  u.l2 = step.penalise ? T(decay * spec.l2 / per) : T(0);
  u.scale = T(1);
  u.bound = T(spec.clip_value);
  return u;
}

}  // namespace pellucid::PELLUCID_LEVEL
