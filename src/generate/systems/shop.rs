//! An online shop: a gateway asks services over HTTP and gRPC, they ask Postgres and Redis, and a page is rendered.

use super::{
    Conventions, Entry, Failure, Language, Node, Program, Service, Sql, Targets, What, entry, http, plain, postgres,
    redis, rpc, service,
};
use crate::model::Kind;

fn services() -> Vec<Service> {
    use Conventions::{New, Old};
    vec![
        service("gateway", Language::Node, New, 2),
        service("catalogue", Language::Java, Old, 3),
        service("cart", Language::Go, New, 2),
        service("stock", Language::Python, New, 2),
        service("checkout", Language::Go, New, 2),
        service("payment", Language::Java, Old, 2),
    ]
}

pub(super) fn build() -> (Program, Targets) {
    let program = Program::new(services(), vec![checkout_page(), product_page()]);
    let targets = Targets {
        slow: "stock.select",
        repeated: "catalogue.products",
        layer: "checkout.server",
        renamed: ("gateway.render", "render receipt.html"),
        moved: ("catalogue.client", "gateway.render"),
        retried: ("payment.psp", 300_000),
        cache: (
            "catalogue.cache",
            select("catalogue.prices", "catalogue", "prices", "SELECT sku, cents FROM prices WHERE list_id = {n}")
                .own(46_000),
        ),
        parallel: "gateway.stock",
        failing: (
            "checkout.insert",
            Failure {
                exception: "*pgconn.PgError",
                message: "ERROR: could not serialize access due to concurrent update (SQLSTATE 40001)",
            },
        ),
        early: (
            "cart.server",
            Failure { exception: "*errors.errorString", message: "cart store is read-only during failover" },
        ),
        severed: "checkout.server",
        sharded: "checkout.insert",
        added: (
            "checkout.server",
            select(
                "checkout.vouchers",
                "checkout",
                "vouchers",
                "SELECT code, cents FROM vouchers WHERE user_id = {n} AND NOT used",
            )
            .own(12_000),
        ),
        reordered: "cart.load",
        skewed: "checkout",
        lost: "cart.load",
        canary: "checkout.insert",
        split: ("stock", "catalogue", "stock.server"),
    };
    (program, targets)
}

fn select(label: &'static str, service: &'static str, table: &'static str, text: &'static str) -> Node {
    Node::new(label, service, Kind::Client, What::Sql(postgres("shop", "SELECT", table, text)))
}

fn write(label: &'static str, service: &'static str, sql: Sql) -> Node {
    Node::new(label, service, Kind::Client, What::Sql(sql))
}

fn checkout_page() -> Entry {
    let what = http("POST", "/checkout", "/checkout", "gateway", 3000);
    let session = redis("GET", "session:{u}", Some(true));
    let available = plain("check availability", &[("shop.lines", "4")]);
    entry(
        2,
        Node::new("gateway.checkout", "gateway", Kind::Server, what)
            .own(3_000)
            .then(Node::new("gateway.session", "gateway", Kind::Client, session).own(1_600))
            .own(1_500)
            .then(Node::call(
                "cart.client",
                "gateway",
                3_000,
                cart("cart.server", "cart.load", "cart.get", "cart.touch"),
            ))
            .own(1_000)
            .then(Node::call("catalogue.client", "gateway", 3_000, prices()))
            .own(1_000)
            .then(
                Node::new("gateway.stock", "gateway", Kind::Internal, available)
                    .own(600)
                    .parallel(3, Node::call("stock.client", "gateway", 2_500, stock()).times(4))
                    .own(900),
            )
            .own(1_000)
            .then(Node::call("checkout.client", "gateway", 3_500, place_order()))
            .own(1_500)
            .then(render())
            .own(2_000),
    )
}

fn cart(server: &'static str, load: &'static str, get: &'static str, touch: &'static str) -> Node {
    Node::new(server, "cart", Kind::Server, rpc("shop.CartService", "GetCart", "cart", 7070))
        .own(1_800)
        .then(
            Node::new(load, "cart", Kind::Internal, plain("LoadCart", &[("cart.kind", "signed-in")]))
                .own(700)
                .then(Node::new(get, "cart", Kind::Client, redis("HGETALL", "cart:{u}", None)).own(4_500))
                .own(1_100)
                .then(Node::new(touch, "cart", Kind::Client, redis("EXPIRE", "cart:{u} 86400", None)).own(1_400))
                .own(400),
        )
        .own(900)
}

