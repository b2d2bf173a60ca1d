"use strict";

const list = document.getElementById("products");
const title = document.getElementById("title");
const status = document.getElementById("status");
const price = new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency: "EUR" });

function item(product) {
  const entry = document.createElement("li");
  const name = document.createElement("h3");
  const text = document.createElement("p");
  const cost = document.createElement("p");
  // textContent, never innerHTML: names are written by strangers.
  name.textContent = product.name;
  text.textContent = product.summary;
  cost.textContent = price.format(product.price_cents / 100);
  cost.className = "price";
  entry.append(name, text, cost);
  return entry;
}

async function search(words) {
  status.textContent = "Searching …";
  const answer = await fetch("/api/products?limit=24&q=" + encodeURIComponent(words), {
    headers: { Accept: "application/json" },
  });
  const data = await answer.json();
  if (!answer.ok) {
    status.textContent = data.message + " (" + data.requestId + ")";
    return;
  }
  list.replaceChildren(...data.items.map(item));
  title.textContent = words ? "Found" : "What others buy";
  status.textContent = data.items.length ? "" : "Nothing found.";
}

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search(new FormData(event.target).get("q").trim()).catch(() => {
    status.textContent = "The market cannot be reached just now.";
  });
});
