//! Hosted sites in twelve clusters: a gateway asks the site service, which asks the site's own `MariaDB` and its Redis, and
//! a media service for pictures.

use super::{
    Conventions, Entry, Failure, Language, Node, Program, Service, Sql, Targets, What, entry, http, plain, redis, rpc,
    service,
};
use crate::generate::fleet::Fleet;
use crate::model::Kind;

fn services() -> Vec<Service> {
    use Conventions::New;
    vec![
        service("gateway", Language::Go, New, 2),
        service("sites", Language::Java, New, 2),
        service("media", Language::Go, New, 1),
    ]
}

pub(super) fn build() -> (Program, Targets) {
    let mut program = Program::new(services(), vec![page(), status()]);
    program.fleet = Some(Fleet::new());
    let targets = Targets {
        slow: "sites.settings",
        repeated: "sites.blocks",
        layer: "sites.server",
        renamed: ("sites.load", "AssemblePage"),
        moved: ("sites.settings", "sites.load"),
        retried: ("sites.settings", 150_000),
        cache: (
            "sites.session",
            statement("sites.sessions", "SELECT", "sessions", "SELECT user_id FROM sessions WHERE token = '{u}'")
                .own(9_000),
        ),
        parallel: "sites.load",
        failing: (
            "sites.settings",
            Failure {
                exception: "java.sql.SQLSyntaxErrorException",
                message: "Unknown column 'theme_rev' in 'SELECT'",
            },
        ),
        early: (
            "media.server",
            Failure { exception: "*fs.PathError", message: "open /var/cache/media: read-only file system" },
        ),
        severed: "sites.server",
        sharded: "sites.page",
        added: (
            "sites.load",
            statement("sites.consent", "SELECT", "consents", "SELECT kinds FROM consents WHERE visitor = '{u}'")
                .own(6_000),
        ),
        reordered: "sites.load",
        skewed: "media",
        lost: "sites.load",
        canary: "sites.page",
        split: ("media", "sites", "media.server"),
    };
    (program, targets)
}

/// A statement on the site's own database; which one that is, the fleet says.
fn statement(label: &'static str, verb: &'static str, table: &'static str, text: &'static str) -> Node {
    let sql = Sql { system: "mariadb", database: "site", verb, table, text, display: "", instances: 600 };
    Node::new(label, "sites", Kind::Client, What::Sql(sql))
}

fn page() -> Entry {
    let what = http("GET", "/sites/{site}/{page}", "/sites/{n}/{n}", "gateway", 8443);
    let api = http("GET", "/pages/{site}/{page}", "/pages/{n}/{n}", "sites", 8080);
    let session = redis("GET", "session:{u}", Some(true));
    let settings =
        statement("sites.settings", "SELECT", "settings", "SELECT name, value FROM settings WHERE autoload = 1");
    let mut load = load();
    load.propagates = true;
    let mut server = Node::new("sites.server", "sites", Kind::Server, api)
        .own(2_500)
        .then(Node::new("sites.session", "sites", Kind::Client, session).own(1_400))
        .own(1_000)
        .then(settings.own(7_000))
        .own(800)
        .then(load)
        .own(6_000);
    server.propagates = true;
    let mut root = Node::new("gateway.page", "gateway", Kind::Server, what)
        .own(1_500)
        .then(Node::call("sites.client", "gateway", 3_000, server))
        .own(1_000);
    root.propagates = true;
    entry(9, root)
}

fn load() -> Node {
    let picture = rpc("media.Pictures", "Describe", "media", 7070);
    let media = Node::new("media.server", "media", Kind::Server, picture)
        .own(2_000)
        .then(
            Node::new("media.scale", "media", Kind::Internal, plain("ScalePicture", &[("picture.format", "avif")]))
                .own(9_000),
        )
        .own(1_000);
    Node::new("sites.load", "sites", Kind::Internal, plain("LoadPage", &[("page.kind", "article")]))
        .own(900)
        .then(
            statement("sites.page", "SELECT", "pages", "SELECT id, title, body FROM pages WHERE slug = '{x}'")
                .own(12_000),
        )
        .own(700)
        .then(
            statement("sites.blocks", "SELECT", "blocks", "SELECT kind, body FROM blocks WHERE page_id = {n}")
                .own(4_000)
                .times(3),
        )
        .own(600)
        .parallel(2, Node::call("media.client", "sites", 2_000, media).times(2))
        .own(1_500)
}

fn status() -> Entry {
    let what = http("GET", "/status", "/status", "gateway", 8443);
    let check = plain("CheckUpstreams", &[("upstreams.healthy", "2")]);
    entry(
        1,
        Node::new("gateway.status", "gateway", Kind::Server, what)
            .own(900)
            .then(Node::new("gateway.check", "gateway", Kind::Internal, check).own(2_400))
            .own(300),
    )
}
