#include <algorithm>
#include <chrono>

#include "data/image.h"
#include "gmail/generator.h"
#include "io/json.h"
#include "train/interrupt.h"
#include "train/progress.h"

namespace gmail {
namespace {

struct Job {
  const Record* real;
  int64_t caption;
  std::string id;
  uint64_t seed;
};

std::vector<Job> jobs_of(const Manifest& manifest, const GenerateOptions& o, const ManifestWriter& writer,
                         int64_t& already_there) {
  std::vector<Job> jobs;
  int64_t wanted = 0;
  for (int64_t i = 0; i < manifest.size(); ++i) {
    const Record& r = manifest[i];
    if (r.source.generated) continue;
    const auto n = static_cast<int64_t>(r.captions.size());
    for (int64_t c = o.first_caption; c < std::min(n, o.first_caption + o.captions_per_image); ++c) {
      if (o.limit > 0 && wanted == o.limit) return jobs;
      ++wanted;
      // an image's seed depends on its own name, so it is the same whatever else is drawn
      Rng rng(o.seed, Purpose::sample, static_cast<uint64_t>(c), stream_index(r.id));
      const uint64_t seed = rng.bits();
      Job job{&r, c, r.id + "_" + std::to_string(c), seed};
      if (writer.contains(job.id))
        ++already_there;
      else
        jobs.push_back(std::move(job));
    }
  }
  return jobs;
}

}  // namespace

GenerateReport generate(const Context& ctx, Generator& g, ClipModel& text, const GenerateOptions& o) {
  const auto start = std::chrono::steady_clock::now();
  const Manifest all = read_manifest(o.manifest);
  const Manifest manifest = o.split.empty() ? all : all.filter(o.split);
  make_dirs(o.out / "images");
  if (!o.record.is_null()) write_json(o.out / "options.json", o.record);
  ManifestWriter writer(o.out / "manifest.jsonl");
  GenerateReport report;
  const std::vector<Job> jobs = jobs_of(manifest, o, writer, report.already_there);
  const InterruptGuard guard;
  Progress progress("generate", static_cast<int64_t>(jobs.size()), 0, o.quiet);
  ImageSampler sampler(ctx, g, text, o.sample);
  for (size_t begin = 0; begin < jobs.size(); begin += static_cast<size_t>(o.sample.batch)) {
    const size_t end = std::min(jobs.size(), begin + static_cast<size_t>(o.sample.batch));
    std::vector<std::string> captions;
    std::vector<uint64_t> seeds;
    for (size_t i = begin; i < end; ++i) {
      captions.push_back(jobs[i].real->captions[static_cast<size_t>(jobs[i].caption)]);
      seeds.push_back(jobs[i].seed);
    }
    const Tensor x = sampler.draw(captions, seeds);
    for (size_t i = begin; i < end; ++i) {
      const Job& job = jobs[i];
      const std::string file = "images/" + job.id + ".png";
      write_png(o.out / file, denormalise(x, static_cast<int64_t>(i - begin), kHalfNormalisation));
      Record record{job.id, file, {captions[i - begin]}, job.real->split, job.real->label, {}};
      record.source = {
          true,          job.real->id, job.caption, o.name, static_cast<int64_t>(job.seed), o.sample.guidance,
          o.sample.steps};
      writer.append(record);
    }
    report.images += static_cast<int64_t>(end - begin);
    progress.update(report.images, "", report.images, "images");
    if (guard.requested()) throw Interrupted(how_to_continue(concat(report.images, " images"), o.command));
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace gmail
