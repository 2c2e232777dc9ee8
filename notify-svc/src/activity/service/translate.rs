//! Translates between protobuf messages and this feature's types.

use slipway_proto::{
    notify::v1::{ActivityEntry, ActivityFilter, ActivityServiceListRequest},
    time::to_proto as timestamp,
};
use slipway_rpc::{error::Fault, page};
use slipway_runtime::{id, text::shortened};
use uuid::Uuid;

use crate::{
    activity::{
        Entry, Filter, MalformedPattern, TypePattern,
        store::{Direction, Query},
    },
    translate::user,
};

/// Maximum number of entries on a page.
const MAX_LIMIT: u32 = 1000;

/// Maximum number of types and families in a filter: each one is a separate search.
const MAX_TYPES: usize = 20;

/// Maximum length, in characters, of the error message about an unknown type.
const LONGEST_MESSAGE: usize = 200;

/// The query of a list request from `caller`, starting at the first page.
pub(super) fn query(request: &ActivityServiceListRequest, caller: Uuid) -> Result<Query, Fault> {
    Ok(Query {
        filter: match &request.filter {
            Some(wanted) => filter(wanted, caller)?,
            None => Filter::default(),
        },
        after: request.after,
        before: match request.before {
            0 => u64::MAX,
            before => before,
        },
        direction: if request.ascending {
            Direction::Ascending
        } else {
            Direction::Descending
        },
        limit: page::limit(request.page_size, MAX_LIMIT)?,
    })
}

fn filter(wanted: &ActivityFilter, caller: Uuid) -> Result<Filter, Fault> {
    let types = type_patterns(&wanted.types)?;
    let release_id = match wanted.release_id.as_str() {
        "" => None,
        text => Some(
            id::parse(text)
                .map_err(|error| Fault::invalid_field("filter.release_id", error.to_string()))?,
        ),
    };
    Ok(Filter {
        types,
        release_id,
        person: wanted.mine.then_some(caller),
    })
}

/// The types and families in a filter.
///
/// # Errors
/// If one is malformed or does not exist, or there are too many.
pub(crate) fn type_patterns(wanted: &[String]) -> Result<Vec<TypePattern>, Fault> {
    if wanted.len() > MAX_TYPES {
        let message = format!("must be at most {MAX_TYPES} types or families");
        return Err(Fault::invalid_field("filter.types", message));
    }
    let types = wanted
        .iter()
        .map(|text| text.parse::<TypePattern>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Fault::invalid_field("filter.types", error.to_string()))?;
    match types.iter().find(|wanted| !wanted.is_known()) {
        None => Ok(types),
        Some(unknown) => {
            let message = format!("{MalformedPattern}; there is none called {unknown}");
            let message = shortened(&message, LONGEST_MESSAGE);
            Err(Fault::invalid_field("filter.types", message))
        }
    }
}

/// Translates an entry.
pub(super) fn entry(Entry { sequence, activity }: Entry) -> ActivityEntry {
    ActivityEntry {
        sequence,
        id: activity.id.to_string(),
        r#type: activity.event_type,
        time: Some(timestamp(activity.time)),
        actor: activity.actor.as_ref().map(user),
        subject: activity.subject,
        release_id: activity
            .release_id
            .map_or_else(String::new, |id| id.to_string()),
        summary: activity.summary,
        data_json: activity.data,
        concerns: activity.concerns.iter().map(Uuid::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(filter: ActivityFilter) -> String {
        let request = ActivityServiceListRequest {
            filter: Some(filter),
            ..Default::default()
        };
        let fault = query(&request, Uuid::nil()).unwrap_err();
        fault.fields[0].field.clone()
    }

    #[test]
    fn a_bad_filter_names_its_field() {
        let types = |types: &[&str]| ActivityFilter {
            types: types.iter().map(|text| (*text).to_owned()).collect(),
            ..Default::default()
        };
        assert_eq!(refused(types(&["task.*", "task"])), "filter.types");
        let many = types(&["task.started"; MAX_TYPES + 1]);
        assert_eq!(refused(many), "filter.types");
        let release_id = "131".into();
        let filter = ActivityFilter {
            release_id,
            ..Default::default()
        };
        assert_eq!(refused(filter), "filter.release_id");
    }

    #[test]
    fn an_empty_request_lists_everything_newest_first() {
        let everything = query(&ActivityServiceListRequest::default(), Uuid::nil()).unwrap();
        let expected = Query {
            direction: Direction::Descending,
            ..Query::following(0, page::DEFAULT_LIMIT)
        };
        assert_eq!(everything, expected);
    }
}
