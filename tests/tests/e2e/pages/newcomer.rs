//! An admin who has never seen Slipway plans a release and adds a hotfix, and two developers work it
//! through, with what the pages show them; and how many clicks and keys it takes.

use slipway_tests::{ADMIN_PASSWORD, Browser, Process, team::PASSWORD};
use thirtyfour::Key;

/// Five tasks of two owners, typed as the form asks for them.
const ROWS: [&str; 5] = [
    "Freeze the code; ada",
    "Test the candidate; bob",
    "Write the notes; ada",
    "Sign the packages; bob",
    "Publish; ada",
];

/// The most that it may take all of them, with the sign-in and the sign-ups.
const MOST_CLICKS: usize = 36;
const MOST_KEYS: usize = 240;

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

    async fn sign_up(&mut self, name: &str) -> anyhow::Result<()> {
        self.follow("a[href='/sign-up']").await?;
        self.write("input[name=username]", name).await?;
        self.write("input[name=email]", &format!("{name}@example.com"))
            .await?;
        self.write("input[name=password]", PASSWORD).await?;
        self.follow("main button.main").await
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

    let mut bob = Person::at(&server).await?.expect("a third browser");
    ada.sign_up("ada").await?;
    bob.sign_up("bob").await?;

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
    for step in 0..ROWS.len() {
        let person = if step % 2 == 0 { &mut ada } else { &mut bob };
        person.work().await?;
    }
    let done = "document.querySelector('#release').innerText.includes('5 of 5 completed')";
    admin.browser.wait(done).await?;
    admin
        .follow("form[action^='/ui/releases/'][action$='/complete'] button")
        .await?;
    let hotfix = "details:has(form[action$='/tasks'])";
    admin.click(&format!("{hotfix} > summary")).await?;
    admin
        .write(&format!("{hotfix} input[name=title]"), "Mend the crash")
        .await?;
    admin
        .write(&format!("{hotfix} input[name=owner]"), "bob")
        .await?;
    admin.follow(&format!("{hotfix} button.main")).await?;
    bob.work().await?;
    let done = "document.querySelector('#release').innerText.includes('6 of 6 completed')";
    admin.browser.wait(done).await?;

    let mut clicks = 0;
    let mut keys = 0;
    for (name, person) in [("admin", &admin), ("ada", &ada), ("bob", &bob)] {
        println!("{name}: {} clicks, {} keys", person.clicks, person.keys);
        clicks += person.clicks;
        keys += person.keys;
        assert_eq!(person.browser.errors(&[]).await?, [""; 0]);
    }
    assert!(clicks <= MOST_CLICKS, "{clicks}");
    assert!(keys <= MOST_KEYS, "{keys}");
    Ok(())
}
