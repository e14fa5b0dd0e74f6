;; A library that is linked into the component beside CPython, for its constructor alone. CPython reads the seed of its hashes
;; from the environment while it starts, which is when the component is made, and the tool gives it no other.
(module
  (@dylink.0 (mem-info (memory 32 0)))
  (import "env" "memory" (memory 0))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "setenv" (func $setenv (param i32 i32 i32) (result i32)))
  (data (global.get $base) "PYTHONHASHSEED\00SEED\00")
  (func (export "__wasm_call_ctors")
    (drop (call $setenv (global.get $base) (i32.add (global.get $base) (i32.const 15)) (i32.const 1)))))
