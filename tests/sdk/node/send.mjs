// Sends a few traces with the OpenTelemetry SDK for Node, as an application would, and says what became of them.
//
//     node send.mjs grpc|http|json ENDPOINT none|gzip VERSION TRACES
//
// Prints one line of JSON: {"traces": …, "spans": …, "results": ["SUCCESS", …]}. The application is the shop of send.py.

import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [protocol, endpoint, compression, version, traces] = process.argv.slice(2);
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function exporter() {
  if (protocol === "grpc") return new GrpcExporter({ url: endpoint, compression });
  const Exporter = protocol === "json" ? JsonExporter : ProtoExporter;
  return new Exporter({ url: `${endpoint}/v1/traces`, compression });
}

// Remembers how each export ended.
function watched(inner, results) {
  return {
    export: (spans, done) =>
      inner.export(spans, (result) => {
        results.push(result.code === 0 ? "SUCCESS" : `FAILURE ${result.error}`);
        done(result);
      }),
    shutdown: () => inner.shutdown(),
    forceFlush: () => inner.forceFlush?.() ?? Promise.resolve(),
  };
}

async function oneRequest(tracer, number) {
  const request = tracer.startSpan("GET /cart", { kind: SpanKind.SERVER });
  request.setAttributes({
    "http.request.method": "GET",
    "http.route": "/cart",
    number,
    ratio: number ? 0.5 : NaN,
    tags: ["a", "ü", "\u001b[2J"],
  });
  const inside = trace.setSpan(context.active(), request);
  const cache = tracer.startSpan("GET", { kind: SpanKind.CLIENT, attributes: { "db.system.name": "redis" } }, inside);
  cache.addEvent("miss", { key: "cart" });
  cache.end();
  const links = [{ context: request.spanContext(), attributes: { why: "follows" } }];
  const mysql = { kind: SpanKind.CLIENT, attributes: { "db.system.name": "mysql" } };
  const statement = tracer.startSpan("SELECT items", { ...mysql, links }, inside);
  await pause(1);
  if (number === 1) statement.setStatus({ code: SpanStatusCode.ERROR, message: "deadlock" });
  statement.end();
  if (version === "2") {
    const vouchers = tracer.startSpan("SELECT vouchers", mysql, inside);
    await pause(5);
    vouchers.end();
  }
  request.end();
  return version === "2" ? 4 : 3;
}

const results = [];
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "shop", "service.version": version, sender: `node ${protocol}` }),
  spanProcessors: [new BatchSpanProcessor(watched(exporter(), results))],
});
const tracer = provider.getTracer("send.mjs", "1");
let spans = 0;
for (let number = 0; number < Number(traces); number += 1) spans += await oneRequest(tracer, number);
await provider.shutdown();
console.log(JSON.stringify({ traces: Number(traces), spans, results }));
