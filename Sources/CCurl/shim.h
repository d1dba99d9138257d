// libcurl, and its options by the types of their values: what takes any number of arguments is not
// seen by Swift.
#ifndef DIFFKIT_CURL_H
#define DIFFKIT_CURL_H
#include <curl/curl.h>

typedef size_t (*dk_curl_callback)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode dk_curl_set_long(CURL *handle, CURLoption option, long value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode dk_curl_set_size(CURL *handle, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode dk_curl_set_text(CURL *handle, CURLoption option, const char *value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode dk_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode dk_curl_set_callback(CURL *handle, CURLoption option,
                                            dk_curl_callback value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode dk_curl_get_text(CURL *handle, CURLINFO info, char **value) {
  return curl_easy_getinfo(handle, info, value);
}

// Which schemes a transfer may use, by the options of old and new versions.
static inline CURLcode dk_curl_set_schemes(CURL *handle) {
#if LIBCURL_VERSION_NUM >= 0x075500
  return curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  return curl_easy_setopt(handle, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}
#endif
