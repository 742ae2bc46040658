use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

fn parts(host: &str, port: Option<u16>, user: &str, password: &str, database: &str) -> Parts {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let password = some(password).map(Zeroizing::new);
    Parts { host: host.to_owned(), port, username: some(user), password, database: some(database), options: Vec::new() }
}

fn with(parts: Parts, options: &[(&str, &str)]) -> Parts {
    Parts { options: options.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(), ..parts }
}

#[test]
fn each_target_has_its_own_text() {
    let hostile = parts("db.example", Some(5432), "w:e@b/", "p@s/s:w%o r#d?&=+é{}", "a/b");
    let encoded = "p%40s%2Fs%3Aw%25o%20r%23d%3F%26%3D%2B%C3%A9%7B%7D";
    let table = [
        (Target::Postgresql, format!("postgresql://w%3Ae%40b%2F:{encoded}@db.example:5432/a%2Fb")),
        (Target::Mysql, format!("mysql://w%3Ae%40b%2F:{encoded}@db.example:5432/a%2Fb")),
        (Target::Mongodb, format!("mongodb://w%3Ae%40b%2F:{encoded}@db.example:5432/a%2Fb")),
        (Target::Amqps, format!("amqps://w%3Ae%40b%2F:{encoded}@db.example:5432/a%2Fb")),
        (Target::JdbcPostgresql, format!("jdbc:postgresql://db.example:5432/a%2Fb?user=w%3Ae%40b%2F&password={encoded}")),
        (Target::JdbcMysql, format!("jdbc:mysql://db.example:5432/a%2Fb?user=w%3Ae%40b%2F&password={encoded}")),
        (
            Target::Mssql,
            "Driver={ODBC Driver 18 for SQL Server};Server=tcp:db.example,5432;Database={a/b};UID={w:e@b/};PWD={p@s/s:w%o r#d?&=+é{}}}"
                .to_owned(),
        ),
    ];
    for (target, text) in table {
        assert_eq!(hostile.build(target).unwrap().as_str(), text);
    }
    let redis = parts("::1", None, "", "p;w", "0");
    assert_eq!(redis.build(Target::Rediss).unwrap().as_str(), "rediss://:p%3Bw@[::1]/0");
    let sqlserver = with(parts("db", Some(1433), "sa", "a;b=c d", "x"), &[("encrypt", "true")]);
    assert_eq!(
        sqlserver.build(Target::JdbcSqlserver).unwrap().as_str(),
        "jdbc:sqlserver://db:1433;databaseName=x;user=sa;password={a;b=c d};encrypt=true"
    );
    let socket = with(parts("/run/postgresql", None, "web", "", "app"), &[("sslmode", "verify-full")]);
    assert_eq!(
        socket.build(Target::Postgresql).unwrap().as_str(),
        "postgresql://web@%2Frun%2Fpostgresql/app?sslmode=verify-full"
    );
}

