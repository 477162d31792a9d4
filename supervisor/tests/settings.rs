//! Settings: precedence, shapes, and one clear refusal for every bad key.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests touch the system and stop at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tachi::args::Up;
use tachi::error::Error;
use tachi::settings::{OnLoss, Request, RestartPolicy, Settings, Settled, settle};
use tachi_shared::log::{Durability, Limits, WhenFull};
use tachi_shared::registry::Kind;

/// A folder with a configuration, and nothing of the surroundings.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if !config.is_empty() {
            fs::write(dir.path().join("tachi.toml"), config).unwrap();
        }
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    fn settle(&self, up: &Up) -> Result<Settled, Error> {
        let cwd = self.path();
        settle(&Request { cwd: &cwd, state: Some(Path::new("st")), up })
    }

    fn good(&self, up: &Up) -> Settings {
        self.settle(up).unwrap().settings
    }

    /// Reason and hint of the refusal, with the folder's name taken out.
    fn refusal(&self, up: &Up) -> String {
        let error = self.settle(up).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        let text = format!("{error}; next: {}", error.hint().expect("every refusal says what to do"));
        assert!(!text.contains('\n'), "{text}");
        text.replace(&format!("{}/", self.path().display()), "")
    }
}

fn count(text: &str) -> Up {
    Up { count: Some(text.to_owned()), ..Up::default() }
}

fn ids(settings: &Settings) -> Vec<String> {
    settings.specs.iter().map(|spec| format!("{}:{}", spec.id, spec.role)).collect()
}

#[test]
fn m02_without_any_wish_three_workers_cycle_through_the_roles() {
    let settings = Folder::new("").good(&Up::default());
    assert_eq!(ids(&settings), ["instance_1:explorer", "instance_2:builder", "instance_3:reflector"]);
    assert!(settings.specs.iter().all(|spec| spec.kind == Kind::Worker && spec.backend == "builtin"));
    assert_eq!(settings.specs[0].limit.map(|limit| (limit.burst, limit.period.as_secs())), Some((5, 60)));
    assert_eq!(settings.specs[0].grace, Duration::from_secs(10));
    assert_eq!(settings.specs[0].stop_signal, 15);
}

#[test]
fn m02_one_to_a_thousand_instances_are_accepted_and_nothing_else() {
    let folder = Folder::new("");
    assert_eq!(folder.good(&count("1")).specs.len(), 1);
    assert_eq!(ids(&folder.good(&count("5")))[3..], ["instance_4:coordinator", "instance_5:explorer"]);
    assert_eq!(folder.good(&count("1000")).specs.len(), 1000);
    for bad in ["0", "-1", "1001", "abc", "", "4.5", "99999999999999999999", "4 "] {
        let text = folder.refusal(&count(bad));
        assert_eq!(
            text,
            format!(
                "cannot start {bad:?} instances: the number must be a whole one from 1 to 1000; next: for example `tachi up 4`"
            )
        );
    }
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let folder = Folder::new("[fleet]\ncount = 2\nroles = [\"a\", \"b\"]\ngoal = \"file\"\n");
    let settings = folder.good(&Up::default());
    assert_eq!(ids(&settings), ["instance_1:a", "instance_2:b"]);
    assert_eq!(settings.goal.as_deref(), Some("file"));
    let up = Up { goal: Some("flag".to_owned()), ..count("1") };
    let settings = folder.good(&up);
    assert_eq!(ids(&settings), ["instance_1:a"]);
    assert_eq!(settings.goal.as_deref(), Some("flag"));
}

#[test]
fn role_wishes_come_first_and_the_cycle_fills_up() {
    let folder = Folder::new("");
    let roles = vec!["builder=2".to_owned(), "x=1".to_owned()];
    let settings = folder.good(&Up { roles: roles.clone(), ..Up::default() });
    assert_eq!(ids(&settings), ["instance_1:builder", "instance_2:builder", "instance_3:x"]);
    let settings = folder.good(&Up { roles: roles.clone(), ..count("4") });
    assert_eq!(ids(&settings)[3], "instance_4:explorer");
    assert!(folder.refusal(&Up { roles, ..count("2") }).starts_with("--role asks for 3 instances, N is 2"));
    for bad in ["builder", "=2", "builder=", "builder=x", "../x=1", "builder=-1", "builder=2000", ""] {
        let text = folder.refusal(&Up { roles: vec![bad.to_owned()], ..Up::default() });
        assert!(text.ends_with("write ROLE=N, for example builder=3"), "{bad}: {text}");
    }
}

