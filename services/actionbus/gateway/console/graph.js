// The graph of a definition as nested boxes: what follows stands below, what is apart stands beside.
// A box has the colour of its step; one that stands for many items has that of the item that is most behind.

import { drawn } from '/console/dom.js';

const WIDTH = 190, HEIGHT = 40, GAP = 18, PAD = 14, TITLE = 20, LETTERS = 26;

export function graph(definition, steps) {
  const root = sequence(definition.root, '', steps);
  const width = root.width + 2 * PAD, height = root.height + 2 * PAD;
  const svg = drawn('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img',
    'aria-label': `The graph of ${definition.name}` });
  root.draw(svg, PAD, PAD);
  return svg;
}

function sequence(node, path, steps) {
  const parts = node.nodes.map((each) => box(each, path ? `${path}.${each.id}` : each.id, steps));
  const width = Math.max(WIDTH, ...parts.map((each) => each.width));
  const height = parts.reduce((sum, each) => sum + each.height + GAP, -GAP);
  return {
    width, height: Math.max(height, 0),
    draw(svg, x, y) {
      const middle = x + width / 2;
      let at = y;
      parts.forEach((part, index) => {
        if (index) svg.append(drawn('line', { x1: middle, y1: at - GAP, x2: middle, y2: at, class: 'edge' }));
        part.draw(svg, x + (width - part.width) / 2, at);
        at += part.height + GAP;
      });
    },
  };
}

function box(node, path, steps) {
  if (node.kind === 'sequence') return sequence(node, path, steps);
  const inside = within(node, path).map(({ title, child, at }) => ({ title, body: box(child, at, steps) }));
  if (inside.length === 0) return leaf(node, path, steps);
  const width = inside.reduce((sum, each) => sum + each.body.width + GAP, -GAP) + 2 * PAD;
  const height = Math.max(...inside.map((each) => each.body.height)) + 2 * TITLE + PAD;
  return {
    width, height,
    draw(svg, x, y) {
      svg.append(drawn('rect', { x, y, width, height, rx: 8, class: `scope ${steps[path] ?? ''}` }),
        drawn('text', { x: x + PAD, y: y + 15, class: 'title' }, short(`${node.kind} ${node.id}`)));
      let at = x + PAD;
      for (const { title, body } of inside) {
        svg.append(drawn('text', { x: at, y: y + 15 + TITLE, class: 'status' }, short(title)));
        body.draw(svg, at, y + 2 * TITLE);
        at += body.width + GAP;
      }
    },
  };
}

function leaf(node, path, steps) {
  const status = steps[path] ?? 'PENDING';
  const action = node.call?.action;
  return {
    width: WIDTH, height: HEIGHT,
    draw(svg, x, y) {
      svg.append(drawn('g', { class: `node ${status}`, 'data-path': path },
        drawn('title', {}, `${path}: ${status}`),
        drawn('rect', { x, y, width: WIDTH, height: HEIGHT, rx: 6 }),
        drawn('text', { x: x + 10, y: y + 17 }, short(action && action !== node.id ? `${node.id}: ${action}` : node.id)),
        drawn('text', { x: x + 10, y: y + 32, class: 'status' }, `${node.kind} · ${status.toLowerCase()}`)));
    },
  };
}

// The nodes that stand inside one, with their paths as the engine writes them: [] is what may happen several times.
function within(node, path) {
  const apart = (title, child) => (child ? [{ title, child, at: `${path}.${child.id}` }] : []);
  const each = (title, child) => (child ? [{ title, child, at: `${path}[]` }] : []);
  return [
    ...each(node.kind === 'map' ? 'each item' : node.kind === 'repeat' ? 'each turn' : 'do', node.body),
    ...(node.cases ?? []).flatMap((one, index) => apart(`case ${index + 1}`, one.then)),
    ...apart('otherwise', node.otherwise),
    ...(node.branches ?? []).flatMap((one) => apart(one.id, one)),
    ...apart('on time-out', node.on_timeout),
    ...each('on reminder', node.on_reminder),
    ...(node.kind === 'try' ? node.rules ?? [] : []).flatMap((rule) => apart(`on ${rule.error_type ?? 'any'}`, rule.then?.node)),
    ...apart('always', node.always),
  ];
}

function short(text) {
  return text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text;
}
