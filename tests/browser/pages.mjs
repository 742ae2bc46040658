// The pages in a real browser: at three widths, light and dark, with and without scripts. Says each fault on a line; ends with 1 where
// there is one. Usage: node pages.mjs BASE TOKEN ROW_PAGE PATH... (SHOTS=DIR keeps pictures.)
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [base, token, certificate, ...paths] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SHOTS;
const faults = [];
const fault = (where, what) => faults.push(`${where}: ${what}`);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});

async function visitor(options) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && fault(page.url(), message.text()));
  page.on("pageerror", (error) => fault(page.url(), error.message));
  await page.goto(`${base}/login`);
  await page.fill("#token", token);
  await page.click("button.main");
  await page.waitForURL(`${base}/`);
  return page;
}

// Times to the second differ between two looks; all else is the same.
const steady = (text) => text.replace(/in \d[^\n]*|\d+ \w+( \d+ \w+)? ago|\d\d:\d\d|\d+ hashes|tree of \d+|\s+/g, " ");

const texts = new Map();
const said = async (page) => steady(await page.evaluate(() => document.querySelector("main").textContent));
const reader = await visitor({ viewport: { width: 1440, height: 900 } });

// An hour may turn between two looks, and what ends within a day is then another number: what differs is read once more, by both.
async function saysTheSame(path, page) {
  if (!texts.has(path)) texts.set(path, await said(page));
  if (texts.get(path) === (await said(page))) return true;
  for (const one of [reader, page]) await one.goto(base + path);
  texts.set(path, await said(reader));
  await page.evaluate(() => document.querySelectorAll("main details").forEach((part) => { part.open = true; }));
  return texts.get(path) === (await said(page));
}

for (const javaScriptEnabled of [true, false]) {
  for (const [width, height] of [[1440, 900], [390, 844], [320, 640]]) {
    for (const colorScheme of javaScriptEnabled ? ["light", "dark"] : ["light"]) {
      const where = `${width} ${colorScheme}${javaScriptEnabled ? "" : " without scripts"}`;
      const page = await visitor({ viewport: { width, height }, colorScheme, javaScriptEnabled });
      for (const path of paths) {
        await page.goto(base + path);
        const at = `${path} at ${where}`;
        // What is folded is looked at too.
        await page.evaluate(() => document.querySelectorAll("main details").forEach((part) => { part.open = true; }));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wide > 0) fault(at, `${wide} pixels are cut`);
        for (const when of await page.locator(".rows .when").all()) {
          const box = await when.boundingBox();
          if (!box || box.x < 0 || box.x + box.width > width) { fault(at, "an end is out of sight"); break; }
        }
        if (width < 800) {
          const bare = await page.evaluate(() => [...document.querySelectorAll(".kept td[data-what]")]
            .filter((cell) => ["none", "normal"].includes(getComputedStyle(cell, "::before").content)).length);
          if (bare > 0) fault(at, `${bare} cells do not say what they are`);
        }
        if (!(await saysTheSame(path, page))) fault(at, "says something else than with scripts");
        if (javaScriptEnabled) {
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() =>
            window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
          for (const { id, impact, nodes } of violations) fault(at, `axe: ${id} (${impact}): ${nodes.map((node) => node.html).slice(0, 2).join(" ")}`);
        }
        if (shots && javaScriptEnabled) {
          const name = (path.replace(/[^a-z]+/gi, "-").replace(/^-|-$/g, "") || "overview").slice(0, 40);
          await page.screenshot({ path: `${shots}/${name}-${width}-${colorScheme}.png`, fullPage: width < 500 });
        }
      }
      await page.context().close();
    }
  }
}

// What is typed outlives the minute after which the page is fetched anew.
{
  const page = await visitor({ viewport: { width: 1440, height: 900 } });
  await page.clock.install();
  await page.goto(`${base}/certificates`);
  await page.fill("#q", "half a na");
  await page.evaluate(() => { document.querySelector('[data-live="rows"]').dataset.old = "yes"; document.activeElement.blur(); });
  const fetched = page.waitForResponse((answer) => answer.url() === `${base}/certificates`);
  await page.clock.runFor(61000);
  await fetched;
  await page.waitForFunction(() => !document.querySelector("[data-old]"), null, { timeout: 10000, polling: 50 })
    .catch(() => fault("refresh", "the rows are the old ones"));
  if (await page.inputValue("#q") !== "half a na") fault("refresh", "what was typed is lost");
  await page.context().close();
}

// Each bar leads to as many as it counts, and so does each card. Without scripts, a certificate is renewed and revoked.
{
  const page = await visitor({ viewport: { width: 390, height: 844 }, javaScriptEnabled: false });
  const listed = async () => {
    let count = 0;
    for (;;) {
      count += await page.locator(".rows tbody tr").count();
      const next = page.locator(".next a");
      if (await next.count() === 0) return count;
      await page.goto(base + await next.getAttribute("href"));
    }
  };
  const links = [];
  for (const card of await page.locator(".cards a").all()) {
    links.push([await card.getAttribute("href"), Number((await card.locator("b").textContent()).replace(/\D/g, ""))]);
  }
  for (const bar of await page.locator(".plot a").all()) {
    links.push([await bar.getAttribute("href"), Number(/: (\d+) (?:secrets? )?end/.exec(await bar.getAttribute("aria-label"))[1])]);
  }
  if (links.length < 6) fault("/", `${links.length} links are too few`);
  for (const [link, count] of links) {
    await page.goto(base + link);
    const found = await listed();
    if (found !== count) fault(link, `${found} are listed, ${count} were counted`);
  }
  await page.goto(base + certificate);
  await page.click("text=Renew it");
  await page.locator("form[action$=renew] input[type=checkbox]").check();
  await page.locator("form[action$=renew] button").click();
  await page.waitForURL((url) => url.pathname.startsWith("/certificates/") && url.pathname !== certificate);
  const successor = new URL(page.url()).pathname;
  if (await page.locator(`a[href="${certificate}"]`).count() !== 1) fault(successor, "does not lead to what it replaced");
  await page.click("text=Revoke it");
  await page.locator("form[action$=revoke] input[type=checkbox]").check();
  await page.selectOption("#reason", "superseded");
  await page.locator("form[action$=revoke] button").click();
  await page.waitForURL(base + successor);
  if (!(await page.textContent("main")).includes("(superseded)")) fault(successor, "is not revoked");
}

await browser.close();
for (const line of [...new Set(faults)]) console.log(line);
process.exit(faults.length ? 1 : 0);
