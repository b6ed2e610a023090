// Protects the words that caption scores count: what Stanford's tokenizer gives for each form of text.
#include "catch.h"
#include "eval/ptb_tokenizer.h"

using namespace gmail;

TEST_CASE("ptb tokenizer: brackets, contractions, punctuation") {
  CHECK(ptb_tokens("Don't (ever).") == Words{"do", "n't", "-lrb-", "ever", "-rrb-", "."});
  CHECK(caption_tokens("A dog, it's red.") == Words{"a", "dog", "it", "'s", "red"});
  CHECK(caption_tokens("").empty());
}
