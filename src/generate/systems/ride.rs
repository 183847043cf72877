//! Ride hailing. The shape follows Jaeger's `HotROD` demo, which every tracing user has seen: a frontend asks for the
//! customer, for the nearest drivers (whose positions lie in a slow redis), and for a route for each of them.

use super::{
    Conventions, Entry, Failure, Language, Node, Program, Rpc, Service, Sql, Targets, What, entry, http, plain, redis,
    service,
};
use crate::model::Kind;

fn services() -> Vec<Service> {
    use Conventions::{New, Old};
    vec![
        service("frontend", Language::Go, Old, 2),
        service("customer", Language::Java, Old, 2),
        service("driver", Language::Go, New, 3),
        service("route", Language::Go, New, 4),
        service("pricing", Language::Python, New, 2),
        service("mysql", Language::Java, Old, 1),
        service("redis", Language::Go, New, 1),
    ]
}

pub(super) fn build() -> (Program, Targets) {
    let program = Program::new(services(), vec![dispatch(), trip()]);
    let targets = Targets {
        slow: "mysql.customer",
        repeated: "mysql.addresses",
        layer: "customer.server",
        renamed: ("frontend.best_eta", "RankByETA"),
        moved: ("pricing.client", "frontend.best_eta"),
        retried: ("mysql.customer", 240_000),
        cache: (
            "redis.session",
            statement("mysql.sessions", "sessions", "SELECT user_id, expires FROM sessions WHERE token = '{u}'")
                .own(11_000),
        ),
        parallel: "frontend.best_eta",
        failing: (
            "mysql.surcharges",
            Failure {
                exception: "com.mysql.cj.jdbc.exceptions.CommunicationsException",
                message: "Communications link failure: the last packet sent was 2003 ms ago",
            },
        ),
        early: (
            "pricing.server",
            Failure { exception: "pricing.errors.TariffUnavailable", message: "no tariff loaded for city 7" },
        ),
        severed: "pricing.server",
        sharded: "mysql.customer",
        added: (
            "customer.server",
            statement(
                "mysql.vouchers",
                "vouchers",
                "SELECT id, amount FROM vouchers WHERE customer_id = {n} AND valid_until > NOW()",
            )
            .own(17_000),
        ),
        reordered: "pricing.server",
        skewed: "driver",
        lost: "driver.server",
        canary: "mysql.customer",
        split: ("route", "driver", "route.server"),
    };
    (program, targets)
}

/// `HotROD` names every statement `SQL SELECT`; what it is about stands in the attributes.
fn sql(table: &'static str, text: &'static str) -> Sql {
    Sql { system: "mysql", database: "rides", verb: "SELECT", table, text, display: "SQL SELECT", instances: 0 }
}

fn statement(label: &'static str, table: &'static str, text: &'static str) -> Node {
    Node::new(label, "mysql", Kind::Client, What::Sql(sql(table, text)))
}

fn dispatch() -> Entry {
    let session = redis("GET", "session:{u}", Some(true));
    let root = http("GET", "/dispatch", "/dispatch?customer={n}&nonse=0.{n}", "frontend", 8080);
    entry(
        7,
        Node::new("frontend.dispatch", "frontend", Kind::Server, root)
            .own(3_000)
            .then(Node::new("redis.session", "redis", Kind::Client, session).own(1_800))
            .own(1_000)
            .then(Node::call("customer.client", "frontend", 5_000, customer()))
            .own(1_500)
            .then(Node::call("driver.client", "frontend", 4_000, driver()))
            .own(1_500)
            .then(Node::call("pricing.client", "frontend", 4_000, pricing()))
            .own(1_500)
            .then(best_eta())
            .own(4_000),
    )
}

fn customer() -> Node {
    let select = sql("customer", "SELECT * FROM customer WHERE customer_id={n}");
    let what = http("GET", "/customer", "/customer?customer={n}", "customer", 8081);
    Node::new("customer.server", "customer", Kind::Server, what)
        .own(3_500)
        .then(
            Node::new("mysql.customer", "mysql", Kind::Client, What::Sql(Sql { instances: 24, ..select })).own(360_000),
        )
        .own(1_000)
        .then(
            statement("mysql.addresses", "addresses", "SELECT street, lat, lon FROM addresses WHERE address_id={n}")
                .own(7_000)
                .times(3),
        )
        .own(4_000)
}

fn driver() -> Node {
    let what = What::Rpc(Rpc {
        service: "Driver",
        method: "findNearest",
        display: "Driver::findNearest",
        host: "driver",
        port: 8082,
    });
    let find = plain("FindDriverIDs", &[("param.location", "{f},{f}"), ("driver.count", "10")]);
    let get = plain("GetDriver", &[("param.driverID", "T7{n}C")]);
    let lock = plain("LockDrivers", &[("param.lease", "30s"), ("driver.count", "10")]);
    Node::new("driver.server", "driver", Kind::Server, what)
        .own(2_000)
        .then(Node::new("redis.find", "redis", Kind::Client, find).own(38_000))
        .own(500)
        .then(Node::new("redis.driver", "redis", Kind::Client, get).own(23_000).times(10).flaky(3, 50_000))
        .own(1_000)
        .then(Node::new("redis.lock", "redis", Kind::Client, lock).own(3_000))
        .own(1_500)
}

fn pricing() -> Node {
    let what = http("GET", "/tariff", "/tariff?city={n}", "pricing", 8084);
    Node::new("pricing.server", "pricing", Kind::Server, what)
        .own(4_500)
        .then(statement("mysql.tariffs", "tariffs", "SELECT base, per_km FROM tariffs WHERE city_id = {n}").own(14_000))
        .own(500)
        .then(
            statement("mysql.surcharges", "surcharges", "SELECT factor FROM surcharges WHERE zone IN ({n}, {n})")
                .own(9_000),
        )
        .own(2_500)
}

fn best_eta() -> Node {
    Node::new("frontend.best_eta", "frontend", Kind::Internal, plain("BestETA", &[("routes.requested", "10")]))
        .own(1_200)
        .parallel(3, Node::call("route.client", "frontend", 3_000, route()).times(10))
        .own(2_500)
}

fn route() -> Node {
    let what = http("GET", "/route", "/route?dropoff={n}%2C{n}&pickup={n}%2C{n}", "route", 8083);
    Node::new("route.server", "route", Kind::Server, what).own(118_000)
}

fn trip() -> Entry {
    let root = http("GET", "/trips/{trip_id}", "/trips/{n}", "frontend", 8080);
    entry(
        3,
        Node::new("frontend.trip", "frontend", Kind::Server, root)
            .own(2_000)
            .then(
                statement("mysql.trips", "trips", "SELECT driver, pickup, dropoff FROM trips WHERE trip_id = {n}")
                    .own(24_000),
            )
            .own(1_000)
            .then(
                Node::new(
                    "redis.position",
                    "redis",
                    Kind::Client,
                    plain("GetPosition", &[("param.driverID", "T7{n}C")]),
                )
                .own(6_000),
            )
            .own(1_500),
    )
}
