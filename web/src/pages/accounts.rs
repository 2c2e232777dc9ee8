//! All accounts, for administrators: who may sign in, and with which role.

use maud::{Markup, html};
use slipway_proto::{
    common::v1::Role,
    identity::v1::{Account, AccountState, ListAccountsRequest},
};
use slipway_rpc::error::Fault;

use super::{Page, sign_in::options};
use crate::{
    parts::{Input, button, input, more, person},
    times::when,
    visit::Visit,
};

const CREATE: &str = "/ui/users";

/// The roles: the value of the field, and its name.
pub(crate) const ROLES: [(&str, &str, Role); 2] = [
    ("DEVELOPER", "Developer", Role::Developer),
    ("ADMIN", "Admin", Role::Admin),
];

/// The states: the value of the parameter, and its name.
const STATES: [(&str, &str, AccountState); 3] = [
    ("ACTIVE", "Can sign in", AccountState::Active),
    ("INVITED", "Invited", AccountState::Invited),
    ("DISABLED", "Disabled", AccountState::Disabled),
];

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let query = &visit.query;
    let role = ROLES.iter().find(|(value, ..)| *value == query.get("role"));
    let role = role.map_or(Role::Unspecified, |(.., role)| *role);
    let state = STATES
        .iter()
        .find(|(value, ..)| *value == query.get("state"));
    let state = state.map_or(AccountState::Unspecified, |(.., state)| *state);
    let request = visit.request(ListAccountsRequest {
        query: query.get("q").trim().to_owned(),
        role: role.into(),
        state: state.into(),
        page_size: 50,
        page_token: query.get("cursor").to_owned(),
    });
    let identity = visit.services().identity.clone();
    let list = async {
        { identity }
            .list_accounts(request)
            .await
            .map_err(Fault::from)
    };
    let options = async { Ok(options(visit.web(), visit.outbound()).await) };
    let (answer, options) = tokio::try_join!(list, options)?;
    let answer = answer.into_inner();
    Page::new(
        "Accounts",
        html! {
            h1 { "Accounts" }
            @if options.passwords || visit.is_again(CREATE) { (create(visit)) }
            @else { p.hint { "Passwords are switched off: whoever signs in with the identity provider for the first time gets an account." } }
            (filters(visit, role, state))
            @if answer.accounts.is_empty() { p.empty { "There are none here." } }
            ul.list { @for account in &answer.accounts { li.card { (row(visit, account)) } } }
            (more(visit, &answer.next_page_token, "More"))
        },
    )
}

fn create(visit: &Visit) -> Markup {
    let value = |name: &str| visit.typed(CREATE, name, "");
    html! {
        details.card open[visit.is_again(CREATE)] {
            summary { "Create an account" }
            (visit.form(CREATE, "stack", &html! {
                (visit.once(CREATE))
                div.pair {
                    (input(&Input { label: "Name", name: "username", value: value("username"), ..Input::default() }))
                    (input(&Input { label: "Email address", name: "email", kind: "email", value: value("email"), ..Input::default() }))
                }
                (choice("Role", "role", None, &ROLES, |(value, name, _)| (*value, *name), value("role")))
                label.check {
                    input type="checkbox" name="invite" value="true" checked[visit.ticked(CREATE, "invite", "true", true)];
                    " Invite them by mail: they set their password by a link, which works for 7 days"
                }
                (input(&Input {
                    label: "Or their first password, if they are not invited by mail",
                    name: "password",
                    kind: "password",
                    autocomplete: "new-password",
                    required: false,
                    ..Input::default()
                }))
                (button("Create the account", "main"))
            }))
        }
    }
}

fn filters(visit: &Visit, role: Role, state: AccountState) -> Markup {
    let chosen = |value: &'static str, is: bool| if is { value } else { "" };
    let of_role = ROLES
        .map(|(value, _, of)| chosen(value, of == role))
        .concat();
    let of_state = STATES
        .map(|(value, _, of)| chosen(value, of == state))
        .concat();
    html! {
        form.filters method="get" action="/admin/users" {
            (input(&Input {
                label: "Beginning of name or email",
                name: "q",
                kind: "search",
                value: visit.query.get("q"),
                required: false,
                ..Input::default()
            }))
            (choice("Role", "role", Some("Any"), &ROLES, |(value, name, _)| (*value, *name), &of_role))
            (choice("State", "state", Some("Any"), &STATES, |(value, name, _)| (*value, *name), &of_state))
            (button("Show", ""))
        }
    }
}

fn choice<T>(
    label: &str,
    name: &str,
    any: Option<&str>,
    options: &[T],
    shown: impl Fn(&T) -> (&'static str, &'static str),
    chosen: &str,
) -> Markup {
    html! {
        label.field {
            span { (label) }
            select name=(name) {
                @if let Some(any) = any { option value="" { (any) } }
                @for (value, text) in options.iter().map(shown) {
                    option value=(value) selected[value == chosen] { (text) }
                }
            }
        }
    }
}

fn row(visit: &Visit, account: &Account) -> Markup {
    let Some(user) = &account.user else {
        return html! {};
    };
    let (disabled, invited) = match account.state() {
        AccountState::Disabled => (true, false),
        AccountState::Invited => (false, true),
        AccountState::Active | AccountState::Unspecified => (false, false),
    };
    let action = format!("/ui/users/{}", user.id);
    let (other, other_name) = match user.role() {
        Role::Admin => ("DEVELOPER", "developer"),
        _ => ("ADMIN", "admin"),
    };
    let change = |name: &str, value: &str, text: &str, class: &str| {
        visit.form(
            &action,
            "act",
            &html! {
                input type="hidden" name=(name) value=(value);
                (button(text, class))
            },
        )
    };
    let mail = |purpose: &str, text: &str| {
        let content = html! {
            input type="hidden" name="purpose" value=(purpose);
            (button(text, ""))
        };
        visit.form(&format!("{action}/mail"), "act", &content)
    };
    html! {
        div.row {
            div {
                h2.title { (person(&user.username)) }
                p.facts {
                    @if disabled { span.state.hotfix { "Disabled" } " " }
                    @if invited { span.state.todo { "Invited" } " " }
                    span { @if user.role() == Role::Admin { "Admin" } @else { "Developer" } }
                    @if !user.display_name.is_empty() { " " span { bdi { (user.display_name) } } }
                    " " span { bdi { (user.email) } }
                    " " span { "since " (when(user.created_at.as_ref(), visit.now)) }
                }
            }
            div.does {
                (change("role", other, &format!("Make {other_name}"), ""))
                @if account.takes_password {
                    @if invited { (mail("invitation", "Invite again")) }
                    @else { (mail("reset", "Mail a link to reset the password")) }
                }
                @if disabled {
                    (change("disabled", "false", "Enable", ""))
                } @else {
                    (change("disabled", "true", "Disable", "danger"))
                }
            }
        }
    }
}