#[test]
fn what_others_wrote_is_read() {
    let same = |text: &str, target, expected: Parts| {
        let read = Parts::parse(text, target).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert!(read == expected, "{text}");
    };
    same("postgres://u:p!$'()*,;=ss@h/d", Target::Postgresql, parts("h", None, "u", "p!$'()*,;=ss", "d"));
    same("POSTGRESQL://u@h:1/", Target::Postgresql, parts("h", Some(1), "u", "", ""));
    same("postgresql://h?a=/x&b=", Target::Postgresql, with(parts("h", None, "", "", ""), &[("a", "/x"), ("b", "")]));
    same("amqp://u:p+q@h/%2f", Target::Amqp, parts("h", None, "u", "p+q", "/"));
    same("amqp://h/", Target::Amqp, Parts { database: Some(String::new()), ..parts("h", None, "", "", "") });
    same("redis://:pw@h:6379/3", Target::Redis, parts("h", Some(6379), "", "pw", "3"));
    same(
        "mongodb+srv://u:p@c.example/?tls=true",
        Target::MongodbSrv,
        with(parts("c.example", None, "u", "p", ""), &[("tls", "true")]),
    );
    same(
        "jdbc:mysql://[::1]:3306/d?user=u&password=p%2Bq",
        Target::JdbcMysql,
        parts("::1", Some(3306), "u", "p+q", "d"),
    );
    same(
        "Server=h ; UID = sa; PWD={a}};b} ;Encrypt=yes;",
        Target::Mssql,
        with(parts("h", None, "sa", "a};b", ""), &[("Encrypt", "yes")]),
    );
    same(
        "driver={FreeTDS};addr=tcp:h,1433",
        Target::Mssql,
        with(parts("h", Some(1433), "", "", ""), &[("driver", "FreeTDS")]),
    );
    same("jdbc:sqlserver://h:1433;user=sa;password={;}", Target::JdbcSqlserver, parts("h", Some(1433), "sa", ";", ""));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    use Part::*;
    let bad = [
        (Target::Postgresql, "mysql://h", Whole),
        (Target::Postgresql, "", Whole),
        (Target::Postgresql, "postgresql://u:p@ss@h/d", Whole),
        (Target::Postgresql, "postgresql://u:p/ss@h/d", Whole),
        (Target::Postgresql, "postgresql://u:p#ss@h/d", Whole),
        (Target::Postgresql, "postgresql://u:p?ss@h/d", Whole),
        (Target::Postgresql, "postgresql://u:1?s=s@h/d", Whole),
        (Target::Postgresql, "postgresql://u:p%ss@h/d", Password),
        (Target::Postgresql, "postgresql://u:@h/d", Password),
        (Target::Postgresql, "postgresql://:p@h/d", Username),
        (Target::Postgresql, "postgresql://a,b/d", Host),
        (Target::Postgresql, "postgresql:///d", Host),
        (Target::Postgresql, "postgresql://::1/d", Port),
        (Target::Postgresql, "postgresql://%3A%3A1/d", Host),
        (Target::Postgresql, "postgresql://[::1/d", Host),
        (Target::Postgresql, "postgresql://[h]/d", Host),
        (Target::Postgresql, "postgresql://h:0/d", Port),
        (Target::Postgresql, "postgresql://h:+1/d", Port),
        (Target::Postgresql, "postgresql://h:65536/d", Port),
        (Target::Postgresql, "postgresql://h/d/e", Whole),
        (Target::Postgresql, "postgresql://h/d?x", Options),
        (Target::Postgresql, "postgresql://h/d?x=1&X=2", Options),
        (Target::Postgresql, "postgresql://h/d?password=other", Options),
        (Target::Postgresql, "postgresql://h/d%00", Database),
        (Target::Mysql, "mysql://%2Frun%2Fx/d", Host),
        (Target::MongodbSrv, "mongodb+srv://h:1/d", Port),
        (Target::Amqp, "amqp://h//", Whole),
        (Target::Redis, "redis://h/db", Database),
        (Target::Redis, "redis://h/01", Database),
        (Target::JdbcPostgresql, "jdbc:postgresql://u:p@h/d", Whole),
        (Target::JdbcPostgresql, "jdbc:postgresql://h/d?user=a&password=a+b", Whole),
        (Target::JdbcPostgresql, "jdbc:postgresql://h/d?user=a&user=b", Whole),
        (Target::JdbcPostgresql, "jdbc:postgresql://h/d?user=a&password=b#c", Whole),
        (Target::Mssql, "Server=h;UID=a;PWD={b", Whole),
        (Target::Mssql, "Server=h;UID=a;PWD={b}c", Whole),
        (Target::Mssql, "Server=h;UID=a;UID=b", Whole),
        (Target::Mssql, "Server=h\\instance", Host),
        (Target::Mssql, "Server=h;x", Whole),
        (Target::Mssql, "Server=::1", Host),
        (Target::Mssql, "UID=a", Host),
        (Target::JdbcSqlserver, "jdbc:sqlserver://h;user=a;password={}}}", Password),
    ];
    for (target, text, part) in bad {
        let found = Parts::parse(text, target).err().unwrap_or_else(|| panic!("{text} was read"));
        assert_eq!(found.part, part, "{text}: {found}");
    }
    assert_eq!(
        Parts::parse(&format!("redis://{}", "h".repeat(1 << 16)), Target::Redis).err().map(|f| f.part),
        Some(Whole)
    );
}

#[test]
fn what_a_target_cannot_carry_is_refused_with_what_to_do() {
    let of = |password: &str| parts("h", None, "u", password, "");
    let rule = |parts: &Parts, target| parts.build(target).err().map(|fault| (fault.part, fault.to_string()));
    for brace in ["a{b", "a}b"] {
        let (part, said) = rule(&of(brace), Target::JdbcSqlserver).unwrap();
        assert!(part == Part::Password && said.contains("properties") && !said.contains(brace), "{said}");
    }
    assert_eq!(rule(&of("a\nb"), Target::Mssql).unwrap().0, Part::Password);
    assert!(of("a\nb").build(Target::Postgresql).is_ok());
    for target in Target::ALL {
        assert_eq!(rule(&of("a\0b"), target).unwrap().0, Part::Password, "{target}");
        assert_eq!(target.as_str().parse::<Target>(), Ok(target));
    }
    assert!("oracle".parse::<Target>().is_err());
    let many: Vec<_> = (0..33).map(|n| (format!("o{n}"), String::new())).collect();
    assert_eq!(rule(&Parts { options: many, ..of("p") }, Target::Mysql).unwrap().0, Part::Options);
    for name in ["PassWord", "hostaddr", "a=b", "", " a", "_a"] {
        assert_eq!(rule(&with(of("p"), &[(name, "x")]), Target::Postgresql).unwrap().0, Part::Options, "{name:?}");
    }
    assert!(with(of("p"), &[("Trust Server", "x")]).build(Target::Mssql).is_ok());
}

