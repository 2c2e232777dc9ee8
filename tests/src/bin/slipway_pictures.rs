//! Makes pictures of the pages: `slipway-pictures DIRECTORY` writes those of the documentation, from a
//! system of its own with the release plan of Kubernetes 1.31. With `--all` it writes one of every
//! page, wide and narrow, light and dark, to look at after a change.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use serde_json::{Value, json};
use slipway_tests::{ADMIN_PASSWORD, Browser, Client, Options, Process, process, team::id, until};

const PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/kubernetes-1.31.json");

/// Tasks of the plan that are completed.
const COMPLETED: usize = 9;

/// The highest picture, in pixels.
const HIGHEST: u32 = 1_400;
const HIGHEST_OF_ALL: u32 = 4_000;

const THEMES: [&str; 2] = ["light", "dark"];

#[derive(Parser)]
#[command(about = "Makes pictures of the pages")]
struct Arguments {
    /// Where the pictures are written.
    directory: PathBuf,
    /// Every page, also narrow.
    #[arg(long)]
    all: bool,
}

/// A system in the middle of a release.
struct Scene {
    server: Process,
    /// The passwords of the users by their names.
    passwords: HashMap<String, String>,
    release: String,
    task: String,
    letter: String,
    chat: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.directory)?;
    let scene = Scene::build().await?;
    let release = format!("/releases/{}", scene.release);
    let task = format!("/tasks/{}", scene.task);
    let of_developers = [
        ("my-work", "/"),
        ("release", &*release),
        ("task", &*task),
        ("activity", "/activity"),
        ("assistant", &*scene.chat),
        ("overview", "/overview"),
    ];
    let others_of_developers = [
        ("releases", "/releases"),
        ("notifications", "/notifications"),
        ("preferences", "/preferences"),
        ("profile", "/profile"),
        ("not-found", "/tasks/none"),
    ];
    let of_admins = [
        ("system", "/admin"),
        ("template", "/admin/templates/task.assigned"),
    ];
    let others_of_admins = [
        ("admin-release", &*release),
        ("admin-task", &*task),
        ("incidents", "/admin/incidents"),
        ("dead-letters", "/admin/dead-letters"),
        ("dead-letter", &*scene.letter),
        ("templates", "/admin/templates"),
        ("all-notifications", "/admin/notifications"),
        ("accounts", "/admin/users"),
    ];
    let public = [
        ("sign-in", "/sign-in"),
        ("sign-up", "/sign-up"),
        ("forgot", "/password/forgot"),
        ("invitation", "/invitation?token=none"),
    ];
    let developer = scene.browser("branch-manager").await?;
    let admin = scene.browser("admin").await?;
    shoot(&developer, &arguments, &of_developers).await?;
    shoot(&admin, &arguments, &of_admins).await?;
    if arguments.all {
        shoot(&developer, &arguments, &others_of_developers).await?;
        shoot(&admin, &arguments, &others_of_admins).await?;
        let nobody = browser(&scene.server).await?;
        shoot(&nobody, &arguments, &public).await?;
        shoot_refused(&developer, &arguments, &task).await?;
        shoot_empty(&arguments).await?;
    }
    Ok(())
}

/// Pages whose form was refused.
async fn shoot_refused(browser: &Browser, arguments: &Arguments, task: &str) -> anyhow::Result<()> {
    let refused = [
        ("refused-comment", task, "#discussion > form textarea"),
        ("refused-question", "/assistant", "#ask textarea"),
    ];
    for (name, path, field) in refused {
        browser.open(path).await?;
        let fill = format!("document.querySelector('{field}').value = '\u{200b}'.repeat(12)");
        browser.value(&fill).await?;
        browser
            .value(&format!(
                "document.querySelector('{field}').form.requestSubmit()"
            ))
            .await?;
        browser
            .wait("document.querySelector('main [role=alert], #conversation button') !== null")
            .await?;
        shoot_page(browser, arguments, name).await?;
    }
    Ok(())
}

/// Pages of a system in which nothing has happened yet.
async fn shoot_empty(arguments: &Arguments) -> anyhow::Result<()> {
    let server = Process::start().await?;
    let admin = browser(&server).await?;
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let pages = [
        ("empty-my-work", "/"),
        ("empty-releases", "/releases"),
        ("empty-activity", "/activity"),
        ("empty-assistant", "/assistant"),
        ("empty-notifications", "/notifications"),
        ("empty-overview", "/overview"),
        ("empty-system", "/admin"),
        ("empty-incidents", "/admin/incidents"),
        ("empty-dead-letters", "/admin/dead-letters"),
        ("empty-all-notifications", "/admin/notifications"),
    ];
    shoot(&admin, arguments, &pages).await
}

async fn browser(server: &Process) -> anyhow::Result<Browser> {
    let browser = Browser::start(&server.http).await?;
    browser.context("it needs chromium and chromedriver")
}

async fn shoot(
    browser: &Browser,
    arguments: &Arguments,
    pages: &[(&str, &str)],
) -> anyhow::Result<()> {
    for (name, path) in pages {
        browser.open(path).await?;
        shoot_page(browser, arguments, name).await?;
    }
    Ok(())
}

