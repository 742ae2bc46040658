//! A PostgreSQL that asks for passwords, with an administrator and users.

use store::testing::TestPostgres;

pub const ADMIN: &str = "rotator";
pub const ADMIN_SECRET: &str = "the administrator's own";
pub const FIRST: &str = "first";
const USERS: [&str; 3] = ["app", "app-a", "app-b"];

pub struct Target(TestPostgres);

impl Target {
    pub fn start() -> Target {
        let target = Target(TestPostgres::start());
        target.0.run(&format!("CREATE ROLE {ADMIN} LOGIN CREATEROLE PASSWORD '{}'", ADMIN_SECRET.replace('\'', "''")));
        for user in USERS {
            let made = format!("CREATE ROLE \"{user}\" LOGIN; GRANT \"{user}\" TO {ADMIN} WITH ADMIN OPTION");
            target.0.run(&made);
        }
        target.reset();
        // The tests' own user needs none; everybody else logs in.
        let rules = "'host all chancery 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 scram-sha-256'";
        let file = target.0.ask("SHOW hba_file");
        target.0.run(&format!("COPY (SELECT unnest(ARRAY[{rules}])) TO '{file}'"));
        target.0.run("SELECT pg_reload_conf()");
        let refuses = || target.0.ask("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'scram-sha-256'");
        assert_eq!(refuses(), "1");
        target
    }

    /// Everybody has the first password again, and the second of the pair has none.
    pub fn reset(&self) {
        for user in USERS {
            let password = if user == "app-b" { "NULL".to_owned() } else { format!("'{FIRST}'") };
            self.0.run(&format!("ALTER ROLE \"{user}\" PASSWORD {password}"));
        }
    }

    pub fn port(&self) -> u16 {
        self.0.port()
    }

    pub fn stop(&mut self) {
        self.0.stop();
    }

    pub fn resume(&mut self) {
        self.0.resume();
    }

    /// A session of its own, as an application makes it.
    pub async fn login(&self, user: &str, password: &str) -> Result<(), tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port()).user(user).password(password).dbname("postgres");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        let task = tokio::spawn(connection);
        client.simple_query("SELECT 1").await?;
        drop(client);
        let _ = task.await;
        Ok(())
    }
}
