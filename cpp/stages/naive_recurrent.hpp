// Recurrent, GRU and LSTM in plain loops, forward and backward through time.
#pragma once

#include "naive.hpp"

namespace pellucid::PELLUCID_LEVEL::stages::naive {

// One example of a recurrent layer. What a step notes is kept by its number on the way.
class ThroughTime {
 public:
  ThroughTime(const Given& g, Twin& twin, int e, int gates)
      : g_(g), twin_(twin), n_(g.out.channels), n_x_(g.in.channels), rows_(gates * n_), e_(e) {}

  template <class Step, class Back>
  void run(Step step, Back back) {
    const int T = g_.in.columns;
    const bool sequences = g_.number("sequences");
    std::vector<int> way;
    for (int i = 0; i < T; ++i) {
      const int t = g_.number("backwards") ? T - 1 - i : i;
      if (g_.there(e_, t)) way.push_back(t);
    }
    Numbers a(size_t(n_), 0.0);
    for (const int t : way) {
      before_.push_back(a);
      a = step(a, g_.entered(e_) + t * n_x_);
      if (sequences) std::copy(a.begin(), a.end(), twin_.left(g_, e_) + t * n_);
    }
    if (!sequences) std::copy(a.begin(), a.end(), twin_.left(g_, e_));
    Numbers da(size_t(n_), 0.0);
    for (int i = int(way.size()) - 1; i >= 0; --i) {
      const int t = way[size_t(i)];
      for (int k = 0; k < n_ && (sequences || i == int(way.size()) - 1); ++k)
        da[size_t(k)] += g_.returned(e_)[(sequences ? t * n_ : 0) + k];
      da =
          back(i, da, before_[size_t(i)], g_.entered(e_) + t * n_x_, twin_.back(g_, e_) + t * n_x_);
    }
  }

  // Z = W [a; x] + b of unit o; `a` or `x` may be null, and b's number -1: none.
  double product(int o, const double* a, const double* x, int b) const {
    const Numbers& W = g_.parameters[0];
    double Z = b < 0 ? 0 : g_.parameters[1][size_t(b)];
    for (int k = 0; a && k < n_; ++k) Z += W[size_t(k) * rows_ + o] * a[k];
    for (int k = 0; x && k < n_x_; ++k) Z += W[size_t(n_ + k) * rows_ + o] * x[k];
    return Z;
  }
  // The way back: dW, db, and da and dx, to which it adds.
  void back(int o, double dZ, const double* a, const double* x, int b, double* da, double* dx) {
    const Numbers& W = g_.parameters[0];
    if (b >= 0) twin_.gradients[1][size_t(b)] += dZ;
    for (int k = 0; a && k < n_; ++k) {
      twin_.gradients[0][size_t(k) * rows_ + o] += dZ * a[k];
      da[k] += dZ * W[size_t(k) * rows_ + o];
    }
    for (int k = 0; x && k < n_x_; ++k) {
      twin_.gradients[0][size_t(n_ + k) * rows_ + o] += dZ * x[k];
      dx[k] += dZ * W[size_t(n_ + k) * rows_ + o];
    }
  }