#[test]
fn keys_of_an_object_store_stand_in_a_file_or_in_the_environment() {
    let text = "[other]\naws_access_key_id = WRONG\naws_secret_access_key = WRONG\n# x\n[ work ]\nregion=eu-central-1\noutput = json\n\
                aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = a/b+c=#;\n";
    let access = S3Access::of_ini(text, "work").unwrap();
    assert_eq!(
        access.ini("w").unwrap().as_str(),
        "[w]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = a/b+c=#;\nregion = eu-central-1\n"
    );
    let variables = access.environment().unwrap();
    assert_eq!(
        variables.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"]
    );
    for (text, profile) in
        [("", "work"), (text, "none"), ("[work]\naws_access_key_id = A", "work"), ("[work]\nx", "work")]
    {
        assert_eq!(S3Access::of_ini(text, profile).err().map(|fault| fault.part), Some(Part::Whole));
    }
    for profile in ["", "a]b", "a\n[b"] {
        assert!(access.ini(profile).is_err());
    }
    for secret in ["", "a b", " a", "#a", ";a", "\"a\"", "é", "a\nb = c"] {
        let access = S3Access { secret_access_key: Zeroizing::new(secret.to_owned()), ..access.clone() };
        assert!(access.ini("w").is_err() && access.environment().is_err(), "{secret:?}");
    }
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[@/:%?#&=+;{}\\[\\]\\\\ '\"<>,!a-z\n]{1,12}",
        "[ -~]{1,20}",
        "%[0-9a-f]{2}|\\{\\}+|\\}\\};"
    ]
}

fn any_parts() -> impl Strategy<Value = Parts> {
    let host = prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z]{2,5}){0,2}",
        Just("192.0.2.1".to_owned()),
        Just("2001:db8::1".to_owned()),
        Just("/run/my sockets".to_owned())
    ];
    let option = ("[a-zA-Z][a-zA-Z0-9_.-]{0,8}", prop_oneof![hostile(), Just(String::new())]);
    let database = prop_oneof![hostile(), "0|[1-9][0-9]{0,2}"];
    (
        host,
        option::of(1..u16::MAX),
        option::of(hostile()),
        option::of(hostile()),
        option::of(database),
        vec(option, 0..4),
    )
        .prop_map(|(host, port, username, password, database, options)| Parts {
            host,
            port,
            username,
            password: password.map(Zeroizing::new),
            database,
            options,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn what_was_built_is_read_as_it_was(parts in any_parts()) {
        for target in Target::ALL {
            if let Ok(text) = parts.build(target) {
                let read = Parts::parse(&text, target).map_err(|fault| TestCaseError::fail(format!("{target}: {fault}")))?;
                prop_assert!(read == parts, "{target}");
                prop_assert!(text.len() <= parts.room());
            }
        }
    }

    /// A driver that knows nothing of this house is the judge.
    #[test]
    fn a_driver_finds_the_same_parts(user in hostile(), password in hostile(), database in hostile(), host in "[a-z]{1,8}(\\.[a-z]{2,5})?|/run/my sockets", port in 1..u16::MAX) {
        let parts = parts(&host, Some(port), &user, &password, &database);
        if let Ok(text) = parts.build(Target::Postgresql) {
            let read: tokio_postgres::Config = text.parse().map_err(|_| TestCaseError::fail("the driver does not read it"))?;
            prop_assert_eq!(read.get_user(), parts.username.as_deref());
            prop_assert_eq!(read.get_password(), parts.password.as_ref().map(|password| password.as_bytes()));
            prop_assert_eq!(read.get_dbname(), parts.database.as_deref());
            prop_assert_eq!(read.get_ports(), [port]);
            let there = match host.starts_with('/') {
                true => tokio_postgres::config::Host::Unix(host.clone().into()),
                false => tokio_postgres::config::Host::Tcp(host.clone()),
            };
            prop_assert_eq!(read.get_hosts(), [there]);
        }
    }

    #[test]
    fn what_is_read_is_built_as_it_is_written_here(text in "[a-z@:/?#%0-9&=.;{}\\[\\], +]{0,24}", target in 0..Target::ALL.len()) {
        let target = Target::ALL[target];
        let text = format!("{}{text}", target.schemes()[0]);
        if let Ok(parts) = Parts::parse(&text, target) {
            let built = parts.build(target)?;
            prop_assert!(Parts::parse(&built, target)? == parts);
        }
    }

    #[test]
    fn keys_are_read_as_they_were_written(id in "[!-~]{1,20}", secret in "[!-~]{1,40}", token in option::of("[!-~]{1,40}")) {
        let access = S3Access { access_key_id: id, secret_access_key: Zeroizing::new(secret), session_token: token.map(Zeroizing::new), ..S3Access::default() };
        if let Ok(text) = access.ini("default") {
            prop_assert!(S3Access::of_ini(&text, "default")? == access);
            let variables = access.environment()?;
            let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            prop_assert!(S3Access::of_environment(&variables)? == access);
        }
    }
}
