//! A real browser: Chromium, driven by WebDriver.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{
    By, ChromiumLikeCapabilities as _, DesiredCapabilities, Key, LoggingPrefsLogLevel, TypingData,
    WebDriver,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{client::install_cryptography, programs, until};

/// The programs that it needs.
const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];

/// No network beyond the test, no profile beyond it, no sandbox: CI runs it as root.
const ARGUMENTS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// The height of a window, in CSS pixels.
const HEIGHT: u64 = 900;

/// Presses of a key before a test gives up.
const PRESSES: usize = 100;

/// A browser; ended when dropped.
pub struct Browser {
    driver: WebDriver,
    base: String,
    address: SocketAddr,
    _program: Child,
    /// Without a reader the driver would end.
    _output: Lines<BufReader<ChildStdout>>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser for the pages at `base`; `None` if there is none on this machine.
    ///
    /// # Errors
    /// If it does not start, or is required and missing.
    pub async fn start(base: &str) -> anyhow::Result<Option<Self>> {
        if !programs::are_installed(&PROGRAMS)? {
            return Ok(None);
        }
        install_cryptography();
        let profile = tempfile::tempdir()?;
        let mut program = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(program.stdout.take().context("an output")?).lines();
        let port: u16 = loop {
            let line = lines.next_line().await?.context("chromedriver ended")?;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse()?;
            }
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut wanted = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            wanted.add_arg(argument)?;
        }
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        let driver = WebDriver::new(format!("http://{address}"), wanted).await?;
        Ok(Some(Self {
            driver,
            base: base.to_owned(),
            address,
            _program: program,
            _output: lines,
            _profile: profile,
        }))
    }

    /// Opens a page.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn open(&self, path: &str) -> anyhow::Result<()> {
        Ok(self.driver.goto(format!("{}{path}", self.base)).await?)
    }

    /// Signs in, by the keyboard.
    ///
    /// # Errors
    /// If it fails.
    pub async fn sign_in(&self, name: &str, password: &str) -> anyhow::Result<()> {
        self.open("/sign-in").await?;
        self.tab_to("input[name=name]").await?;
        self.keys(name).await?;
        self.tab_to("input[name=password]").await?;
        self.keys(password).await?;
        self.enter().await?;
        self.wait("location.pathname === '/'").await
    }

    /// Opens a page in another tab, which is in front then.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn open_in_tab(&self, path: &str) -> anyhow::Result<()> {
        let tab = self.driver.new_tab().await?;
        self.driver.switch_to_window(tab).await?;
        self.open(path).await
    }

    /// From now on pages run no scripts.
    ///
    /// # Errors
    /// If it cannot be done.
    pub async fn without_scripts(&self) -> anyhow::Result<()> {
        let off = json!({"value": true});
        let tools = self.driver.cdp();
        tools
            .send_raw("Emulation.setScriptExecutionDisabled", off)
            .await?;
        Ok(())
    }

    /// What axe finds on the page: the rules, with the elements that break them. `axe` is its source.
    ///
    /// # Errors
    /// If it fails.
    pub async fn audit(&self, axe: &str) -> anyhow::Result<Vec<String>> {
        let run = "const done = arguments[arguments.length - 1];
            axe.run(document, {resultTypes: ['violations']}).then(
              ({violations}) => done(violations.flatMap(({id, nodes}) =>
                nodes.map(({html, failureSummary}) => `${id}: ${html}: ${failureSummary}`))),
              (error) => done([String(error)]));";
        let script = format!("if (!window.axe) {{ {axe} }}\n{run}");
        let found = self.driver.execute_async(script, Vec::new()).await?;
        Ok(found.convert()?)
    }

    /// A picture of the page, of its whole height up to this many pixels, as WebP.
    ///
    /// # Errors
    /// If it cannot be made.
    pub async fn picture(&self, width: u32, highest: u32) -> anyhow::Result<Vec<u8>> {
        let height = self.value("document.documentElement.scrollHeight").await?;
        let height = height.as_u64().unwrap_or_default().min(highest.into());
        let tools = self.driver.cdp();
        // What is outside of the window is not drawn.
        let resize = async |height: u64| {
            let size =
                json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
            let resized = tools.send_raw("Emulation.setDeviceMetricsOverride", size);
            anyhow::Ok(resized.await?)
        };
        resize(height).await?;
        let drawn = "const done = arguments[arguments.length - 1];
            requestAnimationFrame(() => requestAnimationFrame(() => done(true)));";
        self.driver.execute_async(drawn, Vec::new()).await?;
        let form = json!({"format": "webp", "quality": 80});
        let picture = tools.send_raw("Page.captureScreenshot", form).await?;
        resize(HEIGHT).await?;
        let data = picture["data"].as_str().context("a picture")?;
        Ok(STANDARD.decode(data)?)
    }

    /// Makes its window this wide, in CSS pixels, with this colour scheme.
    ///
    /// # Errors
    /// If it cannot be done.
    pub async fn look(&self, width: u32, scheme: &str) -> anyhow::Result<()> {
        let tools = self.driver.cdp();
        let size =
            json!({"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": true});
        // Without transitions: colours are what they will be.
        let media = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        for (command, parameters) in [
            ("Emulation.setDeviceMetricsOverride", size),
            ("Emulation.setEmulatedMedia", media),
        ] {
            tools.send_raw(command, parameters).await?;
        }
        Ok(())
    }

    /// The value of an expression on the page.
    ///
    /// # Errors
    /// If it fails.
    pub async fn value(&self, expression: &str) -> anyhow::Result<Value> {
        let script = format!("return ({expression})");
        let answer = self.driver.execute(script, Vec::new()).await?;
        Ok(answer.json().clone())
    }

    /// Waits until an expression on the page is true.
    ///
    /// # Errors
    /// With the text of the page, if it stays false.
    pub async fn wait(&self, expression: &str) -> anyhow::Result<()> {
        until(async || match self.value(expression).await? == true {
            true => Ok(()),
            false => bail!("not {expression}: {}", self.text().await?),
        })
        .await
    }

    /// The text of the page, as it is seen.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn text(&self) -> anyhow::Result<String> {
        Ok(self.driver.find(By::Css("body")).await?.text().await?)
    }

    /// Types into what has the focus.
    ///
    /// # Errors
    /// If it fails.
    pub async fn keys(&self, keys: impl Into<TypingData>) -> anyhow::Result<()> {
        // By default each key waits for the mouse, a quarter of a second.
        let keys = self
            .driver
            .action_chain_with_delay(None, Some(Duration::ZERO))
            .send_keys(keys);
        Ok(keys.perform().await?)
    }

    /// Presses a key together with Ctrl.
    ///
    /// # Errors
    /// If it fails.
    pub async fn with_control(&self, key: char) -> anyhow::Result<()> {
        let keys = self
            .driver
            .action_chain_with_delay(None, Some(Duration::ZERO))
            .key_down(Key::Control)
            .send_keys(key.to_string())
            .key_up(Key::Control);
        Ok(keys.perform().await?)
    }

    /// Presses the tabulator key until what has the focus matches a selector.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn tab_to(&self, selector: &str) -> anyhow::Result<()> {
        let reached = format!("document.activeElement.matches({})", json!(selector));
        for _ in 0..PRESSES {
            if self.value(&reached).await? == true {
                return Ok(());
            }
            self.keys(Key::Tab).await?;
        }
        bail!("{selector} cannot be reached: {}", self.text().await?)
    }

    /// Clicks on what matches a selector, as soon as it is there.
    ///
    /// # Errors
    /// If it cannot be clicked on.
    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        // It may be replaced while it is looked for: the page follows what happens.
        until(async || match self.driver.find(By::Css(selector)).await {
            Ok(found) => Ok(found.click().await?),
            Err(_) => bail!("no {selector}: {}", self.text().await?),
        })
        .await
    }

    /// The same with what leads to another page.
    ///
    /// # Errors
    /// If it cannot be clicked on, or leads nowhere.
    pub async fn click_through(&self, selector: &str) -> anyhow::Result<()> {
        self.leave(async || self.click(selector).await).await
    }

    /// Presses the enter key, which leads to another page.
    ///
    /// # Errors
    /// If it does not.
    pub async fn enter(&self) -> anyhow::Result<()> {
        self.leave(async || self.keys(Key::Enter).await).await
    }

    /// Does something that leads to another page, and waits for it.
    async fn leave(&self, does: impl AsyncFnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.value("document.body.dataset.old = 1").await?;
        does().await?;
        self.wait("document.body?.dataset.old === undefined && document.readyState === 'complete'")
            .await
    }

    /// What went wrong since the last call: violations of the policy, errors of scripts, and answers
    /// that failed, apart from those with one of these statuses.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub async fn errors(&self, apart_from: &[u16]) -> anyhow::Result<Vec<String>> {
        let entries = self.driver.browser_log().await?.into_iter();
        let entries = entries.filter(|entry| entry.level != "DEBUG" && entry.level != "INFO");
        let messages = entries.map(|entry| entry.message);
        let is_expected = |message: &String| {
            let mut statuses = apart_from.iter();
            statuses.any(|status| message.contains(&format!("with a status of {status} ")))
        };
        Ok(messages.filter(|message| !is_expected(message)).collect())
    }
}

impl Drop for Browser {
    /// Ends the browser with its driver: the driver alone would leave it behind. Its client must not
    /// wait for an answer of it afterwards.
    fn drop(&mut self) {
        let _ = self.driver.clone().leak();
        let Ok(mut driver) = TcpStream::connect(self.address) else {
            return;
        };
        let limit = driver.set_read_timeout(Some(Duration::from_secs(10)));
        let request = "GET /shutdown HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        if limit.is_ok() && driver.write_all(request.as_bytes()).is_ok() {
            let _ = driver.read_to_end(&mut Vec::new());
        }
    }
}
