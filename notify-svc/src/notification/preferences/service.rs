//! `slipway.notify.v1.PreferenceService`: the caller's preferences.

use std::{collections::BTreeSet, sync::Arc};

use slipway_proto::{
    notify::v1::{
        GetPreferencesRequest, GetPreferencesResponse, Preferences as Shown,
        QuietHours as ShownHours, QuietMode, StoredPreferences, UpdatePreferencesRequest,
        UpdatePreferencesResponse, preference_service_server::PreferenceService,
    },
    time::to_proto as timestamp,
};
use slipway_rpc::{
    access::principal,
    error::{Fault, FieldError, Kind},
};
use slipway_runtime::{clock::SharedClock, zone::Zone};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

use super::{
    Mode, Preferences, QuietHours,
    store::{PreferenceStore, SavedPreferences},
};
use crate::notification::{To, audience, store::NotificationStore, templates::Library};

/// The service.
pub(crate) struct PreferenceApi {
    pub(crate) preferences: PreferenceStore,
    /// Knows all notification types.
    pub(crate) templates: Arc<Library>,
    pub(crate) clock: SharedClock,
    pub(crate) notifications: NotificationStore,
    /// Wakes the dispatcher of this process.
    pub(crate) due: Arc<Notify>,
}

#[tonic::async_trait]
impl PreferenceService for PreferenceApi {
    async fn get_preferences(
        &self,
        request: Request<GetPreferencesRequest>,
    ) -> Result<Response<GetPreferencesResponse>, Status> {
        let user = principal(&request)?.user_id;
        let chosen = self.preferences.of(user).await.map_err(Fault::from)?;
        let types = choices(self.templates.current().kinds());
        Ok(Response::new(GetPreferencesResponse {
            preferences: Some(shown(chosen, types)),
        }))
    }

    async fn update_preferences(
        &self,
        request: Request<UpdatePreferencesRequest>,
    ) -> Result<Response<UpdatePreferencesResponse>, Status> {
        let user = principal(&request)?.user_id;
        let request = request.into_inner();
        let wanted = request.preferences.unwrap_or_default();
        let types = self.types(named(&wanted)).await?;
        let preferences = read(wanted, &types)?;
        let now = self.clock.now();
        let chosen = self
            .preferences
            .choose(user, preferences, request.revision, now);
        let chosen = chosen.await.map_err(Fault::from)?.ok_or_else(changed)?;
        // The quiet hours may be other ones now.
        let woken = self.notifications.wake(&To::User(user), now).await;
        if woken.map_err(Fault::from)? > 0 {
            self.due.notify_one();
        }
        Ok(Response::new(UpdatePreferencesResponse {
            preferences: Some(shown(chosen, types)),
        }))
    }
}

impl PreferenceApi {
    /// All types that can be switched off. Reads them from the store if one of `named` is not known in this process.
    async fn types(&self, named: impl Iterator<Item = &String>) -> Result<Vec<String>, Fault> {
        let current = self.templates.current();
        let mut named = named;
        if named.all(|kind| current.has(kind)) {
            return Ok(choices(current.kinds()));
        }
        Ok(choices(self.templates.look().await?.kinds()))
    }
}

/// The types that can be switched off.
fn choices(mut kinds: Vec<String>) -> Vec<String> {
    kinds.retain(|kind| !audience::is_of_access(kind));
    kinds
}

fn changed() -> Fault {
    Fault::new(
        Kind::Conflict,
        "PREFERENCES_CHANGED",
        "Your preferences were changed in the meantime. Read them again.",
    )
}

/// The types that the request names.
fn named(preferences: &Shown) -> impl Iterator<Item = &String> {
    preferences.muted.iter().chain(&preferences.wanted)
}