 private:
  const Given& g_;
  Twin& twin_;
  int n_, n_x_, rows_, e_;
  std::vector<Numbers> before_;
};

inline Twin recurrent(const Given& g) {
  Twin twin(g);
  const int n = g.out.channels;
  for (int e = 0; e < g.m; ++e) {
    ThroughTime way(g, twin, e, 1);
    const auto step = [&](const Numbers& a, const double* x) {
      Numbers now(a.size());
      for (int o = 0; o < n; ++o)
        now[size_t(o)] = g_of(g.activation, way.product(o, a.data(), x, o));
      return now;
    };
    way.run(step, [&](int, const Numbers& d, const Numbers& a, const double* x, double* dx) {
      Numbers da(a.size(), 0.0);
      for (int o = 0; o < n; ++o) {
        const double Z = way.product(o, a.data(), x, o);
        way.back(o, d[size_t(o)] * slope_of(g.activation, Z), a.data(), x, o, da.data(), dx);
      }
      return da;
    });
  }
  return twin;
}

inline Twin lstm(const Given& g) {
  Twin twin(g);
  const int n = g.out.channels;
  for (int e = 0; e < g.m; ++e) {
    ThroughTime way(g, twin, e, 4);
    std::vector<Numbers> gates, cells{Numbers(size_t(n), 0.0)};  // u, f, o, c~; c before
    const auto step = [&](const Numbers& a, const double* x) {
      Numbers now(a.size()), gate(size_t(4 * n)), c = cells.back();
      for (int o = 0; o < 4 * n; ++o) {
        const double Z = way.product(o, a.data(), x, o);
        gate[size_t(o)] = o < 3 * n ? sigmoid_of(Z) : std::tanh(Z);
      }
      for (size_t k = 0; k < size_t(n); ++k) {
        c[k] = gate[k] * gate[k + 3 * n] + gate[k + n] * c[k];
        now[k] = gate[k + 2 * n] * std::tanh(c[k]);
      }
      gates.push_back(gate);
      cells.push_back(c);
      return now;
    };
    Numbers dc(size_t(n), 0.0);
    way.run(step, [&](int i, const Numbers& d, const Numbers& a, const double* x, double* dx) {
      Numbers da(a.size(), 0.0);
      for (int k = 0; k < n; ++k) {
        const Numbers& gate = gates[size_t(i)];
        const double u = gate[k], f = gate[k + n], o = gate[k + 2 * n], c = gate[k + 3 * n];
        const double through = std::tanh(cells[size_t(i) + 1][k]);
        dc[k] += d[k] * o * (1 - through * through);
        const double dZ[] = {dc[k] * c * u * (1 - u), dc[k] * cells[size_t(i)][k] * f * (1 - f),
                             d[k] * through * o * (1 - o), dc[k] * u * (1 - c * c)};
        for (int part = 0; part < 4; ++part) {
          const int row = part * n + k;
          way.back(row, dZ[part], a.data(), x, row, da.data(), dx);
        }
        dc[k] *= f;
      }
      return da;
    });
  }
  return twin;
}

inline Twin gru(const Given& g) {
  Twin twin(g);
  const int n = g.out.channels;
  const bool after = g.number("reset_after");
  for (int e = 0; e < g.m; ++e) {
    ThroughTime way(g, twin, e, 3);
    std::vector<Numbers> gates;  // u, r, c~, q
    const auto step = [&](const Numbers& a, const double* x) {
      Numbers now(a.size()), gate(size_t(4 * n));
      double* q = gate.data() + 3 * n;
      for (int o = 0; o < 2 * n; ++o) gate[o] = sigmoid_of(way.product(o, a.data(), x, o));
      for (int k = 0; k < n; ++k)
        q[k] = after ? way.product(2 * n + k, a.data(), nullptr, 3 * n + k) : gate[n + k] * a[k];
      for (int k = 0; k < n; ++k) {
        const double Z = after ? way.product(2 * n + k, nullptr, x, 2 * n + k) + gate[n + k] * q[k]
                               : way.product(2 * n + k, q, x, 2 * n + k);
        gate[2 * n + k] = std::tanh(Z);
        now[k] = gate[k] * gate[2 * n + k] + (1 - gate[k]) * a[k];
      }
      gates.push_back(gate);
      return now;
    };
    way.run(step, [&](int i, const Numbers& d, const Numbers& a, const double* x, double* dx) {
      const Numbers& gate = gates[size_t(i)];
      const double *r = gate.data() + n, *c = r + n, *q = c + n;
      Numbers da(a.size(), 0.0), dq(a.size(), 0.0), dr(a.size(), 0.0);
      for (int k = 0; k < n; ++k) {
        const double dZ = d[k] * gate[k] * (1 - c[k] * c[k]);
        way.back(2 * n + k, dZ, after ? nullptr : q, x, 2 * n + k, dq.data(), dx);
        if (after) way.back(2 * n + k, dZ * r[k], a.data(), nullptr, 3 * n + k, da.data(), dx);
        if (after) dr[k] = dZ * q[k];
      }
      for (int k = 0; k < n; ++k) {
        if (!after) dr[k] = dq[k] * a[k], da[k] += dq[k] * r[k];
        da[k] += d[k] * (1 - gate[k]);
        const double du = d[k] * (c[k] - a[k]);
        way.back(k, du * gate[k] * (1 - gate[k]), a.data(), x, k, da.data(), dx);
        way.back(n + k, dr[k] * r[k] * (1 - r[k]), a.data(), x, n + k, da.data(), dx);
      }
      return da;
    });
  }
  return twin;
}

}  // namespace pellucid::PELLUCID_LEVEL::stages::naive
