// Shows /openapi.json, and tries its calls; nothing comes from elsewhere.

const make = (tag, attributes = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
};

// Descriptions are written as Markdown is: what stands between backticks is code.
const words = (text) => (text || "").split("`").map((piece, index) => (index % 2 ? make("code", { textContent: piece }) : piece));

function example(schema, all) {
  if (schema.$ref) return example(all[schema.$ref.split("/").pop()], all);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "object") {
    const required = Object.entries(schema.properties || {}).filter(([name]) => (schema.required || []).includes(name));
    return Object.fromEntries(required.map(([name, inner]) => [name, example(inner, all)]));
  }
  if (type === "array") return [example(schema.items, all)];
  if (type === "integer") return 1;
  return (schema.pattern || "").includes("0x") ? "0x…" : "…";
}

async function send(form, path, method, body, output) {
  let url = path;
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input")) {
    if (input.dataset.in === "path") url = url.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(input.name, input.value);
  }
  if ([...query].length) url += `?${query}`;
  const headers = {};
  const key = document.getElementById("key").value;
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const started = performance.now();
  try {
    const answer = await fetch(url, { method, headers, body: body ? body.value : undefined });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    const took = (performance.now() - started).toFixed(1);
    output.textContent = `${method} ${url}\n${answer.status} ${answer.statusText} · ${took} ms\n\n${shown}`;
  } catch (error) {
    output.textContent = `${method} ${url}\n${error}`;
  }
}

function field(parameter) {
  const input = make("input", { name: parameter.name, required: parameter.required });
  input.dataset.in = parameter.in;
  if (parameter.schema.default !== undefined) input.placeholder = parameter.schema.default;
  return make("label", {}, make("code", { textContent: parameter.name + (parameter.required ? " *" : "") }), input,
    make("span", {}, ...words(parameter.description)));
}

function call(path, method, operation, schemas) {
  const verb = method.toUpperCase();
  const form = make("form", {}, ...operation.parameters.map(field));
  let body = null;
  if (operation.requestBody) {
    const schema = operation.requestBody.content["application/json"].schema;
    body = make("textarea", { value: JSON.stringify(example(schema, schemas), null, 2) });
    form.append(body);
  }
  const output = make("pre", { hidden: true });
  if (path !== "/ws") form.append(make("button", { textContent: "Try it" }));
  form.append(output);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    output.hidden = false;
    send(form, path, verb, body, output);
  });
  const rows = Object.entries(operation.responses).filter(([, answer]) => !answer.$ref).map(([status, answer]) => {
    const schema = Object.values(answer.content || {}).map((content) => content.schema.$ref)[0];
    const cell = make("td", {}, ...words(answer.description));
    if (schema) { const name = schema.split("/").pop(); cell.append(" ", make("a", { href: `#schema-${name}`, textContent: name })); }
    return make("tr", {}, make("td", { className: "status", textContent: status }), cell);
  });
  const others = Object.keys(operation.responses).filter((status) => operation.responses[status].$ref).join(", ");
  rows.push(make("tr", {}, make("td", { className: "status", textContent: others }), make("td", {}, make("a", { href: "#problems", textContent: "problems" }))));
  return make("details", { id: operation.operationId },
    make("summary", {}, make("b", { className: `method ${verb}`, textContent: verb }), make("code", { textContent: path }), make("span", { textContent: operation.summary })),
    make("div", { className: "answers" }, make("p", {}, ...words(operation.description)), make("table", {}, ...rows)), form);
}

fetch("/openapi.json").then((answer) => answer.json()).then((api) => {
  document.getElementById("about").replaceChildren(...words(`${api.info.description} Version ${api.info.version}; for programs: /openapi.json.`));
  const groups = {};
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, operation] of Object.entries(methods))
      (groups[operation.tags[0]] ||= []).push(call(path, method, operation, api.components.schemas));
  for (const [tag, calls] of Object.entries(groups))
    document.getElementById("calls").append(make("h2", { textContent: tag }), ...calls);
  for (const problem of api["x-problems"])
    document.getElementById("problems").append(make("tr", { id: `problem-${problem.slug}` },
      make("td", { className: "status", textContent: problem.status }), make("td", { textContent: problem.title }), make("td", {}, ...words(problem.meaning))));
  for (const [name, schema] of Object.entries(api.components.schemas))
    document.getElementById("schemas").append(make("details", { id: `schema-${name}` }, make("summary", { textContent: name }), make("pre", { textContent: JSON.stringify(schema, null, 2) })));
  if (location.hash) { const there = document.getElementById(location.hash.slice(1)); if (there) { if ("open" in there) there.open = true; there.scrollIntoView(); } }
}).catch((error) => { document.getElementById("about").textContent = `The API's description could not be read: ${error}`; });
