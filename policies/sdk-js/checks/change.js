import assert from "node:assert/strict";
import { test } from "node:test";

import { between } from "../src/change.js";
import { parse } from "../src/json.js";

/** The patch that `edit` makes of a text. */
function patch(text, edit) {
  const after = parse(text);
  edit(after.value);
  return between(parse(text), after);
}

test("what is not touched is not written", () => {
  const text = '{"big":12345678901234567890,"one":1.0,"huge":1e400,"zero":-0,"list":[1.50,{"deep":0.10}],"a":1}';
  assert.equal(patch(text, () => {}), undefined);
  assert.equal(patch(text, (it) => (it.a = 2)), '[{"op":"replace","path":"/a","value":2}]');
  assert.equal(patch(text, (it) => (it.list = it.list.map((one) => one))), undefined);
  assert.equal(patch(text, (it) => (it.list = [it.list[0], { ...it.list[1] }])), undefined);
});

test("what is moved or copied keeps its spelling", () => {
  const text = '{"a":{"n":12345678901234567890,"o":1.0},"l":[9007199254740993,1.0,{"x":1e400}]}';
  assert.equal(
    patch(text, (it) => {
      it.b = it.a;
      delete it.a;
    }),
    '[{"op":"remove","path":"/a"},{"op":"add","path":"/b","value":{"n":12345678901234567890,"o":1.0}}]',
  );
  assert.equal(patch(text, (it) => it.l.unshift("first")), '[{"op":"add","path":"/l/0","value":"first"}]');
  assert.equal(patch(text, (it) => it.l.shift()), '[{"op":"remove","path":"/l/0"}]');
  assert.equal(patch(text, (it) => it.l.pop()), '[{"op":"remove","path":"/l/2"}]');
  assert.equal(patch(text, (it) => (it.c = it.a.n)), '[{"op":"add","path":"/c","value":12345678901234567890}]');
  assert.equal(patch(text, (it) => (it.c = { ...it.l[2] })), '[{"op":"add","path":"/c","value":{"x":1e400}}]');
  assert.equal(
    patch(text, (it) => it.l.reverse()),
    '[{"op":"replace","path":"/l/0","value":{"x":1e400}},{"op":"replace","path":"/l/2","value":9007199254740993}]',
  );
});

test("numbers that look the same in JavaScript are told apart where they stand in objects", () => {
  const text = '{"l":[{"n":9007199254740993},{"n":9007199254740992}]}';
  assert.equal(patch(text, (it) => it.l.shift()), '[{"op":"remove","path":"/l/0"}]');
});

test("what the author writes is written", () => {
  const text = '{"n":1.0,"l":[1,2,3]}';
  for (const [edit, expected] of [
    [(it) => (it.n = 12345678901234567890n), '[{"op":"replace","path":"/n","value":12345678901234567890}]'],
    [(it) => (it.n = { a: [1, undefined], b: undefined, c: new Date(0) }), '[{"op":"replace","path":"/n","value":{"a":[1,null],"c":"1970-01-01T00:00:00.000Z"}}]'],
    [(it) => (it["a/b~c"] = null), '[{"op":"add","path":"/a~1b~0c","value":null}]'],
    [(it) => (it.n = undefined), '[{"op":"remove","path":"/n"}]'],
    [(it) => it.l.splice(1, 1), '[{"op":"remove","path":"/l/1"}]'],
    [(it) => it.l.splice(1, 0, 7, 8), '[{"op":"add","path":"/l/1","value":7},{"op":"add","path":"/l/2","value":8}]'],
    [(it) => (it.l = {}), '[{"op":"replace","path":"/l","value":{}}]'],
  ]) {
    assert.equal(patch(text, edit), expected);
  }
});

test("what JSON cannot say is refused with its place", () => {
  assert.throws(() => patch("{}", (it) => (it.a = [{ b: NaN }])), { message: "object.a[0].b: JSON has no NaN" });
  assert.throws(() => patch("{}", (it) => (it.a = Infinity)), { message: "object.a: JSON has no Infinity" });
  assert.throws(() => patch("{}", (it) => (it.a = it)), { message: /contains itself/ });
});

test("the reader that keeps spellings reads as JSON.parse does", () => {
  for (const text of [
    ' { "a" : [ 1.0 , -2e-3 , true , false , null , "x\\"\\\\" , { } , [ ] ] , "\\u0061b" : "\\ud83d\\ude00\\n" } ',
    '{"__proto__":{"x":1.0},"a":1.0,"a":2.0,"toJSON":1.5}',
    '[[[[1.0]]],"a\\\\",1.0,"\\\\\\""]',
    "[-0,1E5]",
  ]) {
    assert.deepEqual(parse(text).value, JSON.parse(text));
    assert.equal(Object.getPrototypeOf(parse('{"__proto__":{"x":1.0}}').value), Object.prototype);
  }
  assert.throws(() => parse('{"a":1.0'), SyntaxError);
});
