//! Which request is being handled, and which client sent it. The events that it causes carry both,
//! for the audit trail.

use std::{future::Future, net::IpAddr};

/// Maximum length of a request id, in bytes.
pub const MAX_ID: usize = 128;

tokio::task_local! {
    static CURRENT: RequestInfo;
}

/// A request, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// The id that the client gave it, or else the gateway.
    pub id: Option<String>,
    /// The network address of the client. Personal data: it belongs in no log and in no payload.
    pub address: Option<IpAddr>,
}

impl RequestInfo {
    /// The request that is being handled; empty outside of one.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs `work` as a part of this request.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }
}

/// Whether `text` can be the id of a request: 1 to [`MAX_ID`] visible ASCII characters.
#[must_use]
pub fn is_id(text: &[u8]) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_belongs_to_its_request() {
        let request = RequestInfo {
            id: Some("r-1".into()),
            address: Some([192, 0, 2, 1].into()),
        };
        let seen = request.clone().scope(async { RequestInfo::current() });
        assert_eq!(seen.await, request);
        assert_eq!(RequestInfo::current(), RequestInfo::default());
    }

    #[test]
    fn an_id_is_short_visible_text() {
        assert!(is_id(b"0190c2b8-7a5e") && is_id(&[b'x'; MAX_ID]));
        for bad in [&b""[..], b"a b", b"a\n", b"\xff", &[b'x'; MAX_ID + 1]] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }
}
