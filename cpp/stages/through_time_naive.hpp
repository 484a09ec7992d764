// The naive twin of recurrent, gru and lstm: one example, one number at a time, in double, as the
// docstrings of src/pellucid/layers/ have it.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "../activations.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

struct NaiveThroughTime {
  using Numbers = std::vector<double>;

  std::string kind;
  int n = 1, n_x = 1, steps = 1;
  bool sequences = false, backwards = false, after = false;  // after: where GRU resets
  int activation = ID_Tanh;                                  // of recurrent
  double parameter = 0;
  Numbers W, b;

  int gates() const { return kind == "lstm" ? 4 : kind == "gru" ? 3 : 1; }
  int rows() const { return gates() * n; }
  size_t size_of_W() const { return size_t(rows()) * (n + n_x); }
  size_t size_of_b() const { return size_t(rows() + (after ? n : 0)); }
  int n_out() const { return (sequences ? steps : 1) * n; }

  // What step t computed, and what it had.
  struct Step {
    Numbers a_before, c_before, x, Z, u, r, o, candidate, q, c, a;  // r: f of an LSTM
  };

  // A (n_out) of X (steps, n_x); of dA dX, and what the example adds to dW and db.
  void forward(const double* X, int length, double* A, std::vector<Step>& made) const {
    made.assign(size_t(steps), {});
    Numbers a(n, 0.0), c(n, 0.0);
    for (int i = 0; i < steps; ++i) {
      const int t = backwards ? steps - 1 - i : i;
      for (int k = 0; k < n && sequences; ++k) A[t * n + k] = 0;
      if (t >= length) continue;
      Step& now = made[size_t(t)];
      now.x.assign(X + t * n_x, X + (t + 1) * n_x);
      now.a_before = a;
      now.c_before = c;
      step(now);
      a = now.a;
      c = now.c;
      for (int k = 0; k < n && sequences; ++k) A[t * n + k] = a[k];
    }
    for (int k = 0; k < n && !sequences; ++k) A[k] = a[k];
  }

  void backward(const std::vector<Step>& made, int length, const double* dA, double* dX, double* dW,
                double* db) const {
    Numbers da(n, 0.0), dc(n, 0.0);
    for (int k = 0; k < n && !sequences; ++k) da[k] = dA[k];
    for (int i = steps - 1; i >= 0; --i) {
      const int t = backwards ? steps - 1 - i : i;
      for (int k = 0; k < n_x; ++k) dX[t * n_x + k] = 0;
      if (t >= length) continue;
      for (int k = 0; k < n && sequences; ++k) da[k] += dA[t * n + k];
      step_back(made[size_t(t)], da, dc, dX + t * n_x, dW, db);
    }
  }

 private:
  static double sigma(double z) { return 1 / (1 + std::exp(-z)); }
  double w(int row, int k) const { return W[size_t(k) * rows() + row]; }
  double affine(int row, const Numbers& a, const Numbers& x) const {
    double z = b[size_t(row)];
    for (int k = 0; k < n; ++k) z += w(row, k) * a[k];
    for (int k = 0; k < n_x; ++k) z += w(row, n + k) * x[k];
    return z;
  }
  // What dZ of one row hands back to a and x, and adds to dW and db.
  void affine_back(int row, double dZ, const Numbers& a, const Numbers& x, Numbers& da, double* dx,
                   double* dW, double* db) const {
    db[row] += dZ;
    for (int k = 0; k < n; ++k) {
      da[k] += w(row, k) * dZ;
      dW[size_t(k) * rows() + row] += dZ * a[k];
    }
    for (int k = 0; k < n_x; ++k) {
      dx[k] += w(row, n + k) * dZ;
      dW[size_t(n + k) * rows() + row] += dZ * x[k];
    }
  }

  double g(double z) const {
    double a = 0;
    with_activation(activation, [&](auto G) {
      a = decltype(G)::template g<double>(broadcast(z), parameter)[0];
    });
    return a;
  }
  double slope(double z, double a) const {
    double s = 0;
    with_activation(activation, [&](auto G) {
      s = decltype(G)::template slope<double>(broadcast(z), broadcast(a), parameter)[0];
    });
    return s;
  }

