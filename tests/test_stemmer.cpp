// Protects the English stemmer: every step, region and exception of it, by stems that snowballstemmer 2.2
// gives.
#include "catch.h"

#include "eval/english_stemmer.h"
#include "words.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("stemmer: known answers") {
  // word, stem, word, stem, ...
  const auto [rule, answers] = GENERATE(table<const char*, const char*>({
      {"apostrophes", "man's man boys' boy 'tis tis ''' ' 's 's"},
      {"plurals",
       "caresses caress ponies poni ties tie gas gas gaps gap abyss abyss bus bus giraffes giraff 1990s "
       "1990s "
       "caf\xC3\xA9s caf\xC3\xA9"},
      {"-eed", "agreed agre feed feed"},
      {"-ed, -ing",
       "plastered plaster bled bled sing sing hopping hop hoping hope riding ride boxing box falling fall "
       "filing file luxuriated luxuri added ad"},
      {"y", "happy happi enjoy enjoy say say by by youth youth yellow yellow"},
      {"step 2",
       "relational relat conditional condit digitizer digit conformably conform radically radic analogously "
       "analog vietnamization vietnam operator oper decisiveness decis formality formal sensitivity sensit "
       "sensibility sensibl geology geolog geologist geologist"},
      {"step 3", "formative format electrical electr goodness good"},
      {"step 4",
       "allowance allow replacement replac adjustment adjust dependent depend adoption adopt communism "
       "communism activate activ bowdlerize bowdler"},
      {"step 5", "probate probat rate rate cease ceas controlling control"},
      {"exceptions",
       "skis ski skies sky dying die idly idl early earli news news bias bias inning inning outings outing "
       "proceed proceed evening even"},
      {"prefixes", "generation generat generous generous communal communal arsenal arsenal"},
      {"no words", "s s ... ..."},
  }));
  INFO(rule);
  const Words words = caption_words(answers);
  for (size_t i = 0; i + 1 < words.size(); i += 2) {
    INFO(words[i]);
    CHECK(english_stem(words[i]) == words[i + 1]);
  }
  CHECK(english_stem("").empty());
}
