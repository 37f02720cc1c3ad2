// Bundle adjustment of a BAL file by Ceres: angle-axis, translation, f, k1, k2 per camera, derivatives by its own
// automatic differentiation, points eliminated. One line of JSON about the best of several runs.
//     g++ -O3 -march=native -I/usr/include/eigen3 bundle_adjustment_ceres.cc -o ceres -lceres -lglog -fopenmp
//     ceres FILE THREADS {dense,sparse} ITERATIONS TOLERANCE RUNS [HUBER]
#include <ceres/ceres.h>
#include <ceres/rotation.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

struct Reprojection {
  double x, y;
  template <class T>
  bool operator()(const T* camera, const T* point, T* r) const {
    T p[3];
    ceres::AngleAxisRotatePoint(camera, point, p);
    p[0] += camera[3];
    p[1] += camera[4];
    p[2] += camera[5];
    const T a = -p[0] / p[2], b = -p[1] / p[2], s = a * a + b * b;
    const T scale = camera[6] * (T(1.0) + s * (camera[7] + s * camera[8]));
    r[0] = scale * a - T(x);
    r[1] = scale * b - T(y);
    return true;
  }
};

int main(int count, char** argument) {
  FILE* file = std::fopen(argument[1], "r");
  int cameras, points, observations;
  if (!file || std::fscanf(file, "%d %d %d", &cameras, &points, &observations) != 3) return 1;
  std::vector<int> c(observations), p(observations);
  std::vector<double> seen(2 * observations), start(9 * cameras + 3 * points);
  for (int i = 0; i < observations; ++i)
    if (std::fscanf(file, "%d %d %lf %lf", &c[i], &p[i], &seen[2 * i], &seen[2 * i + 1]) != 4) return 1;
  for (double& value : start)
    if (std::fscanf(file, "%lf", &value) != 1) return 1;

  ceres::Solver::Summary best;
  double seconds = 1e300;
  for (int run = 0; run < std::atoi(argument[6]); ++run) {
    std::vector<double> x = start;
    ceres::Problem problem;
    auto* ordering = new ceres::ParameterBlockOrdering;
    for (int i = 0; i < observations; ++i) {
      double *camera = &x[9 * c[i]], *point = &x[9 * cameras + 3 * p[i]];
      auto* cost = new ceres::AutoDiffCostFunction<Reprojection, 2, 9, 3>(
          new Reprojection{seen[2 * i], seen[2 * i + 1]});
      problem.AddResidualBlock(cost, count > 7 ? new ceres::HuberLoss(std::atof(argument[7])) : nullptr, camera, point);
    }
    for (int i = 0; i < points; ++i) ordering->AddElementToGroup(&x[9 * cameras + 3 * i], 0);
    for (int i = 0; i < cameras; ++i) ordering->AddElementToGroup(&x[9 * i], 1);
    ceres::Solver::Options options;
    options.linear_solver_ordering.reset(ordering);
    options.num_threads = std::atoi(argument[2]);
    options.linear_solver_type = std::string(argument[3]) == "dense" ? ceres::DENSE_SCHUR : ceres::SPARSE_SCHUR;
    options.max_num_iterations = std::atoi(argument[4]);
    options.function_tolerance = std::atof(argument[5]);
    options.gradient_tolerance = options.parameter_tolerance = 0.0;
    options.logging_type = ceres::SILENT;
    ceres::Solver::Summary summary;
    ceres::Solve(options, &problem, &summary);
    if (summary.total_time_in_seconds < seconds) seconds = (best = summary).total_time_in_seconds;
  }
  // what getrusage says may be that of the process that started this one
  double kilobytes = NAN;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0) kilobytes = std::atof(line.c_str() + 6);
  std::printf(
      "{\"seconds\": %.6f, \"iterations\": %zu, \"initial_cost\": %.12g, \"final_cost\": %.12g, \"linear_solver\": "
      "%.6f, \"jacobians\": %.6f, \"residuals\": %.6f, \"preprocessor\": %.6f, \"megabytes\": %.1f, \"costs\": [",
      best.total_time_in_seconds, best.iterations.size() - 1, best.initial_cost, best.final_cost,
      best.linear_solver_time_in_seconds, best.jacobian_evaluation_time_in_seconds,
      best.residual_evaluation_time_in_seconds, best.preprocessor_time_in_seconds, kilobytes / 1024.0);
  for (size_t i = 0; i < best.iterations.size(); ++i)
    std::printf("%s[%.12g, %.6f]", i ? ", " : "", best.iterations[i].cost,
                best.iterations[i].cumulative_time_in_seconds);
  std::printf("]}\n");
}
