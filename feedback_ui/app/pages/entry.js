// Sign-in and joining. The words that it may need stand in the form's data attributes.

const form = document.querySelector("form");
const said = document.getElementById("said");

try {
  const shade = localStorage.getItem("feedback_shade"); // as chosen on the rater's page
  if (shade) document.documentElement.dataset.theme = shade;
} catch {
  // a browser that keeps nothing: as the system has it
}

/** Where to go on: a path of this page and nowhere else. */
function next() {
  const wanted = new URLSearchParams(location.search).get("next") || "/";
  const url = new URL(wanted, location.origin);
  return url.origin === location.origin ? url.pathname + url.search : "/";
}

async function send(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return { ok: response.ok, body: await response.json() };
}

function problem(error) {
  const words = { "too-many": form.dataset.tooMany, forbidden: form.dataset.forbidden };
  return words[error.kind] || error.message;
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const fields = Object.fromEntries(new FormData(form));
  button.disabled = true;
  said.textContent = form.dataset.working;
  try {
    const answer = await send(form.dataset.path, fields);
    if (answer.ok) {
      location.replace(next());
      return;
    }
    said.textContent = problem(answer.body.error);
  } catch {
    said.textContent = form.dataset.offline;
  }
  button.disabled = false;
});

// A link from another site comes without the session's cookie, as it should; who is signed in goes straight on.
if (form?.dataset.path === "/api/sign-in") {
  fetch("/api/me").then((response) => response.ok && location.replace(next()), () => {});
}
