//! A form that comes with a plan file.

use std::path::Path;

use axum::extract::{FromRequest as _, Multipart, Request};
use http::{HeaderMap, header::CONTENT_TYPE};
use slipway_plan::{Format, encoding};
use slipway_rpc::error::{Fault, Kind};

use crate::fields::Fields;

/// The most parts of such a form; it has six.
const MOST: usize = 20;

/// Whether a form is one with a file.
pub(super) fn is_sent(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("multipart/form-data"))
}

/// The fields of the form. The text of the file, if there is one, is that of the field `rows`, and
/// its format that of the field `format`.
pub(super) async fn fields(request: Request) -> Result<Fields, Fault> {
    let malformed = || {
        let text = "The form is malformed.";
        Fault::new(Kind::Invalid, "INVALID_ARGUMENT", text)
    };
    let parts = Multipart::from_request(request, &()).await;
    let mut parts = parts.map_err(|_| malformed())?;
    let mut fields = Fields::default();
    let mut file = None;
    for _ in 0..MOST {
        let Some(part) = parts.next_field().await.map_err(|_| malformed())? else {
            break;
        };
        let name = part.name().unwrap_or_default().to_owned();
        let path = part.file_name().map(str::to_owned);
        let bytes = part.bytes().await.map_err(|_| malformed())?;
        match path {
            // A file that was not chosen is an empty one.
            Some(_) if bytes.is_empty() => {}
            Some(path) => file = Some((path, bytes)),
            None => {
                let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
                fields.set(&name, text);
            }
        }
    }
    if let Some((path, bytes)) = file {
        let text = encoding::decode(bytes.into()).map_err(|error| {
            Fault::new(
                Kind::Invalid,
                "INVALID_ARGUMENT",
                format!("The file {error}."),
            )
        })?;
        let format = Format::of_path(Path::new(&path)).map(Format::name);
        fields.set("format", format.unwrap_or_default().to_owned());
        fields.set("rows", text);
    }
    Ok(fields)
}
