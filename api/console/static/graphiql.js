// Starts GraphiQL. The token of the person who is signed in is kept in a variable only: it is gone
// when the page is closed. The query and its variables are in the address, headers never.

const ENDPOINT = "/graphql";
const TOKEN = "/graphiql/token";

const EXAMPLES = [
  `# What waits for my decision. Run it with Ctrl-Enter. The tabs have more examples.
query Inbox {
  viewer { name roles groups }
  approvals(filter: { decidableByViewer: true }, first: 10) {
    totalCount
    edges { node { id title requestedAt initiator { name } digest payload } }
  }
}
`,
  `# What goes on. Needs a role that reads all executions, such as auditor.
query Executions {
  executions(first: 10) {
    edges { node { id workflow state startedAt steps(first: 10) { edges { node { name } } } } }
  }
}
`,
  `# Every event as it is recorded, until you stop it. Needs a role that reads all executions.
subscription Events {
  events { cursor event { type executionId version at actor { name } data } }
}
`,
];

// Pages of before kept queries and headers in the browser.
for (const key of Object.keys(localStorage)) {
  if (key.startsWith("graphiql:")) localStorage.removeItem(key);
}

const address = new URL(location.href);

function remember(name, value) {
  if (value) address.searchParams.set(name, value);
  else address.searchParams.delete(name);
  history.replaceState(null, "", address);
}
remember("headers", "");

async function signedIn() {
  const answer = await fetch(TOKEN, { cache: "no-store" });
  return answer.status === 200 ? answer.json() : null;
}

function parsed(query) {
  try {
    return GraphiQL.GraphQL.parse(query);
  } catch {
    return undefined; // The server says what is wrong with it.
  }
}

// Just after a change of tabs, GraphiQL still names the operation of the tab before.
// The name tells GraphiQL what is a subscription, so it has to be of this document.
function operationOf(params) {
  const operations =
    parsed(params.query)?.definitions.filter((one) => one.kind === "OperationDefinition") ?? [];
  const names = operations.map((one) => one.name?.value);
  if (names.includes(params.operationName)) return params;
  return { ...params, operationName: names.length === 1 ? names[0] : undefined };
}

const EDITORS = {
  ".graphiql-query-editor": "Query",
  ".graphiql-editor-tool": "Variables and headers",
  ".result-window": "Answer",
};

/** Says to screen readers what GraphiQL does not, or says in a way that they can't use. */
function mend() {
  for (const [place, label] of Object.entries(EDITORS)) {
    for (const field of document.querySelectorAll(`${place} textarea:not([aria-label])`)) {
      field.setAttribute("aria-label", label);
    }
  }
  for (const scrolls of document.querySelectorAll('.CodeMirror-scroll[tabindex="-1"]')) {
    scrolls.tabIndex = 0;
  }
  // The tabs are a group of buttons: a tab of ARIA could have no buttons in it.
  document.querySelector('.graphiql-tabs[role="tablist"]')?.setAttribute("role", "group");
  for (const tab of document.querySelectorAll('.graphiql-tab:not([role="none"])')) {
    tab.setAttribute("role", "none");
  }
  for (const tab of document.querySelectorAll(".graphiql-tab[aria-selected]")) {
    tab.removeAttribute("aria-selected");
  }
}

function start(person) {
  const authorization = person ? { authorization: `Bearer ${person.token}` } : {};
  const fetcher = GraphiQL.createFetcher({
    url: ENDPOINT,
    subscriptionUrl: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${ENDPOINT}`,
  });
  // Headers that are typed into the editor win, to try what somebody else may do.
  const asPerson = (params, options) =>
    fetcher(operationOf(params), {
      ...options,
      documentAST: parsed(params.query),
      headers: { ...authorization, ...options?.headers },
    });
  const query = address.searchParams.get("query");
  const variables = address.searchParams.get("variables");
  const tabs = EXAMPLES.map((example) => ({ query: example }));
  if (query) tabs.unshift({ query, variables });

  const e = React.createElement;
  const who = person ? `as ${person.name}` : "not signed in: type an authorization header";
  const name = e(
    "a",
    { className: "graphiql-placet", href: "/" },
    e("img", { src: document.querySelector("link[rel=icon]").href, alt: "" }),
    "Placet",
    e("span", null, who),
  );
  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    e(
      GraphiQL,
      {
        fetcher: asPerson,
        defaultTabs: tabs,
        storage: null,
        shouldPersistHeaders: false,
        defaultEditorToolsVisibility: false,
        onEditQuery: (text) => remember("query", text),
        onEditVariables: (text) => remember("variables", text),
      },
      e(GraphiQL.Logo, null, name),
    ),
  );
  new MutationObserver(mend).observe(document.getElementById("graphiql"), {
    attributeFilter: ["role", "aria-selected", "tabindex"],
    childList: true,
    subtree: true,
  });
}

signedIn().then(start, (error) => {
  const place = document.getElementById("graphiql");
  place.className = "graphiql-notice";
  place.textContent = `The server did not tell who is signed in (${error}). Reload the page.`;
});
