// Protects the words that caption scores count: every form of token as Stanford's tokenizer 3.4.1 writes it,
// all captions of ../shared/data/coco-caption, bytes that are not UTF-8, linear time.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "eval/ptb_tokenizer.h"
#include "io/json.h"

using namespace gmail;

namespace {

namespace fs = std::filesystem;

std::string joined(const Words& tokens) {
  std::string line;
  for (const std::string& t : tokens) line += (line.empty() ? "" : " ") + t;
  return line;
}

struct Case {
  const char *caption, *tokens;
};

const std::vector<Case> kCases = {
    // words and contractions
    {"A man's dog doesn't run", "a man 's dog does n't run"},
    {"don't can't won't DON'T isn't", "do n't ca n't wo n't do n't is n't"},
    {"they've he'd I'm we'll it's", "they 've he 'd i 'm we 'll it 's"},
    {"y'all y'know y' 'tis 'twas", "y' all y' know y ' 't is 't was"},
    {"cannot gonna gotta lemme gimme wanna", "can not gon na got ta lem me gim me wan na"},
    {"more'n d'ye rock'n'roll 'n'", "more 'n d'ye rock 'n' roll 'n'"},
    {"o'clock O'Malley d'Avignon qu'il l'eau J'accuse", "o'clock o'malley d'avignon qu'il l'eau j'accuse"},
    {"'em 'til 'cause '90s '05 x ol' somethin'", "'em 'til 'cause '90s '05 x ol' somethin'"},
    {"cont'd nor'easter c'mon cap'n c'est", "cont 'd nor'easter c'mon cap'n c'est"},
    {"dogs' toys hasnn't", "dogs ' toys hasnn ' t"},
    {"don\u2019t it\u2019s \u2019em don`t", "do n't it 's \u2019em do n`t"},
    {"it&apos;s don&apos;t", "it 's do n't"},
    {"'A cat' said 'I'", "' a cat ' said ` i '"},
    {"hello.world what?!now a1!b2", "hello.world what ?! now a1!b2"},
    // hyphens and slashes
    {"t-shirt mid-90s x-U.S. pro- anti-war", "t-shirt mid-90s x-u.s. pro- anti-war"},
    {"black-and-white 3.5-inch 1,000-2,000", "black-and-white 3.5-inch 1,000-2 ,000"},
    {"a_b \u2010 a\u2010b", "a_b a\u2010b"},
    {"and/or he/she/it a/b/c/d w/o", "and/or he/she/it a/b/c / d w/o"},
    {"- -- --- ---- ----- a--b", "- -- -- -- ----- a -- b"},
    // joined capitals
    {"AT&T R&D AT&amp;T A+B S&P-500 a&b", "at&t r&d at&t a+b s&p-500 a & b"},
    // numbers
    {"5 .5 1,000.50 5:30 -5 +5 3-4 50%", "5 .5 1,000.50 5:30 -5 +5 3-4 50 %"},
    {"12/31/99 1990's 2nd 5th \u0661/\u0662/\u0669\u0669",
     "12/31/99 1990 's 2nd 5th \u0661/\u0662/\u0669\u0669"},
    {"1/2 1\\/2 2-1/2 and 2 1/2 cups", "1/2 1\\/2 2-1/2 and 2\u00a01/2 cups"},
    {"\u00bd \u00bc \u00be \u2153 \u2154 \u215b", "1/2 1/4 3/4 1/3 2/3 \u215b"},
    {"$5 US$5 \u20ac5 \u00a35 5\u00a2 \u00a55 #1", "$ 5 us$ 5 $ 5 # 5 5 cents \u00a5 5 # 1"},
    {"call (555) 555-1234 or 555 555 1234", "call -lrb-555-rrb-\u00a0555-1234 or 555\u00a0555\u00a01234"},
    {"x\u00b2 H\u2082O 10\u2074 5\u00d73", "x \u00b2 h \u2082 o 10 \u2074 5 \u00d7 3"},
    // abbreviations
    {"Mr. and Mrs. X vs. Dr. Y", "mr. and mrs. x vs. dr. y"},
    {"a.m. U.S. e.g. u.k.", "a.m. u.s. e.g. u.k."},
    {"etc. a", "etc. a"},
    {"etc. A", "etc. . a"},
    {"etc.", "etc. ."},
    {"Inc. The", "inc. . the"},
    {"Co. Ltd", "co. ltd"},
    {"the U.S. He ran", "the u.s. . he ran"},
    {"the U.S. Zoo is", "the u.s. zoo is"},
    {"vitamin C. It is", "vitamin c . it is"},
    {"No. 5 no. x fig. 3 Fig.", "no. 5 no . x fig. 3 fig ."},
    {"Miss. Jones miss. it", "miss. . jones miss . it"},
    {"La. la. x", "la. la . x"},
    {"Mass. x Jan. 5", "mass. x jan. 5"},
    {"Japan-U.S. non-U.S x", "japan-u.s. non-u.s x"},
    {"Ph.D. a.k.a. it", "ph.d. a.k.a. it"},
    {"a dog., a cat.", "a dog. , a cat ."},
    {"PTE. pte. Mfg. MFG. x", "pte . pte. . mfg. mfg . x"},
    // addresses
    {"see http://a.b/c?d=e. Or https://x.y/z)", "see http://a.b/c?d=e . or https://x.y/z -rrb-"},
    {"www.x.co.uk x.com/a, X.com a_b.org.", "www.x.co.uk x.com / a , x.com a_b . org ."},
    {"mail a.b@c.com, <x@y.z>", "mail a.b@c.com, <x@y.z>"},
    {"@name @5 #tag #tag_1 #5", "@name @ 5 #tag #tag _ 1 # 5"},
    {"7z.pdf a.b.txt, 7z.xyz ", "7z.pdf a.b.txt , 7z . xyz"},
    {"<b>bold</b> <a href=\"x y\"> <!-- x > <3",
     "<b> bold </b> <a\u00a0href=\"x\u00a0y\"> <!--\u00a0x\u00a0> < 3"},
    {"c++ C# f# g++", "c++ c# f# g + +"},
    // smileys
    {":) :-( ;D =P :o 5:) x", ":-rrb- :--lrb- ;d =p : o 5 :-rrb- x"},
    {"^_^ (^.^) (>_<) -_- x", "^_^ -lrb-^.^-rrb- -lrb->_<-rrb- -_- x"},
    {"<< >> < >", "<< >> < >"},
    // quotation marks
    {"say \"a\" and \"$5\" \"\u00e9\"", "say `` a '' and `` $ 5 '' '' \u00e9 ''"},
    {"\u201ca\u201d \u2018b\u2019 \u00abc\u00bb \u2039d\u203a \u201ee",
     "`` a '' ` b ' `` c '' ` d ' \u201e e"},
    {"`` a '' `b'", "`` a '' ` b '"},
    {"&quot;a&quot;", "`` a ''"},
    // brackets
    {"(a) [b] {c}", "-lrb- a -rrb- -lsb- b -rsb- -lcb- c -rcb-"},
    // stops
    {"a, b; c: d. e? f!", "a , b ; c : d. e ? f !"},
    {"what?!! no!", "what ?!! no !"},
    {"a... b .... c ...... . . . d \u2026", "a. . . b ... c ... ... d ..."},
    {"= == + * ** \\* \\ / ~ ^ |", "= = = + * ** \\* \\ / ~ ^ |"},
    {"@ @@ # ## _ __", "@ @@ # ## _ __"},
    // entities
    {"&amp; &lt; &gt; &nbsp; x &mdash; &#39; &HT; &bull;", "& < > x -- &#39; &ht; & bull ;"},
    {"caf&eacute; &Uuml;ber&nbsp;x", "caf&eacute; &uuml;ber x"},
    // unicode
    {"Caf\u00e9 \u00c9LAN na\u00efve", "caf\u00e9 \u00e9lan na\u00efve"},
    {"\u65e5\u672c \u041c\u043e\u0441\u043a\u0432\u0430",
     "\u65e5\u672c \u043c\u043e\u0441\u043a\u0432\u0430"},
    {"so\u00adft \u00ad", "soft -"},
    {"a\u00a0b\u3000c\u200bd\u2003e", "a b c d e"},
    {"\u2022 \u2605 \u2665 \u00b0C \u00a9 \u2014 \u2013 \u2014",
     "\u2022 \u2605 \u2665 \u00b0 c \u00a9 -- -- --"},
    {"hi\U0001f600there \U0001f600", "hi there"},
    {"\u0391\u03a3 \u0130x \u1e9e", "\u03b1\u03c2 i\u0307x \u00df"},
    {"\u0663\u0664 \u0967", "\u0663\u0664 \u0967"},
    {"\u00a1Hola! \u00bfQue?", "\u00a1 hola ! \u00bf que ?"},
    // blanks and control characters
    {"  a  b\tc  ", "a b c"},
    {"", ""},
    {" ", ""},
    {"a\u0001b\u007fc", "a b c"},
};

fs::path shared_folder() {
  const fs::path folder = fs::path(GMAIL_SOURCE_DIR) / "../shared/data/coco-caption";
  if (fs::exists(folder / "tokenized.json")) return folder;
  WARN("skipped: no " << folder);
  return {};
}

// The captions of a results file or of an annotations file, and the images that they belong to.
struct Captions {
  std::vector<std::string> text, image;
};

Captions read_captions(const fs::path& file) {
  const Json json = read_json(file);
  Captions c;
  for (const Json& entry : json.is_array() ? json : json["annotations"]) {
    c.text.push_back(entry["caption"].get<std::string>());
    c.image.push_back(std::to_string(entry["image_id"].get<int64_t>()));
  }
  return c;
}

}  // namespace