/// Pictures of the page that is open.
async fn shoot_page(browser: &Browser, arguments: &Arguments, name: &str) -> anyhow::Result<()> {
    let (widths, highest) = match arguments.all {
        true => (&[1280, 320][..], HIGHEST_OF_ALL),
        false => (&[1280][..], HIGHEST),
    };
    for width in widths {
        for theme in THEMES {
            browser.look(*width, theme).await?;
            let picture = browser.picture(*width, highest).await?;
            let narrow = if *width < 1280 { "-narrow" } else { "" };
            let file = format!("{name}{narrow}-{theme}.webp");
            fs::write(arguments.directory.join(file), picture)?;
        }
    }
    Ok(())
}

impl Scene {
    async fn build() -> anyhow::Result<Self> {
        let server = Process::start().await?;
        let admin = server.admin().await?;
        let imported = import(&server).await?;
        let users = imported["users"].as_array().context("users")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut passwords: HashMap<_, _> = users
            .iter()
            .map(|user| (text(&user["username"]), text(&user["password"])))
            .collect();
        passwords.insert("admin".to_owned(), ADMIN_PASSWORD.to_owned());
        let release = id(&imported["release"]).to_owned();
        let tasks = admin
            .get(&format!("/releases/{release}"))
            .await?
            .expect(200);
        let tasks = tasks["tasks"].as_array().context("tasks")?.clone();
        for task in tasks.iter().take(COMPLETED) {
            let owner = client(&server, &passwords, &text(&task["assignee"]["username"])).await?;
            for verb in ["start", "complete"] {
                let path = format!("/tasks/{}/{verb}", id(task));
                owner.patch(&path).await?.expect(200);
            }
        }
        let now = &tasks[COMPLETED];
        let owner = client(&server, &passwords, &text(&now["assignee"]["username"])).await?;
        owner
            .patch(&format!("/tasks/{}/start", id(now)))
            .await?
            .expect(200);
        let mut scene = Self {
            release,
            task: id(now).to_owned(),
            letter: "/admin/dead-letters".to_owned(),
            chat: String::new(),
            server,
            passwords,
        };
        scene.discuss(&owner, &admin).await?;
        scene.chat = scene.ask().await?;
        Ok(scene)
    }

    /// A discussion of the task that is in process.
    async fn discuss(&self, owner: &Client, admin: &Client) -> anyhow::Result<()> {
        let path = format!("/tasks/{}/comments", self.task);
        let say = async |who: &Client, path: &str, content: &str| {
            let posted = who.post(path, &json!({"content": content})).await?;
            anyhow::Ok(format!("/comments/{}/reply", id(&posted.expect(201))))
        };
        let lead = self.client("lead").await?;
        let first = "The checks of the last week:\n\n- `ci-kubernetes-e2e` is **green**\n- two flakes are \
                     left, see https://github.com/kubernetes/kubernetes/issues\n\n@comms-lead, please hold \
                     the post until they are gone.";
        let first = say(owner, &path, first).await?;
        let reply = say(&lead, &first, "Agreed. I look at the flakes today.").await?;
        say(owner, &reply, "Thank you!").await?;
        say(
            admin,
            &path,
            "> hold the post\n\nUntil Thursday at the latest.",
        )
        .await?;
        Ok(())
    }

    /// A conversation with the assistant; returns the address of its page.
    async fn ask(&self) -> anyhow::Result<String> {
        let asker = self.client("branch-manager").await?;
        let session = asker
            .post("/chat/session", &json!({"title": "What should I do next?"}))
            .await?
            .expect(201);
        let path = format!("/chat/{}/message", id(&session));
        let question = json!({"message": "What should I do next?"});
        asker.post(&path, &question).await?.expect(200);
        until(async || {
            let feed = asker.get("/notifications").await?.expect(200);
            ensure!(
                feed["items"]
                    .as_array()
                    .is_some_and(|items| items.len() > 2)
            );
            Ok(())
        })
        .await?;
        Ok(format!("/assistant?session={}", id(&session)))
    }

    async fn client(&self, name: &str) -> anyhow::Result<Client> {
        client(&self.server, &self.passwords, name).await
    }

    async fn browser(&self, name: &str) -> anyhow::Result<Browser> {
        let browser = browser(&self.server).await?;
        browser.sign_in(name, &self.passwords[name]).await?;
        Ok(browser)
    }
}

async fn client(
    server: &Process,
    passwords: &HashMap<String, String>,
    name: &str,
) -> anyhow::Result<Client> {
    let password = passwords.get(name).context("a user of the plan")?;
    server.client().login(name, password).await
}

/// Imports the plan; returns the release and its users with their passwords.
async fn import(server: &Process) -> anyhow::Result<Value> {
    let options = Options::default()
        .arg("import")
        .arg(PLAN)
        .arg("--create-users")
        .arg("--json")
        .env("SLIPWAY_URL", &server.http)
        .env("SLIPWAY_USERNAME", "admin")
        .env("SLIPWAY_PASSWORD", ADMIN_PASSWORD);
    let (status, output, errors) = process::run(Path::new("."), &options).await?;
    ensure!(status.success(), "{errors}");
    Ok(serde_json::from_str(&output)?)
}
