//! The style sheet and the scripts, which are part of the program. Their address has a hash of the
//! content, so that browsers keep them for good.

use std::{hash::Hasher as _, sync::LazyLock};

use axum::{
    body::Bytes,
    extract::Path,
    response::{IntoResponse, Response},
};
use flate2::Compression;
use http::{
    HeaderMap,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY},
};

use crate::{
    answer::nothing_here,
    compress::{GZIP, accepts, gzip},
};

/// The route of all assets.
pub(crate) const ROUTE: &str = "/ui/assets/{hash}/{name}";

/// What the address of every asset begins with.
pub(crate) const START: &str = "/ui/assets/";

const FOREVER: &str = "public, max-age=31536000, immutable";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Name, media type, content.
const ASSETS: [(&str, &str, &str); 7] = [
    ("assistant.js", JS, include_str!("assets/assistant.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ("keys.js", JS, include_str!("assets/keys.js")),
    ("mentions.js", JS, include_str!("assets/mentions.js")),
    ("slipway.css", CSS, include_str!("assets/slipway.css")),
    ("slipway.js", JS, include_str!("assets/slipway.js")),
    ("stream.js", JS, include_str!("assets/stream.js")),
];

/// A hash of all assets. It tells versions apart and need not withstand attacks.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hash = std::hash::DefaultHasher::new();
    for (name, _, content) in ASSETS {
        hash.write(name.as_bytes());
        hash.write(content.as_bytes());
    }
    format!("{:016x}", hash.finish())
});

/// The assets in order, compressed.
static COMPRESSED: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let contents = ASSETS.iter().map(|(.., content)| content.as_bytes());
    let compressed = contents.map(|content| gzip(content, Compression::best()));
    compressed.map(Bytes::from).collect()
});

/// The address of an asset.
pub(crate) fn address(name: &str) -> String {
    format!("{START}{}/{name}", *HASH)
}

/// Serves an asset. With the hash of another version it is that of this process all the same, which
/// the browser does not keep: while replicas are replaced, a page may be of another one.
pub(crate) async fn serve(
    Path((hash, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let kept = match hash == *HASH {
        true => FOREVER,
        false => "no-cache",
    };
    let mut assets = ASSETS.iter().zip(COMPRESSED.iter());
    let Some(((_, kind, content), compressed)) = assets.find(|((known, ..), _)| *known == name)
    else {
        return nothing_here().await;
    };
    let about = [
        (CONTENT_TYPE, *kind),
        (CACHE_CONTROL, kept),
        (VARY, "accept-encoding"),
    ];
    match accepts(&headers) {
        true => (about, [(CONTENT_ENCODING, GZIP)], compressed.clone()).into_response(),
        false => (about, *content).into_response(),
    }
}
