// The operations in JavaScript, whose numbers are all doubles; the first argument plants a fault.
'use strict';

const FAULT = process.argv[2] || '';
const ENVELOPE = new Set(['$token', '$distinct_id', '$group_key', '$group_id', '$time', '$ip', '$ignore_time',
  '$ignore_alias', '$latitude', '$longitude', '$device_id', '$user_id', '$had_persisted_distinct_id', '$mp_metadata']);
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumber = (value) => typeof value === 'number';

function same(one, other) {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((value, place) => same(value, other[place]));
  }
  if (isObject(one) && isObject(other)) {
    const names = Object.keys(one);
    return names.length === Object.keys(other).length
      && names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]));
  }
  return FAULT === 'loose equality' ? one == other : one === other;
}

const has = (values, value) => values.some((one) => same(one, value));
const listed = (value) => (Array.isArray(value) ? value : [value]);

// From what is present (undefined: nothing) and the payload's value to what is present afterwards.
const OPERATIONS = {
  $set: (present, value) => value,
  $set_once: (present, value) => (FAULT === 'falsy is unset' ? present || value : present === undefined ? value : present),
  $add: (present, value) => {
    const sum = (present === undefined ? 0 : present) + value;
    return (present === undefined || isNumber(present)) && Number.isFinite(sum) ? sum : present;
  },
  $append: (present, value) => {
    if (present !== undefined && !Array.isArray(present)) return present;
    return [...(present || []), value];
  },
  $union: (present, value) => {
    if (present !== undefined && !Array.isArray(present)) return present;
    const found = [...(present || [])];
    listed(value).forEach((member) => has(found, member) || found.push(member));
    return found;
  },
  $remove: (present, value) => (Array.isArray(present) ? present.filter((one) => !has(listed(value), one)) : present),
};

function isMalformed(operator, payload) {
  if (operator === '$unset') return !Array.isArray(payload) || !payload.length || payload.some((name) => typeof name !== 'string');
  if (operator === '$delete') return false;
  if (!isObject(payload) || !Object.hasOwn(OPERATIONS, operator)) return true;
  const values = Object.values(payload);
  return (operator === '$add' && !values.every(isNumber))
    || (operator === '$union' && values.some((value) => Array.isArray(value) && !value.length));
}

function apply(before, message) {
  const written = Object.keys(message).filter((name) => name.startsWith('$') && !ENVELOPE.has(name));
  if (written.some((operator) => isMalformed(operator, message[operator]))) return before;
  let state = before;
  for (const operator of written) {
    const payload = message[operator];
    if (operator === '$delete') {
      state = null;
    } else if (operator === '$unset') {
      state = Object.fromEntries(Object.entries(state || {}).filter(([name]) => !payload.includes(name)));
    } else {
      state = new Map(Object.entries(state || {}));
      for (const [name, value] of Object.entries(payload)) {
        const after = OPERATIONS[operator](state.get(name), value);
        if (after !== undefined) state.set(name, after);
      }
      state = Object.fromEntries(state);
    }
  }
  return state;
}

require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { n, state, message } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ n, state: apply(state, message) })}\n`);
});