#[test]
fn an_instance_overrides_its_role_and_its_role_the_default() {
    let folder = Folder::new(
        "[fleet]\ncount = 0\n[roles.gate]\ngrace = \"3s\"\nrestart = \"on-failure\"\nenv = { A = \"role\", B = \"role\" }\n\
         [[instances]]\nnames = [\"g1\", \"g2\"]\nrole = \"gate\"\ncommand = [\"run\", \"{name}\"]\nrestart = \"job\"\n\
         env = { B = \"{name}\" }\nlimit = \"none\"\nbackoff = { base = \"1s\" }\nstop_signal = \"int\"\n",
    );
    let settings = folder.good(&Up::default());
    assert_eq!(ids(&settings), ["g1:gate", "g2:gate"]);
    let spec = &settings.specs[1];
    assert_eq!(spec.command, ["run", "g2"]);
    assert_eq!((spec.kind, spec.backend.as_str()), (Kind::Command, "command"));
    assert_eq!((spec.restart, spec.grace, spec.limit), (RestartPolicy::Job, Duration::from_secs(3), None));
    assert_eq!((spec.backoff.first, spec.backoff.base), (Duration::ZERO, Duration::from_secs(1)));
    assert_eq!(spec.stop_signal, 2);
    assert_eq!(spec.env, [("A".to_owned(), "role".to_owned()), ("B".to_owned(), "g2".to_owned())]);
}

#[test]
fn environment_files_are_read_in_order_and_env_wins() {
    let folder = Folder::new(
        "[fleet]\ncount = 0\n[[instances]]\nid = \"g\"\ncommand = [\"x\"]\nenv_file = [\"a.env\", \"{name}.env\"]\nenv = { C = \"3\" }\n",
    );
    fs::write(folder.path().join("a.env"), "A=1\nB=1\nC=1\n").unwrap();
    fs::write(folder.path().join("g.env"), "# own\nB='2 2'\n").unwrap();
    let env: Vec<String> =
        folder.good(&Up::default()).specs[0].env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(env, ["A=1", "B=2 2", "C=3"]);
    fs::write(folder.path().join("g.env"), "B\n").unwrap();
    assert_eq!(folder.refusal(&Up::default()), "g.env:1:1: no KEY=VALUE; next: write KEY=VALUE");
}

#[test]
fn roles_can_stop_with_the_supervisor_while_the_fleet_goes_on() {
    let folder = Folder::new("[roles.builder]\non_supervisor_loss = \"stop\"\n");
    let settings = folder.good(&Up::default());
    assert_eq!(settings.on_supervisor_loss, OnLoss::Continue);
    let loss = |index: usize| {
        let env = &settings.specs[index].env;
        env.iter().find(|(key, _)| key == "TACHI_ON_SUPERVISOR_LOSS").map(|(_, value)| value.clone())
    };
    assert_eq!((loss(0), loss(1).as_deref()), (None, Some("stop")));
}

#[test]
fn ports_are_counted_up_kept_apart_and_must_be_free() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = busy.local_addr().unwrap().port();
    let auto = format!("command = [\"x\"]\nport = \"auto\"\nport_base = {base}\nport_step = 2\n");
    let folder = Folder::new(&format!("[fleet]\ncount = 0\n[[instances]]\nnames = [\"a\", \"b\"]\n{auto}"));
    let ports: Vec<u16> = folder.good(&Up::default()).specs.iter().filter_map(|spec| spec.port).collect();
    assert!(
        ports.len() == 2 && ports[0] > base && ports[1] > ports[0] && (ports[0] - base).is_multiple_of(2),
        "{ports:?}"
    );
    let folder = Folder::new(&format!(
        "[fleet]\ncount = 0\n[[instances]]\nid = \"a\"\ncommand = [\"x\"]\nport = {base}\n"
    ));
    assert_eq!(
        folder.refusal(&Up::default()),
        format!(
            "tachi.toml:6:8: port of a: {base} is in use by another program; next: choose another port, or \"auto\""
        )
    );
}

