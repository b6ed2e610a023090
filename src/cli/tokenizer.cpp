// gmail tokenizer: byte-pair encoding learnt from captions.
#include <iostream>

#include "cli/commands.h"
#include "data/bpe_train.h"
#include "data/manifest.h"
#include "io/files.h"

namespace gmail::cli {
namespace {

struct Options {
  std::vector<std::string> manifests;
  std::string split, out;
  int64_t vocab = 1024;
};

void setup(Command& c, Options& o) {
  c.option("manifest", o.manifests, "one or more manifests whose captions are learnt from")->required();
  c.option("split", o.split, "only records of this split");
  c.option("vocab", o.vocab, "tokens, at least 514: 512 of single bytes, start and end");
  c.option("out", o.out, "folder for vocab.json and merges.txt")->required();
}

void run(Command&, Options& o) {
  GMAIL_INPUT(o.vocab >= 514, "--vocab: expected at least 514, found ", o.vocab);
  std::vector<std::string> captions;
  for (const std::string& file : o.manifests)
    for (const Record& r : read_manifest(file).records)
      if (o.split.empty() || r.split == o.split)
        captions.insert(captions.end(), r.captions.begin(), r.captions.end());
  GMAIL_INPUT(!captions.empty(), o.manifests.front(), ": no record of split \"", o.split, "\"");
  const Tokenizer tokenizer = train_bpe(captions, o.vocab);
  make_dirs(o.out);
  tokenizer.save(o.out);
  std::cout << "tokenizer: " << tokenizer.vocab_size() << " tokens from " << captions.size() << " captions, "
            << o.out << (tokenizer.vocab_size() < o.vocab ? " (no further pair occurs twice)\n" : "\n");
}

}  // namespace

void add_tokenizer(Program& program) {
  program.add<Options>(program.app, "tokenizer", "learn a byte-pair encoding from captions", setup, run);
}

}  // namespace gmail::cli
