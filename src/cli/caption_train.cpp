// gmail caption train: ClipCap on the embeddings of an arm.
#include <iostream>

#include "cli/arm_flags.h"
#include "cli/caption.h"
#include "cli/train_flags.h"

namespace gmail::cli {
namespace {

struct TrainerOptions {
  TrainFlags train;
  ArmFlags arm;
  std::string mapper = "mlp", decoder, trained = "all";
  int64_t prefix_length = 10, clip_length = 10, mapper_layers = 8, width = 128, layers = 3, max_tokens = 40,
          lora_rank = 8;
  int heads = 4, mapper_heads = 8;
  double lora_alpha = 16, dropout = 0;
  bool raw_prefix = false, lora_mlp = false, released = false;
};

void setup_trainer(Command& c, TrainerOptions& o) {
  o.train.beta2 = 0.98;
  o.train.warmup = 50;
  add_arm_flags(c, o.arm);
  c.option("mapper", o.mapper, "mlp | transformer: what makes the prefix of an image")
      ->one_of({"mlp", "transformer"});
  c.option("prefix-length", o.prefix_length, "vectors that an image becomes");
  c.option("clip-length", o.clip_length, "transformer mapper: vectors that it reads an image as");
  c.option("mapper-layers", o.mapper_layers, "transformer mapper: blocks");
  c.option("mapper-heads", o.mapper_heads, "transformer mapper: attention heads");
  c.option("decoder", o.decoder, "folder of a GPT-2 with its vocabulary; none: a small one from scratch");
  c.option("width", o.width, "width of the language model from scratch");
  c.option("layers", o.layers, "its blocks");
  c.option("heads", o.heads, "its attention heads");
  c.option("train", o.trained, "all | mapper (the decoder is frozen) | lora (the mapper and updates of it)")
      ->one_of({"all", "mapper", "lora"});
  c.option("lora-rank", o.lora_rank, "rank of the updates of the decoder");
  c.option("lora-alpha", o.lora_alpha, "an update is scaled by alpha / rank");
  c.flag("lora-mlp", o.lora_mlp, "updates of the MLP's matrices as well as of the attention's");
  c.option("dropout", o.dropout, "of the decoder's inputs and of what its blocks add, where it is trained");
  c.option("max-tokens", o.max_tokens, "longest caption in tokens; longer ones are cut");
  c.flag("raw-prefix", o.raw_prefix, "use embeddings as they are, not divided by their norm");
  c.flag("clipcap-released", o.released,
         "the loss of ClipCap's code: token 0 is ignored and no end is learned; decode by its rule");
  add_train_flags(c, o.train);
}

void check(const TrainerOptions& o) {
  for (const auto& [name, value] : {std::pair("--prefix-length", o.prefix_length),
                                    {"--clip-length", o.clip_length},
                                    {"--mapper-layers", o.mapper_layers},
                                    {"--mapper-heads", int64_t{o.mapper_heads}},
                                    {"--lora-rank", o.lora_rank},
                                    {"--width", o.width},
                                    {"--layers", o.layers},
                                    {"--heads", int64_t{o.heads}},
                                    {"--max-tokens", o.max_tokens}})
    GMAIL_INPUT(value >= 1, name, ": expected at least 1, found ", value);
  GMAIL_INPUT(o.width % o.heads == 0, "--width ", o.width, ": expected a multiple of --heads ", o.heads);
  GMAIL_INPUT(o.trained == "all" || !o.decoder.empty(), "--train ", o.trained,
              ": expected --decoder, for a decoder from scratch has everything to learn");
  GMAIL_INPUT(o.dropout >= 0 && o.dropout < 1, "--dropout: expected 0 or more and below 1, found ",
              o.dropout);
  GMAIL_INPUT(o.dropout == 0 || o.trained != "mapper", "--dropout: a frozen decoder has none");
  GMAIL_INPUT(o.dropout == 0 || !o.train.cuda_graph, "--dropout: not with --cuda-graph");
}

void run_trainer(Command& c, TrainerOptions& o) {
  check(o);
  CaptionerOptions t;
  t.model.mapper = mapper_from(o.mapper, "--mapper");
  t.model.prefix_length = o.prefix_length;
  t.model.clip_length = o.clip_length;
  t.model.mapper_layers = o.mapper_layers;
  t.model.mapper_heads = o.mapper_heads;
  t.model.released = o.released;
  t.model.normalize_prefix = !o.raw_prefix;
  t.model.gpt.n_positions = o.prefix_length + o.max_tokens;
  t.model.gpt.n_embd = o.width;
  t.model.gpt.n_layer = o.layers;
  t.model.gpt.n_head = o.heads;
  t.decoder = o.decoder;
  t.trained = trained_from(o.trained, "--train");
  t.lora_rank = o.lora_rank;
  t.lora_alpha = o.lora_alpha;
  t.lora_mlp = o.lora_mlp;
  t.dropout = o.dropout;
  t.max_tokens = o.max_tokens;
  t.batch = o.train.batch;
  t.train = train_options(c, o.train);
  const std::optional<Tokenizer> vocabulary =
      o.decoder.empty() ? std::nullopt : std::optional(Tokenizer::load(o.decoder, TokenizerKind::gpt2));
  ClipModel base = ClipModel::load(o.arm.model, c.ctx().device);
  const EmbeddedPairs data = load_arm_data(c, o.arm, base);
  const TrainReport report = train_captioner(c.ctx(), vocabulary ? *vocabulary : base.tokenizer, data, t);
  std::cout << "caption train: arm " << o.arm.arm << ", " << data.captions.size() << " pairs, "
            << report.steps << " steps, loss " << report.loss << ", " << o.train.out << '\n';
}

}  // namespace

void add_caption_train(Program& program, CLI::App& group) {
  program.add<TrainerOptions>(group, "train", "stage B: ClipCap on the embeddings of an arm", setup_trainer,
                              run_trainer);
}

}  // namespace gmail::cli