#[test]
fn c01_every_bad_key_is_named_with_its_place_and_what_to_do() {
    let cases = [
        ("[fleet]\ncuont = 3\n", "tachi.toml:2:1: unknown key `cuont`; next: did you mean `count`?"),
        ("[flet]\n", "tachi.toml:1:2: unknown key `flet`; next: did you mean `fleet`?"),
        ("[fleet]\nbrake = \"nope\"\n", "tachi.toml:2:9: unknown value `nope`; next: did you mean `none`?"),
        (
            "[roles.builder]\nrestart = \"alwys\"\n",
            "tachi.toml:2:11: unknown value `alwys`; next: did you mean `always`?",
        ),
        (
            "[[instances]]\nid = \"a\"\nzzzzzz = 1\n",
            "tachi.toml:3:1: unknown key `zzzzzz`; next: known keys here: id, names, role,",
        ),
        (
            "[fleet]\ncount = 0\n",
            "tachi.toml:2:9: count = 0 is not from 1 to 1000; next: 0 is allowed beside [[instances]] only",
        ),
        ("[fleet]\ncount = -3\n", "tachi.toml:2:9: count = -3 is not from 1 to 1000"),
        ("[fleet]\nroles = []\n", "tachi.toml:2:9: roles is empty; next: name at least one role"),
        (
            "[fleet]\nbackend = \"bultin\"\n",
            "tachi.toml:2:11: there is no backend \"bultin\"; next: did you mean builtin?",
        ),
        (
            "[[instances]]\nid = \"a\"\n[[instances]]\nid = \"a\"\n",
            "tachi.toml:4:6: the id a is used twice; next:",
        ),
        ("[[instances]]\nid = \"instance_2\"\n", "tachi.toml:2:6: the id instance_2 is used twice; next:"),
        ("[[instances]]\ncommand = [\"x\"]\n", "tachi.toml:1:1: an instance has no id; next:"),
        ("[[instances]]\nid = \"a\"\ncommand = []\n", "tachi.toml:1:1: command is empty; next:"),
        (
            "[[instances]]\nid = \"a\"\nenv = { \"A B\" = \"1\" }\n",
            "tachi.toml:1:1: \"A B\" cannot name a variable; next:",
        ),
        (
            "[[instances]]\nid = \"a\"\nenv_file = [\"none.env\"]\n",
            "tachi.toml:1:1: env_file none.env cannot be read: No such file",
        ),
        (
            "[[instances]]\nid = \"a\"\ncwd = \"none\"\n",
            "tachi.toml:1:1: cwd none cannot be used: No such file",
        ),
        ("[roles.x]\nid = \"a\"\n", "tachi.toml:1:1: [roles.x] has id, names or role; next:"),
        (
            "[roles.x]\nbackoff = { base = \"9s\", max = \"1s\" }\n[fleet]\nroles = [\"x\"]\n",
            "tachi.toml:1:1: backoff.base is longer than backoff.max; next:",
        ),
    ];
    for (config, expected) in cases {
        let text = Folder::new(config).refusal(&Up::default());
        assert!(text.starts_with(expected), "{config}\n got {text}\nwant {expected}");
    }
}

