/* Prints how well each text fits an image, with the installed C library: embed CLIP_FOLDER IMAGE TEXT.. */
#include <gmail.h>
#include <stdio.h>
#include <stdlib.h>

static int failed(void) {
  fprintf(stderr, "embed: %s\n", gmail_last_error());
  return 1;
}

int main(int argc, char** argv) {
  gmail_model* model;
  gmail_sizes sizes;
  float *image, *texts, *cosines;
  size_t width, i, n = argc > 3 ? (size_t)(argc - 3) : 0;
  const char* const* const words = (const char* const*)argv;
  if (n == 0) {
    fprintf(stderr, "usage: embed CLIP_FOLDER IMAGE TEXT..\n");
    return 2;
  }
  if (gmail_model_open(words[1], NULL, &model) || gmail_model_sizes(model, &sizes)) return failed();
  width = (size_t)sizes.embedding;
  image = malloc(width * sizeof(float));
  texts = malloc(n * width * sizeof(float));
  cosines = malloc(n * sizeof(float));
  if (!image || !texts || !cosines) return 1;
  if (gmail_embed_files(model, GMAIL_REAL, words + 2, 1, image, width)) return failed();
  if (gmail_embed_texts(model, words + 3, n, texts, n * width)) return failed();
  if (gmail_similarity(image, 1, texts, n, width, cosines)) return failed();
  printf("gmail %s\n", gmail_version());
  for (i = 0; i < n; ++i) printf("%.4f\t%s\n", (double)cosines[i], words[3 + i]);
  free(cosines);
  free(texts);
  free(image);
  return gmail_model_close(model) ? failed() : 0;
}
