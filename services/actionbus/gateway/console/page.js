// The list of runs, and one run with its graph, steps and history. It asks the API like anybody else.

import { element, replace } from '/console/dom.js';
import { graph } from '/console/graph.js';

const EVERY_MS = 3000;
const AWAY = 'The gateway does not answer: see whether it runs. What is shown is as it was.';
const ENDED = new Set(['COMPLETED', 'FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT']);
const VERBS = {
  pause: 'Schedule nothing new until it is resumed?', resume: 'Go on, and try again what waits for an operator?',
  cancel: 'Stop it and undo what it did?', terminate: 'End it at once and undo NOTHING?',
  restart: 'Run it again from its beginning?',
};
const main = document.getElementById('main'), footer = document.getElementById('footer');
const filters = document.getElementById('filters'), live = document.getElementById('live');
let stream = null, timer = null, turn = 0;

async function ask(path, options) {
  const reply = await fetch(`/v1${path}`, options).catch(() => {
    throw new Error(AWAY);
  });
  const body = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(body.detail ?? `${reply.status} ${reply.statusText}`);
  return body;
}

function say(text) {
  footer.textContent = text;
}

const isLive = () => live.getAttribute('aria-pressed') === 'true';
const at = (moment) => (moment ? new Date(moment).toLocaleString() : '');
const chip = (status) => element('span', { class: `chip ${status}` }, status.toLowerCase());
const span = (ms) => (ms === null || ms === undefined ? '' : ms < 1000 ? `${ms} ms` : ms < 60000
  ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`);

async function list(mine, cursor) {
  const asked = new URLSearchParams({ limit: '50' });
  for (const [name, value] of new FormData(filters)) {
    if (value) asked.append(name, name === 'incident' ? 'true' : value);
  }
  if (cursor) asked.append('cursor', cursor);
  const page = await ask(`/runs?${asked}`);
  if (mine !== turn) return;
  replace(main, element('table', {},
    element('thead', {}, row('th', 'run', 'workflow', 'status', 'started', 'took', 'waits for', 'error')),
    element('tbody', {}, page.items.map((run) => row('td',
      element('a', { href: `#/runs/${encodeURIComponent(run.run_id)}` }, run.run_id),
      `${run.workflow}@${run.definition_version}`, chip(run.status), at(run.created_at), span(run.duration_ms),
      run.incident ? `an operator: ${run.incident.reason}` : run.waits_for,
      run.error ? `${run.error.type}: ${run.error.message}` : '')))),
  page.items.length ? null : element('p', {}, 'No run fits.'),
  page.next_cursor ? element('button', { type: 'button', onclick: () => shown(() => list(turn, page.next_cursor)) },
    'older runs') : null);
}

function row(kind, ...cells) {
  return element('tr', {}, cells.map((cell) => element(kind, {}, cell ?? '')));
}

async function one(mine, id) {
  const path = `/runs/${encodeURIComponent(id)}`;
  const [run, history] = await Promise.all([ask(path), ask(`${path}/history?limit=1000`)]);
  const drawing = await ask(`${path}/graph`).then((found) => graph(found.graph, found.steps)).catch(() => null);
  if (mine !== turn) return;
  replace(main,
    element('h1', {}, run.run_id, ' ', chip(run.status)),
    element('p', {}, `${run.workflow}@${run.definition_version}, from ${at(run.created_at)}`,
      run.ended_at ? `, took ${span(run.duration_ms)}` : ''),
    run.incident ? element('p', { class: 'alarm' }, `It waits for an operator: ${run.incident.reason}`) : null,
    run.error ? element('p', { class: 'alarm' }, `${run.error.type}: ${run.error.message}`) : null,
    element('p', {}, Object.keys(VERBS).filter((verb) => (verb === 'restart') === ENDED.has(run.status))
      .map((verb) => element('button', { type: 'button', onclick: () => order(path, verb) }, verb))),
    drawing ? element('div', { class: 'graph' }, drawing) : null,
    element('h2', {}, 'Steps'),
    element('table', {}, element('thead', {}, row('th', 'step', 'action', 'status', 'attempt', 'waits for', 'error', '')),
      element('tbody', {}, run.steps.map((step) => row('td', step.path, step.action, chip(step.status), String(step.attempt),
        step.stuck ? `an operator: ${step.stuck}` : step.waits_for,
        step.error ? `${step.error.type}: ${step.error.message}` : '',
        step.stuck ? element('button', { type: 'button', onclick: () => order(path, 'retry-step', { step: step.path }) },
          'retry') : '')))),
    element('h2', {}, 'History'),
    element('ol', { class: 'history' }, history.items.flatMap((event) => event.entries.map((entry) => element('li', {},
      element('time', {}, at(event.at)), ' ', element('b', {}, entry.kind.replaceAll('_', ' ')), ' ',
      [entry.step, entry.reason, entry.decision && `${entry.decision.decision}: ${entry.decision.reason}`]
        .filter(Boolean).join(' · '), ' ',
      entry.data === null || entry.data === undefined ? '' : element('code', {}, JSON.stringify(entry.data)))))));
  if (!ENDED.has(run.status) && isLive() && stream === null) {
    follow(path, () => shown(() => one(turn, id)));
  }
}

function follow(path, draw) {
  let cut = false;
  stream = new EventSource(`/v1${path}/events`);
  stream.addEventListener('transition', () => later(draw, 300));
  stream.addEventListener('end', () => stop());
  stream.addEventListener('open', () => {
    if (cut) later(draw, 300);
    cut = false;
  });
  stream.addEventListener('error', () => {
    cut = true;
    say(AWAY);
    // A browser comes again by itself after a cut, but not after a refusal.
    if (stream?.readyState === EventSource.CLOSED) later(route, EVERY_MS);
  });
}

async function order(path, verb, more = {}) {
  if (!window.confirm(VERBS[verb] ?? 'Try it again at once?')) return;
  try {
    await ask(`${path}/${verb}`, { method: 'POST', body: JSON.stringify({ requested_by: 'console', ...more }),
      headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() } });
    say(`${verb}: done`);
  } catch (error) {
    say(`${verb}: ${error.message}`);
  }
  route();
}

async function shown(draw) {
  try {
    await draw();
    say(`as of ${new Date().toLocaleTimeString()}`);
  } catch (error) {
    say(error.message);
  }
}

function later(what, ms) {
  clearTimeout(timer);
  timer = setTimeout(what, ms);
}

function stop() {
  stream?.close();
  stream = null;
}

async function route() {
  stop();
  clearTimeout(timer);
  turn += 1;
  const [, place, id] = location.hash.slice(1).split('/');
  filters.hidden = place === 'runs';
  if (place === 'runs') {
    await shown(() => one(turn, decodeURIComponent(id ?? '')));
    return;
  }
  const mine = turn;
  await shown(() => list(mine));
  if (isLive() && mine === turn) later(route, EVERY_MS);
}

live.addEventListener('click', () => {
  live.setAttribute('aria-pressed', String(!isLive()));
  route();
});
filters.addEventListener('input', () => later(route, 300));
filters.addEventListener('submit', (event) => event.preventDefault());
window.addEventListener('hashchange', route);
route();