#[test]
fn c01_values_of_the_wrong_shape_are_refused_with_their_place() {
    let cases = [
        ("[roles.x]\ngrace = \"soon\"\n", "2:9: \"soon\" is not a length of time"),
        ("[roles.x]\ngrace = 10\n", "2:9: invalid type"),
        ("[roles.x]\nstop_signal = \"TREM\"\n", "2:15: \"TREM\" is no signal"),
        ("[roles.x]\nlimit = \"never\"\n", "2:9: invalid value: string \"never\", expected { burst = 5,"),
        ("[roles.x]\nlimit = { burst = 0, period = \"1s\" }\n", "2:9: burst and period must be above zero"),
        ("[roles.x]\nport = 70000\n", "2:8: invalid value: integer `70000`, expected a port from 1 to 65535"),
        ("[roles.x]\nport = \"some\"\n", "2:8: invalid value"),
        ("[[instances]]\nid = \"../x\"\n", "2:6: instance id \"../x\" is not allowed"),
        (
            "[[instances]]\nid = \"operator\"\n",
            "2:6: instance id \"operator\" is not allowed: it is a reserved word",
        ),
        ("[fleet\n", "1:7: "),
        ("[fleet]\ncount = 1\ncount = 2\n", "3:1: duplicate key"),
    ];
    for (config, expected) in cases {
        let error = Folder::new(config).settle(&Up::default()).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2);
        assert!(text.contains(&format!("tachi.toml:{expected}")), "{config}\n got {text}\nwant {expected}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn c01_wrong_paths_and_backends_are_named() {
    let folder = Folder::new("");
    let up = Up { workspace: Some("missing".into()), ..Up::default() };
    assert!(folder.refusal(&up).starts_with("workspace missing cannot be used: No such file or directory"));
    fs::write(folder.path().join("file"), "").unwrap();
    let up = Up { workspace: Some("file".into()), ..Up::default() };
    assert!(folder.refusal(&up).starts_with("workspace file cannot be used: not a directory"));
    let up = Up { config: Some("missing.toml".into()), ..Up::default() };
    assert!(folder.refusal(&up).starts_with("cannot read configuration missing.toml: No such file"));
    let up = Up { backend: Some("gpt".to_owned()), ..Up::default() };
    assert!(folder.refusal(&up).starts_with("there is no backend \"gpt\"; next: known: builtin"));
}

#[test]
fn the_workspace_is_the_git_repository_around_us() {
    let folder = Folder::new("");
    fs::create_dir_all(folder.path().join("repo/.git")).unwrap();
    fs::create_dir_all(folder.path().join("repo/deep/down")).unwrap();
    let cwd = folder.path().join("repo/deep/down");
    let up = Up::default();
    let settings = settle(&Request { cwd: &cwd, state: Some(Path::new("st")), up: &up }).unwrap().settings;
    assert_eq!(settings.workspace, folder.path().join("repo"));
    assert_eq!(settings.state, cwd.join("st"));
}

#[test]
fn a_configured_model_reaches_the_worker_with_its_key_by_name() {
    let one = "[llm.backends.one]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\nmodel = \"m\"\n";
    let up = Up { backend: Some("one".to_owned()), ..count("1") };
    let settings = Folder::new(one).good(&up);
    assert_eq!(settings.specs[0].backend, "one");
    let env: Vec<&str> = settings.specs[0].env.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(env, ["TACHI_BACKEND", "TACHI_LLM_BASE_URL", "TACHI_LLM_MODEL"]);
    let text = Folder::new(&format!("{one}key_env = \"TACHI_TEST_NO_SUCH_KEY\"\n")).refusal(&up);
    assert!(
        text.starts_with("backend \"one\" takes its key from TACHI_TEST_NO_SUCH_KEY, which is not set"),
        "{text}"
    );
    let text = Folder::new("[llm.backends.one]\nkind = \"cli\"\n").refusal(&up);
    assert!(
        text.starts_with("backend \"one\" is of kind \"cli\", which this version does not have"),
        "{text}"
    );
}

#[test]
fn limits_that_can_never_trigger_are_warned_about() {
    let folder = Folder::new("[roles.explorer]\nlimit = { burst = 10, period = \"30s\" }\n");
    let warnings = folder.settle(&count("9")).unwrap().warnings;
    assert_eq!(
        warnings,
        ["instance_1: limit can never trigger: 10 restarts take at least 3m3s of backoff, the period is 30s"]
    );
    assert!(Folder::new("").settle(&Up::default()).unwrap().warnings.is_empty());
}

#[test]
fn the_example_is_valid_as_it_is_shipped() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infrastructure/tachi.example.toml");
    let folder = Folder::new(&fs::read_to_string(example).unwrap());
    let settled = folder.settle(&Up::default()).unwrap();
    assert!(settled.warnings.is_empty(), "{:?}", settled.warnings);
    assert_eq!(ids(&settled.settings)[3], "clock_1:clock");
    assert!(settled.settings.specs[3].port.is_some());
    let up = Up { backend: Some("one".to_owned()), ..Up::default() };
    assert_eq!(folder.good(&up).specs[0].backend, "one");
}

