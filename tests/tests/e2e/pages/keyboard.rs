//! What scripts add for the keyboard, and for conversations.

use serde_json::json;
use slipway_tests::{Process, Team, team::task_ids};
use thirtyfour::Key;

use super::browser::signed_in;

#[tokio::test]
async fn the_palette_the_keys_and_the_names_lead_where_they_say() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let team = Team::new(&server, 2).await?;
    let tasks = task_ids(&team.release("Spring", &[0, 1, 0]).await?);
    let Some(browser) = signed_in(&server, "dev-0").await? else {
        return Ok(());
    };
    let at = |path: &str| {
        format!(
            "location.pathname === {} && document.readyState === 'complete'",
            json!(path)
        )
    };
    // A task of one's own, by a part of its title.
    browser.with_control('k').await?;
    browser
        .wait("document.activeElement.getAttribute('role') === 'combobox'")
        .await?;
    browser.keys("task 2").await?;
    browser.wait("document.querySelector('[role=option][aria-selected=true]')?.innerText.includes('task 2')").await?;
    browser.keys(Key::Enter).await?;
    browser.wait(&at(&format!("/tasks/{}", tasks[2]))).await?;

    browser.keys("gr").await?;
    browser.wait(&at("/releases")).await?;
    browser.keys("j").await?;
    browser
        .wait("document.activeElement.innerText === 'Spring'")
        .await?;
    browser.keys("?").await?;
    browser
        .wait("document.querySelector('dialog[open]') !== null")
        .await?;
    // Off, they do nothing; the palette still opens, and closes with Escape.
    browser
        .value("document.querySelector('dialog input').click()")
        .await?;
    browser.keys(Key::Escape).await?;
    browser
        .wait("document.querySelector('dialog') === null")
        .await?;
    browser.keys("gh?").await?;
    browser.with_control('k').await?;
    browser
        .wait("document.querySelector('dialog.palette') !== null")
        .await?;
    assert_eq!(browser.value("location.pathname").await?, "/releases");
    browser.keys(Key::Escape).await?;
    browser
        .wait("document.querySelector('dialog') === null")
        .await?;

    browser.open(&format!("/tasks/{}", tasks[0])).await?;
    browser.tab_to("#discussion > form textarea").await?;
    browser.keys("Ask @dev-1").await?;
    browser
        .wait("document.querySelector('.names [role=option]')?.innerText === 'dev-1'")
        .await?;
    browser.keys(Key::Enter).await?;
    let typed = browser.value("document.activeElement.value").await?;
    assert_eq!(typed, "Ask @dev-1 ");
    browser.keys("g").await?;
    assert_eq!(
        browser.value("document.activeElement.value").await?,
        "Ask @dev-1 g"
    );
    assert_eq!(browser.errors(&[]).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn an_answer_is_streamed_into_the_page() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let team = Team::new(&server, 1).await?;
    team.release("Spring", &[0]).await?;
    let Some(browser) = signed_in(&server, "dev-0").await? else {
        return Ok(());
    };
    browser.open("/assistant").await?;
    browser.value("document.body.dataset.kept = 1").await?;
    let ask = async |question: &str, answers: usize| {
        browser.tab_to("#ask textarea").await?;
        browser.keys(question).await?;
        browser.tab_to("#ask button").await?;
        browser.keys(Key::Enter).await?;
        let shown = format!(
            "document.querySelectorAll('#conversation article').length === {} \
             && !document.querySelector('#conversation button') \
             && document.querySelector('#ask form').getAttribute('aria-busy') === null",
            2 * answers
        );
        browser.wait(&shown).await
    };
    ask("What should I do next?", 1).await?;
    browser
        .wait("document.querySelector('#conversation').innerText.includes('task 0')")
        .await?;
    browser
        .wait("location.search.startsWith('?session=')")
        .await?;
    ask("And then?", 2).await?;
    assert_eq!(browser.value("document.body.dataset.kept").await?, "1");
    assert_eq!(browser.errors(&[]).await?, [""; 0]);

    // A refused question says why, leaves no conversation, and can be asked again.
    browser.open("/assistant").await?;
    browser
        .value("document.querySelector('#ask textarea').value = 'x'.repeat(20000)")
        .await?;
    browser.tab_to("#ask button").await?;
    browser.keys(Key::Enter).await?;
    browser
        .wait("document.querySelector('#conversation button')?.innerText === 'Ask again'")
        .await?;
    let why = "document.querySelector('#conversation').innerText.includes('The question must')";
    assert_eq!(browser.value(why).await?, true);
    browser.open("/assistant").await?;
    let conversations = "document.querySelectorAll('nav[aria-label=Conversations] a').length";
    assert_eq!(browser.value(conversations).await?, 2);
    assert_eq!(browser.errors(&[400]).await?, [""; 0]);
    Ok(())
}
