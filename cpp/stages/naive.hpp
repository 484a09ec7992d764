// The stages in plain loops, in double and in the lectures' order: what the tests compare with.
//
// Arrays are (m, n), an example's numbers together, in the lectures' order.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages::naive {

using Numbers = std::vector<double>;

// A layer and the mini-batch that goes through it.
struct Given {
  Shape in, out;
  std::map<std::string, double> numbers;
  std::vector<Numbers> parameters;
  int activation = 0;
  int m = 0;                 // examples
  std::vector<int> lengths;  // of each, or none: all steps
  Numbers mask;              // of Dense's connections, or none
  Numbers A_prev, dA;

  int number(const char* name) const { return int(numbers.at(name)); }
  bool there(int e, int step) const { return lengths.empty() || step < lengths[size_t(e)]; }
  const double* entered(int e) const { return A_prev.data() + size_t(e) * in.n(); }
  const double* returned(int e) const { return dA.data() + size_t(e) * out.n(); }
};

struct Twin {
  Numbers A, dA_prev;
  std::vector<Numbers> gradients;

  explicit Twin(const Given& g) : A(size_t(g.m) * g.out.n()), dA_prev(size_t(g.m) * g.in.n()) {
    for (const auto& each : g.parameters) gradients.emplace_back(each.size());
  }
  double* left(const Given& g, int e) { return A.data() + size_t(e) * g.out.n(); }
  double* back(const Given& g, int e) { return dA_prev.data() + size_t(e) * g.in.n(); }
};

inline double sigmoid_of(double z) { return 1 / (1 + std::exp(-z)); }

inline double g_of(int id, double z) {
  if (id == ID_ReLU) return z > 0 ? z : 0;
  if (id == ID_Tanh) return std::tanh(z);
  if (id == ID_SiLU) return z * sigmoid_of(z);
  return z;
}

inline double slope_of(int id, double z) {
  const double s = sigmoid_of(z), t = std::tanh(z);
  if (id == ID_ReLU) return z > 0;
  if (id == ID_Tanh) return 1 - t * t;
  if (id == ID_SiLU) return s + z * s * (1 - s);
  return 1;
}

// Z = W P + b: unit o of output number `to` is the sum over terms (weight, number of the input);
// `terms(to, f)` calls f(weight, from) in the lectures' order, `unit(to)` is the row of b.
template <class Terms, class Unit>
Twin linear(const Given& g, Terms terms, Unit unit) {
  Twin twin(g);
  const Numbers &W = g.parameters[0], &b = g.parameters[1];
  for (int e = 0; e < g.m; ++e)
    for (int to = 0; to < g.out.n(); ++to) {
      double Z = b[unit(to)];
      terms(to, [&](size_t weight, int from) { Z += W[weight] * g.entered(e)[from]; });
      twin.left(g, e)[to] = g_of(g.activation, Z);
      const double dZ = g.returned(e)[to] * slope_of(g.activation, Z);
      twin.gradients[1][unit(to)] += dZ;
      terms(to, [&](size_t weight, int from) {
        twin.gradients[0][weight] += dZ * g.entered(e)[from];
        twin.back(g, e)[from] += dZ * W[weight];
      });
    }
  return twin;
}

inline Twin dense(const Given& g) {
  const int places = g.number("each_step") ? g.in.places() : 1;
  const int K = g.in.n() / places, n = g.out.n() / places;
  const auto terms = [&](int to, auto f) {
    for (int k = 0; k < K; ++k) {
      const size_t weight = size_t(k) * n + to % n;
      if (g.mask.empty() || g.mask[weight] != 0) f(weight, to / n * K + k);
    }
  };
  return linear(g, terms, [&](int to) { return size_t(to % n); });
}

inline Twin convolution(const Given& g) {
  const int rows = g.number("size_rows"), columns = g.number("size_columns");
  const int groups = g.number("groups"), channels = g.in.channels / groups;
  const int n = g.out.channels, of_group = n / groups;
  const auto terms = [&](int to, auto f) {
    const int filter = to % n, group = filter / of_group;
    const int top = to / n / g.out.columns * g.number("stride_rows") - g.number("padding_rows");
    const int left =
        to / n % g.out.columns * g.number("stride_columns") - g.number("padding_columns");
    for (int y = 0; y < rows; ++y)
      for (int x = 0; x < columns; ++x)
        for (int c = 0; c < channels; ++c) {
          const int row = top + y, column = left + x;
          if (row < 0 || row >= g.in.rows || column < 0 || column >= g.in.columns) continue;
          f((size_t(y * columns + x) * channels + c) * n + filter,
            (row * g.in.columns + column) * g.in.channels + group * channels + c);
        }
  };
  return linear(g, terms, [&](int to) { return size_t(to % n); });
}

