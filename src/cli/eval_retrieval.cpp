// gmail eval retrieval: R@1, R@5, R@10 in both directions, of any manifest or of a named protocol's test set.
#include "cli/eval_retrieval.h"

#include <iostream>

#include "cli/embeddings_file.h"
#include "cli/encoders.h"
#include "cli/eval_report.h"
#include "eval/protocol.h"
#include "eval/retrieval.h"
#include "io/files.h"

namespace gmail::cli {
namespace {

struct Options {
  EncoderFlags encoder;
  std::vector<std::string> manifests;
  std::string embeddings, split, protocol, out;
  int64_t first = 0;
  bool strict = false;
};

void setup(Command& c, Options& o) {
  c.option("embeddings", o.embeddings, "safetensors file with image_embeds, text_embeds, text_image");
  add_encoder_flags(c, o.encoder, false);
  c.option("manifest", o.manifests,
           "with --model, instead of --embeddings: the images and captions; several for --protocol all");
  c.option("split", o.split, "only records of this split; default: the protocol's, or all");
  c.option("protocol", o.protocol,
           "a test set with its split, captions and counts: " + protocol_names() +
               "; all: every one that the manifests or embeddings are; none: any set");
  c.option("captions-per-image", o.first,
           "only the first N captions of each image, 0 = the protocol's, or all");
  c.flag("strict", o.strict,
         "with --protocol: a set that is not the protocol's is an error; else it is said, and the result has "
         "\"complete false\"");
  c.option("out", o.out, "JSON file for the result; for --protocol all an object by protocol");
}

// What is evaluated, whichever way it comes.
struct Set {
  Protocol protocol;  // its name is empty for any set
  Manifest manifest;  // or embeddings
  Embeddings embeddings;
  std::string mismatch;  // why it is not the protocol's
};

Protocol with_flags(Protocol p, const Options& o) {
  if (!o.split.empty()) p.split = o.split;
  if (o.first > 0) p.first = o.first;
  return p;
}

Embeddings first_captions(const Embeddings& e, int64_t first) {
  if (first == 0) return e;
  const std::vector<int64_t> rows = first_texts(e.text_image.span<int32_t>(), first);
  std::vector<int32_t> owner;
  for (const int64_t t : rows) owner.push_back(e.text_image.data<int32_t>()[t]);
  return {e.images, take_rows(e.texts, rows), Tensor::from(owner, {std::ssize(owner)})};
}

std::string mismatch_of(const Protocol& p, const Retrieval& r) {
  return p.name.empty() ? "" : p.mismatch(r.images, r.texts);
}

Result result_of(const Retrieval& r, const Set& set) {
  Result out = Result::object();
  if (!set.protocol.name.empty()) out["protocol"] = set.protocol.name;
  for (const auto& [name, value] :
       {std::pair("i2t_r1", r.i2t_r1), std::pair("i2t_r5", r.i2t_r5), std::pair("i2t_r10", r.i2t_r10),
        std::pair("t2i_r1", r.t2i_r1), std::pair("t2i_r5", r.t2i_r5), std::pair("t2i_r10", r.t2i_r10)})
    out[name] = value;
  out["images"] = r.images;
  out["texts"] = r.texts;
  out["images_without_text"] = r.images_without_text;
  if (set.protocol.name.empty()) return out;
  out["captions_per_image"] = set.protocol.first > 0 ? Result(set.protocol.first) : Result("all");
  out["complete"] = set.mismatch.empty();
  if (!set.mismatch.empty()) out["mismatch"] = set.mismatch;
  return out;
}

class Evaluator {
 public:
  Evaluator(Command& c, const Options& o) : c_(c), o_(o) {
    if (o.embeddings.empty()) {
      for (const std::string& file : o.manifests) manifests_.push_back(read_manifest(file));
      return;
    }
    const SafetensorsFile file(o.embeddings);
    embeddings_.images = read_embeddings(file, "image_embeds");
    embeddings_.texts = read_embeddings(file, "text_embeds");
    embeddings_.text_image = read_text_image(file, embeddings_.texts.size(0), embeddings_.images.size(0));
  }