TEST_CASE("ptb tokenizer: the forms of tokens") {
  for (const Case& c : kCases) {
    CAPTURE(c.caption);
    CHECK(joined(ptb_tokens(c.caption)) == c.tokens);
  }
}

TEST_CASE("ptb tokenizer: the next line decides about a full stop at the end of this one") {
  CHECK(joined(ptb_tokens("vitamin C.", "A man")) == "vitamin c .");
  CHECK(joined(ptb_tokens("vitamin C.", "a man")) == "vitamin c.");
  CHECK(joined(ptb_tokens("the U.S.", "\nHe is")) == "the u.s. .");
  CHECK(joined(ptb_tokens("dogs etc.", "The end")) == "dogs etc. .");
  CHECK(joined(ptb_tokens("dogs etc.", "the end")) == "dogs etc.");
  CHECK(joined(ptb_tokens("hi :)", "")) == "hi :-rrb-");
  CHECK(joined(ptb_tokens("hi :)")) == "hi : -rrb-");
  CHECK(joined(ptb_tokens("fig.", "5 men")) == "fig.");
  CHECK(joined(ptb_tokens("<a b='x", "y'>")) == "< a b = ' x");  // no token goes on in the next line
  CHECK(joined(ptb_tokens("vitamin C.\nA man")) == "vitamin c . a man");

  const std::vector<Words> lines = caption_tokens_of_lines({"vitamin C.", "", "It is U.S.", "he"});
  CHECK(lines == std::vector<Words>{{"vitamin", "c"}, {}, {"it", "is", "u.s."}, {"he"}});
}