// The largest of some numbers or their mean; several that are the largest share dA.
inline void pool_window(const Given& g, Twin& twin, int e, int to, const std::vector<int>& window) {
  if (window.empty()) return;
  const bool max = g.number("max");
  double most = -INFINITY, sum = 0, count = 0;
  for (const int from : window) {
    most = std::max(most, g.entered(e)[from]);
    sum += g.entered(e)[from];
  }
  for (const int from : window) count += !max || g.entered(e)[from] == most;
  twin.left(g, e)[to] = max ? most : sum / count;
  for (const int from : window)
    if (!max || g.entered(e)[from] == most) twin.back(g, e)[from] += g.returned(e)[to] / count;
}

inline Twin pool(const Given& g) {
  Twin twin(g);
  const int channels = g.in.channels;
  for (int e = 0; e < g.m; ++e)
    for (int to = 0; to < g.out.n(); ++to) {
      const int place = to / channels;
      const int top = place / g.out.columns * g.number("stride_rows");
      const int left = place % g.out.columns * g.number("stride_columns");
      std::vector<int> window;
      for (int y = 0; y < g.number("size_rows"); ++y)
        for (int x = 0; x < g.number("size_columns"); ++x)
          window.push_back(((top + y) * g.in.columns + left + x) * channels + to % channels);
      pool_window(g, twin, e, to, window);
    }
  return twin;
}

inline Twin globalpool(const Given& g) {
  Twin twin(g);
  for (int e = 0; e < g.m; ++e)
    for (int c = 0; c < g.in.channels; ++c) {
      std::vector<int> window;
      for (int place = 0; place < g.in.places(); ++place)
        if (g.there(e, place)) window.push_back(place * g.in.channels + c);
      pool_window(g, twin, e, c, window);
    }
  return twin;
}

inline Twin embedding(const Given& g) {
  Twin twin(g);
  const int n = g.out.channels;
  for (int e = 0; e < g.m; ++e)
    for (int place = 0; place < g.in.n(); ++place) {
      const int word = int(g.entered(e)[place]);
      for (int k = 0; k < n && word != g.number("padding"); ++k) {
        twin.left(g, e)[place * n + k] = g.parameters[0][size_t(word * n + k)];
        twin.gradients[0][size_t(word * n + k)] += g.returned(e)[place * n + k];
      }
    }
  return twin;
}

inline Twin scale(const Given& g) {
  Twin twin(g);
  for (int e = 0; e < g.m; ++e)
    for (int k = 0; k < g.in.n(); ++k) {
      twin.left(g, e)[k] = g.parameters[0][size_t(k)] * g.entered(e)[k];
      twin.gradients[0][size_t(k)] += g.returned(e)[k] * g.entered(e)[k];
      twin.back(g, e)[k] = g.parameters[0][size_t(k)] * g.returned(e)[k];
    }
  return twin;
}

// Normalise numbers that share a mean; each is {example, its number}, `c` its gamma and beta.
struct Place {
  int e, k, c;
};
inline void normalise(const Given& g, Twin& twin, const std::vector<Place>& places) {
  const Numbers &gamma = g.parameters[0], &beta = g.parameters[1];
  double mean = 0, variance = 0, sum = 0, along = 0;
  const double N = double(places.size());
  for (const auto& p : places) mean += g.entered(p.e)[p.k] / N;
  for (const auto& p : places) variance += std::pow(g.entered(p.e)[p.k] - mean, 2) / N;
  const double std = std::sqrt(variance + g.numbers.at("epsilon"));
  const auto norm = [&](const Place& p) { return (g.entered(p.e)[p.k] - mean) / std; };
  for (const auto& p : places) {
    const double d = g.returned(p.e)[p.k];
    twin.left(g, p.e)[p.k] = gamma[size_t(p.c)] * norm(p) + beta[size_t(p.c)];
    twin.gradients[0][size_t(p.c)] += d * norm(p);
    twin.gradients[1][size_t(p.c)] += d;
    sum += gamma[size_t(p.c)] * d / N;
    along += gamma[size_t(p.c)] * d * norm(p) / N;
  }
  for (const auto& p : places)
    twin.back(g, p.e)[p.k] =
        (gamma[size_t(p.c)] * g.returned(p.e)[p.k] - sum - norm(p) * along) / std;
}

inline Twin layernorm(const Given& g) {
  Twin twin(g);
  for (int e = 0; e < g.m; ++e)
    for (int place = 0; place < g.in.places(); ++place) {
      std::vector<Place> places;
      for (int c = 0; c < g.in.channels; ++c) places.push_back({e, place * g.in.channels + c, c});
      normalise(g, twin, places);
    }
  return twin;
}

inline Twin batchnorm(const Given& g) {
  Twin twin(g);
  for (int c = 0; c < g.in.channels; ++c) {
    std::vector<Place> places;
    for (int e = 0; e < g.m; ++e)
      for (int place = 0; place < g.in.places(); ++place)
        if (g.there(e, place)) places.push_back({e, place * g.in.channels + c, c});
    normalise(g, twin, places);
  }
  return twin;
}

}  // namespace pellucid::PELLUCID_LEVEL::stages::naive
