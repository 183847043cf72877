//! Orders over Kafka: an HTTP request sends a message, two services consume it, one of them writes to an outbox that
//! is flushed as several messages, which a third service consumes as one batch.

use super::{
    Conventions, Entry, Failure, Language, Node, Program, Service, Sql, Targets, What, entry, http, message, plain,
    postgres, redis, rpc, service,
};
use crate::model::Kind;

fn services() -> Vec<Service> {
    use Conventions::{New, Old};
    vec![
        service("order-api", Language::Java, New, 2),
        service("warehouse", Language::Go, New, 2),
        service("fulfilment", Language::Java, Old, 3),
        service("billing", Language::Python, New, 2),
        service("notifications", Language::Node, New, 2),
    ]
}

pub(super) fn build() -> (Program, Targets) {
    let program = Program::new(services(), vec![place_order(), read_order()]);
    let targets = Targets {
        slow: "billing.insert",
        repeated: "orders.items",
        layer: "warehouse.server",
        renamed: ("orders.reserve", "HoldStock"),
        moved: ("tax.client", "orders.reserve"),
        retried: ("fulfilment.update", 120_000),
        cache: (
            "orders.customer",
            select("orders.customers", "order-api", "customers", "SELECT tier, country FROM customers WHERE id = {n}")
                .own(13_000),
        ),
        parallel: "orders.reserve",
        failing: (
            "billing.insert",
            Failure {
                exception: "psycopg.errors.UniqueViolation",
                message: "duplicate key value violates unique constraint \"invoices_order_id_key\"",
            },
        ),
        early: (
            "tax.server",
            Failure { exception: "billing.errors.RatesExpired", message: "tax rates of 2025 are not valid any more" },
        ),
        severed: "fulfilment.process",
        sharded: "orders.insert",
        added: (
            "fulfilment.process",
            select(
                "fulfilment.hazard",
                "fulfilment",
                "hazard_classes",
                "SELECT class FROM hazard_classes WHERE sku = {n}",
            )
            .own(8_000),
        ),
        reordered: "tax.server",
        skewed: "fulfilment",
        lost: "fulfilment.flush",
        canary: "fulfilment.update",
        split: ("warehouse", "order-api", "warehouse.server"),
    };
    (program, targets)
}

fn sql(label: &'static str, service: &'static str, sql: Sql) -> Node {
    Node::new(label, service, Kind::Client, What::Sql(sql))
}

fn select(label: &'static str, service: &'static str, table: &'static str, text: &'static str) -> Node {
    sql(label, service, postgres("orders", "SELECT", table, text))
}

fn send(label: &'static str, service: &'static str, topic: &'static str) -> Node {
    Node::new(label, service, Kind::Producer, message(topic, ""))
}

fn process(label: &'static str, service: &'static str, topic: &'static str) -> Node {
    Node::new(label, service, Kind::Consumer, message(topic, service))
}

fn place_order() -> Entry {
    let insert = Sql {
        instances: 16,
        ..postgres("orders", "INSERT", "orders", "INSERT INTO orders (id, customer_id) VALUES ('{u}', {n})")
    };
    entry(
        3,
        Node::new("orders.place", "order-api", Kind::Server, http("POST", "/orders", "/orders", "order-api", 8080))
            .own(4_000)
            .then(
                Node::new("orders.customer", "order-api", Kind::Client, redis("GET", "customer:{n}", Some(true)))
                    .own(1_600),
            )
            .own(1_000)
            .then(
                select("orders.items", "order-api", "items", "SELECT sku, cents FROM items WHERE id = {n}")
                    .own(4_500)
                    .times(3),
            )
            .own(1_000)
            .then(Node::call("tax.client", "order-api", 3_000, tax()))
            .own(900)
            .then(reserve())
            .own(1_200)
            .then(sql("orders.insert", "order-api", insert).own(8_500))
            .own(700)
            .then(send("orders.send", "order-api", "orders").own(5_500))
            .own(2_500)
            .followed_by("orders.send", 14_000, fulfilment())
            .followed_by("orders.send", 21_000, billing()),
    )
}

