//! P46: `tachi apply` on a running fleet.

use std::fs;

use super::stage::{Stage, lives};

fn table(id: &str, more: &str) -> String {
    format!("[[instances]]\nid = \"{id}\"\ncommand = [\"sleep\", \"TOKEN\"]\n{more}\n")
}

fn write(stage: &Stage, tables: &[String]) {
    let text = format!("[fleet]\ncount = 0\nbrake = \"none\"\n{}", tables.concat());
    fs::write(stage.file("tachi.toml"), text.replace("TOKEN", &stage.token)).unwrap();
}

fn out(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = stage.tachi(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn p46_apply_touches_only_what_changed_and_status_says_when_it_is_due() {
    let mut stage = Stage::sleepers(&["a", "b", "c"]);
    stage.up_and_ready(3);
    let (a, b, c) = (stage.pid("a"), stage.pid("b"), stage.pid("c"));
    assert!(!out(&stage, &["status"]).1.contains("not applied"));

    write(&stage, &[table("a", ""), table("b", "env = { SECRET = \"hidden\" }"), table("d", "")]);
    let (_, shown, _) = out(&stage, &["status"]);
    assert!(
        shown.contains("tachi.toml changed on disk, not applied; next: tachi apply --dry-run"),
        "{shown}"
    );

    let (code, shown, _) = out(&stage, &["apply", "--dry-run"]);
    let expected = "+ d  added\n- c  removed\n~ b  changed: env.SECRET (is replaced)\n1 untouched\n";
    assert_eq!((code, shown.as_str()), (Some(0), expected));
    assert_eq!([stage.pid("a"), stage.pid("b"), stage.pid("c")], [a, b, c], "a dry run did something");

    let (code, shown, _) = out(&stage, &["apply"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.starts_with(expected) && shown.contains("b: ready as start 2\n"), "{shown}");
    let ids: Vec<String> =
        stage.rows().iter().map(|row| row["instance_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["a", "b", "d"]);
    assert_eq!(stage.pid("a"), a);
    assert_ne!(stage.pid("b"), b);
    assert!(!lives(b) && !lives(c));
    let environment = fs::read_to_string(format!("/proc/{}/environ", stage.pid("b"))).unwrap();
    assert!(environment.contains("SECRET=hidden"));
    let told: String = stage.events().iter().map(ToString::to_string).collect();
    assert!(!told.contains("hidden") && told.contains("1 added, 1 removed, 1 changed, 1 untouched"));

    assert!(!out(&stage, &["status"]).1.contains("not applied"));
    assert_eq!(
        out(&stage, &["apply"]),
        (Some(0), "nothing changed, 3 untouched\n".to_owned(), String::new())
    );
}

#[test]
fn p46_a_bad_configuration_is_refused_at_its_line_and_the_old_one_stays() {
    let mut stage = Stage::sleepers(&["a", "b"]);
    stage.up_and_ready(2);
    let pids = [stage.pid("a"), stage.pid("b")];
    for (tables, words) in [
        (
            vec![table("a", ""), table("b", "garce = \"1s\"")],
            "tachi.toml:11:1: unknown key `garce`; did you mean `grace`?",
        ),
        (
            vec![table("a", "needs = [\"b\"]"), table("b", "needs = [\"a\"]")],
            "needs in a circle: a -> b -> a",
        ),
        (vec![table("a", ""), table("a", "")], "the id a is used twice"),
    ] {
        write(&stage, &tables);
        for arguments in [&["apply"][..], &["apply", "--dry-run"]] {
            let (code, shown, said) = out(&stage, arguments);
            assert_eq!((code, shown.as_str()), (Some(2), ""), "{said}");
            assert!(said.contains(words) && said.contains("the old configuration stays in force"), "{said}");
        }
    }
    assert_eq!([stage.pid("a"), stage.pid("b")], pids);
    let (code, shown, _) = out(&stage, &["apply", "--dry-run", "--json"]);
    assert_eq!(code, Some(2));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap()["ok"], false);
}

#[test]
fn p46_automatic_ports_stay_with_those_who_have_them() {
    let port = |k: usize| format!("port = \"auto\"\nport_base = {}\nport_step = 1", 21_000 + k);
    let base = usize::try_from(std::process::id() % 500).unwrap() * 10;
    let serve = |id: &str| {
        let script = "exec sleep TOKEN";
        format!("[[instances]]\nid = \"{id}\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\n{}\n", port(base))
    };
    let mut stage = Stage::new(&["a", "b"].map(serve).concat());
    stage.up_and_ready(2);
    let given = |id: &str| {
        let environment = fs::read(format!("/proc/{}/environ", stage.pid(id))).unwrap();
        let text = String::from_utf8_lossy(&environment).into_owned();
        text.split('\0').find_map(|pair| pair.strip_prefix("TACHI_PORT=").map(str::to_owned)).unwrap()
    };
    let (pid, own) = (stage.pid("b"), given("b"));
    write(&stage, &[serve("b")]);
    stage.ask(&["apply"]);
    assert_eq!((stage.pid("b"), given("b")), (pid, own), "its neighbour's end is no reason to move");
}
