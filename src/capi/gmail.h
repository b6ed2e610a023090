/* gmail.h: embeddings of images and texts, and captions, by a CLIP model, from C and from whatever calls C.
 *
 *   gmail_model* model;
 *   if (gmail_model_open("clip-folder", NULL, &model) != GMAIL_OK) { puts(gmail_last_error()); ... }
 *   float image[512], texts[2 * 512], cosines[2];
 *   const char* words[] = {"a red cube", "a blue ball"};
 *   const char* file = "photo.jpg";
 *   gmail_embed_files(model, GMAIL_REAL, &file, 1, image, 512);
 *   gmail_embed_texts(model, words, 2, texts, 2 * 512);
 *   gmail_similarity(image, 1, texts, 2, 512, cosines);
 *   gmail_model_close(model);
 *
 * Errors. A function that can fail returns a gmail_status; gmail_last_error() is the message of the last one
 * that failed in the calling thread. No exception leaves the library. A null pointer, a size that does not
 * fit or a handle of another kind is refused. What a call that failed left in its results is undefined, but
 * for handles, which are null.
 *
 * Ownership. The caller owns every array; the library keeps none of them. What _open and gmail_caption hand
 * out is given back by _close and gmail_captions_free, which take null as well.
 *
 * Threads. Any number of threads may use one model or captioner at a time; each gets the bits it would get
 * alone. Only closing must come last. The library's own threads are shared by all: one call at a time has
 * them, a call beside it runs on its own thread.
 *
 * Numbers. Embeddings are rows of sizes.embedding float32 (512 in ViT-B/32), after the projection and before
 * normalisation, as `gmail embed` writes them. Everything is computed in float32 on the CPU.
 */
#ifndef GMAIL_H
#define GMAIL_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define GMAIL_API __attribute__((visibility("default")))
#else
#define GMAIL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gmail_model gmail_model;         /* a CLIP folder, perhaps with an adapter */
typedef struct gmail_captioner gmail_captioner; /* a folder that `gmail caption train` wrote */
typedef struct gmail_captions gmail_captions;   /* texts that the library made */

typedef enum gmail_status {
  GMAIL_OK = 0,
  GMAIL_ERROR = 1,          /* something failed that should not: a system call, an invariant */
  GMAIL_ERROR_INPUT = 2,    /* a file or folder is missing, damaged, or does not fit */
  GMAIL_ERROR_ARGUMENT = 3, /* the call is wrong: a null pointer, a size, a handle of another kind */
  GMAIL_ERROR_MEMORY = 4    /* not enough memory */
} gmail_status;

/* Which encoder images go through. Plain integers: another value is refused, not undefined. */
typedef int32_t gmail_encoder;
enum {
  GMAIL_REAL = 0,     /* f_r, or the adapter's reading of it: for photos */
  GMAIL_GENERATED = 1 /* f_g, the adapter's: for generated images; needs an adapter */
};

/* Pixels in memory: `height` rows of `width` times R, G, B, each a byte; row y begins at rgb + y * stride. */
typedef struct gmail_image {
  const uint8_t* rgb;
  int64_t width, height; /* 1 .. 65535 */
  int64_t stride;        /* bytes from row to row, at least 3 * width; 0: 3 * width */
} gmail_image;

/* A JPEG or PNG file in memory. */
typedef struct gmail_bytes {
  const void* data;
  size_t size;
} gmail_bytes;

typedef struct gmail_sizes {
  int64_t embedding;   /* numbers of an embedding */
  int64_t image_size;  /* side of the square that the model sees; images of any size are accepted */
  int64_t context;     /* tokens that a text may have, start and end included; longer texts are cut */
  int64_t vocabulary;  /* tokens the model knows */
  double logit_scale;  /* what gmail_logits multiplies cosines with: 1 / temperature */
  int32_t has_adapter; /* 1: GMAIL_GENERATED may be asked for */
} gmail_sizes;

