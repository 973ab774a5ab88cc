// Makes calls of the official React Native SDK in its JavaScript mode, and ends once its queues are empty.
//
//     node react_native.mjs URL TOKEN FOLDER
//
// FOLDER is the package's. It is written for a bundler: names without endings, and JSON that is imported.

import { register } from "node:module";
import { pathToFileURL } from "node:url";

const [url, token, folder] = process.argv.slice(2);
const device = "export const Platform = { OS: 'android', Version: 14, constants: {} }, NativeModules = {};";
const hooks = `
  export const resolve = async (name, context, next) => {
    if (name.startsWith("react-native")) return { url: "data:text/javascript," + ${JSON.stringify(encodeURIComponent(device))}, shortCircuit: true };
    const bare = name.includes("/javascript/") || name.startsWith("./mixpanel-");
    return next(bare && !name.endsWith(".js") ? name + ".js" : name, context);
  };
  export const load = async (url, context, next) => {
    if (!url.endsWith("package.json"))
      return next(url, { ...context, format: url.includes("mixpanel-react-native/") ? "module" : context.format });
    const { source } = await next(url, { ...context, format: "json", importAttributes: { type: "json" } });
    return { format: "module", source: "export default " + source, shortCircuit: true };
  };
`;
register("data:text/javascript," + encodeURIComponent(hooks));

const { Mixpanel } = await import(pathToFileURL(`${folder}/index.js`));
const kept = new Map();
const storage = {
  getItem: async (name) => kept.get(name) ?? null,
  setItem: async (name, value) => void kept.set(name, value),
  removeItem: async (name) => void kept.delete(name),
};
const mixpanel = new Mixpanel(token, false, false, storage);
await mixpanel.init(false, {}, url);
await mixpanel.identify("ada");

const people = mixpanel.getPeople();
const calls = [
  () => people.set("plan", "free"),
  () => people.set({ plan: "pro", name: "Ådä 🌳 +/=&%", nested: { a: [1, null, true] } }),
  () => people.setOnce("first", "harbour"),
  () => people.increment("visits", 2),
  () => people.increment({ visits: 1.5, n: -1 }),
  () => people.append("list", "a"),
  () => people.append("list", "b"),
  () => people.union("tags", ["x", "y"]),
  () => people.remove("list", "a"),
  () => people.unset("plan"),
  () => people.trackCharge(29.99, { $time: "2026-01-02T03:04:05" }),
  () => mixpanel.getGroup("company", "acme").set("sites", 2),
  () => mixpanel.getGroup("company", "acme").union("tags", ["x"]),
  () => mixpanel.track("opened", { page: "ø 🌳" }),
  () => mixpanel.track("closed"),
];
for (const call of calls) {
  await call();
  await new Promise((resolve) => setImmediate(resolve)); // some calls tell nothing of their end
}
mixpanel.flush();
const waiting = () => [...kept].some(([name, value]) => name.endsWith("_QUEUE") && value !== "[]");
while (waiting()) await new Promise((resolve) => setTimeout(resolve, 5));
process.exit(0); // it would look at its queues for ever