#[test]
fn scaling_finds_a_template_for_every_role_and_a_plain_one_first() {
    let settings = Folder::new("[roles.builder]\ngrace = \"1s\"\n").good(&Up::default());
    let roles: Vec<&str> = settings.roles.iter().map(|spec| spec.role.as_str()).collect();
    assert_eq!(roles, ["template", "explorer", "builder", "reflector", "coordinator"]);
    assert_eq!(settings.roles[2].grace, Duration::from_secs(1));
}

#[test]
fn s29_store_limits_have_defaults_and_are_read_from_the_file() {
    let usual = Folder::new("").good(&Up::default()).limits;
    assert_eq!(usual, Limits::default());
    assert_eq!((usual.keep_time.as_secs(), usual.keep_bytes, usual.max_bytes), (86_400, 64 << 20, 1 << 30));
    let file = "[store]\nkeep_time = \"2h\"\nkeep_bytes = \"1MiB\"\nmax_bytes = \"10MiB\"\n\
                when_full = \"drop-oldest\"\ndurability = \"durable\"\n";
    let expected = Limits {
        keep_time: Duration::from_secs(7200),
        keep_bytes: 1 << 20,
        max_bytes: 10 << 20,
        when_full: WhenFull::DropOldest,
        durability: Durability::Durable,
    };
    assert_eq!(Folder::new(file).good(&Up::default()).limits, expected);
}

#[test]
fn s29_store_limits_that_cannot_work_are_refused_with_their_place() {
    for (line, expected) in [
        ("max_bytes = \"1kB\"", "tachi.toml:2:13: max_bytes is less than 65536 bytes"),
        ("keep_bytes = \"much\"", "is not a number of bytes"),
        ("when_full = \"panic\"", "unknown value"),
        ("durability = \"fast\"", "unknown value"),
        ("max_byte = \"1GiB\"", "max_byte"),
    ] {
        let error = Folder::new(&format!("[store]\n{line}\n")).settle(&Up::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected), "{line}: {text}");
    }
}

#[test]
fn p37_needs_are_ids_or_roles_and_every_mistake_has_a_line() {
    let two = |needs: &str| {
        format!(
            "[fleet]\ncount = 0\n[[instances]]\nid = \"db\"\nrole = \"base\"\ncommand = [\"true\"]\n[[instances]]\nid = \"app\"\ncommand = [\"true\"]\n{needs}\n"
        )
    };
    let settings = Folder::new(&two("needs = [\"base\", \"db\"]")).good(&Up::default());
    assert_eq!(settings.specs[1].needs, ["base", "db"]);
    for (config, words) in [
        (
            two("needs = [\"dv\"]"),
            "tachi.toml:10:10: app needs \"dv\", which is neither an instance nor a role; next: did you mean db?",
        ),
        (
            two("needs = [\"app\"]"),
            "tachi.toml:10:10: needs in a circle: app -> app; next: take one of these needs out",
        ),
        (
            two("needs = [\"db\"]\n[roles.base]\nneeds = [\"command\"]"),
            "tachi.toml:10:10: needs in a circle: db -> app -> db; next: take one of these needs out",
        ),
    ] {
        assert_eq!(Folder::new(&config).refusal(&Up::default()), words);
    }
}

