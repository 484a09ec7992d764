// The kinds of stages: each is a file of this folder, and a line here.
#include "stage.hpp"

#define PELLUCID_KINDS(X) \
  X(add)                  \
  X(batchnorm)            \
  X(concat)               \
  X(convolution)          \
  X(dense)                \
  X(dropout)              \
  X(embedding)            \
  X(globalpool)           \
  X(gru)                  \
  X(layernorm)            \
  X(lstm)                 \
  X(pool)                 \
  X(recurrent)            \
  X(scale)                \
  X(take)

namespace pellucid::PELLUCID_LEVEL::stages {

#define PELLUCID_NAME(kind) #kind,
const std::vector<const char*> KIND_NAMES{PELLUCID_KINDS(PELLUCID_NAME)};
#undef PELLUCID_NAME

#define PELLUCID_DECLARE(kind) \
  template <class T>           \
  std::unique_ptr<Stage<T>> make_##kind(StageSpec<T> spec);
PELLUCID_KINDS(PELLUCID_DECLARE)
#undef PELLUCID_DECLARE

template <class T>
std::unique_ptr<Stage<T>> make_stage(const StageSpec<T>& spec) {
#define PELLUCID_MAKE(name) \
  if (spec.kind == #name) return make_##name<T>(spec);
  PELLUCID_KINDS(PELLUCID_MAKE)
#undef PELLUCID_MAKE
  throw std::invalid_argument("there is no kind of stage '" + spec.kind + "'");
}

template std::unique_ptr<Stage<float>> make_stage(const StageSpec<float>&);
template std::unique_ptr<Stage<double>> make_stage(const StageSpec<double>&);

}  // namespace pellucid::PELLUCID_LEVEL::stages