fn prices() -> Node {
    let what = http("GET", "/api/prices", "/api/prices?list={n}", "catalogue", 8080);
    Node::new("catalogue.server", "catalogue", Kind::Server, what)
        .own(3_500)
        .then(
            Node::new("catalogue.cache", "catalogue", Kind::Client, redis("GET", "prices:{n}", Some(true))).own(1_500),
        )
        .own(800)
        .then(
            select(
                "catalogue.products",
                "catalogue",
                "products",
                "SELECT id, name, tax_class FROM products WHERE id = {n}",
            )
            .own(5_500)
            .times(3),
        )
        .own(2_800)
}

fn stock() -> Node {
    let what = http("GET", "/api/stock/{sku}", "/api/stock/{n}", "stock", 8090);
    Node::new("stock.server", "stock", Kind::Server, what)
        .own(4_000)
        .then(
            select("stock.select", "stock", "stock", "SELECT on_hand, reserved FROM stock WHERE sku = {n}").own(18_000),
        )
        .own(2_000)
}

fn place_order() -> Node {
    let insert = Sql {
        instances: 16,
        ..postgres("orders", "INSERT", "orders", "INSERT INTO orders (id, user_id, cents) VALUES ('{u}', {n}, {n})")
    };
    let clear = postgres("shop", "DELETE", "cart_lines", "DELETE FROM cart_lines WHERE cart_id = '{u}'");
    Node::new("checkout.server", "checkout", Kind::Server, rpc("shop.CheckoutService", "PlaceOrder", "checkout", 7080))
        .own(4_000)
        .then(Node::call("payment.client", "checkout", 3_000, charge()))
        .own(1_500)
        .then(write("checkout.insert", "checkout", insert).own(9_500))
        .own(600)
        .then(write("checkout.clear", "checkout", clear).own(6_500))
        .own(2_500)
}

fn charge() -> Node {
    let psp = http("POST", "", "/v1/charges", "api.paymentprovider.example", 443);
    let insert = postgres(
        "payments",
        "INSERT",
        "payments",
        "INSERT INTO payments (order_id, provider_ref, cents) VALUES ('{u}', 'ch_{x}', {n})",
    );
    Node::new("payment.server", "payment", Kind::Server, rpc("shop.PaymentService", "Charge", "payment", 9090))
        .own(5_500)
        .then(Node::new("payment.psp", "payment", Kind::Client, psp).own(165_000))
        .own(1_500)
        .then(write("payment.insert", "payment", insert).own(8_000))
        .own(2_000)
}

fn render() -> Node {
    let page = plain("render confirmation.html", &[("template.engine", "nunjucks"), ("template.cached", "true")]);
    Node::new("gateway.render", "gateway", Kind::Internal, page)
        .own(5_000)
        .then(
            Node::new("gateway.render_lines", "gateway", Kind::Internal, plain("render order_lines.html", &[]))
                .own(7_500),
        )
        .then(
            Node::new("gateway.render_footer", "gateway", Kind::Internal, plain("render footer.html", &[])).own(2_200),
        )
        .own(1_500)
}

fn product_page() -> Entry {
    let what = http("GET", "/products/{id}", "/products/{n}?ref=mail-{x}", "gateway", 3000);
    let api = http("GET", "/api/products/{id}", "/api/products/{n}", "catalogue", 8080);
    let server = Node::new("catalogue.product_server", "catalogue", Kind::Server, api)
        .own(3_000)
        .then(
            Node::new("catalogue.product_cache", "catalogue", Kind::Client, redis("GET", "product:{n}", Some(true)))
                .own(1_700),
        )
        .own(1_500);
    entry(
        5,
        Node::new("gateway.product", "gateway", Kind::Server, what)
            .own(2_500)
            .then(Node::call("catalogue.product_client", "gateway", 3_000, server))
            .own(1_000)
            .then(Node::call(
                "cart.badge_client",
                "gateway",
                3_000,
                cart("cart.badge_server", "cart.badge_load", "cart.badge_get", "cart.badge_touch"),
            ))
            .then(
                Node::new("gateway.render_product", "gateway", Kind::Internal, plain("render product.html", &[]))
                    .own(9_000),
            )
            .own(1_000),
    )
}
