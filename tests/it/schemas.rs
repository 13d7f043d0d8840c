//! Postgres's schemas: PostGIS in one of its own, as hosts have it, and the tables in another.

use school_finder_db::migrate::{self, Migrator};
use school_finder_db::{Config, Error, SchoolSearch, connect, sample};

use crate::support::raw::Raw;
use crate::support::server::url_as;

/// A database of one test, with a role that owns it and one for a service. All are dropped with it.
struct Place {
    server: Raw,
    name: String,
    owner: String,
    service: String,
}

impl Place {
    async fn new(name: &str) -> Self {
        let mut server = Raw::open(&std::env::var("TEST_DATABASE_URL").expect("the server")).await;
        let name = format!("school_finder_{name}_{}", std::process::id());
        let (owner, service) = (format!("{name}_owner"), format!("{name}_service"));
        for role in [&owner, &service] {
            server.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{role}'")).await;
        }
        server.execute(&format!("CREATE DATABASE {name} OWNER {owner}")).await;
        Self { server, name, owner, service }
    }

    /// The database as a superuser has it.
    async fn administrator(&self) -> Raw {
        let server = std::env::var("TEST_DATABASE_URL").expect("the server");
        let (login, _) = server.rsplit_once('/').expect("a database");
        Raw::open(&format!("{login}/{}", self.name)).await
    }

    fn config(&self, role: &str, parameters: &str) -> Config {
        Config::from_url(&format!("{}?{parameters}", url_as(role, &self.name))).expect("a URL")
    }

    async fn drop(mut self) {
        self.server.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
        for role in [&self.owner, &self.service] {
            self.server.execute(&format!("DROP ROLE {role}")).await;
        }
    }
}

/// Fills the database by its owner, and searches it by the service's role.
async fn is_usable(owner: &Config, service: &Config, role: &str) {
    migrate::up(owner).await.expect("a schema");
    let drift = Migrator::new(owner).check().await.expect("a check");
    assert!(drift.is_empty(), "{drift:?}");
    let denied = connect(service).await.map(drop).expect_err("it has no rights yet");
    assert!(
        matches!(denied, Error::SchemaDenied { .. } | Error::PermissionDenied { .. } | Error::SchemaMissing),
        "{denied:?}"
    );
    Migrator::new(owner).grant(role).await.expect("granted");
    let repository = connect(service).await.expect("a database");
    sample::fill(repository.as_ref()).await.expect("written");
    let near = SchoolSearch::near(sample::home()).limit(3);
    assert_eq!(repository.find_schools(&near).await.expect("schools").items.len(), 3);
    assert!(!repository.find_catchments(&near).await.expect("catchments").items.is_empty());
    repository.health().await.expect("usable");
}

#[tokio::test]
async fn postgis_may_be_in_a_schema_of_its_own() {
    let place = Place::new("extensions").await;
    let mut administrator = place.administrator().await;
    administrator.execute("CREATE SCHEMA \"My Ext\"; CREATE EXTENSION postgis SCHEMA \"My Ext\"").await;
    let (owner, service) = (place.config(&place.owner, ""), place.config(&place.service, ""));
    // The owner of the database may not use that schema yet.
    let denied = migrate::up(&owner).await.expect_err("PostGIS is out of reach");
    assert!(matches!(denied, Error::SchemaDenied { .. }) && denied.to_string().contains("My Ext"), "{denied:?}");
    administrator.execute(&format!("GRANT USAGE ON SCHEMA \"My Ext\" TO {} WITH GRANT OPTION", place.owner)).await;
    is_usable(&owner, &service, &place.service).await;
    // Where the owner may not grant that right, the error says who lacks it.
    administrator
        .execute(&format!(
            "REVOKE USAGE ON SCHEMA \"My Ext\" FROM {0} CASCADE; GRANT USAGE ON SCHEMA \"My Ext\" TO {0}",
            place.owner
        ))
        .await;
    let denied = Migrator::new(&owner).grant(&place.service).await.expect_err("no right to grant");
    assert!(matches!(denied, Error::SchemaDenied { .. } | Error::PermissionDenied { .. }), "{denied:?}");
    let denied = connect(&service).await.map(std::mem::drop).expect_err("PostGIS is out of reach");
    assert!(matches!(denied, Error::SchemaDenied { .. }), "{denied:?}");
    place.drop().await;
}

#[tokio::test]
async fn the_tables_may_be_in_a_schema_of_their_own() {
    let place = Place::new("tables").await;
    let mut administrator = place.administrator().await;
    administrator
        .execute(&format!("CREATE EXTENSION postgis; CREATE SCHEMA finder AUTHORIZATION {}", place.owner))
        .await;
    // By an option of the address.
    let path = "options=-csearch_path%3Dfinder";
    let (owner, service) = (place.config(&place.owner, path), place.config(&place.service, path));
    is_usable(&owner, &service, &place.service).await;
    assert_eq!(
        administrator.texts("SELECT schemaname::text FROM pg_tables WHERE tablename = 'schools'").await,
        ["finder"]
    );

    // One that does not exist is not replaced by that of PostGIS.
    for path in ["options=-csearch_path%3Dmissing", "options=-csearch_path%3D"] {
        let missing = migrate::up(&place.config(&place.owner, path)).await.expect_err("no such schema");
        assert!(matches!(missing, Error::SchemaDenied { .. }), "{missing:?}");
    }
    // By a setting, whose name needs quotes.
    let named = |role: &str| {
        let mut config = place.config(role, "");
        config.pool.schema = Some("My \\ \"own\" 'one'".to_owned());
        config
    };
    let missing = migrate::up(&named(&place.owner)).await.expect_err("no such schema");
    assert!(
        matches!(missing, Error::SchemaDenied { .. }) && missing.to_string().contains("create the schema"),
        "{missing:?}"
    );
    administrator.execute(&format!("CREATE SCHEMA \"My \\ \"\"own\"\" 'one'\" AUTHORIZATION {}", place.owner)).await;
    is_usable(&named(&place.owner), &named(&place.service), &place.service).await;
    place.drop().await;
}

#[tokio::test]
async fn a_role_without_create_on_public_is_told_what_to_grant() {
    let place = Place::new("public").await;
    let mut administrator = place.administrator().await;
    administrator.execute("CREATE EXTENSION postgis").await;
    administrator.execute(&format!("GRANT CREATE ON DATABASE {} TO {}", place.name, place.service)).await;
    let error = migrate::up(&place.config(&place.service, "")).await.expect_err("since PostgreSQL 15");
    assert!(matches!(error, Error::SchemaDenied { .. }), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("schema public") && error.contains("GRANT USAGE ON SCHEMA"), "{error}");
    place.drop().await;
}

/// Azure refuses `CREATE EXTENSION IF NOT EXISTS` to a role that is no administrator, even where it is there.
#[tokio::test]
async fn an_extension_that_is_there_is_not_created_again() {
    let place = Place::new("azure").await;
    let mut administrator = place.administrator().await;
    let trigger = "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                 RAISE EXCEPTION 'only members of azure_pg_admin are allowed to use CREATE EXTENSION postgis'
                     USING errcode = '42501';
             END IF;
         END $$;
         CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN tag IN ('CREATE EXTENSION') EXECUTE FUNCTION refuse()";
    administrator.execute(trigger).await;
    let owner = place.config(&place.owner, "");
    let missing = migrate::up(&owner).await.expect_err("only an administrator may");
    assert!(matches!(missing, Error::PostgisMissing { .. }), "{missing:?}");
    administrator.execute("CREATE EXTENSION postgis").await;
    migrate::up(&owner).await.expect("it is there");
    place.drop().await;
}
