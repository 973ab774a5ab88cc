"use strict";
// Makes every call of the browser SDK that sends, one after the other, tells its server how each ended, and goes
// where that says next. The address says what to do: /page.html?url=…&token=…&mode=…
//
// A report is {"offered": […], "ended": [[call, answer or null], …], "broken": number of unusable answers}.

const { url, token, mode } = Object.fromEntries(new URLSearchParams(location.search));

const configs = {
  plain: {},
  verbose: { verbose: true },
  get: { api_method: "GET" },
  json: { api_payload_format: "json" },
  preflight: { xhr_headers: { "X-App": "till 7" } }, // the browser asks by OPTIONS whether it may
  script: {},
  img: { api_method: "GET", img: true },
  batched: { batch_requests: true, batch_flush_interval_ms: 50 },
  leaving: { batch_requests: true, batch_flush_interval_ms: 3_600_000 }, // nothing is due before the page goes
};

const when = new Date(Date.UTC(2026, 0, 2, 3, 4, 5));
const acme = ["company", "acme"];
const gone = ["ship", "gone"];
const calls = [
  ["identify", "ada"],
  ["people.set", "plan", "free"],
  ["people.set", { plan: "pro", n: 1, half: 0.5, since: when, name: "Ådä 🌳", huge: 1e21, large: 2 ** 53 }],
  ["people.set", { nested: { a: [1, null, true, { b: "" }] }, "größe 🌳": '+/=&% "<>\\', nothing: NaN }],
  ["people.set_once", "first", "harbour"],
  ["people.set_once", { first: "late", second: [] }],
  ["people.increment", "visits", undefined], // by 1; its callback stands third
  ["people.increment", "visits", 2],
  ["people.increment", { n: 1.5, m: -0.5, words: "many" }],
  ["people.append", "list", "a"],
  ["people.append", { list: ["b", "🌳"], other: 1 }],
  ["people.union", { list: ["a", "c"], tags: "one" }],
  ["people.union", "tags", ["one", "two"]],
  ["people.remove", "list", "a"],
  ["people.remove", { other: 1 }],
  ["people.unset", "half"],
  ["people.unset", ["m", "never there"]],
  ["people.append", "$transactions", { $amount: 29.99 }],
  ["people.track_charge", 5], // without effect since 2.65
  ["set_group", "company", ["acme", "umbrella"]],
  ["add_group", "company", "initech"],
  ["remove_group", "company", "umbrella"],
  ["track", "opened", { page: "ø 🌳" }],
  ["track_with_groups", "paid", { amount: 2.5 }, { company: "acme" }],
  ["track_pageview", { shop: "harbour" }],
  ["group.set", acme, "sites", 2],
  ["group.set", acme, { "größe 🌳": "L", employees: 1e3 }],
  ["group.set_once", acme, { sites: 3, since: when }],
  ["group.set_once", acme, "since", 2000],
  ["group.union", acme, "tags", ["x", "y", "x"]],
  ["group.remove", acme, "tags", "x"],
  ["group.unset", acme, "employees"],
  ["group.set", gone, { a: 1 }],
  ["group.delete", gone],
  ["identify", "bob"],
  ["people.append", "$transactions", { $amount: 1, $time: when }],
  ["people.clear_charges"],
  ["identify", "gone"],
  ["people.set", "a", 1],
  ["people.delete_user"],
  ["alias", "elsewhere"],
];
const withoutCallback = new Set([
  "identify", "people.delete_user", "people.track_charge", "track_pageview", "alias",
]);

// --- requests under way: as XMLHttpRequest, or as elements that load

let underWay = 0;
let broken = 0;
let wake = () => {};
const end = (event) => {
  underWay -= 1;
  broken += event.type === "error";
  wake();
};
if (window.XMLHttpRequest) {
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (body) {
    underWay += 1;
    this.addEventListener("error", () => (broken += 1));
    this.addEventListener("loadend", end);
    send.call(this, body);
  };
}
const create = document.createElement.bind(document);
document.createElement = (name) => {
  const element = create(name);
  if (name === "img" || name === "script") {
    underWay += 1;
    element.onload = element.onerror = end;
  }
  return element;
};
const answered = async () => {
  while (underWay) await new Promise((resolve) => (wake = resolve));
};

// --- the calls

mixpanel.init(token, { api_host: url, batch_requests: false, persistence: "localStorage", ...configs[mode] });

const make = async ([name, ...given]) => {
  let owner = mixpanel;
  let method = name;
  if (name.startsWith("people.")) [owner, method] = [mixpanel.people, name.slice("people.".length)];
  if (name.startsWith("group.")) [owner, method] = [mixpanel.get_group(...given.shift()), name.slice("group.".length)];
  let answer = null;
  const called = new Promise((resolve) => {
    owner[method](...given, ...(withoutCallback.has(name) ? [] : [(said) => resolve((answer = said))]));
    if (withoutCallback.has(name) || !configs[mode].batch_requests) resolve();
  });
  await called;
  await answered();
  return [name, answer];
};

const offered = (object, prefix) =>
  Object.getOwnPropertyNames(Object.getPrototypeOf(object)).map((name) => prefix + name);

const post = (path, value) => fetch(path, { method: "POST", body: JSON.stringify(value) });

(async () => {
  if (mode === "leaving") {
    mixpanel.identify("ada");
    mixpanel.people.set("name", "Ådä 🌳");
    await new Promise((resolve) => mixpanel.track("left", { page: "ø 🌳" }, resolve));
    location.href = "/left.html";
    return;
  }
  const ended = [];
  for (const call of calls) ended.push(await make(call));
  const names = [...offered(mixpanel.people, "people."), ...offered(mixpanel.get_group(...acme), "group.")];
  await post("/report", { offered: names, ended, broken });
  location.href = await (await fetch("/next")).text();
})();