TEST_CASE("ptb tokenizer: punctuation is no word, brackets are") {
  CHECK(joined(caption_tokens("\"A\" 'dog', it's; (red) - yes -- a: `b`... {c} no?! ?")) ==
        "a dog it 's -lrb- red -rrb- yes a b -lcb- c -rcb- no ?!");
  CHECK(caption_tokens(" . ").empty());
}

TEST_CASE("ptb tokenizer: any bytes, any length") {
  CHECK(joined(ptb_tokens("a\xFF"
                          "b \xC3 caf\xC3\xA9 \xED\xA0\x80 \xF0\x9F")) == "a b caf\u00e9");
  CHECK(joined(ptb_tokens(std::string_view("a\0b", 3))) == "a b");
  std::string every;
  for (int byte = 1; byte < 256; ++byte) every += static_cast<char>(byte);
  CHECK(!ptb_tokens(every).empty());

  std::string words;
  for (int i = 0; i < 10000; ++i) words += "word ";
  CHECK(ptb_tokens(words) == Words(10000, "word"));
  // forms that look far ahead and find nothing; time that grew with the square would be minutes
  for (const char* part : {"a.1,", "%.", "<!x", "<a b='", "1.a/", "a@.", "-www.1", "a.  "}) {
    CAPTURE(part);
    std::string text;
    while (text.size() < 30000) text += part;
    CHECK(ptb_tokens(text).size() > 1000);
  }
}

TEST_CASE("ptb tokenizer: every caption of the reference set") {
  const fs::path folder = shared_folder();
  if (folder.empty()) return;
  const Json reference = read_json(folder / "tokenized.json");
  for (const std::string set : {"fakecap126", "val2017_humanfirst"}) {
    const bool small = set == "fakecap126";
    const Captions results = read_captions(folder / ("captions_" + set + "_results.json"));
    const std::vector<Words> hypotheses = caption_tokens_of_lines(results.text);
    size_t wrong = 0;
    for (size_t i = 0; i < hypotheses.size(); ++i)
      wrong +=
          joined(hypotheses[i]) == reference[set]["results"][results.image[i]].get<std::string>() ? 0U : 1U;

    const Captions annotations =
        read_captions(folder / (small ? "captions_fakecap126_annotations.json"
                                      : "captions_val2017_humanrest_annotations.json"));
    const std::vector<Words> references = caption_tokens_of_lines(annotations.text);
    std::map<std::string, size_t> seen;
    for (size_t i = 0; i < references.size(); ++i) {
      const std::string& image = annotations.image[i];
      const Json& expected = reference[set]["references"][image][seen[image]++];
      wrong += joined(references[i]) == expected.get<std::string>() ? 0U : 1U;
    }
    CHECK(hypotheses.size() + references.size() == (small ? 126U + 631U : 25014U));
    CHECK(wrong == 0);
  }
}

TEST_CASE("ptb tokenizer: the counts that coco-caption publishes for its 1,000 captions") {
  const fs::path folder = shared_folder();
  if (folder.empty()) return;
  std::array<size_t, 4> guess{};
  for (const Words& w :
       caption_tokens_of_lines(read_captions(folder / "captions_val2014_fakecap_results.json").text))
    for (size_t n = 0; n < guess.size(); ++n) guess[n] += w.size() - std::min(n, w.size());
  CHECK(guess == std::array<size_t, 4>{9893, 8893, 7893, 6893});
}
