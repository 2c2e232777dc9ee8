//! Two people who have never seen Slipway plan a release, work it through and add a hotfix, with what
//! the pages show them; and how many clicks and keys it takes.

use slipway_tests::{ADMIN_PASSWORD, Browser, Process, team::PASSWORD};
use thirtyfour::Key;

/// Five tasks of two owners, typed as the form asks for them.
const ROWS: [&str; 5] = [
    "Freeze the code; admin",
    "Test the candidate; ada",
    "Write the notes; admin",
    "Sign the packages; ada",
    "Publish; admin",
];

/// The most that it may take both of them, with the sign-in and the sign-up.
const MOST_CLICKS: usize = 40;
const MOST_KEYS: usize = 350;

/// A button that starts a task, if it can be started.
const START: &str = "#work form[action$='/start'] button:not([aria-disabled])";
const COMPLETE: &str = "#work form[action$='/complete'] button";

/// Somebody at a browser.
struct Person {
    browser: Browser,
    clicks: usize,
    keys: usize,
}

impl Person {
    /// `None` if there is no browser on this machine.
    async fn at(server: &Process) -> anyhow::Result<Option<Self>> {
        let Some(browser) = Browser::start(&server.http).await? else {
            return Ok(None);
        };
        browser.open("/").await?;
        Ok(Some(Self {
            browser,
            clicks: 0,
            keys: 0,
        }))
    }

    /// Clicks on something that stays on the page.
    async fn click(&mut self, selector: &str) -> anyhow::Result<()> {
        self.browser.click(selector).await?;
        self.clicks += 1;
        Ok(())
    }

    /// Clicks on something that leads to another page.
    async fn follow(&mut self, selector: &str) -> anyhow::Result<()> {
        self.browser.click_through(selector).await?;
        self.clicks += 1;
        Ok(())
    }

    /// Clicks into a field and types.
    async fn write(&mut self, selector: &str, text: &str) -> anyhow::Result<()> {
        self.click(selector).await?;
        let keys = text.replace('\n', &char::from(Key::Enter).to_string());
        self.keys += keys.chars().count();
        self.browser.keys(keys).await
    }

    /// Starts the next task as soon as it can be, and completes it, on the page of the own work.
    async fn work(&mut self) -> anyhow::Result<()> {
        self.follow(START).await?;
        self.follow(COMPLETE).await
    }
}

#[tokio::test]
async fn newcomers_plan_and_work_through_a_release_with_few_clicks() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let Some(mut admin) = Person::at(&server).await? else {
        return Ok(());
    };
    let mut ada = Person::at(&server).await?.expect("a second browser");

    ada.follow("a[href='/sign-up']").await?;
    ada.write("input[name=username]", "ada").await?;
    ada.write("input[name=email]", "ada@example.com").await?;
    ada.write("input[name=password]", PASSWORD).await?;
    ada.follow("main button.main").await?;

    admin.write("input[name=name]", "admin").await?;
    admin.write("input[name=password]", ADMIN_PASSWORD).await?;
    admin.follow("main button.main").await?;
    admin.follow("a[href='/releases?plan=1']").await?;
    admin.write("input[name=name]", "Spring").await?;
    admin.write("textarea[name=rows]", &ROWS.join("\n")).await?;
    admin
        .follow("form[action='/ui/releases'] button.main")
        .await?;
    let planned = "location.pathname.startsWith('/releases/')";
    admin.browser.wait(planned).await?;
    admin.follow("nav a[href='/']").await?;

    for step in 0..ROWS.len() {
        let person = if step % 2 == 0 { &mut admin } else { &mut ada };
        person.work().await?;
    }

    admin.follow("main a[href^='/releases/']").await?;
    admin
        .follow("form[action^='/ui/releases/'][action$='/complete'] button")
        .await?;
    let hotfix = "details:has(form[action$='/tasks'])";
    admin.click(&format!("{hotfix} > summary")).await?;
    admin
        .write(&format!("{hotfix} input[name=title]"), "Mend the crash")
        .await?;
    admin
        .write(&format!("{hotfix} input[name=owner]"), "ada")
        .await?;
    admin.follow(&format!("{hotfix} button.main")).await?;
    ada.work().await?;
    let done = "document.querySelector('#release').innerText.includes('6 of 6 completed')";
    admin.browser.wait(done).await?;

    let clicks = admin.clicks + ada.clicks;
    let keys = admin.keys + ada.keys;
    println!(
        "admin: {} clicks, {} keys; ada: {} clicks, {} keys",
        admin.clicks, admin.keys, ada.clicks, ada.keys
    );
    assert!(clicks <= MOST_CLICKS, "{clicks}");
    assert!(keys <= MOST_KEYS, "{keys}");
    for person in [&admin, &ada] {
        assert_eq!(person.browser.errors(&[]).await?, [""; 0]);
    }
    Ok(())
}