/// The preferences of a request, or everything that is wrong with it.
fn read(wanted: Shown, types: &[String]) -> Result<Preferences, Fault> {
    let mut errors = Vec::new();
    let mut refuse = |field: String, message: String| errors.push(FieldError { field, message });
    for (field, kinds) in [("muted", &wanted.muted), ("wanted", &wanted.wanted)] {
        for kind in kinds.iter().filter(|kind| !types.contains(kind)) {
            let message = format!("is no type; there are {}", types.join(", "));
            refuse(format!("preferences.{field}.{kind}"), message);
        }
    }
    let hours = wanted.quiet_hours.unwrap_or_default();
    let mode = match hours.mode() {
        QuietMode::Skip => Some(Mode::Skip),
        QuietMode::Defer => Some(Mode::Defer),
        QuietMode::Unspecified => None,
    };
    if mode.is_none() {
        refuse(
            "preferences.quiet_hours.mode".to_owned(),
            "must be SKIP or DEFER".to_owned(),
        );
    }
    let mut time = |field: &str, text: &str| match text.parse() {
        Ok(time) => Some(time),
        Err(error) => {
            let error: crate::notification::preferences::NoTimeOfDay = error;
            refuse(
                format!("preferences.quiet_hours.{field}"),
                error.to_string(),
            );
            None
        }
    };
    let (start, end) = (time("start", &hours.start), time("end", &hours.end));
    if start.is_some() && start == end {
        let message = "must differ from the start; to get no emails, switch them off";
        refuse("preferences.quiet_hours.end".to_owned(), message.to_owned());
    }
    let mut zone = |field: &str, text: &str| match text.parse::<Zone>() {
        Ok(zone) => Some(zone),
        Err(error) => {
            refuse(field.to_owned(), error.to_string());
            None
        }
    };
    let own_zone = match hours.time_zone.as_str() {
        "" => None,
        text => zone("preferences.quiet_hours.time_zone", text),
    };
    let time_zone = zone("preferences.time_zone", &wanted.time_zone);
    match (start, end, mode, time_zone) {
        (Some(start), Some(end), Some(mode), Some(time_zone)) if errors.is_empty() => {
            Ok(Preferences {
                email: wanted.email,
                muted: wanted.muted.into_iter().collect::<BTreeSet<_>>(),
                quiet_hours: QuietHours {
                    enabled: hours.enabled,
                    start,
                    end,
                    time_zone: own_zone,
                    mode,
                },
                time_zone,
            })
        }
        _ => Err(Fault::invalid(errors)),
    }
}

/// Translates preferences; types that no longer exist are left out.
fn shown(chosen: SavedPreferences, types: Vec<String>) -> StoredPreferences {
    let preferences = chosen.preferences;
    let hours = preferences.quiet_hours;
    let mode = match hours.mode {
        Mode::Skip => QuietMode::Skip,
        Mode::Defer => QuietMode::Defer,
    };
    let zone = hours.time_zone.as_ref().map_or("", Zone::name).to_owned();
    let muted = preferences.muted.into_iter();
    StoredPreferences {
        preferences: Some(Shown {
            email: preferences.email,
            muted: muted.filter(|kind| types.contains(kind)).collect(),
            quiet_hours: Some(ShownHours {
                enabled: hours.enabled,
                start: hours.start.to_string(),
                end: hours.end.to_string(),
                time_zone: zone,
                mode: mode.into(),
            }),
            time_zone: preferences.time_zone.name().to_owned(),
            wanted: Vec::new(),
        }),
        revision: chosen.revision,
        updated_at: chosen.at.map(timestamp),
        types,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Vec<String> {
        vec!["order-placed".to_owned(), "task.assigned".to_owned()]
    }

    fn default() -> Shown {
        shown(SavedPreferences::never(uuid::Uuid::nil()), types())
            .preferences
            .unwrap()
    }

    #[test]
    fn preferences_survive_a_round_trip() {
        assert_eq!(read(default(), &types()).unwrap(), Preferences::default());
        let chosen = SavedPreferences {
            user: uuid::Uuid::nil(),
            preferences: Preferences {
                email: false,
                muted: ["task.assigned".to_owned()].into(),
                quiet_hours: QuietHours {
                    enabled: true,
                    time_zone: Some("Asia/Kathmandu".parse().unwrap()),
                    mode: Mode::Skip,
                    ..QuietHours::default()
                },
                time_zone: "Europe/Berlin".parse().unwrap(),
            },
            revision: 3,
            at: None,
        };
        let shown = shown(chosen.clone(), types()).preferences.unwrap();
        assert_eq!(read(shown, &types()).unwrap(), chosen.preferences);
    }

    #[test]
    fn all_errors_are_reported() {
        let wrong = Shown {
            muted: vec!["task.asigned".to_owned()],
            quiet_hours: Some(ShownHours {
                enabled: true,
                start: "25:00".to_owned(),
                end: "7:00".to_owned(),
                time_zone: "Mars/Olympus".to_owned(),
                mode: QuietMode::Unspecified.into(),
            }),
            time_zone: String::new(),
            ..default()
        };
        let fault = read(wrong, &types()).unwrap_err();
        let fields: Vec<_> = fault.fields.into_iter().map(|error| error.field).collect();
        let expected = [
            "preferences.muted.task.asigned",
            "preferences.quiet_hours.mode",
            "preferences.quiet_hours.start",
            "preferences.quiet_hours.end",
            "preferences.quiet_hours.time_zone",
            "preferences.time_zone",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn quiet_hours_must_not_be_all_day() {
        let mut all_day = default();
        let hours = all_day.quiet_hours.as_mut().unwrap();
        hours.end = hours.start.clone();
        let fault = read(all_day, &types()).unwrap_err();
        assert_eq!(fault.fields[0].field, "preferences.quiet_hours.end");
    }

    #[test]
    fn a_deleted_type_is_not_shown() {
        let mut chosen = SavedPreferences::never(uuid::Uuid::nil());
        chosen.preferences.muted = ["gone".to_owned(), "order-placed".to_owned()].into();
        let preferences = shown(chosen, types()).preferences.unwrap();
        assert_eq!(preferences.muted, ["order-placed"]);
    }
}
