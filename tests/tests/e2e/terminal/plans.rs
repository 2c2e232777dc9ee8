//! Plans in files of all formats.

use std::fs;

use super::*;

const CSV: &str = "\u{feff}Release;Version;Title;Owner;Order;Due;Priority;Tags;Description\r\n\
    Spring;2.0;=Build;ada;10;2026-12-01T17:00:00Z;HIGH;\"ci,fast\";\"Two\nlines\"\r\n\
    ;;Ship;@grace;20;;;;\r\n;;;;;;;;\r\n";

/// The tasks of a release, without what differs between releases of one plan.
fn content(release: &Value) -> Vec<Value> {
    let tasks = release["tasks"].as_array().unwrap().iter();
    let kept = [
        "title",
        "description",
        "orderIndex",
        "dueAt",
        "priority",
        "tags",
        "recurrence",
    ];
    let tasks = tasks.map(|task| {
        let mut content = json!({"owner": task["assignee"]["username"]});
        for name in kept {
            content[name] = task[name].clone();
        }
        content
    });
    tasks.collect()
}

async fn show(shell: &Shell, name: &str) -> Value {
    shell
        .run(&["release", "show", name, "--json"])
        .await
        .json()
        .remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_goes_through_every_format_and_stays_the_same() {
    let (server, _) = server(&["ada", "grace"]).await;
    let admin = Shell::of(&server, "admin", ADMIN_PASSWORD).await;
    let file = |name: &str| admin.home.path().join(name);
    fs::write(file("plan.csv"), CSV).unwrap();
    let output = admin.run(&["import", "plan.csv"]).await.fine();
    assert!(
        output.contains("Release Spring is created with 2 tasks."),
        "{output}"
    );
    let spring = show(&admin, "Spring").await;
    assert_eq!(spring["version"], "2.0");
    assert_eq!(spring["tasks"][0]["description"], "Two\nlines");
    for format in ["json", "yaml", "csv"] {
        let plan = admin
            .run(&["plan", "export", "Spring", "--format", format])
            .await
            .fine();
        let name = format!("again.{format}");
        fs::write(file(&name), plan).unwrap();
        let again = format!("Spring as {format}");
        admin.run(&["import", &name, "--name", &again]).await.fine();
        assert_eq!(
            content(&show(&admin, &again).await),
            content(&spring),
            "{format}"
        );
    }
    admin.run(&["import", "again.yaml"]).await.refused(3);
    let csv = fs::read_to_string(file("again.csv")).unwrap();
    assert!(csv.contains("'=Build,ada"), "{csv}");

    let copy = [
        "plan",
        "copy",
        "Spring",
        "--name",
        "Summer",
        "--version",
        "3.0",
    ];
    let copied = admin.run(&copy).await.fine();
    let copied: Value = serde_json::from_str(&copied).unwrap();
    assert_eq!(
        (&copied["name"], &copied["version"]),
        (&json!("Summer"), &json!("3.0"))
    );
    assert_eq!(copied["tasks"][0]["dueAt"], Value::Null);
    let shifted = admin
        .run(&[&copy[..], &["--shift", "-7"]].concat())
        .await
        .fine();
    assert!(shifted.contains("2026-11-24T17:00:00Z"), "{shifted}");
    admin
        .run(&[&copy[..], &["--shift", "x"]].concat())
        .await
        .refused(2);
    let refused = admin.run(&["plan", "export", "Nothing"]).await.refused(1);
    assert!(refused.contains("no release is named Nothing"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_or_hostile_is_refused_with_its_place() {
    let shell = Shell::new();
    let refused = async |name: &str, text: &[u8]| {
        fs::write(shell.home.path().join(name), text).unwrap();
        shell.run(&["import", name]).await.refused(1)
    };
    for (name, text, expected) in [
        (
            "a.csv",
            "release,title,owner,prio\nR,T,ada,HIGH\n",
            "is malformed: prio is not known here (did you mean priority?) (line 1)",
        ),
        (
            "b.csv",
            "release,title,owner\nR,\"T\nU\",ada\n,V,a b\n",
            "is not valid:\n  tasks[0].title (line 2) must be one line",
        ),
        (
            "c.yaml",
            "name: R\ntasks: [&a x, *a]",
            "an anchor (&) or an alias (*)",
        ),
        ("d.yml", "name: R\ntasks:\n\t- x", "is malformed: "),
        (
            "e.csv",
            "title,owner\n\"T,ada\n",
            "a quote that begins a cell is not closed (line 2)",
        ),
        ("f.csv", "", "it is empty"),
    ] {
        let said = refused(name, text.as_bytes()).await;
        assert!(said.contains(expected), "{said}");
    }
    let utf_16: Vec<u8> = "\u{feff}title\towner\nT\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let said = refused("g.tsv", &utf_16).await;
    assert!(
        said.contains("owner is required (line 2, column owner)"),
        "{said}"
    );
    let said = refused("h.yaml", "[".repeat(1_000_000).as_bytes()).await;
    assert!(said.len() < 1_000, "{said}");
    let rows = format!("release,title,owner\n{}", "R,T,ada\n".repeat(100_000));
    let said = refused("i.csv", rows.as_bytes()).await;
    assert!(
        said.contains("tasks has 100000 tasks"),
        "{}",
        &said[..300.min(said.len())]
    );
    shell
        .run(&["import", "a.csv", "--format", "xml"])
        .await
        .refused(2);
}