typedef struct gmail_caption_options {
  int32_t beams;                  /* 1: greedy; 0 means 1 */
  int64_t min_length, max_length; /* in tokens, without the end; max_length 0 means 32 (67, see below) */
} gmail_caption_options;

/* ---- The library */

GMAIL_API const char* gmail_version(void); /* "0.1.0"; lives as long as the library */

/* Of the calling thread; "" if no call failed in it. Valid until the thread's next call that fails. */
GMAIL_API const char* gmail_last_error(void);

/* Threads that one call may use, the caller's included; 0 asks for one per core, which is also what holds
 * before the first call. Waits for the call that has the threads. Results do not depend on it. */
GMAIL_API gmail_status gmail_set_num_threads(int32_t threads);
GMAIL_API int32_t gmail_num_threads(void);

/* ---- CLIP */

/* Opens a folder in Hugging Face's form (config.json, model.safetensors, tokenizer, preprocessor_config.json)
 * and a PEFT adapter's folder, null: none. The weights are mapped where their file allows it: neither folder
 * may be changed while the model is open. */
GMAIL_API gmail_status gmail_model_open(const char* folder, const char* adapter, gmail_model** model);
GMAIL_API gmail_status gmail_model_close(gmail_model* model);
GMAIL_API gmail_status gmail_model_sizes(const gmail_model* model, gmail_sizes* sizes);

/* n images or texts -> embeddings (n, sizes.embedding), in order. `capacity` is the number of floats that
 * `embeddings` has room for. Images are resized, cropped and normalised as the folder says. Texts are UTF-8;
 * bytes that are not become U+FFFD. */
GMAIL_API gmail_status gmail_embed_images(const gmail_model* model, gmail_encoder encoder,
                                          const gmail_image* images, size_t n, float* embeddings,
                                          size_t capacity);
GMAIL_API gmail_status gmail_embed_encoded(const gmail_model* model, gmail_encoder encoder,
                                           const gmail_bytes* files, size_t n, float* embeddings,
                                           size_t capacity);
GMAIL_API gmail_status gmail_embed_files(const gmail_model* model, gmail_encoder encoder,
                                         const char* const* paths, size_t n, float* embeddings,
                                         size_t capacity);
GMAIL_API gmail_status gmail_embed_texts(const gmail_model* model, const char* const* texts, size_t n,
                                         float* embeddings, size_t capacity);

/* cosines (n, m) of every row of a (n, width) with every row of b (m, width). A row that is not finite or has
 * length zero is refused. */
GMAIL_API gmail_status gmail_similarity(const float* a, size_t n, const float* b, size_t m, size_t width,
                                        float* cosines);

/* logits (n, m) = sizes.logit_scale * cosines of images (n, E) and texts (m, E): a softmax over a row is
 * CLIP's opinion of which text belongs to the image. */
GMAIL_API gmail_status gmail_logits(const gmail_model* model, const float* images, size_t n,
                                    const float* texts, size_t m, float* logits);

/* ---- Captions */

GMAIL_API gmail_status gmail_captioner_open(const char* folder, gmail_captioner** captioner);
GMAIL_API gmail_status gmail_captioner_close(gmail_captioner* captioner);

/* A caption for each image embedding: rows (n, width) from the encoder whose embeddings the captioner was
 * trained on. options: null for greedy search and at most 32 tokens, fewer where the captioner has no room
 * for so many. A captioner of ClipCap's own code decodes by that code's rule: at most 67 tokens, min_length
 * has no effect. */
GMAIL_API gmail_status gmail_caption(const gmail_captioner* captioner, const float* embeddings, size_t n,
                                     size_t width, const gmail_caption_options* options,
                                     gmail_captions** captions);
GMAIL_API size_t gmail_captions_count(const gmail_captions* captions); /* 0 for what is no such handle */
/* Caption i, UTF-8, valid until gmail_captions_free; null if there is none. */
GMAIL_API const char* gmail_captions_text(const gmail_captions* captions, size_t i);
GMAIL_API gmail_status gmail_captions_free(gmail_captions* captions);

#ifdef __cplusplus
}
#endif

#endif /* GMAIL_H */
