//! The addresses of pages.

/// The routes of all pages.
pub(crate) const ROUTES: [&str; 26] = [
    "/",
    "/sign-in",
    "/sign-up",
    "/password/forgot",
    "/password/reset",
    "/invitation",
    "/email/confirm",
    "/releases",
    "/releases/{id}",
    "/tasks/{id}",
    "/tasks/{id}/comments",
    "/activity",
    "/notifications",
    "/notifications/{id}",
    "/preferences",
    "/profile",
    "/assistant",
    "/overview",
    "/admin",
    "/admin/incidents",
    "/admin/dead-letters",
    "/admin/dead-letters/{id}",
    "/admin/templates",
    "/admin/templates/{type}",
    "/admin/notifications",
    "/admin/users",
];

/// A page. Ids are as in the address: the services say whether they are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// My work.
    Home,
    SignIn,
    SignUp,
    ForgotPassword,
    /// To set another password with the link of a mail.
    ResetPassword,
    /// To set the first password with the link of a mail.
    Invitation,
    /// To confirm a new address with the link of a mail.
    ConfirmEmail,
    Releases,
    Release(&'a str),
    /// A task, with its discussion.
    Task(&'a str),
    Activity,
    Notifications,
    Notification(&'a str),
    /// What is mailed, and when.
    Preferences,
    Assistant,
    /// The account of the visitor.
    Profile,
    /// Figures about the work.
    Overview,
    /// How Slipway itself is doing.
    System,
    Incidents,
    DeadLetters,
    DeadLetter(&'a str),
    Templates,
    /// The templates of a type.
    Template(&'a str),
    /// The notifications of everybody.
    AllNotifications,
    /// The accounts of everybody.
    Accounts,
}

impl<'a> Place<'a> {
    /// The page at this path.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let parts = [(); 4].map(|()| parts.next());
        Some(match parts {
            [Some(""), None, ..] => Self::Home,
            [Some("sign-in"), None, ..] => Self::SignIn,
            [Some("sign-up"), None, ..] => Self::SignUp,
            [Some("password"), Some("forgot"), None, _] => Self::ForgotPassword,
            [Some("password"), Some("reset"), None, _] => Self::ResetPassword,
            [Some("invitation"), None, ..] => Self::Invitation,
            [Some("email"), Some("confirm"), None, _] => Self::ConfirmEmail,
            [Some("releases"), None, ..] => Self::Releases,
            [Some("releases"), Some(id), None, _] if !id.is_empty() => Self::Release(id),
            // A list of the API.
            [Some("tasks"), Some("my"), None, _] => return None,
            [Some("tasks"), Some(id), None, _] if !id.is_empty() => Self::Task(id),
            [Some("tasks"), Some(id), Some("comments"), None] if !id.is_empty() => Self::Task(id),
            [Some("activity"), None, ..] => Self::Activity,
            [Some("notifications"), None, ..] => Self::Notifications,
            [Some("notifications"), Some(id), None, _] if !id.is_empty() => Self::Notification(id),
            [Some("preferences"), None, ..] => Self::Preferences,
            [Some("assistant"), None, ..] => Self::Assistant,
            [Some("profile"), None, ..] => Self::Profile,
            [Some("overview"), None, ..] => Self::Overview,
            [Some("admin"), rest @ ..] => return Self::of_admin(&rest),
            _ => return None,
        })
    }

    /// The page at this path below `/admin`.
    fn of_admin(parts: &[Option<&'a str>]) -> Option<Self> {
        Some(match *parts {
            [None, ..] => Self::System,
            [Some("incidents"), None, _] => Self::Incidents,
            [Some("dead-letters"), None, _] => Self::DeadLetters,
            [Some("dead-letters"), Some(id), None] if !id.is_empty() => Self::DeadLetter(id),
            [Some("templates"), None, _] => Self::Templates,
            [Some("templates"), Some(kind), None] if !kind.is_empty() => Self::Template(kind),
            [Some("notifications"), None, _] => Self::AllNotifications,
            [Some("users"), None, _] => Self::Accounts,
            _ => return None,
        })
    }

    /// Whether it is a part of what the page at this path shows: a task belongs to the releases.
    pub(crate) fn is_within(self, path: &str) -> bool {
        match self {
            Self::Release(_) | Self::Task(_) => path == "/releases",
            // What is mailed is chosen from there.
            Self::Notification(_) | Self::Preferences => path == "/notifications",
            Self::DeadLetter(_) => path == "/admin/dead-letters",
            Self::Template(_) => path == "/admin/templates",
            _ => false,
        }
    }

    /// The id of its thing, if it has one that is a UUID, and what its thing is called.
    pub(crate) fn thing(self) -> Option<(&'a str, &'static str)> {
        match self {
            Self::Release(id) => Some((id, "release")),
            Self::Task(id) => Some((id, "task")),
            Self::Notification(id) => Some((id, "notification")),
            Self::DeadLetter(id) => Some((id, "dead letter")),
            _ => None,
        }
    }

    /// Whether it is for visitors who are not signed in.
    pub(crate) fn is_public(self) -> bool {
        matches!(self, Self::SignIn | Self::SignUp) || self.is_for_everybody()
    }

    /// Whether it is for whoever has its address, signed in or not.
    pub(crate) fn is_for_everybody(self) -> bool {
        matches!(
            self,
            Self::ForgotPassword | Self::ResetPassword | Self::Invitation | Self::ConfirmEmail
        )
    }
}

/// An address of a page on this server, with its query and fragment: where a form may lead. Any
/// other text leads home, so that a link cannot send a visitor to another site.
pub(crate) fn local(address: &str) -> &str {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let place = Place::of(&address[..end]);
    let harmless = address
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    match place {
        Some(place) if harmless && !place.is_public() => address,
        _ => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_a_place() {
        for route in ROUTES {
            assert!(Place::of(route).is_some(), "{route}");
        }
    }

    #[test]
    fn addresses_of_the_api_alone_are_no_place() {
        for path in [
            "",
            "/tasks",
            "/tasks/my",
            "/tasks/",
            "/tasks/1/start",
            "/releases/",
            "/releases/1/tasks",
            "/v1/releases",
            "/docs",
            "/docs/",
            "/openapi.json",
            "/hooks/alerts",
            "/auth/me",
            "/.well-known/jwks.json",
            "/activity/stream",
            "/admin/dead-letters/",
            "/admin/dead-letters/1/replay",
            "/admin/templates/task.assigned/versions",
            "/admin/users/1",
            "//",
            "/releases//",
            "/tasks/1/comments/",
            "/tasks/1/comments/2",
        ] {
            assert_eq!(Place::of(path), None, "{path}");
        }
    }

    #[test]
    fn a_form_leads_to_a_page_of_this_server_only() {
        for path in [
            "/",
            "/releases?status=open",
            "/tasks/1/comments#c",
            "/activity?type=task.*",
        ] {
            assert_eq!(local(path), path);
        }
        for path in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/sign-in",
            "/password/reset?token=x",
            "/auth/me",
            "/releases\r\nx: y",
            "/releases?\u{e9}",
            "/ui/sign-out",
        ] {
            assert_eq!(local(path), "/", "{path}");
        }
    }
}
