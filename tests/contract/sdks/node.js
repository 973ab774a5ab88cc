"use strict";
// Makes every call of the official Node SDK that sends, one after the other, and prints how each ended.
//
//     NODE_PATH=... node node.js URL TOKEN plain|verbose
//
// It imports over HTTPS only: the SDK sends no credentials otherwise.
//
// One line of JSON on standard output: {"offered": […], "ended": [[call, error or null], …]}.

const Mixpanel = require("mixpanel");

const [url, token, mode] = process.argv.slice(2);
const { protocol, host, pathname } = new URL(url);
const secure = protocol === "https:";
const credentials = {
  plain: { secret: "S" },
  verbose: { credentials: new Mixpanel.ServiceAccountCredentials("account", "password", "123") },
};
const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };
const mp = Mixpanel.init(token, {
  host,
  path: pathname.replace(/\/$/, ""),
  protocol: protocol.slice(0, -1),
  verbose: mode === "verbose",
  ...(secure ? credentials[mode] : {}),
  logger: quiet,
});

const when = new Date(Date.UTC(2026, 0, 2, 3, 4, 5));
const modifiers = { $ip: "0", $ignore_time: true, $ignore_alias: true, $time: 5, $latitude: 52.5, $longitude: 13.4 };
const event = (name) => ({ event: name, properties: { distinct_id: "ada", time: Date.now() / 1000 } });

const calls = [
  ["people.set", "ada", "plan", "free"],
  ["people.set", "ada", { plan: "pro", n: 1, half: 0.5, since: when, name: "Ådä 🙂", huge: 1e21, large: 2 ** 53 }],
  ["people.set", "ada", { nested: { a: [1, null, true, { b: "" }] }, minus: -0, nothing: NaN, gone: undefined }],
  ["people.set", "ada", { ip: "1.2.3.4", city: "Oslo", $ignore_time: true }],
  ["people.set", "ada", "seen", true, modifiers],
  ["people.set", "ada", { seen: false }, modifiers],
  ["people.set", 12, { integer: "id" }],
  ["people.set_once", "ada", "first", "harbour"],
  ["people.set_once", "ada", { first: "late", second: [] }, modifiers],
  ["people.increment", "ada", "visits"],
  ["people.increment", "ada", "visits", 2],
  ["people.increment", "ada", "visits", -4, modifiers],
  ["people.increment", "ada", { n: 1.5, m: 0.1, words: "many" }],
  ["people.increment", "ada", { n: "2" }],
  ["people.increment", "ada", { plan: 1 }],
  ["people.append", "ada", "list", "a"],
  ["people.append", "ada", { list: [2, 3], other: 1 }, modifiers],
  ["people.append", "ada", "list", "a"],
  ["people.union", "ada", { list: ["a", "b", 4], tags: "one", left_out: [true, null] }],
  ["people.union", "ada", { tags: ["one", "two"] }, modifiers],
  ["people.remove", "ada", { list: "a" }],
  ["people.remove", "ada", { other: 1, tags: "three" }, modifiers],
  ["people.unset", "ada", "city"],
  ["people.unset", "ada", ["half", "never there"], modifiers],
  ["people.track_charge", "ada", 29.99],
  ["people.track_charge", "ada", "5", { $time: when, sku: "b" }],
  ["people.track_charge", "ada", -3, { sku: "c" }, modifiers],
  ["people.track_charge", "bob", 1],
  ["people.clear_charges", "bob"],
  ["people.track_charge", "cy", 1],
  ["people.clear_charges", "cy", modifiers],
  ["people.set", "old", "a", 1],
  ["people.delete_user", "old"],
  ["people.set", "older", "a", 1],
  ["people.delete_user", "older", modifiers],
  ["people.delete_user", "never there"],
  ["groups.set", "company", "acme", "sites", 2],
  ["groups.set", "company", "acme", { größe: "L", employees: 1e3 }, modifiers],
  ["groups.set_once", "company", "acme", { sites: 3, since: 1999 }],
  ["groups.set_once", "company", "acme", "since", 2000],
  ["groups.union", "company", "acme", { tags: ["x", "y", "x"] }],
  ["groups.remove", "company", "acme", { tags: "x" }],
  ["groups.unset", "company", "acme", "since"],
  ["groups.unset", "company", "acme", ["never there"], modifiers],
  ["groups.set", "ship", 7, { a: 1 }],
  ["groups.set", "ship", "gone", { a: 1 }],
  ["groups.delete_group", "ship", "gone"],
  ["send_request", {
    method: "POST",
    endpoint: "/engage",
    data: ["x", "y", "x"].map((list) => ({ $token: token, $distinct_id: "batch", $append: { list } })),
  }],
  ["send_request", {
    method: "POST",
    endpoint: "/groups",
    data: [{ $token: token, $group_key: "company", $group_id: "batch", $union: { tags: ["+/=&%"] } }],
  }],
  ["send_request", { method: "POST", endpoint: "/engage", data: [{ $token: token, $set: {} }] }],
  ["track", "opened", { distinct_id: "ada" }],
  ["track_batch", [event("one"), event("two")]],
  ["import", "old", when, { distinct_id: "ada" }],
  ["import_batch", [event("older"), event("oldest")]],
  ["alias", "ada", "ada@example.com"],
];

const make = ([name, ...given]) =>
  new Promise((resolve) => {
    const path = name.split(".");
    const method = path.pop();
    const owner = path.reduce((object, part) => object[part], mp);
    // A batch hands over an array of errors, or null.
    owner[method](...given, (error) => resolve([name, error ? String([error].flat()[0].message) : null]));
  });

const offered = (object, prefix) =>
  Object.getOwnPropertyNames(Object.getPrototypeOf(object))
    .filter((name) => name !== "constructor" && !name.startsWith("_"))
    .map((name) => prefix + name);

(async () => {
  const ended = [];
  for (const call of calls) if (secure || !call[0].startsWith("import")) ended.push(await make(call));
  const names = [...offered(mp.people, "people."), ...offered(mp.groups, "groups.")];
  console.log(JSON.stringify({ offered: names, ended }));
  process.exit(0); // its connections are kept alive
})();