fn tax() -> Node {
    Node::new("tax.server", "billing", Kind::Server, rpc("billing.Tax", "Rate", "billing", 8084))
        .own(2_500)
        .then(
            select("tax.rates", "billing", "tax_rates", "SELECT percent FROM tax_rates WHERE country = 'DE'")
                .own(5_000),
        )
        .own(600)
        .then(
            select("tax.exempt", "billing", "exemptions", "SELECT 1 FROM exemptions WHERE customer_id = {n}")
                .own(4_000),
        )
        .own(1_500)
}

fn reserve() -> Node {
    let what = http("PUT", "/reservations/{sku}", "/reservations/{n}", "warehouse", 8082);
    let update = postgres("stock", "UPDATE", "stock", "UPDATE stock SET held = held + 1 WHERE sku = {n}");
    let server = Node::new("warehouse.server", "warehouse", Kind::Server, what)
        .own(3_500)
        .then(sql("warehouse.update", "warehouse", update).own(11_000))
        .own(1_500);
    Node::new("orders.reserve", "order-api", Kind::Internal, plain("ReserveStock", &[("order.lines", "5")]))
        .own(700)
        .parallel(2, Node::call("warehouse.client", "order-api", 2_500, server).times(5))
        .own(1_000)
}

fn fulfilment() -> Node {
    let update = postgres("fulfilment", "UPDATE", "picks", "UPDATE picks SET state = 'open' WHERE order_id = '{u}'");
    let outbox =
        postgres("fulfilment", "INSERT", "outbox", "INSERT INTO outbox (topic, body) VALUES ('shipments', '{x}')");
    process("fulfilment.process", "fulfilment", "orders")
        .own(3_000)
        .then(sql("fulfilment.update", "fulfilment", update).own(9_000))
        .own(800)
        .then(sql("fulfilment.outbox", "fulfilment", outbox).own(7_000))
        .own(1_200)
        .then(flush_outbox())
        .own(1_500)
        .followed_by("fulfilment.send", 32_000, notify())
}

fn flush_outbox() -> Node {
    let read =
        postgres("fulfilment", "SELECT", "outbox", "SELECT id, body FROM outbox WHERE NOT sent ORDER BY id LIMIT 50");
    let delete = postgres("fulfilment", "DELETE", "outbox", "DELETE FROM outbox WHERE id IN ({n}, {n}, {n})");
    Node::new("fulfilment.flush", "fulfilment", Kind::Internal, plain("FlushOutbox", &[("outbox.batch", "3")]))
        .own(900)
        .then(sql("fulfilment.read", "fulfilment", read).own(6_000))
        .own(500)
        .then(send("fulfilment.send", "fulfilment", "shipments").own(4_500).times(3))
        .own(500)
        .then(sql("fulfilment.delete", "fulfilment", delete).own(5_500))
        .own(600)
}

fn billing() -> Node {
    let insert =
        postgres("billing", "INSERT", "invoices", "INSERT INTO invoices (order_id, cents) VALUES ('{u}', {n})");
    process("billing.process", "billing", "orders")
        .own(6_000)
        .then(sql("billing.insert", "billing", insert).own(15_000))
        .own(2_500)
}

fn notify() -> Node {
    let mail = http("POST", "", "/v3/mail/send", "api.mailer.example", 443);
    process("notifications.process", "notifications", "shipments")
        .own(4_000)
        .then(
            select("notifications.template", "notifications", "templates", "SELECT body FROM templates WHERE id = {n}")
                .own(6_500),
        )
        .own(3_500)
        .then(Node::new("notifications.mail", "notifications", Kind::Client, mail).own(95_000))
        .own(2_000)
}

fn read_order() -> Entry {
    let what = http("GET", "/orders/{id}", "/orders/{u}", "order-api", 8080);
    entry(
        5,
        Node::new("orders.get", "order-api", Kind::Server, what)
            .own(3_000)
            .then(
                select("orders.read", "order-api", "orders", "SELECT id, state, cents FROM orders WHERE id = '{u}'")
                    .own(7_500),
            )
            .own(1_500),
    )
}
