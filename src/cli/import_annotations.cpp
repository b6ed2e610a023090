// gmail import coco | karpathy | flickr30k | cc | sharegpt4v: the field's annotation files become manifests,
// streamed.
#include <iostream>

#include "cli/import_annotations.h"
#include "data/import_cc.h"
#include "data/import_coco.h"
#include "data/import_flickr30k.h"
#include "data/import_karpathy.h"
#include "data/import_sharegpt4v.h"

namespace gmail::cli {
namespace {

// The manifest stands in `out`; the images stay where they are.
void write(const std::string& what, const std::string& out,
           const std::function<Skips(const AddRecord&)>& import) {
  const std::filesystem::path file = std::filesystem::path(out) / "manifest.jsonl";
  const std::string report = stream_manifest(file, import);
  std::cout << "import " << what << ": " << report << ", " << file.string() << '\n';
}

void declare_out(Command& c, std::string& out) {
  c.option("out", out, "folder for manifest.jsonl")->required();
}

struct CocoOptions {
  std::vector<std::string> annotations;
  std::string images, split = "train", out;
};

void setup_coco(Command& c, CocoOptions& o) {
  c.option("annotations", o.annotations,
           "captions_train2014.json, captions_val2017.json, ..; give it again for a second file")
      ->required();
  c.option("images", o.images, "folder of the images, or of train2014, val2014, train2017, val2017")
      ->required();
  c.option("split", o.split, "split of all images");
  declare_out(c, o.out);
}

void run_coco(Command&, CocoOptions& o) {
  GMAIL_INPUT(!o.split.empty(), "--split: expected a name");
  const CocoFiles files{{o.annotations.begin(), o.annotations.end()}, o.images, o.split};
  write("coco", o.out, [&](const AddRecord& add) { return import_coco(files, o.out, add); });
}

struct KarpathyOptions {
  std::string json, images, restval = "train", out;
};

void setup_karpathy(Command& c, KarpathyOptions& o) {
  c.option("json", o.json, "dataset_coco.json or dataset_flickr30k.json")->required();
  c.option("images", o.images, "folder of the images, or of train2014 and val2014")->required();
  c.option("restval", o.restval,
           "the images of COCO's restval: train = train on them, as the field does; drop; restval = a split "
           "of their own")
      ->one_of({"train", "drop", "restval"});
  declare_out(c, o.out);
}

void run_karpathy(Command&, KarpathyOptions& o) {
  const KarpathyFiles files{o.json, o.images,
                            o.restval == "train"  ? Restval::train
                            : o.restval == "drop" ? Restval::drop
                                                  : Restval::keep};
  write("karpathy", o.out, [&](const AddRecord& add) { return import_karpathy(files, o.out, add); });
}

struct Flickr30kOptions {
  std::string tokens, images, karpathy, split = "test", out;
};

void setup_flickr30k(Command& c, Flickr30kOptions& o) {
  c.option("tokens", o.tokens, "results_20130124.token, or a header and lines NAME.jpg,CAPTION")->required();
  c.option("images", o.images, "folder of the images")->required();
  c.option("karpathy", o.karpathy, "dataset_flickr30k.json, whose splits are taken");
  c.option("split", o.split, "split of all images, without --karpathy");
  declare_out(c, o.out);
}

void run_flickr30k(Command&, Flickr30kOptions& o) {
  GMAIL_INPUT(!o.split.empty(), "--split: expected a name");
  const Flickr30kFiles files{o.tokens, o.images, o.karpathy, o.split};
  write("flickr30k", o.out, [&](const AddRecord& add) { return import_flickr30k(files, o.out, add); });
}

struct CcOptions {
  std::string tsv, images, order = "auto", naming = "auto", split = "train", out;
  int64_t per_shard = 10000;
};

void setup_cc(Command& c, CcOptions& o) {
  c.option("tsv", o.tsv,
           "Train_GCC-training.tsv, cc12m.tsv: captions and addresses, with or without a header")
      ->required();
  c.option("order", o.order, "caption-url (CC3M), url-caption (CC12M), or auto: which column is an address")
      ->one_of({"auto", "caption-url", "url-caption"});
  c.option("images", o.images, "folder of the downloaded images")->required();
  c.option("naming", o.naming,
           "img2dataset: 00012/000120034.jpg is line 120034 from 0 (shard, sample); index: 120034.jpg or "
           "000120034.jpg; "
           "auto: img2dataset if there is a folder 00000")
      ->one_of({"auto", "img2dataset", "index"});
  c.option("per-shard", o.per_shard, "img2dataset's samples in a shard");
  c.option("split", o.split, "split of all images");
  declare_out(c, o.out);
}

void run_cc(Command&, CcOptions& o) {
  GMAIL_INPUT(!o.split.empty(), "--split: expected a name");
  CcFiles files{o.tsv, o.images, CcOrder::automatic, CcNaming::automatic, o.per_shard, o.split};
  if (o.order == "caption-url") files.order = CcOrder::caption_url;
  if (o.order == "url-caption") files.order = CcOrder::url_caption;
  if (o.naming == "img2dataset") files.naming = CcNaming::img2dataset;
  if (o.naming == "index") files.naming = CcNaming::index;
  write("cc", o.out, [&](const AddRecord& add) { return import_cc(files, o.out, add); });
}

struct ShareGpt4vOptions {
  std::string json, images, out;
  int64_t first = -1, test = 1000;
};

void setup_sharegpt4v(Command& c, ShareGpt4vOptions& o) {
  c.option("json", o.json, "share-captioner_coco_lcs_sam_1246k_1107.json, ..")->required();
  c.option("images", o.images, "folder under which the entries' image paths lie")->required();
  c.option("first", o.first, "import so many entries only, -1 = all");
  c.option("test", o.test, "so many of the first entries are the split test, the others train");
  declare_out(c, o.out);
}

void run_sharegpt4v(Command&, ShareGpt4vOptions& o) {
  GMAIL_INPUT(o.first == -1 || o.first > 0, "--first: expected 1 or more, found ", o.first);
  GMAIL_INPUT(o.test >= 0, "--test: expected 0 or more, found ", o.test);
  const ShareGpt4vFiles files{o.json, o.images, o.first, o.test};
  write("sharegpt4v", o.out, [&](const AddRecord& add) { return import_sharegpt4v(files, o.out, add); });
}

}  // namespace

void add_import_annotations(Program& program, CLI::App& group) {
  program.add<CocoOptions>(group, "coco", "COCO captions, 2014 or 2017", setup_coco, run_coco);
  program.add<KarpathyOptions>(group, "karpathy", "Karpathy's splits of COCO and Flickr30k", setup_karpathy,
                               run_karpathy);
  program.add<Flickr30kOptions>(group, "flickr30k", "Flickr30k: token file", setup_flickr30k, run_flickr30k);
  program.add<CcOptions>(group, "cc", "Conceptual Captions (3M, 12M): TSV file and downloads", setup_cc,
                         run_cc);
  program.add<ShareGpt4vOptions>(group, "sharegpt4v", "ShareGPT4V: long captions", setup_sharegpt4v,
                                 run_sharegpt4v);
}

}  // namespace gmail::cli