  // The sets for a protocol, one for each manifest.
  [[nodiscard]] std::vector<Set> sets(const Protocol& given) const {
    const Protocol p = with_flags(given, o_);
    std::vector<Set> out;
    if (!o_.embeddings.empty()) {
      Set set{p, {}, first_captions(embeddings_, p.first), ""};
      if (!p.name.empty())
        set.mismatch = p.mismatch(set.embeddings.images.size(0), set.embeddings.texts.size(0));
      out.push_back(std::move(set));
    }
    for (const Manifest& m : manifests_) {
      ProtocolSet selected = select(p, m);
      out.push_back({p, std::move(selected.manifest), {}, p.name.empty() ? "" : selected.mismatch});
      if (!out.back().mismatch.empty()) out.back().mismatch = m.file.string() + ": " + out.back().mismatch;
    }
    return out;
  }

  Result evaluate(Set& set) {
    Retrieval r;
    if (!o_.embeddings.empty()) {
      const Embeddings& e = set.embeddings;
      about_file(o_.embeddings, [&] { r = retrieval(e.images, e.texts, e.text_image); });
      return result_of(r, set);
    }
    const std::string split = set.protocol.split;
    GMAIL_INPUT(set.manifest.size() > 0, set.manifest.file.string(), ": no record",
                split.empty() ? "" : " of split \"" + split + "\"");
    if (!encoders_) encoders_.emplace(c_.ctx(), o_.encoder);
    const EmbeddedRecords records = embed_records(c_.ctx(), *encoders_, set.manifest);
    const RecordTexts texts = texts_of(records.manifest);
    r = retrieval(records.images, embed_texts(c_.ctx(), encoders_->model(), texts.texts), texts.image);
    if (set.mismatch.empty()) set.mismatch = mismatch_of(set.protocol, r);  // damaged images are left out
    if (o_.strict) refuse_partial(set);
    return result_of(r, set);
  }

  static void refuse_partial(const Set& set) {
    GMAIL_INPUT(set.mismatch.empty(), "--protocol ", set.protocol.name, ": ", set.mismatch);
  }

 private:
  Command& c_;
  const Options& o_;
  std::vector<Manifest> manifests_;
  Embeddings embeddings_;
  std::optional<Encoders> encoders_;
};

void run_all(Evaluator& evaluator, const std::string& out) {
  Result results = Result::object();
  std::string others;
  for (const Protocol& p : protocols())
    for (Set& set : evaluator.sets(p)) {
      if (!set.mismatch.empty() || results.contains(p.name)) {
        others += (others.empty() ? "" : "; ") + p.name + ": " +
                  (set.mismatch.empty() ? "a second set" : set.mismatch);
        continue;
      }
      results[p.name] = evaluator.evaluate(set);
      print(results[p.name]);
    }
  GMAIL_INPUT(!results.empty(), "--protocol all: no set is a protocol's: ", others);
  if (!others.empty()) std::cerr << "not evaluated: " << others << '\n';
  if (!out.empty()) write_atomically(out, results.dump(2) + "\n");
}

void check(const Options& o) {
  GMAIL_INPUT(o.embeddings.empty() != (o.encoder.model.empty() && o.manifests.empty()),
              "expected either --embeddings, or --model and --manifest");
  GMAIL_INPUT(!o.embeddings.empty() || (!o.encoder.model.empty() && !o.manifests.empty()),
              "expected both --model and --manifest");
  GMAIL_INPUT(o.protocol == "all" || o.manifests.size() < 2, "--manifest: expected one, found ",
              o.manifests.size(), "; several go with --protocol all");
  GMAIL_INPUT(o.first >= 0, "--captions-per-image: expected 0 or more, found ", o.first);
  GMAIL_INPUT(!o.strict || !o.protocol.empty(), "--strict goes with --protocol");
}

void run(Command& c, Options& o) {
  check(o);
  make_parent_dirs(o.out);
  const Protocol protocol = o.protocol.empty() || o.protocol == "all" ? Protocol() : protocol_of(o.protocol);
  Evaluator evaluator(c, o);
  if (o.protocol == "all") return run_all(evaluator, o.out);
  Set set = std::move(evaluator.sets(protocol).front());
  if (o.strict) Evaluator::refuse_partial(set);
  const Result result = evaluator.evaluate(set);
  if (!set.mismatch.empty())
    std::cerr << "warning: not the set of " << protocol.name << ": " << set.mismatch << '\n';
  report(result, o.out);
}

}  // namespace

void add_eval_retrieval(Program& program, CLI::App& group) {
  program.add<Options>(group, "retrieval", "R@1, R@5, R@10 in both directions, percent", setup, run);
}

}  // namespace gmail::cli
