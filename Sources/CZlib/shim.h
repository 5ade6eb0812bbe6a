#include <zlib.h>

// The initialisers are macros that carry the header's version, which Swift cannot call.

/// Adding 16 to the window bits selects gzip's header and trailer instead of zlib's.
static inline int gzip_inflate_init(z_stream *stream) { return inflateInit2(stream, 15 + 16); }

static inline int gzip_deflate_init(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
