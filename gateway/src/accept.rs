//! What a client prefers to get, by its `Accept` (RFC 9110, 12.5.1).

use http::{HeaderMap, header::ACCEPT};

/// The media type of the API's answers.
pub(crate) const JSON: &str = "application/json";

/// The media ranges of a request, with their weights.
pub(crate) struct Accept<'a>(Vec<(&'a str, f32)>);

impl<'a> Accept<'a> {
    /// The media ranges in these headers.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT).iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        Self(lines.flat_map(|line| line.split(',')).map(range).collect())
    }

    /// The weight of a media type: the most specific range counts.
    pub(crate) fn weight(&self, kind: &str, family: &str) -> f32 {
        let closest = [kind, family, "*/*"].into_iter().find_map(|form| {
            let mut ranges = self.0.iter();
            ranges.find(|(range, _)| is(range, form))
        });
        closest.map_or(0.0, |(_, weight)| *weight)
    }

    /// Whether a media type is named itself.
    pub(crate) fn names(&self, kind: &str) -> bool {
        self.0.iter().any(|(range, _)| is(range, kind))
    }
}

/// Whether a client prefers a page to JSON. Browsers do when they open an address; programs that
/// accept anything get JSON.
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = Accept::of(headers);
    accept.weight("text/html", "text/*") > accept.weight(JSON, "application/*")
}

/// A media range and its weight; 1 if the weight is missing or malformed.
fn range(text: &str) -> (&str, f32) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        is(name, "q").then(|| value.parse().ok())?
    });
    let weight = weight.filter(|weight| (0.0..=1.0).contains(weight));
    (range, weight.unwrap_or(1.0))
}

fn is(text: &str, name: &str) -> bool {
    text.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_chosen_if_it_weighs_more_than_json() {
        for (accept, page) in [
            ("", false),
            ("*/*", false),
            ("application/json", false),
            ("text/html", true),
            ("text/html, application/json", false),
            ("application/json, text/html", false),
            ("text/html;q=0.5, application/json;q=0.4", true),
            ("text/html;q=0.4, application/json;q=0.5", false),
            ("text/html, */*;q=0.8", true),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
                true,
            ),
            ("text/html;q=0, */*", false),
            ("text/event-stream", false),
            ("application/json, text/plain, */*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(prefers_html(&headers), page, "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