#[test]
fn p37_a_chain_of_needs_has_an_end_and_a_role_that_scale_fills_later_counts() {
    let mut long = "[fleet]\ncount = 0\n".to_owned();
    for k in 0..40 {
        long.push_str(&format!("[[instances]]\nid = \"i{k}\"\ncommand = [\"true\"]\n"));
        if k > 0 {
            long.push_str(&format!("needs = [\"i{}\"]\n", k - 1));
        }
    }
    let refusal = Folder::new(&long).refusal(&Up::default());
    assert!(refusal.contains("the chain of needs behind i33 is longer than 32"), "{refusal}");
    let later = "[fleet]\ncount = 1\nroles = [\"builder\"]\n[roles.builder]\nneeds = [\"painter\"]\n[roles.painter]\nneeds = [\"builder\"]\n";
    let refusal = Folder::new(later).refusal(&Up::default());
    assert!(refusal.contains("needs in a circle: instance_1 -> role painter -> instance_1"), "{refusal}");
}

#[test]
fn p37_ready_names_one_sign_for_a_command() {
    use tachi::settings::Sign;
    let with = |keys: &str| format!("[fleet]\ncount = 0\n[[instances]]\nid = \"a\"\n{keys}\n");
    let command = "command = [\"true\"]\n";
    for (keys, sign) in [
        ("ready = { port = 8080 }", Sign::Port(8080)),
        ("port = \"auto\"\nready = { port = \"own\" }", Sign::Port(0)),
        ("ready = { command = [\"true\"] }", Sign::Command(vec!["true".to_owned()])),
        ("ready = { log = \"up\", every = \"1s\", within = \"5s\" }", Sign::Log("up".to_owned())),
    ] {
        let settings = Folder::new(&with(&format!("{command}{keys}"))).good(&Up::default());
        assert_eq!(settings.specs[0].ready.as_ref().unwrap().sign, sign, "{keys}");
    }
    for (keys, words) in [
        ("command = [\"true\"]\nready = { port = \"own\" }", "it has none; next: give it port"),
        ("command = [\"true\"]\nready = { port = 0 }", "a number from 1 to 65535, or \"own\""),
        ("command = [\"true\"]\nready = { }", "ready wants exactly one sign"),
        ("command = [\"true\"]\nready = { log = \"x\", port = 1 }", "ready wants exactly one sign"),
        ("command = [\"true\"]\nready = { lgo = \"x\" }", "unknown key `lgo`"),
        ("ready = { log = \"x\" }", "ready is for commands"),
    ] {
        let config = with(keys);
        let error = Folder::new(&config).settle(&Up::default()).unwrap_err();
        let text = format!("{error}; next: {}", error.hint().unwrap_or_default());
        assert!(text.contains(words), "{keys}: {text}");
    }
}

#[test]
fn p41_limits_are_numbers_and_sizes_and_too_little_is_refused() {
    let with = |limits: &str| {
        format!("[fleet]\ncount = 1\nroles = [\"builder\"]\n[roles.builder]\nlimits = {limits}\n")
    };
    let all = "{ nofile = 1024, core = \"0B\", as = \"2GiB\", nproc = 100 }";
    let spec = Folder::new(&with(all)).good(&Up::default()).specs.remove(0);
    let told = tachi_shared::os::limits::text(&spec.limits);
    assert_eq!(told, "nofile=1024 core=0 as=2147483648 nproc=100");
    for (limits, words) in [
        ("{ nofile = 3 }", "3 is less than 32"),
        ("{ as = \"1MiB\" }", "is less than 64 MiB"),
        ("{ cpu = 1 }", "unknown key `cpu`"),
        ("{ core = \"much\" }", "is not a number of bytes"),
    ] {
        let error = Folder::new(&with(limits)).settle(&Up::default()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("tachi.toml:5:"), "{limits}: {error}");
    }
}

#[test]
fn p53_until_all_jobs_done_wants_a_job() {
    let up = Up { until: tachi::args::Until::AllJobsDone, ..Up::default() };
    assert!(Folder::new("").refusal(&up).contains("--until all-jobs-done, and there is no job"));
    let job = "[fleet]\ncount = 0\n[[instances]]\nid = \"j\"\ncommand = [\"true\"]\nrestart = \"job\"\n";
    assert_eq!(Folder::new(job).good(&up).until, tachi::settings::Until::AllJobsDone);
}
