/* In place of libcurl and libcrypto, which libhdf5 calls in its driver for S3 alone: nothing can be
 * begun, so a file that asks for it cannot be opened. */
#include <stddef.h>

void *curl_easy_init(void) { return NULL; }
int curl_easy_setopt(void *handle, int option, ...) { return (void)handle, (void)option, 2; }
int curl_easy_perform(void *handle) { return (void)handle, 2; }
void curl_easy_cleanup(void *handle) { (void)handle; }
int curl_global_init(long flags) { return (void)flags, 2; }
void curl_global_cleanup(void) {}
void *curl_slist_append(void *list, const char *text) { return (void)list, (void)text, NULL; }
void curl_slist_free_all(void *list) { (void)list; }

const void *EVP_sha256(void) { return NULL; }
unsigned char *HMAC(const void *digest, const void *key, int key_length, const unsigned char *data,
                    size_t length, unsigned char *out, unsigned int *out_length) {
  return (void)digest, (void)key, (void)key_length, (void)data, (void)length, (void)out,
         (void)out_length, NULL;
}
unsigned char *SHA256(const unsigned char *data, size_t length, unsigned char *out) {
  return (void)data, (void)length, (void)out, NULL;
}