  void step(Step& now) const {
    for (Numbers* each : {&now.Z, &now.u, &now.r, &now.o, &now.candidate, &now.q, &now.c, &now.a})
      each->assign(size_t(n), 0.0);
    const Numbers &a = now.a_before, &x = now.x;
    for (int k = 0; k < n && kind == "recurrent"; ++k) {
      now.Z[k] = affine(k, a, x);
      now.a[k] = g(now.Z[k]);
    }
    for (int k = 0; k < n && kind == "lstm"; ++k) {
      now.u[k] = sigma(affine(k, a, x));
      now.r[k] = sigma(affine(n + k, a, x));
      now.o[k] = sigma(affine(2 * n + k, a, x));
      now.candidate[k] = std::tanh(affine(3 * n + k, a, x));
      now.c[k] = now.u[k] * now.candidate[k] + now.r[k] * now.c_before[k];
      now.a[k] = now.o[k] * std::tanh(now.c[k]);
    }
    if (kind == "gru") step_of_gru(now);
  }

  void step_of_gru(Step& now) const {
    const Numbers &a = now.a_before, &x = now.x, none(size_t(n), 0.0);
    for (int k = 0; k < n; ++k) {
      now.u[k] = sigma(affine(k, a, x));
      now.r[k] = sigma(affine(n + k, a, x));
      now.q[k] = after ? b[size_t(3 * n + k)] : now.r[k] * a[k];
      for (int j = 0; j < n && after; ++j) now.q[k] += w(2 * n + k, j) * a[j];
    }
    for (int k = 0; k < n; ++k) {
      const double Z_c =
          after ? affine(2 * n + k, none, x) + now.r[k] * now.q[k] : affine(2 * n + k, now.q, x);
      now.candidate[k] = std::tanh(Z_c);
      now.a[k] = now.u[k] * now.candidate[k] + (1 - now.u[k]) * a[k];
    }
  }

  // da and dc of the state after the step become those of the state before it.
  void step_back(const Step& now, Numbers& da, Numbers& dc, double* dx, double* dW,
                 double* db) const {
    Numbers before(size_t(n), 0.0);
    for (int k = 0; k < n && kind == "recurrent"; ++k)
      affine_back(k, da[k] * slope(now.Z[k], now.a[k]), now.a_before, now.x, before, dx, dW, db);
    for (int k = 0; k < n && kind == "lstm"; ++k) {
      const double u = now.u[k], f = now.r[k], o = now.o[k], candidate = now.candidate[k];
      const double shown = std::tanh(now.c[k]);
      const double d = dc[k] + da[k] * o * (1 - shown * shown);
      const double dZ[] = {d * candidate * u * (1 - u), d * now.c_before[k] * f * (1 - f),
                           da[k] * shown * o * (1 - o), d * u * (1 - candidate * candidate)};
      for (int gate = 0; gate < 4; ++gate)
        affine_back(gate * n + k, dZ[gate], now.a_before, now.x, before, dx, dW, db);
      dc[k] = d * f;
    }
    if (kind == "gru") step_of_gru_back(now, da, before, dx, dW, db);
    da = before;
  }

  void step_of_gru_back(const Step& now, const Numbers& da, Numbers& before, double* dx, double* dW,
                        double* db) const {
    const Numbers &a = now.a_before, none(size_t(n), 0.0);
    Numbers dq(size_t(n), 0.0), ignored(size_t(n), 0.0);
    for (int k = 0; k < n; ++k) {
      const double u = now.u[k], candidate = now.candidate[k];
      const double dZ_c = da[k] * u * (1 - candidate * candidate);
      before[k] += da[k] * (1 - u);
      affine_back(k, da[k] * (candidate - a[k]) * u * (1 - u), a, now.x, before, dx, dW, db);
      affine_back(2 * n + k, dZ_c, after ? none : now.q, now.x, after ? ignored : dq, dx, dW, db);
      if (!after) continue;
      dq[k] = dZ_c * now.r[k];
      db[3 * n + k] += dq[k];
      for (int j = 0; j < n; ++j) {
        before[j] += w(2 * n + k, j) * dq[k];
        dW[size_t(j) * rows() + 2 * n + k] += dq[k] * a[j];
      }
      reset_back(now, k, dZ_c * now.q[k], before, dx, dW, db);
    }
    for (int k = 0; k < n && !after; ++k) {
      before[k] += dq[k] * now.r[k];
      reset_back(now, k, dq[k] * a[k], before, dx, dW, db);
    }
  }
  void reset_back(const Step& now, int k, double dr, Numbers& before, double* dx, double* dW,
                  double* db) const {
    const double r = now.r[k];
    affine_back(n + k, dr * r * (1 - r), now.a_before, now.x, before, dx, dW, db);
  }
};

}  // namespace pellucid::PELLUCID_LEVEL::stages
